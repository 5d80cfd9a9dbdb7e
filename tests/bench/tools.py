# SPDX-License-Identifier: GPL-2.0
"""The tools that the benchmark compares: how each is started, when it is ready, what it saw and what it cost."""
import glob
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time

PORTLIFE = "portlife"
# The second has a ring so small that it loses most: the load must not be slower for it.
TRACES = {"trace-jsonl": [], "trace-lossy": ["--ring-size", "4K"]}
PEERS = {
    "tcplife": (["stdbuf", "-oL", "tcplife"], "tcp"),
    "tcpstates": (["stdbuf", "-oL", "tcpstates"], "tcp"),
    "bpftrace": (["bpftrace", "-B", "line", "-e", 'tracepoint:sock:inet_sock_set_state { printf("%s %d %d %d -> %d\\n", '
                  'comm, pid, args->sport, args->oldstate, args->newstate); }'], "tcp"),
}


def cpu_ns(pid):
    """CPU time of all threads of a process, in nanoseconds."""
    total = 0
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat") as f:
                total += int(f.read().split()[0])
    except OSError:
        pass
    return total


def memory(pid):
    """Resident bytes: (all, of these private to the process, peak of all)."""
    found = {}
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            m = re.match(r"(VmRSS|RssAnon|VmHWM):\s+(\d+) kB", line)
            if m:
                found[m.group(1)] = int(m.group(2)) * 1024
    return found.get("VmRSS", 0), found.get("RssAnon", 0), found.get("VmHWM", 0)


class Tool:
    """One running tool. `ready` seconds after its start it told of the first event of a trickle of connections."""

    def __init__(self, name, argv, out, wanted, where=subprocess.DEVNULL, err=None, ready_in_err=False):
        self.name, self.out, self.wanted = name, out, wanted
        self.err = err
        self.ready_in_err = ready_in_err
        with open(where if isinstance(where, str) else os.devnull, "wb") as stdout, open(err, "wb") as stderr:
            self.born = time.monotonic()
            self.proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
        self.pid = self.proc.pid

    def wait_ready(self, limit=60):
        """Seconds until the first event was told, or None: it never was."""
        path = self.err if self.ready_in_err else self.out
        while time.monotonic() - self.born < limit:
            with open(path, "rb") as f:
                if self.wanted in f.read():
                    return time.monotonic() - self.born
            if self.proc.poll() is not None:
                return None
            time.sleep(0.001)
        return None

    def settle(self):
        """Until it has drained: its CPU time stands still (or only ticks)."""
        then = cpu_ns(self.pid)
        for _ in range(100):
            time.sleep(0.05)
            now = cpu_ns(self.pid)
            if now - then < 2_000_000:
                return
            then = now

    def stop(self):
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGINT)
            try:
                self.proc.wait(20)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()

    def last_words(self):
        with open(self.err, errors="replace") as f:
            lines = f.read().strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def start(name, portlife, scratch, tier):
    """Starts the tool called `name`."""
    out, err = os.path.join(scratch, "out"), os.path.join(scratch, "err")
    tiers = ["--tier", tier] if tier else []
    if name == "trace-null":
        return Tool(name, [portlife, "trace", "-o", "jsonl", *tiers], out, b"recording", err=err, ready_in_err=True)
    if name in TRACES:
        return Tool(name, [portlife, "trace", "-o", "jsonl", *TRACES[name], *tiers], out, b'"event":"port.alloc"', where=out, err=err)
    if name == "record":
        state = os.path.join(scratch, "state")
        shutil.rmtree(state, ignore_errors=True)
        return Tool(name, [portlife, "record", "--state-dir", state, *tiers], out, b"recording", err=err, ready_in_err=True)
    argv = PEERS[name][0]
    return Tool(name, argv, out, b"load", where=out, err=err)


def available(name):
    """None, or why the peer cannot be had here."""
    if name not in PEERS:
        return None
    program = [a for a in PEERS[name][0] if a != "stdbuf" and not a.startswith("-")][0]
    return None if shutil.which(program) else f"{program} is not installed"


def size(path):
    return os.path.getsize(path) if os.path.exists(path) else 0


def history_seen(state, netns):
    """Leases of the load in the history of a recorder that has ended, and how many its gaps count as lost."""
    leases, lost = set(), 0
    for path in glob.glob(f"{state}/hot-*.db") + glob.glob(f"{state}/lease-*.db"):
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        leases.update(row[0] for row in db.execute("SELECT lease FROM leases WHERE netns+0=?", (int(netns),)))
        lost += db.execute("SELECT coalesce(sum(lost),0) FROM gap WHERE lost>0").fetchone()[0]
        db.close()
    return len(leases), lost


def events_seen(name, out, start, netns):
    """Lines after `start` that tell of an allocated port (portlife) or of an event (peers) of the load, and how many
    it said that it lost."""
    seen, lost = 0, 0
    if name == "record":
        return history_seen(os.path.join(os.path.dirname(out), "state"), netns)
    if not os.path.exists(out):
        return None, None
    with open(out, "rb") as f:
        f.seek(start)
        if name in TRACES:
            mark = b'"netns":"%s"' % netns.encode()
            for line in f:
                if b'"event":"port.alloc"' in line and mark in line:
                    seen += 1
                elif b'"event":"recorder.gap"' in line:
                    m = re.search(rb'"lost":(\d+)', line)
                    lost += int(m.group(1)) if m else 0
        elif name in PEERS:
            for line in f:
                if b"load" in line:
                    seen += 1
                elif line.startswith(b"Lost") or b"lost" in line:
                    m = re.search(rb"(\d+)", line)
                    lost += int(m.group(1)) if m else 0
        else:
            return None, None
    return seen, lost
