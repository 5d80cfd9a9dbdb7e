#!/bin/bash
# What a host does to a recorder, with the identity as the oracle (told.py) and loads that know what they did (crowd.c):
# thousands of short-lived processes that take turns at few process ids, namespaces made and destroyed, tens of thousands
# of ports held before the start, a second recorder. FAULTS_SCALE=5 does five times as much. (A flooded ring: flood.sh.)
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"
here=$(realpath "$(dirname "$0")")
crowd=$(dirname "$portlife")/tests/integration/crowd
scale=${FAULTS_SCALE:-1}

if ! probe_tier; then
	skip "faults" "$cannot_record"
	tests_end
fi

# identity NAME: the stream, the counts and the gaps of a trace agree
identity() { python3 "$here/told.py" "$work/$1.out" "$work/$1.err"; }
# crowd_told NAME COUNT: each of its lives has its lease
crowd_told() { python3 "$here/crowd.py" "$work/$1.truth" "$work/$1.out" "$2"; }
# shellcheck disable=SC2317 # the helpers are called by expect
flat() { [[ $2 -le $(($1 + $3)) ]] || { echo "was $1, is $2"; return 1; }; }
fds() { find "/proc/$trace_pid/fd" -mindepth 1 | wc -l; }
rss() { awk '/^RssAnon/ {print $2}' "/proc/$trace_pid/status"; }
# told_by_crowd NAME COUNT: so many ends of processes of crowd.c; others on this host have theirs
told_by_crowd() { [[ $(grep '"event":"port.release"' "$work/$1.out" | grep -c '"exe":"[^"]*/crowd"') -ge $2 ]]; }

netns_new || { skip "faults" "no network namespace can be made here"; tests_end; }

# Short-lived processes that take turns at a few process ids.
n=$((2000 * scale > 40000 ? 40000 : 2000 * scale))
trace_start procs -o jsonl
in_netns "$crowd" procs "$n" 20000 40 >"$work/procs.truth" 2>"$work/procs.why"
status=$?
until_true 60 told_by_crowd procs "$n"
sleep 2.5	# a UDP socket's end may be seen by a sweep
trace_stop INT
if [[ $status -eq 77 ]]; then
	skip "lives of few process ids" "$(tail -n 1 "$work/procs.why")"
else
	expect "$n lives of some 40 process ids each own their lease" crowd_told procs "$n"
	expect "they took turns" test "$(awk '{ print $2 }' "$work/procs.truth" | sort -u | wc -l)" -lt $((n / 10))
	expect "identity after $n short-lived processes" identity procs
fi

# A start in the midst of connections that come and go: each that is told begins and ends once, and none is left but what
# the load, ended in the midst of its work, leaves in TIME_WAIT.
none_left() {
	python3 -c '
import json, sys
begun, over, waits = set(), set(), set()
for e in map(json.loads, open(sys.argv[1])):
    if e.get("netns") == sys.argv[2] and e["proto"] == "tcp":
        {"port.alloc": begun, "port.open": begun, "port.release": over, "port.timewait": waits}.get(e["event"], set()).add(e["lease"])
left = begun - over
sys.exit(0 if len(begun) > 100 and left <= waits and len(left) < 10 else f"{len(begun)} began, {len(left - waits)} left, {len(left)} with TIME_WAIT")
' "$work/$1.out" "$ns_inode"
}
load=$(dirname "$portlife")/tests/bench/load
for start in 1 2 3; do
	loads=()
	for what in accept connect-rst; do
		in_netns_child "$load" "$what" --here --ops 0 --pause 50
		loads+=("$child")
	done
	sleep 0.$((RANDOM % 5 + 1))
	trace_start "connections$start" -o jsonl
	sleep 0.5
	kill "${loads[@]}"
	wait "${loads[@]}" 2>/dev/null
	sleep 2.5
	trace_stop INT
	expect "identity after a start among connections, $start" identity "connections$start"
	expect "each that is told began and ended, $start" none_left "connections$start"
done

# Namespaces come and go: no growth, each accounted for.
n=$((200 * scale))
trace_start netns -o jsonl
"$crowd" netns 50 >/dev/null
fds_before=$(fds) rss_before=$(rss)
"$crowd" netns "$n" >"$work/netns.truth"
until_true 60 told_by_crowd netns "$n"
expect "descriptors after $n namespaces" flat "$fds_before" "$(fds)" 2
expect "memory after $n namespaces (kB)" flat "$rss_before" "$(rss)" $((128 + n))
sleep 2.5
trace_stop INT
expect "each namespace's lease is told" crowd_told netns "$n"
expect "identity after $n namespaces" identity netns

# Slowly enough that the kernel gives the number of one that is gone to the next: still each its own account.
n=$((30 * scale))
trace_start again -o jsonl
"$crowd" netns "$n" 100 >"$work/again.truth"
until_true 60 told_by_crowd again "$n"
sleep 2.5
trace_stop INT
if [[ $(awk '{ print $5 }' "$work/again.truth" | sort -u | wc -l) -lt $n ]]; then
	expect "$n namespaces that take turns at their numbers: each one's lease is told" crowd_told again "$n"
	expect "identity after numbers were given again" identity again
else
	skip "numbers of namespaces given again" "the kernel gave none again"
fi

# Very many held before the start.
n=$((40000 * scale > 800000 ? 800000 : 40000 * scale))
coproc HOLD { exec "$crowd" hold "$n" 16 2>"$work/hold.why"; }
children+=("$HOLD_PID")
read -r -t 120 word _ spaces <&"${HOLD[0]}"
if [[ ${word:-} != held ]]; then
	skip "$n ports held" "they could not be had here: $(tail -n 1 "$work/hold.why")"
else
	# Others on this host may hold many, too: what has no room in the table is told as a gap, and when it is found later.
	trace_start many -o jsonl --table-size 4000000
	all=$(sed -nE 's/^portlife: recording.* ([0-9]+) ports held already$/\1/p' "$work/many.err")
	expect "$n held ports: at most 200 bytes of memory each (kB)" flat "$rss_before" "$(rss)" $((all * 200 / 1024))
	echo >&"${HOLD[1]}"
	read -r -t 120 word <&"${HOLD[0]}"
	until_true 120 told_by_crowd many "$n"
	trace_stop INT
	for space in $spaces; do printf '%s\n' "$space"; done >"$work/spaces"
	expect "each is told once, as held, in its namespace, and its end" python3 -c '
import collections, json, sys
opens, ends, spaces = collections.Counter(), collections.Counter(), open(sys.argv[2]).read().split()
for e in map(json.loads, open(sys.argv[1])):
    if e["event"] == "port.open" and e["evidence"] == "snapshot" and e["comm"] == "crowd": opens[e["netns"], e["port"]] += 1
    if e["event"] == "port.release": ends[e["netns"], e["port"]] += 1
want = {(n, p) for n in spaces for p in range(2000, 2000 + int(sys.argv[3]) // 16)}
assert len(want) == int(sys.argv[3]), len(want)
bad = [(k, opens[k], ends[k]) for k in want if opens[k] != 1 or ends[k] != 1]
assert not bad, (len(bad), bad[:3], open(sys.argv[4]).read()[-300:], [l[:300] for l in open(sys.argv[1]) if "recorder.gap" in l][:5])
' "$work/many.out" "$work/spaces" "$n" "$work/many.err"
	expect "identity of $n held ports" identity many
	pipe=${HOLD[1]}
	exec {pipe}>&-
fi

# The same held and freed again and again beside a recorder: memory is given back, and no round leaves more than the first.
n=$((n < 100000 ? n : 100000))
"$portlife" record --state-dir "$work/again" --table-size 4000000 --summary-interval 1s --log-format json >/dev/null 2>"$work/again.err" </dev/null &
trace_pid=$!
children+=("$trace_pid")
leases() { grep '"event":"port.summary"' "$work/again.err" | tail -n 1 | sed -nE 's/.*"live":([0-9]+),.*/\1/p'; }
# live LEAST MOST: so many the last summary tells of
live() {
	local now
	now=$(leases)
	[[ -n $now && $now -ge $1 && $now -le $2 ]]
}
until_true 30 live 0 4000000
others=$(leases)
round() {
	local hold pipe word
	coproc HOLD { exec "$crowd" hold "$n" 16 2>"$work/hold.why"; }
	hold=$HOLD_PID
	children+=("$hold")
	read -r -t 120 word <&"${HOLD[0]}"
	pipe=${HOLD[1]}
	until_true 60 live "$n" 4000000
	most=$(rss)
	exec {pipe}>&-
	wait "$hold"
	until_true 60 live 0 $((others + n / 4))
	until_true 30 given_back >/dev/null	# by the second summary of which one saw few leases all the time
}
given_back() { flat $((most / 2 + rss_before / 2 + $(leases) / 2)) "$(rss)" 0; }
no_more() { flat "$left" "$(rss)" $((4096 + $(leases) / 2)); }
round
left=$(rss)
for _ in 1 2 3; do round; done
expect "$n ports held and freed: half of the memory is given back (kB)" given_back
until_true 10 no_more >/dev/null
expect "$n ports held and freed four times: no more memory than once (kB)" no_more
echo "memory: $left kB after the first, $(rss) kB after the last, $most kB held"
kill "$trace_pid"
wait "$trace_pid"

# A second recorder of the same history is refused by name; the first goes on.
"$portlife" record --state-dir "$work/state" --duration 20s >"$work/first.out" 2>"$work/first.err" </dev/null &
first=$!
children+=("$first")
until_true 30 grep -q recording "$work/first.err"
run record --state-dir "$work/state" --duration 1s
expect "a second recorder is refused" test "$status" -eq 5
expect "a second recorder is told of the first" grep -q "$first" "$work/stderr"
expect "the first goes on" kill -0 "$first"
kill "$first"
wait "$first"
expect "the first ends well" test $? -eq 0
tests_end
