#!/usr/bin/env python3
"""A service manager that listens: daemon.py SECONDS COMMAND...  runs COMMAND with NOTIFY_SOCKET and WATCHDOG_USEC,
sends it SIGHUP when it is ready and SIGTERM after SECONDS, and prints what it was told, a line each."""
import os
import signal
import socket
import sys
import tempfile
import time

with tempfile.TemporaryDirectory() as where:
    path = os.path.join(where, 'notify')
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(path)
    s.settimeout(0.2)
    pid = os.fork()
    if not pid:
        os.environ.update(NOTIFY_SOCKET=path, WATCHDOG_USEC='600000', WATCHDOG_PID=str(os.getpid()))
        os.execvp(sys.argv[2], sys.argv[2:])
    ready = None
    while True:
        try:
            told = s.recv(4096).decode()
            print(told, flush=True)
        except TimeoutError:
            told = ''
        if 'READY=1' in told and ready is None:
            ready = time.monotonic()
            os.kill(pid, signal.SIGHUP)
        if ready and time.monotonic() - ready > float(sys.argv[1]):
            os.kill(pid, signal.SIGTERM)
            ready = float('inf')
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            sys.exit(os.waitstatus_to_exitcode(status))
