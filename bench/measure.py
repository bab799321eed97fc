"""Timing of commands: rounds of all cases in turn, and what comes of them."""

import os
import signal
import statistics
import subprocess
import time
from dataclasses import dataclass, field


@dataclass
class Result:
    name: str
    values: list = field(default_factory=list)
    error: str = ""

    @property
    def median(self):
        return statistics.median(self.values) if self.values and not self.error else None

    @property
    def best(self):
        return min(self.values) if self.values and not self.error else None

    @property
    def p90(self):
        if not self.values or self.error:
            return None
        return sorted(self.values)[min(len(self.values) - 1, len(self.values) * 9 // 10)]


def once(argv, env=None):
    """Milliseconds from fork to exit; posix_spawn, so that our own size costs nothing."""
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1)]
    start = time.perf_counter()
    pid = os.posix_spawnp(argv[0], argv, env or os.environ, file_actions=null, setsigdef=[signal.SIGPIPE])  # Python ignores it
    _, status = os.waitpid(pid, 0)
    took = (time.perf_counter() - start) * 1000
    return took, os.waitstatus_to_exitcode(status)


def check(argv, timeout=600):
    """The first line of what went wrong with a command, or nothing."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=timeout, check=False)
    except (OSError, subprocess.TimeoutExpired) as e:
        return str(e)
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or ["no message"])[-1] + f" (status {done.returncode})"


def rounds(cases, n, before=None):
    """cases: name -> argv. Each is tried once unmeasured, which warms it and finds out whether it works."""
    results = [Result(name, error=check(argv)) for name, argv in cases.items()]
    for _ in range(n):
        for result, argv in zip(results, cases.values()):
            if result.error:
                continue
            if before:
                before(result.name)
            took, status = once(argv)
            if status:
                result.error = f"status {status} in a measured run"
            result.values.append(took)
    return results
