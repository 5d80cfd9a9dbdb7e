#!/usr/bin/env python3
"""The identity, from what a trace without filters wrote: told.py OUT ERR [NETNS HAD]

Beginnings, ends, refusals and what was found held, told one by one in the stream, and what was lost on the way, are what
the kernel counted (the last line of ERR), kind by kind and to the last unit where nothing was lost; the leases that began
and did not end in the stream are as many as the kernel's table holds; each loss stands in a gap. NETNS HAD: leases began
and ended there as many as the numbers in the file HAD add up to. OUT may be a pipe. A difference is said, and the status is 1.
"""
import collections, json, re, sys

bad = []


def claim(good, *what):
    if not good:
        bad.append(' '.join(map(str, what)))


told, live, gaps, n, last, begun, ended = collections.Counter(), set(), 0, 0, 0, collections.Counter(), collections.Counter()
with open(sys.argv[1], 'rb') as f:
    for line in f:
        e = json.loads(line)
        claim(e['seq'] > last, 'numbers out of order:', last, e['seq'])
        n, last = n + 1, e['seq']
        event = e['event']
        if event == 'recorder.gap':
            gaps += (e['lost'] or 0) if e['cause'] in ('ring', 'table') else 0
            continue
        if e.get('evidence') == 'resync':
            told['resync'] += 1
            told['inferred'] += event == 'port.release'
        else:
            told[event] += 1
        if event in ('port.alloc', 'port.open'):
            claim(e['lease'] not in live, 'begun twice:', line)
            live.add(e['lease'])
            begun[e['netns']] += 1
        elif event == 'port.release':
            live.discard(e['lease'])
            ended[e['netns']] += 1

err = open(sys.argv[2]).read()
tally = re.search(r'allocs (\d+), releases (\d+), fails (\d+), live (\d+), lost (\d+) \(held before the start (\d+),', err.splitlines()[-1])
claim(tally, 'the last line on stderr is no tally:', err.splitlines()[-1:])
left = sum(map(int, re.findall(r'(\d+) events were left out', err)))
if tally:
    allocs, releases, fails, held, lost, opens = map(int, tally.groups())
    missing = [allocs - told['port.alloc'], releases - told['port.release'], fails - told['port.fail'], opens - told['port.open']]
    claim(min(missing) >= 0, 'more told than counted (allocs, releases, fails, opens):', missing)
    claim(sum(missing) <= lost + left + told['resync'], 'counted, not told, nor lost:', missing, 'lost', lost, 'left out', left)
    if not lost and not left:  # an end between two hooks' being attached is inferred by the first look
        claim(missing == [0, told['inferred'], 0, 0], 'counted, not told:', missing, 'inferred', told['inferred'])
    if not left:
        claim(gaps == lost, 'the gaps tell', gaps, 'of', lost, 'lost')
        claim(len(live) == held, 'the stream leaves', len(live), 'open, the kernel holds', held)
    claim(allocs + opens == releases + held, 'the counts do not add up')
claim('the kernel\'s table holds' not in err, err)
claim(n + left == last or (left and n + left > last), n, 'lines and', left, 'left out of', last)
if len(sys.argv) > 3:
    netns, count = sys.argv[3], sum(map(int, open(sys.argv[4])))
    claim(begun[netns] <= count <= begun[netns] + lost + left and begun[netns] <= ended[netns] + left <= count + left,
          'of', count, 'leases', begun[netns], 'began and', ended[netns], 'ended, lost', lost, 'left out', left)
for line in bad[:10]:
    print(line.strip())
sys.exit(1 if bad else 0)
