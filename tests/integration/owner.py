#!/usr/bin/env python3
"""Short-lived processes that hold one port each and write down who they are; and the comparison with what was told.

  owner.py run TRUTH COUNT BASE KEY=VALUE...   COUNT children, ports from BASE; uid=, cgroup=DIR, rmexe=1, reuse=1
  owner.py compare TRUTH STREAM                one line a difference, then the number of leases compared
"""
import ctypes, errno, json, os, signal, socket, struct, sys, time
from datetime import datetime

libc = ctypes.CDLL(None, use_errno=True)
SYS_clone3 = 435  # the same number on every architecture
COMMS = (b'plain', b'a b"c\\d', b'\x1b[31m\n%s', b'\xff\xfe\xc3(', '\u202ertl'.encode(), b'x' * 15)


def boot_offset():
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def told_name(raw):
    """A name as it reads in JSON: exact, but for bytes that are not UTF-8, which are told as \\xNN."""
    return ''.join('\\x%02x' % (ord(c) - 0xdc00) if 0xdc80 <= ord(c) <= 0xdcff else c
                   for c in raw.decode('utf-8', 'surrogateescape'))


def child(n, port, opts, exe, truth):
    comm = COMMS[n % len(COMMS)]
    with open('/proc/self/comm', 'wb') as f:
        f.write(comm)
    if 'cgroup' in opts:
        with open(opts['cgroup'] + '/cgroup.procs', 'w') as f:
            f.write('0')
    uid = int(opts.get('uid', 0)) + n % 7
    os.setuid(uid)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(('127.0.0.1', port))
    with open('/proc/self/stat', 'rb') as f:
        ticks = int(f.read().rsplit(b')', 1)[1].split()[19])
    row = {'port': port, 'pid': os.getpid(), 'ppid': os.getppid(), 'uid': uid, 'comm': told_name(comm), 'exe': exe,
           'start': ticks / os.sysconf('SC_CLK_TCK')}
    if 'cgroup' in opts:
        row['cgroup'] = opts['path']
    os.write(truth, (json.dumps(row) + '\n').encode())
    os._exit(0)


def fork_as(pid):
    """fork(), with a pid of our choice: -1 when somebody else has it."""
    tid = (ctypes.c_int32 * 1)(pid)
    args = struct.pack('=11Q', 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, ctypes.addressof(tid), 1, 0)
    return libc.syscall(SYS_clone3, args, len(args))


def start(n, opts, state):
    if 'reuse' not in opts:
        return os.fork()
    while True:
        got = fork_as(state['pid']) if state['pid'] else os.fork()
        if got != 0 and not state['pid']:
            state['pid'] = got
        if got >= 0:
            return got
        if n > 1 or ctypes.get_errno() != errno.EEXIST:     # somebody else has it: another one, at the start
            sys.exit('clone3 with a pid of choice: ' + os.strerror(ctypes.get_errno()))
        state['pid'] = 0


def run(path, count, base, opts):
    truth = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    exe = os.readlink('/proc/self/exe')
    if 'rmexe' in opts:
        os.unlink(exe)
    state = {'pid': 0}
    for n in range(count):
        pid = start(n, opts, state)
        if pid == 0:
            child(n, base + n, opts, exe, truth)
        if os.waitpid(pid, 0)[1] != 0:
            sys.exit('child %d failed' % n)


def compare(path, stream):
    told, ends, bad = {}, {}, 0
    with open(stream) as f:
        for line in f:
            ev = json.loads(line)
            if ev['event'] == 'port.alloc':
                told.setdefault(ev['port'], []).append(ev)
            elif ev['event'] == 'port.release':
                ends.setdefault(ev['lease'], []).append(ev)
    rows = [json.loads(line) for line in open(path)]
    seen = set()
    for row in rows:
        got = told.get(row['port'], [])
        if len(got) != 1:
            print('port %d: told %d times' % (row['port'], len(got)))
            bad += 1
            continue
        ev = got[0]
        seen.add(ev['lease'])
        wrong = [k for k in ('pid', 'ppid', 'uid', 'comm', 'exe', 'cgroup') if k in row and ev[k] != row[k]]
        began = datetime.fromisoformat(ev['proc_start'][:26] + '+00:00').timestamp() - boot_offset()
        if abs(began - row['start']) > 0.05:    # /proc tells hundredths
            wrong.append('proc_start')
        if len(ends.get(ev['lease'], [])) != 1:
            wrong.append('end')
        for k in wrong:
            print('port %d: %s is %r, true is %r' % (row['port'], k, ev.get(k), row.get(k)))
        bad += bool(wrong)
    owners = {(told[r['port']][0]['pid'], told[r['port']][0]['proc_start']) for r in rows if r['port'] in told}
    if len(seen) != len(rows) or len(owners) != len(rows):
        print('%d processes told as %d, in %d leases' % (len(rows), len(owners), len(seen)))
        bad += 1
    print('compared', len(rows), 'pids', len({r['pid'] for r in rows}))
    return 1 if bad or not rows else 0


if sys.argv[1] == 'compare':
    sys.exit(compare(sys.argv[2], sys.argv[3]))
run(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), dict(a.split('=', 1) for a in sys.argv[5:]))
