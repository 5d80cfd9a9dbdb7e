#!/usr/bin/env python3
"""What portlife logged, read by strict parsers: logs.py COMMAND ARGUMENTS...

  load N F         N sockets of UDP-Lite on port 0, and F refused binds, by a process with a hostile name
  sum FILE...      sums over the port.summary lines of json logs, beside the totals that were said at the end
  name FORM FILE   the name of the process in the port.fail lines, as hexadecimal
  journal COMMAND  a journal that is ours: runs COMMAND with stderr connected to it, prints its entries as JSON lines
  hung-journal COMMAND  the same, but it takes no entry; ends as COMMAND does
"""
import ctypes
import json
import os
import re
import signal
import socket
import sys

HOSTILE = b'e\x1b]0;\n"=\\x1 \xff'
UDPLITE = 136


def unescape(text):
    """Undoes what str_escape() and json_str() write for bytes that nobody should have to see."""
    out = bytearray()
    at = 0
    raw = text.encode()
    for m in re.finditer(rb'\\x([0-9a-f]{2})', raw):
        out += raw[at:m.start()] + bytes([int(m[1], 16)])
        at = m.end()
    return bytes(out + raw[at:])


def load(n, fails):
    ctypes.CDLL(None).prctl(15, HOSTILE, 0, 0, 0)
    for _ in range(n):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, UDPLITE)
        s.bind(('127.0.0.1', 0))
        s.close()
    held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, UDPLITE)
    held.bind(('127.0.0.1', 45001))
    refused = 0
    for _ in range(fails):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, UDPLITE)
        try:
            s.bind(('127.0.0.1', 45001))
        except OSError:
            refused += 1
        s.close()
    held.close()
    assert refused == fails


def logfmt(line):
    """key=value and key="quoted value", one blank between them, nothing else."""
    out, at = {}, 0
    pair = re.compile(r'([a-z0-9_A-Z]+)=(?:"((?:[^"\\\x00-\x1f]|\\["\\])*)"|([^\s"=\\\x00-\x1f\x7f]+))(?: |$)')
    while at < len(line):
        m = pair.match(line, at)
        if not m:
            raise ValueError(f'no logfmt at {at}: {line[at:at + 80]!r}')
        if m[1] in out:
            raise ValueError(f'{m[1]} twice')
        out[m[1]] = m[3] if m[2] is None else re.sub(r'\\(["\\])', r'\1', m[2])
        at = m.end()
    return out


def flat(tree, name=''):
    if isinstance(tree, dict):
        return {k: v for key, sub in tree.items() for k, v in flat(sub, f'{name}_{key}' if name else key).items()}
    if isinstance(tree, list):
        return {k: v for i, sub in enumerate(tree) for k, v in flat(sub, f'{name}_{i}').items()}
    return {} if tree is None else {name: tree}


def no_twins(pairs):
    keys = [k for k, _ in pairs]
    assert len(set(keys)) == len(keys), keys
    return dict(pairs)


def entries(form, path):
    with open(path, 'rb') as f:
        data = f.read()
    assert data.endswith(b'\n'), data[-200:]
    for raw in data[:-1].split(b'\n'):
        line = raw.decode('utf-8')
        assert not re.search('[\x00-\x1f\x7f\u202e]', line), line
        yield flat(json.loads(line, object_pairs_hook=no_twins)) if form == 'json' else logfmt(line)


def total(paths):
    sums = {'allocs': 0, 'releases': 0, 'fails': 0, 'lost': 0, 'udplite': 0, 'udplite_ended': 0, 'udplite_fails': 0}
    said = dict.fromkeys(('allocs', 'releases', 'fails', 'lost'), 0)
    for path in paths:
        for e in entries('json', path):
            m = re.match(r'allocs (\d+), releases (\d+), fails (\d+), live \d+, lost (\d+) \(', e['msg'])
            if m and e.get('event') is None:
                for key, value in zip(said, m.groups()):
                    said[key] += int(value)
            if e.get('event') != 'port.summary':
                continue
            sums['allocs'] += sum(v for k, v in e.items() if re.fullmatch('allocs_[a-z]+[0-9]?', k) and 'by' not in k)
            sums['fails'] += sum(v for k, v in e.items() if re.fullmatch('fails_E[A-Z]+', k))
            sums['releases'] += e['releases']
            sums['lost'] += e['lost']
            sums['udplite'] += e['allocs_by_udplite']
            sums['udplite_ended'] += e['releases_by_udplite']
            sums['udplite_fails'] += e['fails_by_udplite_EADDRINUSE']
    print(json.dumps({'sums': sums, 'said': said}))


def name(form, path):
    names = {unescape(e['comm']).hex() for e in entries(form, path)
             if e.get('event') == 'port.fail' and e.get('proto') == 'udplite'}
    print(' '.join(sorted(names)))


def native(data):
    """The journal's native protocol: NAME=value lines, or NAME, a length in 8 bytes, and that many bytes."""
    out = {}
    while data:
        head, _, rest = data.partition(b'\n')
        if b'=' in head:
            key, _, value = head.partition(b'=')
            data = rest
        else:
            key, size = head, int.from_bytes(rest[:8], 'little')
            value, data = rest[8:8 + size], rest[9 + size:]
        assert re.fullmatch(rb'[A-Z0-9_]+', key) and key not in out, key
        out[key] = value
    return {k.decode(): v.decode('utf-8') for k, v in out.items()}


def journal(command, reads):
    path = '/run/systemd/journal/socket'
    os.makedirs(os.path.dirname(path), exist_ok=True)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(path)
    stderr, peer = socket.socketpair()
    st = os.fstat(stderr.fileno())
    pid = os.fork()
    if not pid:
        os.dup2(stderr.fileno(), 2)
        os.environ['JOURNAL_STREAM'] = f'{st.st_dev}:{st.st_ino}'
        os.execvp(command[0], command)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
    if not reads:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    server.settimeout(1)
    left = 2
    while left:
        try:
            print(json.dumps(native(server.recv(1 << 20))), flush=True)
        except TimeoutError:
            if os.waitpid(pid, os.WNOHANG)[0]:
                left = 0
    server.close()
    stderr.close()
    sys.stderr.write(peer.recv(65536).decode(errors='replace'))


if __name__ == '__main__':
    what, args = sys.argv[1], sys.argv[2:]
    if what == 'load':
        load(int(args[0]), int(args[1]))
    elif what == 'sum':
        total(args)
    elif what == 'name':
        name(*args)
    elif what == 'hostile':
        print(HOSTILE[:15].hex())
    elif what in ('journal', 'hung-journal'):
        journal(args, what == 'journal')
    else:
        sys.exit(__doc__)
