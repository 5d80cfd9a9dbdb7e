# SPDX-License-Identifier: GPL-2.0
"""Where the kernel's time goes: nanoseconds a run of each of portlife's programs, by kernel.bpf_stats_enabled.

Its own clock reads add some 30 ns to a run, so this is an upper bound; the ratios of the other runs are without it."""
import json
import os
import subprocess

import tools

SWITCH = "/proc/sys/kernel/bpf_stats_enabled"
LOADS = [("connect-rst", 1), ("connect-fin", 1), ("accept", 1), ("bind0", 1), ("udp-bind0", 1), ("udp-connect", 1)]


def names():
    shown = subprocess.run(["bpftool", "-j", "prog", "show"], capture_output=True, text=True)
    return {p["id"]: p.get("name", str(p["id"])) for p in json.loads(shown.stdout or "[]")}


def programs(pid):
    """(runs, nanoseconds) of each program whose descriptor the process holds, by id."""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            with open(f"/proc/{pid}/fdinfo/{fd}") as f:
                info = dict(line.split(":", 1) for line in f if ":" in line)
        except OSError:
            continue
        if "prog_id" in info and "run_cnt" in info:
            found[int(info["prog_id"])] = (int(info["run_cnt"]), int(info["run_time_ns"]))
    return found


def switch(on):
    with open(SWITCH, "w") as f:
        f.write(on)


def one(a, tool, work, threads):
    then = programs(tool.pid)
    done = json.loads(subprocess.run([a.load, work, "--ops", str(a.ops), "--threads", str(threads)],
                                     capture_output=True, text=True).stdout)
    rows, total = [], 0
    called = names()
    for ident, (runs, ns) in programs(tool.pid).items():
        runs, ns = runs - then[ident][0], ns - then[ident][1]
        total += ns
        if runs > done["ops"] // 10:
            rows.append({"program": called.get(ident, str(ident)), "runs": runs, "runs_op": round(runs / done["ops"], 2), "ns_run": round(ns / runs, 1)})
    rows.sort(key=lambda r: -r["runs"] * r["ns_run"])
    return {"work": work, "threads": threads, "ns_op": round(total / done["ops"], 1), "programs": rows}


def measure(a, scratch):
    """A list, one entry a load; empty where it cannot be measured."""
    try:
        with open(SWITCH) as f:
            was = f.read().strip()
        switch("1")
    except OSError:
        return []
    tool = tools.start("trace-null", a.portlife, scratch, a.tier)
    try:
        if tool.wait_ready() is None or not programs(tool.pid):
            return []
        return [one(a, tool, work, threads) for work, threads in LOADS]
    finally:
        tool.stop()
        switch(was)


def show(result):
    print("\nin the kernel, ns by program and operation (kernel.bpf_stats_enabled, an upper bound)")
    for load in result or []:
        parts = ", ".join(f'{r["program"]} {r["ns_run"]:.0f} x {r["runs_op"]:.1f}' for r in load["programs"])
        print(f'{load["work"]:12} {load["ns_op"]:7.0f} ns an operation: {parts}')
    if not result:
        print("not measured here: kernel.bpf_stats_enabled tells nothing")
