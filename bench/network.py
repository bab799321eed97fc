"""TCP between a container and the host's own address, by iperf3. The container sees the host's /usr, so that all run the same binary."""

import json
import shutil
import socket
import subprocess
import time

from measure import Result


def host_address():
    """The address that packets to the world would have; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("192.0.2.1", 9))
        return s.getsockname()[0]


def gateway():
    """The default gateway's address, by which pasta leads to the host: the host's own address is the container's there."""
    with open("/proc/net/route", encoding="ascii") as f:
        for line in f:
            words = line.split()
            if words[1] == "00000000" and words[2] != "00000000":
                return socket.inet_ntoa(bytes.fromhex(words[2])[::-1])
    return "10.0.2.2"


def free_port():
    with socket.socket() as s:
        s.bind(("", 0))
        return s.getsockname()[1]


def measure(o):
    if not shutil.which("iperf3"):
        return [Result("rl out", error="iperf3 is not installed")]
    port = free_port()
    server = subprocess.Popen(["iperf3", "-s", "-p", str(port)], stdout=subprocess.DEVNULL)
    try:
        time.sleep(0.3)
        client = ["iperf3", "-J", "-c", host_address(), "-p", str(port), "-t", str(o.seconds)]
        return transfers(o, client)
    finally:
        server.terminate()
        server.wait()


def transfers(o, client):
    usr = ["run", "--rm", "-v", "/usr:/usr:ro", o.pull_image]
    ways = {"host": [], "rl": [o.rl, *usr], "podman": ["podman", *usr], "pasta": ["pasta", "--config-net", "-q", "--"]}
    ways = {name: argv for name, argv in ways.items() if not argv or shutil.which(argv[0])}
    results = {f"{name} {way}": Result(f"{name} {way}") for name in [*ways, "slirp4netns"] for way in ("out", "in")}
    if not shutil.which("slirp4netns"):
        results = {name: r for name, r in results.items() if not name.startswith("slirp")}
    for _ in range(3):
        for name, result in results.items():
            tool, way = name.split()
            argv = [*client, "-R"] if way == "in" else client
            if tool == "pasta":
                argv = [gateway() if word == host_address() else word for word in argv]
            if tool == "slirp4netns":
                one(result, lambda: through_slirp(argv))
            else:
                one(result, lambda: subprocess.run([*ways[tool], *argv], capture_output=True, text=True, check=False))
    return list(results.values())


def one(result, run):
    done = run()
    try:
        answer = json.loads(done.stdout)
        result.values.append(answer["end"]["sum_received"]["bits_per_second"] / 1e9)
    except (ValueError, KeyError):
        result.error = (done.stderr or done.stdout).strip()[-200:].replace("\n", " ")


def through_slirp(argv):
    """slirp4netns wants a process to join: one that waits in a namespace of its own."""
    holder = subprocess.Popen(["unshare", "-rn", "sleep", "1000"])
    time.sleep(0.2)
    slirp = subprocess.Popen(["slirp4netns", "--configure", "--mtu=65520", str(holder.pid), "tap0"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.7)
    try:
        return subprocess.run(["nsenter", "-t", str(holder.pid), "-U", "-n", "--preserve-credentials", *argv],
                              capture_output=True, text=True, check=False)
    finally:
        for p in (slirp, holder):
            p.terminate()
            p.wait()
