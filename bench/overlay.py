"""The row overlay: file work in an overlay, of the kernel, of fuse-overlayfs, and of rl through FUSE.

Everything runs in a user namespace with mounts of its own: overlay.py starts itself there, as root of it, and prints JSON."""

import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from measure import Result

FILES, PER_DIRECTORY, SIZE = 20_000, 100, 2_000
STEPS = {
    "untar": "tar xf {tar} -C {root}/new",
    "find": "find {root}/below -size +1000k",
    "read": "tar cf - {root}/below | cat >/dev/null",  # tar skips reading when it writes to /dev/null
    "remove": "rm -r {root}/below",
    "remove untarred": "rm -r {root}/new/below",
}


def make_tree(dir):
    text = b"0123456789abcdef" * (SIZE // 16)
    for n in range(FILES):
        if n % PER_DIRECTORY == 0:
            os.makedirs(f"{dir}/d{n // PER_DIRECTORY}")
        with open(f"{dir}/d{n // PER_DIRECTORY}/file{n}", "wb") as f:
            f.write(text)


def mount(source, target, kind, options):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), target.encode(), kind.encode(), 0, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), f"mounting {kind} on {target}")


def by_kernel(d, _):
    mount("overlay", f"{d}/merged", "overlay", f"userxattr,lowerdir={d}/lower,upperdir={d}/upper,workdir={d}/work")


def by_fuse_overlayfs(d, _):
    subprocess.run(["fuse-overlayfs", "-o", f"lowerdir={d}/lower,upperdir={d}/upper,workdir={d}/work", f"{d}/merged"], check=True)


def by_rl(d, rl):
    ours, theirs = socket.socketpair()
    subprocess.Popen(["rl-overlay"], executable=rl, stdin=theirs)
    theirs.close()
    _, (dev,), _, _ = socket.recv_fds(ours, 1000, 1)
    mount("rl", f"{d}/merged", "fuse.rl", f"fd={dev},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions,max_read=262144")
    os.close(dev)
    ours.sendall(json.dumps({"Lower": [f"{d}/lower"], "Upper": f"{d}/upper", "Work": f"{d}/work"}).encode())
    ours.shutdown(socket.SHUT_WR)
    answer = ours.recv(1000).decode()
    if answer != "ready":
        raise OSError(answer)


DRIVERS = {"kernel": by_kernel, "fuse-overlayfs": by_fuse_overlayfs, "rl": by_rl}


def one_round(dir, driver, rl):
    """Milliseconds of each step, of a fresh upper directory."""
    for name in ("upper", "work", "merged"):
        shutil.rmtree(f"{dir}/{name}", ignore_errors=True)
        os.mkdir(f"{dir}/{name}")
    DRIVERS[driver](dir, rl)
    took = {}
    try:
        os.mkdir(f"{dir}/merged/new")
        for step, command in STEPS.items():
            start = time.perf_counter()
            subprocess.run(["sh", "-c", command.format(tar=f"{dir}/tar", root=f"{dir}/merged")], check=True, stdout=subprocess.DEVNULL)
            took[step] = (time.perf_counter() - start) * 1000
        if os.listdir(f"{dir}/merged") != ["new"]:
            raise OSError(f"{driver}: the files are still there")
    finally:
        subprocess.run(["umount", f"{dir}/merged"], check=True)
    return took


def inside(rl, n):
    found = {}
    with tempfile.TemporaryDirectory(dir=os.path.expanduser("~")) as dir:
        make_tree(f"{dir}/lower/below")
        subprocess.run(["tar", "cf", f"{dir}/tar", "-C", f"{dir}/lower", "below"], check=True)
        drivers = [d for d in DRIVERS if d != "fuse-overlayfs" or shutil.which(d)]
        for _ in range(n):
            for driver in drivers:
                for step, ms in one_round(dir, driver, rl).items():
                    found.setdefault(f"{driver} {step}", []).append(ms)
    json.dump(found, sys.stdout)


def overlay(o):
    argv = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, os.path.abspath(__file__), o.rl, str(max(3, o.n // 6))]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        return [Result("rl", error=(done.stderr.strip().splitlines() or ["no message"])[-1])], [], "ms", {}
    results = [Result(name, values) for name, values in json.loads(done.stdout).items()]
    bars = {(f"rl {step}", f"fuse-overlayfs {step}"): (1.0, "at most") for step in STEPS}
    return results, [f"fuse-overlayfs {step}" for step in STEPS], f"ms, {FILES} files of {SIZE} bytes", bars


ROWS = {"overlay": overlay}

if __name__ == "__main__":
    inside(sys.argv[1], int(sys.argv[2]))
