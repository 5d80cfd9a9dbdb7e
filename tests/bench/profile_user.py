# SPDX-License-Identifier: GPL-2.0
"""Where portlife's own time goes: its functions by share of the process's CPU time under a load, sampled by perf.

The kernel's part of it (writing, taking from the ring) stands under its own symbols."""
import json
import os
import shutil
import subprocess

import tools

MODES = ["trace-null", "trace-jsonl", "record"]
LOAD = "connect-rst"
LEAST = 1.0  # per cent


def functions(data):
    """(share in per cent, object, symbol), largest first; empty where perf cannot tell."""
    done = subprocess.run(["perf", "report", "-i", data, "--stdio", "--no-children", "-F", "overhead,dso,symbol", "-t", "|",
                           "--percent-limit", str(LEAST)], capture_output=True, text=True)
    rows = []
    for line in done.stdout.splitlines():
        parts = [p.strip() for p in line.split("|")]
        if line.startswith("#") or len(parts) < 3:
            continue
        rows.append({"percent": float(parts[0].rstrip("%")), "object": parts[1], "function": parts[2].split("] ", 1)[-1]})
    return rows


def one(a, mode, scratch):
    data = os.path.join(scratch, "perf.data")
    tool = tools.start(mode, a.portlife, scratch, a.tier)
    trickle = subprocess.Popen([a.load, LOAD, "--ops", "0", "--pause", "1000"])  # so that there is a first event to wait for
    try:
        ready = tool.wait_ready()
        trickle.kill()
        trickle.wait()
        if ready is None:
            return {"tool": mode, "failed": tool.last_words()}
        tool.settle()
        cpu = tools.cpu_ns(tool.pid)
        done = subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-F", "4999", "-p", str(tool.pid), "-o", data, "--",
                               a.load, LOAD, "--ops", str(a.ops)], capture_output=True, text=True)
        ops = next((json.loads(line)["ops"] for line in done.stdout.splitlines() if line.startswith("{")), None)
        if done.returncode or not ops:
            return {"tool": mode, "failed": (done.stderr.strip().splitlines() or ["the load said nothing"])[-1]}
        tool.settle()
        return {"tool": mode, "work": LOAD, "ns_op": round((tools.cpu_ns(tool.pid) - cpu) / ops), "functions": functions(data)}
    finally:
        tool.stop()


def measure(a, scratch):
    """A list, one entry a mode; empty without perf."""
    if not shutil.which("perf"):
        return []
    return [one(a, mode, scratch) for mode in MODES]


def show(result):
    print("\nin user space, by function (perf, cpu-clock)")
    for mode in result:
        if "failed" in mode:
            print(f'{mode["tool"]:12} not measured: {mode["failed"]}')
            continue
        parts = ", ".join(f'{f["function"]} {f["percent"]:.0f} %' for f in mode["functions"][:12])
        print(f'{mode["tool"]:12} {mode["ns_op"]:7} ns an operation: {parts}')
    if not result:
        print("not measured here: perf is not installed")
