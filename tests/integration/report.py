#!/usr/bin/env python3
"""report.py DIR REPORT_JSON: computes what a report says straight from the files of the history, with sqlite3 and
sorting instead of streams and sketches, and compares. Prints each difference; exit 1 when there is one."""
import collections, datetime, glob, json, math, sqlite3, sys

directory, path = sys.argv[1:]
report = json.load(open(path))
differences = 0

LEASES = """SELECT {port}, m.base+l.start, m.base+l.start+l.duration, m.base+l.start+l.active,
 ((m.base+l.start-m.clock)<<10)+l.mark, s.netns, s.proto, s.family, s.kind, s.flags, s.reason, p.raddr, p.rport,
 o.pid, o.comm, o.start, e.path, w.unit, w.container_id
 FROM {tables} LEFT JOIN shape s ON s.id=l.shape LEFT JOIN peer p ON p.id=l.peer LEFT JOIN process o ON o.id=l.process
 LEFT JOIN exe e ON e.id=o.exe LEFT JOIN workload w ON w.id=o.workload"""
Lease = collections.namedtuple('Lease', 'port start end closed id netns proto family kind flags reason raddr rport pid comm '
                               'proc_start exe unit container')


def check(what, want, got):
    global differences
    if want != got:
        differences += 1
        print(f'{what}: the files say {want}, the report {got}')


def near(what, want, got, share):
    global differences
    # whole microseconds, and the rank's own value
    if abs(want - got * 1000) > share * want + 1000:
        differences += 1
        print(f'{what}: the files say {want} ns, the report {got} us')


def ns(text):
    whole, frac = text[:-1].split('.')
    at = datetime.datetime.fromisoformat(whole + '+00:00')
    return int(at.timestamp()) * 10**9 + int(frac)


def read():
    leases, fails = {}, []
    for name in sorted(glob.glob(directory + '/lease-*.db') + glob.glob(directory + '/hot-*.db')):
        db = sqlite3.connect(f'file:{name}?mode=ro', uri=True)
        db.text_factory = lambda b: b.decode('utf-8', 'surrogateescape')
        sealed = '/lease-' in name
        sql = LEASES.format(port='q.port' if sealed else 'l.port', tables='meta m CROSS JOIN port q CROSS JOIN lease l '
                            'ON l.id BETWEEN q.first AND q.first+q.count-1' if sealed else 'meta m CROSS JOIN lease l')
        for row in db.execute(sql):
            lease = Lease(*row)
            old = leases.get(lease.id)
            if old is None or lease.end is not None or old.end is None:
                leases[lease.id] = lease
        fails += db.execute('SELECT at, errno, proto FROM fails').fetchall()
    return leases.values(), fails


since, until = ns(report['since']), ns(report['until'])
everything, fails = read()
leases = [l for l in everything if l.start <= until and (l.end is None or l.end > since or l.start >= since)]
fails = [f for f in fails if since <= f[0] <= until]
ended = [l for l in leases if l.end is not None]
measured = [l for l in ended if not l.flags & 4 and l.reason != 'lost']


def quantile(values, q):
    return values[max(1, math.ceil(q * len(values) - 1e-9)) - 1]


def check_times(what, values, got, share, steps=True):
    values.sort()
    check(what + ' count', len(values), got['count'] if got else 0)
    if not values:
        return
    for key, q in (('p50_us', .5), ('p90_us', .9), ('p99_us', .99)):
        near(f'{what} {key}', quantile(values, q), got[key], share)
    check(what + ' min', values[0] // 1000, got['min_us'])
    check(what + ' max', values[-1] // 1000, got['max_us'])
    near(what + ' mean', sum(values) / len(values), got['mean_us'], 1e-6)
    if not steps:
        return
    last = -1
    for upper, count in got['steps']:
        top = math.inf if upper is None else upper * 1000
        check(f'{what} <= {upper} us', sum(last < v <= top for v in values), count)
        last = top
    check(what + ' sum of steps', len(values), sum(n for _, n in got['steps']))


def check_leases():
    got = report['leases']
    check('leases', len(leases), got['count'])
    check('ended', len(ended), got['ended'])
    check('open', len(leases) - len(ended), got['open'])
    check('held before', sum(bool(l.flags & 4) for l in leases), got['held_before'])
    check('unmeasured', len(ended) - len(measured), got['unmeasured'])
    for key, of in (('kinds', 'kind'), ('protos', 'proto'), ('families', 'family')):
        counts = collections.Counter(getattr(l, of) for l in leases)
        check(key, dict(counts), {k: n for k, n in got[key].items() if n})
    check('fails', len(fails), report['fails'])
    check('fails by', dict(collections.Counter((f[1], f[2]) for f in fails)),
          {(f['errno'], f['proto']): f['count'] for f in report['fails_by']})


def active(l):
    return (l.closed if l.closed is not None else l.end) - l.start


def check_all_times():
    check_times('active', [active(l) for l in measured], report['active'], .016)
    check_times('time_wait', [l.end - l.closed for l in measured if l.closed is not None], report['time_wait'], .016)
    check_times('held', [l.end - l.start for l in measured], report['held'], .016)
    lives = collections.defaultdict(list)
    for l in leases:
        lives[l.netns, l.proto, l.port].append(l)
    reuse = []
    for of in lives.values():
        of.sort(key=lambda l: l.start)
        for a, b in zip(of, of[1:]):
            if not b.flags & 4 and a.end is not None:
                reuse.append(b.start - a.end)
    assert all(r > 0 for r in reuse), 'this history has overlapping leases of a port'
    check_times('reuse', reuse, report['reuse'], .016)


KEYS = {
    'process': (lambda l: l.pid and (l.comm, l.pid), lambda g: g['pid'] and (g['name'], g['pid'])),
    'exe': (lambda l: l.exe, lambda g: g['name']),
    'unit': (lambda l: l.unit, lambda g: g['name']),
    'container': (lambda l: l.container, lambda g: g['name']),
    'port': (lambda l: (l.port, l.proto), lambda g: (g['port'], g['proto'])),
    'dest': (lambda l: (('[%s]:%d' if ':' in l.raddr else '%s:%d') % (l.raddr, l.rport), l.proto) if l.rport else None,
             lambda g: g['name'] and (g['name'], g['proto'])),
}


def check_groups(by):
    of_lease, of_group = KEYS[by]
    groups = collections.defaultdict(list)
    for l in leases:
        groups[of_lease(l) or None].append(l)
    got = report['groups'][by]
    check(by + ' missed', 0, got['missed_at_most'])
    rows = {of_group(g) or None: g for g in got['rows'] if g['leases']}
    check(by + ' names', set(groups), set(rows))
    for key in set(groups) & set(rows):
        mine, row = groups[key], rows[key]
        seen = [l for l in mine if l.id in measured_ids]
        check(f'{by} {key} leases', len(mine), row['leases'])
        check(f'{by} {key} open', sum(l.end is None for l in mine), row['open'])
        check_times(f'{by} {key} active', [active(l) for l in seen], row['active'], .032, False)
        check_times(f'{by} {key} wait', [l.end - l.closed for l in seen if l.closed is not None], row['time_wait'], .032, False)
        held = sum(max(0, min(until, l.end if l.end is not None else until) - max(since, l.start)) for l in mine) / 1e9
        if abs(held - row['held_s']) > 1e-6 * held + 1e-5:
            check(f'{by} {key} held', held, row['held_s'])


def check_range():
    width, first = (until - since) // 240, ns(report['first_instant'])
    check('bin', width // 1000, report['bin_us'])
    check('starts', sum(l.start >= since and not l.flags & 4 for l in leases), sum(report['starts']))
    check('fails over time', len(fails), sum(report['fails_over_time']))
    for space in report['netns']:
        for proto in ('tcp', 'udp'):
            mine = [l for l in leases if str(l.netns) == space['netns'] and l.proto == proto]
            got = space[proto]
            if not mine or not got:
                check(f'{proto} in {space["netns"]}', bool(mine), bool(got))
                continue
            held = []
            for i in range(240):
                at = first + i * width
                ports = {l.port for l in mine if l.start <= at and (l.end is None or l.end > at)}
                held.append([sum(p % 2 == 0 for p in ports), sum(p % 2 for p in ports)])
            check(f'{proto} held in {space["netns"]}', held, got['held'])


measured_ids = {l.id for l in measured}
check_leases()
check_all_times()
for name in KEYS:
    if name in report['groups'] and report['groups'][name]['rows']:
        check_groups(name)
check_range()
if not measured:
    check('a history with leases', True, False)
sys.exit(differences > 0)
