#!/bin/bash
# No port is left: each refusal is told with its errno and its owner, and the ports that were had as well, to the last
# one, in a small range and in all of the default one. The range and its reserved ports change while a recorder runs, in
# one namespace and not in its neighbour: summaries, metrics and the report follow, each for its own.
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"

if ! probe_tier; then
	skip "no port left" "$cannot_record"
	tests_end
fi
netns_new || { not_ok "a network namespace" "could not be made"; tests_end; }

cat >"$work/take.py" <<'PY'
# Takes ports of the range until none is left, is refused REFUSED times, then says how many it had and gives all back.
import errno, os, resource, socket, sys
refused = int(sys.argv[1])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
held, errors = [], set()
while len(errors) < 1:
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        s.bind(('127.0.0.1', 0))
        held.append(s)
    except OSError as e:
        errors.add(e.errno)
for _ in range(refused - 1):
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM).bind(('127.0.0.1', 0))
    except OSError as e:
        errors.add(e.errno)
print(os.getpid(), len(held), *(errno.errorcode[e] for e in errors))
PY
lines() { grep "\"event\":\"$2\"" "$work/$1.out" | grep -c "\"pid\":$3,"; }
released() { [[ $(lines "$1" port.release "$2") -ge $3 ]]; }

# exhausted NAME LO HI
exhausted() {
	local pid had errno all=$(($3 - $2 + 1))
	in_netns sh -c "echo $2 $3 >/proc/sys/net/ipv4/ip_local_port_range"
	trace_start "$1" -o jsonl --no-snapshot --tier "$tier" --netns "$ns_inode"
	read -r pid had errno < <(in_netns python3 "$work/take.py" 7)
	until_true 60 released "$1" "$pid" "$had"
	trace_stop INT
	expect "$1: the kernel gave all $all ports" test "$had" -eq "$all"
	expect "$1: each is told" test "$(lines "$1" port.alloc "$pid")" -eq "$all"
	expect "$1: and its end" test "$(lines "$1" port.release "$pid")" -eq "$all"
	expect "$1: 7 refusals are told with their owner" test "$(lines "$1" port.fail "$pid")" -eq 7
	expect "$1: with the errno that it got, $errno" test "$(grep '"event":"port.fail"' "$work/$1.out" | grep -c "\"errno\":\"$errno\"")" -eq 7
	expect "$1: no gap" test "$(grep -c recorder.gap "$work/$1.out")" -eq 0
}
exhausted small 40000 40099

# take_all: a load that takes all UDP ports of the namespace and is refused 7 times more; what it says of each of its
# processes goes to $work/taken; an end of its pipe, `taker_in`, frees them
crowd=$(dirname "$portlife")/tests/integration/crowd
take_all() {
	mkfifo "$work/order"
	: >"$work/taken"
	nsenter -t "$ns_pid" -n -- "$crowd" take 7 <"$work/order" >"$work/taken" &
	taker=$!
	children+=("$taker")
	exec {taker_in}>"$work/order"
	rm "$work/order"
	until_true 120 grep -q E "$work/taken"
}
give_all() {
	echo >&"$taker_in"
	until_true 120 grep -q freed "$work/taken"
	exec {taker_in}>&-
	wait "$taker"
}

in_netns sh -c 'echo 32768 60999 >/proc/sys/net/ipv4/ip_local_port_range'
trace_start full -o jsonl --no-snapshot --tier "$tier" --netns "$ns_inode"
take_all
give_all
all=$((60999 - 32768 + 1))
ended() { [[ $(grep -c '"event":"port.release"' "$work/full.out") -ge $all ]]; }
until_true 60 ended
trace_stop INT
expect "full: all $all ports, each to its process, and 7 refusals to the last one" python3 -c '
import collections, json, sys
took, last, errnos = {}, None, None
for line in open(sys.argv[1]):
    if line.strip() == "freed": continue
    pid, n, *errnos = line.split()
    took[int(pid)], last = int(n), int(pid)
had, ports, ends, fails = collections.Counter(), collections.Counter(), collections.Counter(), []
for e in map(json.loads, open(sys.argv[2])):
    assert e["event"] != "recorder.gap", e
    if e["event"] == "port.alloc": had[e["pid"]] += 1; ports[e["port"]] += 1
    if e["event"] == "port.release": ends[e["port"]] += 1
    if e["event"] == "port.fail": fails.append((e["pid"], e["errno"], e["kind"]))
assert had == took, (had, took)
want = {p: 1 for p in range(32768, 61000)}
assert ports == want and ends == want, (len(ports), len(ends), [p for p in want if ports[p] != 1 or ends[p] != 1][:3])
assert fails == [(last, e, "bind0") for e in errnos] and len(fails) == 7, (fails, errnos)
' "$work/taken" "$work/full.out"

# The range changes at run time.
near_pid=$ns_pid near=$ns_inode
netns_new || { not_ok "another network namespace" "could not be made"; tests_end; }
neighbour=$ns_inode
in_netns sh -c 'echo 50000 50499 >/proc/sys/net/ipv4/ip_local_port_range'
in_netns_child python3 -c 'import signal, socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); signal.pause()'
ns_pid=$near_pid ns_inode=$near
in_netns sh -c 'echo 40000 40099 >/proc/sys/net/ipv4/ip_local_port_range'
"$portlife" record --tier "$tier" --state-dir "$work/state" --summary-interval 1s --metrics-textfile "$work/metrics.prom" --metrics-interval 1s \
	--log-format json --log-file "$work/log" </dev/null 2>"$work/record.err" &
recorder=$!
children+=("$recorder")
until_true 60 grep -q 'recording to' "$work/log"
take_all
metric() { grep -qF "portlife_port_range_$1 $2" "$work/metrics.prom"; }
# summary NETNS SIZE RESERVED USED: of the last port.summary
summary() {
	grep '"event":"port.summary"' "$work/log" | tail -n 1 | python3 -c '
import json, sys
netns, *want = sys.argv[1:]
got = [[n["size"], n["reserved"], n["used_odd"] + n["used_even"]] for n in json.load(sys.stdin)["netns"] if n["netns"] == netns]
sys.exit(0 if got == [[int(w) for w in want]] else str(got))' "$@"
}
expect "a range of 100: metrics" until_true 40 metric "size{netns=\"$near\"}" 100
expect "a range of 100: all in use" until_true 40 metric "in_use{netns=\"$near\",parity=\"odd\"}" 50
expect "a range of 100: the summary" until_true 40 summary "$near" 100 0 100
expect "and the neighbour's 500" until_true 40 summary "$neighbour" 500 0 1
in_netns sh -c 'echo 40000 40199 >/proc/sys/net/ipv4/ip_local_port_range && echo 40100-40109 >/proc/sys/net/ipv4/ip_local_reserved_ports'
expect "the range grows: metrics" until_true 60 metric "size{netns=\"$near\"}" 200
expect "with its reserved ports" until_true 40 metric "reserved{netns=\"$near\"}" 10
expect "the range grows: the summary" until_true 40 summary "$near" 200 10 100
expect "the neighbour's does not" summary "$neighbour" 500 0 1
expect "nor in its metrics" metric "size{netns=\"$neighbour\"}" 500
give_all
refused() { sed -nE "s/^portlife_netns_failures_total\{netns=\"$near\",proto=\"udp\"\} //p" "$work/metrics.prom"; }
kill "$recorder"
wait "$recorder"
expect "the refusals are counted, in their namespace" test "$(refused)" -eq 7
"$portlife" report --state-dir "$work/state" --ascii >"$work/report" 2>&1
expect "the report tells the range, and that it changed" grep -q "netns $near, range 40000-40199, 10 reserved (changed)" "$work/report"
expect "and the neighbour's as it was" grep -q "netns $neighbour, range 50000-50499, 0 reserved\$" "$work/report"
tests_end
