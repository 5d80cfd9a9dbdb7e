#!/bin/bash
# One workload floods the ring, which is small and whose reader stands still, beside a quiet one. The gap names the
# flooder's cgroup, and what the kernel counted of each network namespace is exact, although most events were lost. Then
# the same beside `trace`, whose every line is held against the load and the counts, and a table that is too small.
# shellcheck source=tests/integration/lib.sh
# shellcheck disable=SC2317 # the helpers are called through expect
source "$(dirname "$0")/lib.sh"
here=$(realpath "$(dirname "$0")")
crowd=$(dirname "$portlife")/tests/integration/crowd
scale=${FAULTS_SCALE:-1}

if ! probe_tier; then
	skip "a flooded ring" "$cannot_record"
	tests_end
fi
cgroup2=$(awk '$3 == "cgroup2" {print $2; exit}' /proc/mounts)
groups=$cgroup2/portlife-flood-$$
if [[ -z $cgroup2 ]] || ! mkdir "$groups" "$groups/loud" "$groups/quiet" 2>/dev/null; then
	skip "a flooded ring" "no cgroup v2 to make two groups in"
	tests_end
fi
trap 'rmdir "$groups/loud" "$groups/quiet" "$groups" 2>/dev/null; tests_cleanup' EXIT
netns_new || { not_ok "a network namespace" "could not be made"; tests_end; }
loud=$ns_inode loud_pid=$ns_pid
netns_new || { not_ok "another network namespace" "could not be made"; tests_end; }
quiet=$ns_inode quiet_pid=$ns_pid

# Each holds a port all the time, as a service does.
for pid in "$loud_pid" "$quiet_pid"; do
	ns_pid=$pid
	in_netns_child python3 -c 'import signal, socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(flush=True); signal.pause()' >"$work/$pid.holds"
	until_true 30 test -s "$work/$pid.holds"
done

# in_group NAME NETNS_PID COMMAND...: both as a child
in_group() {
	local group=$groups/$1 pid=$2
	shift 2
	(echo "$BASHPID" >"$group/cgroup.procs" && exec nsenter -t "$pid" -n -- "$@") &
	child=$!
	children+=("$child")
}
loads() {
	in_group loud "$loud_pid" "$crowd" churn "$1" >/dev/null
	local one=$child
	in_group quiet "$quiet_pid" "$crowd" churn "$2" 200 >/dev/null
	wait "$child" "$one"
}
# metric NAME NETNS [PROTO]: of UDP, if not said
metric() { sed -nE "s/^portlife_netns_$1_total\{netns=\"$2\",proto=\"${3:-udp}\"\} //p" "$work/metrics.prom"; }
# sum PREFIX: of all metrics that begin so
sum() { grep "^$1{" "$work/metrics.prom" | awk '{ n += $NF } END { print n }'; }
gap() {
	python3 - "$work/log" "/${groups##*/}/loud" <<'PY'
import json, sys
gaps = [e for e in map(json.loads, open(sys.argv[1])) if e.get('event') == 'recorder.gap' and e['cause'] == 'ring']
by = [g['flooded_by'] for g in gaps if g.get('flooded_by')]
mine = [b for b in by if b['cgroup'] == sys.argv[2] and b['comm'] == 'crowd' and b['lost'] > 1000]
sys.exit(0 if mine else f'none by {sys.argv[2]}: {gaps}')
PY
}

"$portlife" record --tier "$tier" --ring-size 1M --state-dir "$work/state" --metrics-textfile "$work/metrics.prom" --metrics-interval 1s \
	--log-format json --log-file "$work/log" </dev/null 2>"$work/record.err" &
recorder=$!
children+=("$recorder")
until_true 60 grep -q 'recording to' "$work/log"
loads 100 100
seen() { [[ $(metric allocations "$quiet") -eq $1 ]]; }
until_true 30 seen 100
kill -STOP "$recorder"
n=$((20000 * scale))
loads "$n" 300
refused=70
ns_pid=$quiet_pid in_netns python3 -c '
import errno, socket, sys
held = socket.create_server(("127.0.0.1", 0))
for _ in range(int(sys.argv[1])):
    try: socket.socket().bind(held.getsockname())
    except OSError as e: assert e.errno == errno.EADDRINUSE
    else: sys.exit("not refused")
' "$refused"
kill -CONT "$recorder"
expect "the gap names who flooded" until_true 30 gap
expect "the quiet one's ports are counted, each" until_true 30 seen 400
kill -TERM "$recorder"
wait "$recorder"
expect "the recorder ends well" test $? -eq 0
for what in allocations releases; do
	expect "$what of the flooder: exact" test "$(metric $what "$loud")" -eq $((n + 100))
	expect "$what of the quiet one: exact" test "$(metric $what "$quiet")" -eq 400
	expect "$what by namespace add up to all" test "$(sum portlife_netns_${what}_total)" -eq "$(sum portlife_${what}_total)"
done
expect "refusals of the quiet one: exact" test "$(metric failures "$quiet" tcp)" -eq "$refused"
expect "refusals by namespace add up to all" test "$(sum portlife_netns_failures_total)" -eq "$(sum portlife_failures_total)"
told() { for f in "$work/state"/*.db; do sqlite3 -readonly "$f" "SELECT count(*) FROM leases WHERE netns=$loud"; done | awk '{ n += $1 } END { print n }'; }
expect "most events were lost indeed" test "$(told)" -lt "$n"

# trace stands still, too; when it goes on nothing more happens. In a namespace where nobody holds anything all the time.
netns_new || { not_ok "a third network namespace" "could not be made"; tests_end; }
loud=$ns_inode loud_pid=$ns_pid
trace_start still -o jsonl --tier "$tier" --ring-size 64K
kill -STOP "$trace_pid"
loads 5000 300
kill -CONT "$trace_pid"
ring_gap() { grep -q '"event":"recorder.gap".*"cause":"ring"' "$work/still.out"; }
expect "trace tells of the loss though nothing more happens" until_true 30 ring_gap
sleep 2.5	# a UDP socket's end may be seen by a sweep
trace_stop INT
expect "trace ends well" test "$status" -eq 0
expect "it did lose much" test "$(tally still lost)" -gt 5000
echo 5000 >"$work/had"
expect "to the last unit, told and lost are what the kernel counted and the load had" \
	python3 "$here/told.py" "$work/still.out" "$work/still.err" "$loud" "$work/had"

# A table with room for half of what is held: the rest is counted as lost, and found once there is room.
before=$("$portlife" trace --tier "$tier" --duration 1ms 2>&1 >/dev/null | sed -nE 's/.*: ([0-9]+) ports held already.*/\1/p')
trace_start small -o jsonl --tier "$tier" --table-size $((before + 150)) --netns "$quiet"
coproc HOLD { ns_pid=$quiet_pid in_netns python3 -c '
import socket
held = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(300)]
for n, s in enumerate(held): s.bind(("127.0.0.1", 20000 + n))
print("held", flush=True)
input()
for s in held[:200]: s.close()
input()
'; }
children+=("$HOLD_PID")
read -r -t 60 _ <&"${HOLD[0]}"
table_gap() { grep -q '"event":"recorder.gap".*"cause":"table"' "$work/small.out"; }
expect "a gap tells that the table is full" until_true 30 table_gap
# of the ports from $1 on: how many the stream has begin, or found held
known() { grep -E '"event":"port\.(alloc|open)"' "$work/small.out" | grep -Eo '"port":20[0-9]{3},' | sort -u | awk -F'[:,]' -v from="$1" '$2 >= from' | wc -l; }
expect "not all are known" test "$(known 20000)" -lt 300
expect "the first ones are" test "$(known 20000)" -gt 50
echo >&"${HOLD[1]}"
all_found() { [[ $(known 20200) -eq 100 ]]; }
expect "with room again all that are still held are found" until_true 30 all_found
echo >&"${HOLD[1]}"
wait "$HOLD_PID"
sleep 2.5
trace_stop INT
expect "trace with a small table ends well" test "$status" -eq 0
tests_end
