"""Markdown of the results."""

import os
import platform
import shutil
import subprocess


def version(tool):
    if not shutil.which(tool):
        return ""
    done = subprocess.run([tool, "--version"], capture_output=True, text=True, check=False)
    line = (done.stdout or done.stderr).strip().splitlines()
    return line[0] if line else tool


def head(o):
    load = os.getloadavg()[0]
    print(f"Kernel {platform.release()}, {os.cpu_count()} CPUs, load {load:.1f}, {o.n} rounds.", end=" ")
    print("; ".join(filter(None, map(version, ("podman", "crun", "bwrap", "slirp4netns", "pasta")))) + ".")
    if load > 1:
        print("\n**The machine was not idle: repeat this.**")


def figure(value):
    return "-" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def table(row, results, references, unit, bars):
    """references: names whose median each case is divided by; bars: (case, reference) -> (limit, at most or at least)."""
    medians = {r.name: r.median for r in results}
    references = [name for name in references if name in medians]
    print(f"\n### {row} ({unit})\n")
    print("| case | median | best | p90 |" + "".join(f" / {name} |" for name in references))
    print("|---|---|---|---|" + "---|" * len(references))
    for r in results:
        best, worse = (r.best, r.p90)
        line = f"| {r.name} | {figure(r.median)} | {figure(best)} | {figure(worse)} |"
        for name in references:
            line += f" {ratio(r.median, medians[name])} |"
        print(line + (f" {r.error}" if r.error else ""))
    for (case, reference), (limit, sense) in bars.items():
        verdict(medians, case, reference, limit, sense)


def ratio(a, b):
    return "-" if not a or not b else f"{a / b:.2f}"


def verdict(medians, case, reference, limit, sense):
    a, b = medians.get(case), medians.get(reference) if reference else 1
    if not a or not b:
        return
    met = a / b <= limit if sense == "at most" else a / b >= limit
    print(f"\n{case}: {a / b:.2f} {'of ' + reference if reference else ''}; {sense} {limit:g}: {'met' if met else '**missed**'}")
