"""Rows of containers that live: exec, detach, monitor, ps and logs."""

import os
import shutil
import socket
import subprocess
import tempfile
import time

from bundle import crun_bundle
from measure import Result, once, rounds
from processes import processes, pss, runs

NAME = "rl-bench"
MANY, FEW = 1000, 100  # containers that ps lists, ours and podman's
MONITORS = 20
LOG = 1 << 30  # bytes


def quiet(*argv, check=True):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=check).stdout.strip()


def tools(o):
    return {name: tool for name, tool in (("rl", o.rl), ("podman", "podman")) if shutil.which(tool)}


def execute(o):
    crun = f"{NAME}-{os.getpid()}"
    with tempfile.TemporaryDirectory(dir=os.path.expanduser("~")) as dir:
        start = crun_bundle(dir, "/bin/sleep", "1000")
        cases = {}
        try:
            for name, tool in tools(o).items():
                quiet(tool, "run", "-d", "--name", NAME, o.image, "sleep", "1000")
                cases[f"{name} exec"] = [tool, "exec", NAME, "true"]
            if shutil.which("crun"):
                subprocess.run([*start[:-1], "--detach", crun], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)  # it keeps its stdout open
                cases["crun exec"] = ["crun", "--cgroup-manager=disabled", "exec", crun, "/bin/true"]
            results = rounds(cases, o.n)
            for result, argv in zip(results, cases.values()):
                if quiet(*argv[:-1], "/bin/sh", "-c", "echo $((6 * 7))", check=False) != "42":
                    result.error = result.error or "did not run the command"
        finally:
            for tool in tools(o).values():
                quiet(tool, "rm", "-f", "-t", "0", NAME, check=False)
            if shutil.which("crun"):
                quiet("crun", "--cgroup-manager=disabled", "delete", "--force", crun, check=False)
    return results, ["crun exec", "podman exec"], "ms, command to exit of true", {
        ("rl exec", "crun exec"): (1.0, "at most"), ("rl exec", "podman exec"): (1 / 15, "at most")}


def detach(o):
    cases, removal = {"rl run --rm": [o.rl, "run", "--rm", o.image, "true"]}, {}
    for name, tool in tools(o).items():
        cases[f"{name} run -d"] = [tool, "run", "-d", "--name", NAME, o.image, "sleep", "1000"]
        removal[f"{name} run -d"] = [tool, "rm", "-f", "-t", "0", NAME]

    def before(case):
        if case in removal:
            quiet(*removal[case], check=False)

    results = rounds(cases, o.n, before)
    for case in removal:
        before(case)
    return results, ["rl run --rm", "podman run -d"], "ms, command to exit; the container then runs", {("rl run -d", "rl run --rm"): (1.2, "at most")}


def sends(o, one):
    """The container has sent packets, and got some back."""
    got = quiet(o.rl, "exec", one, "sh", "-c", "nslookup localhost. >/dev/null 2>&1; awk 'NR > 2 && $1 != \"lo:\" {print $3}' /proc/net/dev")
    return None if got and int(got) > 0 else "no packet came back"


def holds(o, one, held):
    """It has a connection that stays open."""
    port = int(quiet(o.rl, "port", one, "80").splitlines()[0].rsplit(":", 1)[1])
    for _ in range(100):
        held.append(socket.create_connection(("127.0.0.1", port)))
        try:
            held[-1].settimeout(5)
            held[-1].sendall(b"?")
            if held[-1].recv(1) == b"?":
                return None
        except OSError:
            pass
        held.pop().close()
        time.sleep(0.05)
    return "no connection"


SLEEP, ECHO = ["sleep", "1000"], ["nc", "-ll", "-p", "80", "-e", "cat"]


def monitor(o):
    """PSS of all that stays with a container beside its own processes, each of twenty."""
    results, held = [], []
    for name, flags, argv, use in (
            ("rl, no network", ["--network", "none"], SLEEP, None), ("rl, network unused", [], SLEEP, None), ("rl, network used", [], SLEEP, sends),
            ("rl, connection open", ["-p", "127.0.0.1::80"], ECHO, lambda o, one: holds(o, one, held))):
        result = Result(name)
        before = processes()
        names = [f"{NAME}-{n}" for n in range(MONITORS)]
        try:
            for one in names:
                quiet(o.rl, "run", "-d", *flags, "--name", one, o.image, *argv)
            for one in names if use else ():
                result.error = use(o, one) or result.error
            time.sleep(3)
            result.values.append(sum(pss(pid) for pid in processes() - before if not runs(pid, argv[0], "cat")) / 1024 / MONITORS)
        finally:
            for one in held:
                one.close()
            held.clear()
            quiet(o.rl, "rm", "-f", "-t", "0", *names, check=False)
        results.append(result)
    return results, [], f"MiB PSS each of {MONITORS} containers, beside its own processes", {
        ("rl, no network", None): (1.0, "at most"), ("rl, network used", None): (2.0, "at most")}


def ps(o):
    cases, made = {}, {}
    try:
        for name, tool in tools(o).items():
            count = MANY if name == "rl" else FEW
            made[tool] = []
            for _ in range(count):
                made[tool].append(quiet(tool, "create", o.image, "true"))
            cases[f"{name} ps -a of {count}"] = [tool, "ps", "-a"]
        results = rounds(cases, o.n)
    finally:
        for tool, ids in made.items():
            quiet(tool, "rm", "-f", *ids, check=False)
    mine, theirs = f"rl ps -a of {MANY}", f"podman ps -a of {FEW}"
    return results, [theirs], "ms", {(mine, None): (50, "at most"), (mine, theirs): (0.1, "at most")}


def logs(o):
    """Speed of a container that writes lines of 100 bytes, and of the same program into a pipe that cat writes to a file."""
    program = f"yes {'x' * 99} | head -c {LOG}"
    logged, piped = Result("rl run, logged"), Result("cat through a pipe")
    with tempfile.TemporaryDirectory(dir=os.path.expanduser("~")) as dir:
        file = os.path.join(dir, "out")
        for _ in range(3):
            took, status = once([o.rl, "run", "--name", NAME, o.image, "sh", "-c", program])
            logged.values.append(LOG / took / 1e3)
            size = int(quiet("sh", "-c", f'"{o.rl}" logs {NAME} | wc -c'))
            if status:
                logged.error = f"status {status}"
            elif size != LOG:
                logged.error = f"{LOG - size} bytes are lost"
            quiet(o.rl, "rm", "-f", NAME)
            took, status = once(["busybox", "sh", "-c", f"{program} | cat >{file}"])
            piped.error = piped.error or (f"status {status}" if status else "")
            piped.values.append(LOG / took / 1e3)
            os.remove(file)
    return [logged, piped], ["cat through a pipe"], "MB/s", {("rl run, logged", "cat through a pipe"): (0.5, "at least")}


ROWS = {"exec": execute, "detach": detach, "monitor": monitor, "ps": ps, "logs": logs}
