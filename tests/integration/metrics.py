#!/usr/bin/env python3
"""Clients of the metrics endpoint, and a strict reader of its text: metrics.py COMMAND ARGUMENTS...

  get ADDRESS [ACCEPT]   one scrape; the body, the content type first
  fetch URL              what another server says
  check                  reads a text from stdin and complains about what Prometheus' format does not allow
  abuse ADDRESS N        N clients at once that send a byte now and then and never finish, then a request line of 1 MB, a POST,
                         a wrong path; prints the status of each kind
"""
import re
import resource
import socket
import sys
import time
import urllib.request


def connect(address, timeout=10):
    if address.startswith('unix:'):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(timeout)
        s.connect(address[5:])
        return s
    host, _, port = address.rpartition(':')
    return socket.create_connection((host.strip('[]'), int(port)), timeout=timeout)


def ask(address, text):
    s = connect(address)
    data = b''
    try:
        s.sendall(text)
        while chunk := s.recv(65536):
            data += chunk
    except (ConnectionResetError, BrokenPipeError):
        pass
    s.close()
    return data


def get(address, accept='*/*'):
    data = ask(address, f'GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: {accept}\r\n\r\n'.encode())
    head, _, body = data.partition(b'\r\n\r\n')
    assert head.startswith(b'HTTP/1.1 200'), head[:200]
    kind = [line.split(b': ', 1)[1] for line in head.split(b'\r\n') if line.lower().startswith(b'content-type')]
    length = [int(line.split(b': ', 1)[1]) for line in head.split(b'\r\n') if line.lower().startswith(b'content-length')]
    assert length == [len(body)], (length, len(body))
    return kind[0].decode(), body.decode('utf-8')


SAMPLE = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)(\{(.*)\})? (\S+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)')


def check(text):
    seen, types, families = set(), {}, 0
    for line in text.split('\n')[:-1]:
        assert not re.search('[\x00-\x1f\x7f\u202e]', line), repr(line)
        if line.startswith('# TYPE '):
            _, _, name, kind = line.split(' ')
            assert name not in types, name
            types[name] = kind
            families += 1
        if line.startswith('#'):
            continue
        m = SAMPLE.fullmatch(line)
        assert m, repr(line)
        float(m[4])
        base = re.sub('_(bucket|sum|count)$', '', m[1])
        assert m[1] in types or types.get(base) == 'histogram' or re.sub('_(total|info)$', '', m[1]) in types, m[1]
        labels, at = [], 0
        while m[3] and at < len(m[3]):
            lab = LABEL.match(m[3], at)
            assert lab, repr(m[3][at:])
            assert lab[1] not in ('port', 'pid', 'addr', 'address', 'cgroup'), line
            labels.append((lab[1], lab[2]))
            at = lab.end()
        key = (m[1], tuple(labels))
        assert key not in seen, key
        seen.add(key)
    print(f'{families} families, {len(seen)} samples')


def slow_clients(address, n, seconds):
    """All at once, without waiting for anybody; each sends a byte a second where that is possible."""
    host, _, port = address.rpartition(':')
    soft = min(n + 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    slow = []
    for _ in range(n):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex((host, int(port)))
        slow.append(s)
    for _ in range(seconds):
        for s in slow:
            try:
                s.send(b'G')
            except OSError:
                pass
        time.sleep(1)
    for s in slow:
        s.close()


def abuse(address, n):
    slow_clients(address, n, 12)
    status = []
    for request in (b'GET /' + b'a' * (1 << 20) + b' HTTP/1.1\r\nHost: x\r\n\r\n',
                    b'POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello',
                    b'GET /etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n'):
        for _ in range(100):    # the last of the slow ones may still be in the way
            try:
                got = ask(address, request)
            except OSError:
                got = b''
            if got:
                break
            time.sleep(0.2)
        status.append(got[9:12].decode())
    print(*status)


if __name__ == '__main__':
    if sys.argv[1] == 'get':
        print('\n'.join(get(*sys.argv[2:])), end='')
    elif sys.argv[1] == 'fetch':
        sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[2], timeout=10).read())
    elif sys.argv[1] == 'check':
        check(sys.stdin.read())
    elif sys.argv[1] == 'abuse':
        abuse(sys.argv[2], int(sys.argv[3]))
    else:
        sys.exit(__doc__)
