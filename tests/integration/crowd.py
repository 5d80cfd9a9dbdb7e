#!/usr/bin/env python3
"""What was told of the short-lived processes of crowd.c: crowd.py TRUTH OUT COUNT

Each has its lease, once, with its own pid, start, name and namespace, and that lease its end, once; lives of one pid are
told apart by their starts. A difference is said, and the status is 1.
"""
import collections, json, os, sys, time
from datetime import datetime

offset = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
tick = os.sysconf('SC_CLK_TCK')
truth = [line.split() for line in open(sys.argv[1])]
told, ends, bad = collections.defaultdict(list), collections.Counter(), []
for line in open(sys.argv[2]):
    e = json.loads(line)
    if e['event'] == 'port.alloc':
        told[e['netns'], e['port'], e['comm']].append(e)
    elif e['event'] == 'port.release':
        ends[e['lease']] += 1
if len(truth) != int(sys.argv[3]):
    bad.append('%d lives, not %s' % (len(truth), sys.argv[3]))
lives = set()
for port, pid, start, comm, netns in truth:
    got = told[netns, int(port), comm]
    if len(got) != 1:
        bad.append('%s: port %s told %d times' % (comm, port, len(got)))
        continue
    e = got[0]
    began = datetime.fromisoformat(e['proc_start'][:26] + '+00:00').timestamp() - offset
    lives.add((e['pid'], e['proc_start']))
    if e['pid'] != int(pid) or abs(began - int(start) / tick) > 0.05 or e['owner_src'] != 'process' or not (e['exe'] or '').endswith('/crowd'):
        bad.append('%s: pid %s start %s, told %s' % (comm, pid, int(start) / tick, e))
    if ends[e['lease']] != 1:
        bad.append('%s: %d ends' % (comm, ends[e['lease']]))
if not bad and len(lives) != len(truth):
    bad.append('%d lives told as %d' % (len(truth), len(lives)))
print(*bad[:5], sep='\n')
print(len(bad), 'of', len(truth), 'wrong, pids', len({row[1] for row in truth}), 'namespaces', len({row[4] for row in truth}))
sys.exit(1 if bad or not truth else 0)
