#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Helper of agree.sh.
agree.py world           makes processes with sockets of every sort in the network namespace it runs in, prints what
                         only portlife can know as one JSON object, and waits until it is killed
agree.py timewait        connects, closes first, and is gone; prints pid and port
agree.py compare ss|lsof|netstat TOOL_OUTPUT STREAM   says what the tool shows and the stream of portlife does not
"""
import json
import os
import re
import signal
import socket
import sys
import traceback


def tcp(family=socket.AF_INET):
    return socket.socket(family, socket.SOCK_STREAM)


def udp(family=socket.AF_INET):
    return socket.socket(family, socket.SOCK_DGRAM)


def child(work, uid=0):
    """A process that does `work`, answers its result as JSON, and stays until its parent goes."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if uid:
            os.setuid(uid)
        keep = []
        try:
            answer = work(keep)
        except OSError as error:
            answer = {"error": "%s" % error}
        os.write(write, json.dumps(answer).encode() + b"\n")
        os.close(write)
        signal.pause()
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as f:
        answer = json.loads(f.readline())
    if isinstance(answer, dict) and "error" in answer:
        raise OSError(answer["error"])
    return pid, answer


def world():
    pids = []
    secrets = []    # [port, proto, pid]: bound, and shown by no other tool

    def spawn(work, uid=0):
        pid, answer = child(work, uid)
        pids.append(pid)
        return pid, answer

    listener = tcp()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 20010))
    listener.listen(64)

    def server(keep):    # accepts what comes, from now on
        if os.fork() == 0:
            while True:
                keep.append(listener.accept())
        keep.append(listener)

    # The listener is shared by two processes; the parent keeps no copy.
    spawn(server)
    listener.close()

    def client(keep):
        for _ in range(5):
            s = tcp()    # another user may not read what Python loads late
            s.connect(("127.0.0.1", 20010))
            keep.append(s)
        mapped = tcp(socket.AF_INET6)
        mapped.connect(("::ffff:127.0.0.1", 20010))
        bound = tcp()
        bound.bind(("127.0.0.1", 20300))
        bound.connect(("127.0.0.1", 20010))
        keep += [mapped, bound]

    spawn(client, 65534)

    def listeners(keep):
        for family, host, port in (socket.AF_INET6, "::1", 20020), (socket.AF_INET6, "::", 0), (socket.AF_INET, "0.0.0.0", 0):
            s = tcp(family)
            if port:
                s.bind((host, port))
            s.listen()    # without bind: the kernel chooses
            keep.append(s)

    spawn(listeners)

    def reuse(keep):
        for make in tcp, udp:
            s = make()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            s.bind(("127.0.0.1", 20030))
            if make is tcp:
                s.listen()
            keep.append(s)

    spawn(reuse)
    spawn(reuse)

    def datagrams(keep):
        for family, host in (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"), (socket.AF_INET6, "::ffff:127.0.0.1"):
            bound, chosen, connected, sender = udp(family), udp(family), udp(family), udp(family)
            bound.bind((host, 20040 + len(keep)))
            chosen.bind((host, 0))
            connected.connect((host, 9))
            sender.sendto(b"x", (host, 9))
            keep += [bound, chosen, connected, sender]

    spawn(datagrams)

    def secret(keep):
        ports = []
        for port in 20050, 0:
            s = tcp()
            s.bind(("127.0.0.1", port))
            keep.append(s)
            ports.append(s.getsockname()[1])
        s = tcp(socket.AF_INET6)
        s.bind(("::1", 20060))
        keep.append(s)
        return ports + [20060]

    pid, ports = spawn(secret)
    secrets += [[port, "tcp", pid] for port in ports]

    def stop(_signal, _frame):
        os.killpg(0, signal.SIGKILL)

    signal.signal(signal.SIGTERM, stop)
    print(json.dumps({"bound_only": secrets}), flush=True)
    while True:
        signal.pause()


def timewait():
    server = tcp()
    server.bind(("127.0.0.1", 0))
    server.listen()
    s = tcp()
    s.connect(server.getsockname())
    port = s.getsockname()[1]
    accepted, _ = server.accept()
    s.close()          # first: this side waits
    accepted.close()
    print(os.getpid(), port, flush=True)


def port_of(address):
    port = address.rpartition(":")[2]
    return int(port) if port.isdigit() else 0


def rows_ss(text):
    for line in text.splitlines():
        word = line.split()
        if word[0] in ("tcp", "udp"):
            yield word[0], port_of(word[4]), port_of(word[5]), [int(p) for p in re.findall(r"pid=(\d+)", line)]


def rows_netstat(text):
    for line in text.splitlines():
        m = re.match(r"(tcp|udp)6?\s+\d+\s+\d+\s+(\S+)\s+(\S+)\s.*?(?:(\d+)/.*|-)\s*$", line)
        if m:
            yield m[1], port_of(m[2]), port_of(m[3]), [int(m[4])] if m[4] else []


def rows_lsof(text):
    pid = proto = None
    for line in text.splitlines():
        if line[0] == "p":
            pid = int(line[1:])
        elif line[0] == "P":
            proto = line[1:].lower()
        elif line[0] == "n":
            local, _, remote = line[1:].partition("->")
            yield proto, port_of(local), port_of(remote), [pid]


def compare(tool, output, stream):
    shown = {}      # (proto, port, remote port) -> pids
    for proto, port, remote, pids in {"ss": rows_ss, "lsof": rows_lsof, "netstat": rows_netstat}[tool](output):
        if pids:
            shown.setdefault((proto, port, remote), set()).update(pids)
    ours = {}
    for e in stream:
        if e["event"] != "recorder.gap":
            ours.setdefault((e["proto"], e["port"], e["rport"] or 0), set()).add(e["pid"])
    wrong = []
    if len(shown) < 20:
        wrong.append("%s shows only %d sockets: the test is empty" % (tool, len(shown)))
    for key, pids in sorted(shown.items()):
        # A socket that several processes share has one owner here; sockets of several processes have several.
        if not ours.get(key):
            wrong.append("%s port %d (peer %d) of %s is not told" % (*key, sorted(pids)))
        elif not ours[key] <= pids:
            wrong.append("%s port %d (peer %d): pid %s, %s says %s" % (*key, sorted(map(str, ours[key])), tool, sorted(pids)))
    if wrong:
        sys.exit("; ".join(wrong[:5]))
    print(len(shown))


def main():
    if sys.argv[1] == "world":
        try:
            world()
        except Exception:
            traceback.print_exc()
            os.killpg(0, signal.SIGKILL)
    elif sys.argv[1] == "timewait":
        timewait()
    else:
        with open(sys.argv[3]) as output, open(sys.argv[4]) as stream:
            compare(sys.argv[2], output.read(), [json.loads(line) for line in stream])


main()
