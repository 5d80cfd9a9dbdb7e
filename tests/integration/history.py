#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Helper of the history*.sh scripts: a load that knows what it did, and what must be true of a history of it.
history.py load TRUTH [SECONDS]   sockets that live for milliseconds, and five that are held from beginning to end;
                                  writes one JSON object a life to TRUTH, says "ready", ends at SIGTERM or after SECONDS
history.py burst N                N UDP ports one after the other, as fast as it goes; prints its pid
history.py judge TRUTH DOCUMENT STEPS   `who -o json` of all ports against the truth; STEPS are lines of the script:
                                  "recording T", "killed T", "stopped T" (seconds since 1970), "seen FILE" (`who -o json`
                                  just before a kill: what it shows as ended was committed)
"""
import datetime
import json
import os
import random
import signal
import socket
import struct
import sys
import time

SO_COOKIE = 57
SLACK = 0.1     # seconds: the wall clock is slewed, and starts are computed from the boot clock


class Socket:
    """A socket with its cookie, and the moments around its two ends."""

    def __init__(self, proto):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if proto == "udp" else socket.SOCK_STREAM)
        cookie = self.sock.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8)
        self.life = {"proto": proto, "cookie": str(struct.unpack("Q", cookie)[0]), "pid": os.getpid()}

    def begin(self, target):
        self.life["begin"] = time.time()
        if target:
            self.sock.connect(target)
        else:
            self.sock.bind(("127.0.0.1", 0))
        self.life["begun"] = time.time()
        self.life["port"] = self.sock.getsockname()[1]

    def end(self, out):
        # A reset: no TIME_WAIT, so that the end is known here.
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.life["end"] = time.time()
        self.sock.close()
        self.life["ended"] = time.time()
        out.write(json.dumps(self.life) + "\n")


def load(truth, seconds):
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    server = socket.socket()
    server.bind(("127.0.0.1", 9))
    server.listen(64)
    rnd = random.Random(4711)
    deadline = time.time() + seconds if seconds else None
    with open(truth, "w") as out:
        held = [Socket("udp") for _ in range(3)] + [Socket("tcp") for _ in range(2)]
        for s in held:
            s.begin(None)
        print("ready", flush=True)
        while not stop and not (deadline and time.time() > deadline):
            some = [Socket(rnd.choice(("udp", "tcp"))) for _ in range(rnd.randrange(1, 8))]
            for s in some:
                s.begin(("127.0.0.1", 9) if s.life["proto"] == "tcp" and rnd.random() < 0.5 else None)
            server.setblocking(False)
            time.sleep(rnd.random() * 0.02)
            try:
                while True:
                    server.accept()[0].close()
            except OSError:
                pass
            for s in some:
                s.end(out)
        for s in held:
            s.end(out)


def burst(n):
    for _ in range(n):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("127.0.0.1", 0))
        s.close()
    print(os.getpid())


def seconds_of(text):
    """Of an RFC 3339 time with nine digits; None stays None."""
    if text is None:
        return None
    whole, fraction = text.rstrip("Z").split(".")
    at = datetime.datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=datetime.timezone.utc)
    return at.timestamp() + float("0." + fraction)


def read_steps(path):
    steps, seen = [], []
    for line in open(path):
        word, value = line.split(None, 1)
        if word == "seen":
            seen.append(value.strip())
        else:
            steps.append((word, float(value)))
    return steps, seen


def judge_rows(lives, rows):
    """Each row is one life, and says of it what was."""
    by_cookie = {}
    for e in rows:
        life = lives.get(e["cookie"])
        what = "%(proto)s %(port)d, cookie %(cookie)s" % e
        if life is None:
            # The other side of a connection has no socket of its own here.
            assert e["port"] == 9, "nobody ever had " + what
            continue
        assert e["cookie"] not in by_cookie, "told twice: %s: %s and %s" % (what, by_cookie[e["cookie"]], e)
        by_cookie[e["cookie"]] = e
        assert (e["proto"], e["port"], e["pid"]) == (life["proto"], life["port"], life["pid"]), "%s is not %s" % (e, life)
        start, end = seconds_of(e["start"]), seconds_of(e["end"])
        if start is not None and end is not None:
            assert 0 <= e["duration_us"] and start <= end, "negative: %s" % e
        if start is not None and e["evidence"] == "event":
            assert life["begin"] - SLACK <= start <= life["begun"] + SLACK, "another start: %s, %s" % (e, life)
        if end is not None and e["reason"] != "lost":
            assert life["end"] - SLACK <= end <= life["ended"] + SLACK, "another end: %s, %s" % (e, life)
    return by_cookie


def judge_missing(lives, found, gaps, since):
    """What is not there lies in a gap, or before recording began."""
    missing = 0
    for cookie, life in lives.items():
        if cookie in found:
            continue
        missing += 1
        covered = life["begin"] < since or any(a <= life["ended"] and life["begin"] <= b for a, b in gaps)
        assert covered, "lost without a word: %s; gaps %s" % (life, gaps)
    return missing


def judge(truth, document, steps_path):
    lives = {life["cookie"]: life for life in map(json.loads, open(truth))}
    doc = json.load(open(document))
    steps, seen = read_steps(steps_path)
    gaps = [(seconds_of(g["from"]), seconds_of(g["to"]) or float("inf"), g["cause"]) for g in doc["gaps"]]
    found = judge_rows(lives, doc["held"])
    missing = judge_missing(lives, found, [g[:2] for g in gaps], seconds_of(doc["recorded_since"]))
    held = [c for c, life in lives.items() if life["ended"] - life["begun"] > 3]
    assert len(held) == 5 and all(c in found for c in held), "held from beginning to end, and not there"

    for path in seen:
        for e in json.load(open(path))["held"]:
            if e["end"] and e["cookie"] in lives:
                assert e["cookie"] in found, "was there before a kill, and is not: %s" % e

    crashes = sorted(g for g in gaps if g[2] == "crash")
    down = None
    for word, at in steps:
        if word == "killed":
            down = at
        elif word == "recording" and down:
            assert any(a <= down and down <= b <= at for a, b, _ in crashes), \
                "killed at %.3f, recording at %.3f, and no gap says so: %s" % (down, at, crashes)
            down = None
    assert all(a <= b for a, b, _ in gaps), "a gap ends before it begins: %s" % gaps
    print("%d lives, %d told, %d in gaps, %d crashes" % (len(lives), len(found), missing, len(crashes)))


if __name__ == "__main__":
    what, args = sys.argv[1], sys.argv[2:]
    try:
        if what == "load":
            load(args[0], float(args[1]) if len(args) > 1 else 0)
        elif what == "burst":
            burst(int(args[0]))
        else:
            judge(*args)
    except AssertionError as error:
        print(error)
        sys.exit(1)
