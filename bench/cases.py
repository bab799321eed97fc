"""What is measured: one function a row. Each returns results, the cases that others are divided by, the unit and the bars to reach."""

import os
import shutil
import subprocess
import tempfile
import time

import live
import network
import overlay
import store
from bundle import crun_bundle
from measure import Result, check, once, rounds
from processes import is_sleep, kill_sleeps, processes, pss


def run(tool, o, *flags):
    return [tool, "run", "--rm", *flags, o.image]


def have(cases):
    """Without those whose program is not installed."""
    return {name: argv for name, argv in cases.items() if shutil.which(argv[0])}


def proven(o, results, tools):
    """A command that does nothing is fast: each tool has to show that it runs what it is told to."""
    for result, (tool, *flags) in zip(results, tools):
        argv = [*run(tool, o, *flags), "sh", "-c", "echo $((6 * 7))"]
        done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        if not result.error and done.stdout.strip() != "42":
            result.error = f"did not run the command: {done.stdout[:80]!r} {done.stderr[-80:]!r}"
    return results


def start(o):
    pull_first(o)
    with tempfile.TemporaryDirectory(dir=os.path.expanduser("~")) as dir:
        cases = have({"rl run": [*run(o.rl, o), "true"], "rl run --network none": [*run(o.rl, o, "--network", "none"), "true"],
                      "podman run": [*run("podman", o), "true"], "crun run": crun_bundle(dir)})
        results = proven(o, rounds(cases, o.n), [[o.rl], [o.rl, "--network", "none"], *([["podman"]] if shutil.which("podman") else [])])
    return results, ["crun run", "podman run"], "ms, command to exit of true", {
        ("rl run", "crun run"): (1.0, "at most"), ("rl run", "podman run"): (1 / 8, "at most")}


def single(o):
    """One id mapped: this row means something when the user has no subordinate ids."""
    pull_first(o)
    bwrap = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "true"]
    cases = have({"rl run --network none": [*run(o.rl, o, "--network", "none"), "true"], "bwrap --unshare-all": bwrap})
    return proven(o, rounds(cases, o.n), [[o.rl, "--network", "none"]]), ["bwrap --unshare-all"], "ms, command to exit of true", {
        ("rl run --network none", "bwrap --unshare-all"): (1.5, "at most")}


def version(o):
    with tempfile.TemporaryDirectory() as dir:
        empty = os.path.join(dir, "empty")
        with open(empty + ".go", "w", encoding="ascii") as f:
            f.write("package main\n\nfunc main() {}\n")
        cases = {"rl version": [o.rl, "version"]}
        if shutil.which("go") and not check(["go", "build", "-o", empty, empty + ".go"]):
            cases["empty Go program"] = [empty]
        results = rounds(cases, o.n * 3)
    return results, ["empty Go program"], "ms", {("rl version", "empty Go program"): (2.0, "at most")}


def memory(o):
    """PSS of all that the user's processes took on, but for the container's own sleep."""
    pull_first(o)
    results = []
    for name, tool in (("rl", o.rl), ("podman", "podman")):
        if not shutil.which(tool):
            continue
        result = Result(name)
        for _ in range(3):
            before = processes()
            child = subprocess.Popen([*run(tool, o), "sleep", "60"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            time.sleep(3)
            new = processes() - before
            result.values.append(sum(pss(pid) for pid in new if not is_sleep(pid)) / 1024)
            child.terminate()
            kill_sleeps(new)
            child.wait()
        results.append(result)
    return results, ["podman"], "MiB PSS beside the container's own process", {("rl", None): (2.5, "at most")}


def pull(o):
    tools = [("rl pull", o.rl), ("podman pull", "podman")]
    results = [Result(name) for name, tool in tools if shutil.which(tool)]
    for n in range(max(3, o.n // 10)):
        for result, (_, tool) in zip(results, tools):
            subprocess.run([tool, "rmi", "-f", o.pull_image], capture_output=True, check=False)
            took, status = once([tool, "pull", "-q", o.pull_image])
            if status:
                result.error = f"status {status}"
            elif n > 0:  # the first warms the registry
                result.values.append(took)
    return results, ["podman pull"], "ms, pull and unpack", {("rl pull", "podman pull"): (0.7, "at most")}


def pull_first(o):
    for tool in filter(shutil.which, (o.rl, "podman")):
        subprocess.run([tool, "pull", "-q", o.image], capture_output=True, check=False)


def net(o):
    results = network.measure(o)
    return results, ["slirp4netns out", "slirp4netns in", "pasta out", "pasta in"], "Gbit/s, one TCP stream; out of the container, and into it", {
        ("rl out", "slirp4netns out"): (2.0, "at least"), ("rl in", "slirp4netns in"): (1.2, "at least"),
        ("rl out", "pasta out"): (1.0, "at least"), ("rl in", "pasta in"): (1.0, "at least")}


ROWS = {"start": start, "single": single, "version": version, "network": net, "memory": memory, "pull": pull, **live.ROWS, **overlay.ROWS, **store.ROWS}
