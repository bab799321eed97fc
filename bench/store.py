"""Rows of images and their store: zstd, again, shared and images."""

import os
import re
import shutil
import subprocess
import tempfile

from measure import Result, check, once, rounds

FAMILY, AT_ONCE, MANY = 20, 4, 200
NAME = "localhost/rl-bench-many"


def tools(o):
    return {name: tool for name, tool in (("rl", o.rl), ("podman", "podman")) if shutil.which(tool)}


def call(*argv):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True).stdout


def fresh_pulls(o, cases, unit, bars):
    """cases: name -> tool and image. What is pulled was not there before."""
    results = [Result(name) for name in cases]
    for n in range(max(3, o.n // 10)):
        for result, (tool, image) in zip(results, cases.values()):
            for known in (o.pull_image, o.zstd_image):  # they may have the same layers
                subprocess.run([tool, "rmi", "-f", known], capture_output=True, check=False)
            took, status = once([tool, "pull", "-q", image])
            if status:
                result.error = f"status {status}"
            elif n > 0:  # the first warms the registry
                result.values.append(took)
    return results, list(cases)[1:], unit, bars


def zstd(o):
    cases = {"rl pull, zstd": (o.rl, o.zstd_image)}
    if shutil.which("podman"):
        cases["podman pull, gzip"] = ("podman", o.pull_image)
    return fresh_pulls(o, cases, "ms, pull and unpack", {("rl pull, zstd", "podman pull, gzip"): (0.35, "at most")})


def again(o):
    cases = {f"{name} pull": [tool, "pull", "-q", o.pull_image] for name, tool in tools(o).items()}
    return rounds(cases, o.n), ["podman pull"], "ms, pull of a tag that is here", {("rl pull", "podman pull"): (0.3, "at most")}


def peak(o):
    """Resident memory of the largest process of a pull, as wait4(2) gives it."""
    results = []
    for name, tool in tools(o).items():
        result = Result(f"{name} pull")
        for _ in range(3):
            subprocess.run([tool, "rmi", "-f", o.pull_image], capture_output=True, check=False)
            null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
            pid = os.posix_spawnp(tool, [tool, "pull", "-q", o.pull_image], os.environ, file_actions=null)
            _, status, used = os.wait4(pid, 0)
            if status:
                result.error = f"status {os.waitstatus_to_exitcode(status)}"
            result.values.append(used.ru_maxrss / 1024)
        results.append(result)
    return results, ["podman pull"], "MiB, largest process of a pull", {("rl pull", None): (150, "at most")}


def family(o):
    """Images in the registry that share all layers but one each."""
    names = [f"{o.registry}/bench/family:{n}" for n in range(FAMILY)]
    if not check([o.rl, "manifest", "inspect", f"docker://{names[-1]}"]):
        return names
    call(o.rl, "pull", "-q", o.pull_image)
    for name in names:
        box = call(o.rl, "run", "-d", o.pull_image, "sh", "-c", f"echo {name} >/name").strip()
        call(o.rl, "wait", box)
        call(o.rl, "commit", "-q", box, name)
        call(o.rl, "rm", "-f", box)
        call(o.rl, "push", "-q", "--tls-verify=false", name)
    return names


def shared(o):
    """Counts what a store that begins empty fetches: each layer once, however many pulls want it."""
    names = family(o)
    result, once_each = Result("layers unpacked"), Result("layers there are")
    with tempfile.TemporaryDirectory(dir=os.path.expanduser("~")) as dir:
        env = {**os.environ, "XDG_DATA_HOME": dir}
        said, running, waiting = "", [], list(names)
        while waiting or running:
            while waiting and len(running) < AT_ONCE:
                argv = [o.rl, "pull", "--tls-verify=false", waiting.pop()]
                running.append(subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
            one = running.pop(0)
            said += one.stderr.read()
            if one.wait():
                result.error = said.strip().splitlines()[-1]
        subprocess.run([o.rl, "rmi", "-af"], env=env, capture_output=True, check=False)
        subprocess.run([o.rl, "unshare", "rm", "-rf", os.path.join(dir, "rl")], env=env, capture_output=True, check=False)
    unpacked = re.findall(r"^([0-9a-f]{12}): Pull complete$", said, re.M)
    result.values.append(len(unpacked))
    once_each.values.append(len(set(unpacked)))
    return [result, once_each], ["layers there are"], f"of {FAMILY} images, {AT_ONCE} at a time", {("layers unpacked", "layers there are"): (1.0, "at most")}


def images(o):
    with tempfile.TemporaryDirectory(dir=os.path.expanduser("~")) as dir:
        tar = os.path.join(dir, "tar")
        call("tar", "cf", tar, "-T", os.devnull)
        made = {tool: [] for tool in tools(o).values()}
        try:
            for tool, names in made.items():
                for n in range(MANY):
                    call(tool, "import", "-q", "-c", f"LABEL n={n}", tar, f"{NAME}:{n}")
                    names.append(f"{NAME}:{n}")
            cases = {f"{name} images": [tool, "images"] for name, tool in tools(o).items()}
            results = rounds(cases, o.n)
            for result, argv in zip(results, cases.values()):
                if call(*argv).count(NAME) != MANY:
                    result.error = result.error or f"does not list {MANY} images"
        finally:
            for tool, names in made.items():
                if names:
                    subprocess.run([tool, "rmi", "-f", *names], capture_output=True, check=False)
    return results, ["podman images"], f"ms, {MANY} images", {("rl images", "podman images"): (1 / 3, "at most")}


ROWS = {"zstd": zstd, "again": again, "peak": peak, "shared": shared, "images": images}
