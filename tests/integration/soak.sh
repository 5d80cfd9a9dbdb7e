#!/bin/bash
# A soak: faults at random while ports come and go, held to the identity over the whole of it. Three recorders at once:
# `trace`, with a ring too small for the times it is stopped; `record`, on a small disk of its own that gets full, reloaded, its log taken away,
# stopped; and another `record`, which is killed or ended, and started again. The load knows how many ports it had.
#   SOAK=SECONDS (default 30)  SOAK_SEED=N: the same faults again
# shellcheck source=tests/integration/lib.sh
# shellcheck disable=SC2317 # the helpers are called through expect
[[ -n ${OWN_MOUNTS:-} ]] || exec unshare -m env OWN_MOUNTS=1 "$0" "$@"
source "$(dirname "$0")/lib.sh"
here=$(realpath "$(dirname "$0")")
crowd=$(dirname "$portlife")/tests/integration/crowd
soak=${SOAK:-30}
seed=${SOAK_SEED:-$((RANDOM * 32768 + RANDOM))}
RANDOM=$seed

if ! probe_tier; then
	skip "soak" "$cannot_record"
	tests_end
fi
netns_new || { not_ok "a network namespace" "could not be made"; tests_end; }
disk=$work/disk
mkdir "$disk"
if ! mount -t tmpfs -o size=64m tmpfs "$disk"; then
	skip "soak" "cannot mount a tmpfs"
	tests_end
fi

# The load: ports one after the other, at a pace that changes; each says at its end how many it had.
load_start() {
	date +%s%N >>"$work/starts"	# a line for each that it will write
	nsenter -t "$ns_pid" -n -- "$crowd" churn 0 "$1" >>"$work/had" &
	load=$!
	children+=("$load")
}
load_end() { kill -TERM "$load"; wait "$load"; }

# The stream is judged as it comes: an hour of it would fill the disk.
mkfifo "$work/trace.out"
: >"$work/trace.err"
python3 "$here/told.py" "$work/trace.out" "$work/trace.err" "$ns_inode" "$work/had" >"$work/trace.judged" 2>&1 &
judge=$!
"$portlife" trace -o jsonl --tier "$tier" --ring-size 256K >"$work/trace.out" 2>"$work/trace.err" </dev/null &
trace_pid=$! trace_name=trace
children+=("$trace_pid" "$judge")
until_true 60 trace_ready

# record_start NAME DIR: its id in $work/NAME.pid
record_start() {
	"$portlife" record --tier "$tier" --state-dir "$2" --summary-interval 1s --retain-size 32M --log-format json --log-file "$work/$1.log" \
		2>>"$work/$1.err" </dev/null &
	echo $! >"$work/$1.pid"
	children+=($!)
}
id() { cat "$work/$1.pid"; }
recording() { grep -q '"recording to' "$work/$1.log"; }
record_start steady "$disk/state"
record_start mortal "$work/state"
until_true 60 recording steady
began=$SECONDS
load_start 500

rss() { awk '/^RssAnon/ {print $2}' "/proc/$1/status"; }
fds() { find "/proc/$1/fd" -mindepth 1 | wc -l; }
whole() { ! grep -v '^ok$' <<<"$(for f in "$1"/*.db; do sqlite3 -readonly "$f" 'PRAGMA integrity_check'; done)"; }
logs=0 spaces=0 kills=0 full=0 stops=0 overflows=0
# The most leases that the whole host held at once, of late: they are in everybody's memory.
held() { tail -n 60 "$work/steady.log" 2>/dev/null | sed -nE 's/.*"event":"port.summary".*"peak":([0-9]+).*/\1/p' | sort -n | tail -n 1; }
sample() {
	most=$(held)
	printf '%s %s %s %s %s %s\n' "$((SECONDS - began))" "$(rss "$trace_pid")" "$(fds "$trace_pid")" "$(rss "$(id steady)")" \
		"$(fds "$(id steady)")" "${most:-0}" >>"$work/samples"
}
pause() { sleep "$1.$((RANDOM % 9))"; }
while [[ $((SECONDS - began)) -lt $soak ]]; do
	case $((RANDOM % 10)) in
	0) kill -STOP "$trace_pid"; pause 1; kill -CONT "$trace_pid"; stops=$((stops + 1)) overflows=$((overflows + 1)) ;;
	1) kill -STOP "$(id steady)"; pause 1; kill -CONT "$(id steady)"; stops=$((stops + 1)) ;;
	2) kill -HUP "$(id steady)"; kill -HUP "$(id mortal)" ;;
	3) mv "$work/steady.log" "$work/steady.log.$((logs += 1))" && kill -HUP "$(id steady)" ;;
	4) kill -9 "$(id mortal)"; wait "$(id mortal)" 2>/dev/null; kills=$((kills + 1)); record_start mortal "$work/state" ;;
	5) kill -TERM "$(id mortal)"; wait "$(id mortal)" 2>/dev/null; record_start mortal "$work/state" ;;
	6) "$crowd" netns $((RANDOM % 40 + 1)) | wc -l >>"$work/spaces"; spaces=$((spaces + 1)) ;;
	7) head -c 70m /dev/zero 2>/dev/null >"$disk/ballast"; pause 1; rm "$disk/ballast"; full=$((full + 1)) ;;
	8) load_end; load_start $((RANDOM % 3 * 400 + 100)) ;;
	9) in_netns sh -c "echo $((30000 + RANDOM % 10000)) $((50000 + RANDOM % 10000)) >/proc/sys/net/ipv4/ip_local_port_range" ;;
	esac
	pause 0
	sample
done
sleep 6	# the disk is written again, and what ended is swept
load_end
load_start 300	# one that no full disk has cost its file
sleep 4
load_end
sleep 2.5
sample
kill -INT "$trace_pid"
wait "$trace_pid"
status=$?
expect "trace ends well" test "$status" -eq 0
wait "$judge"
status=$?
expect "seed $seed: over the whole, told and lost are what the kernel counted and the load had" test "$status" -eq 0
cat "$work/trace.judged"
expect "and it was stopped for longer than its ring has room, $overflows times" test "$(tally trace lost)" -gt 0 -o "$overflows" -lt 3
for r in steady mortal; do
	kill -TERM "$(id $r)" && wait "$(id $r)"
	status=$?
	expect "$r ends well" test "$status" -eq 0
done
had=$(awk '{ n += $1 } END { print n }' "$work/had")
echo "$had ports; $stops stops, $kills kills, $full full disks, $spaces times namespaces, $logs logs; at the end $(tail -n 1 "$work/samples")"

# What the namespace's lives are in the history, and what gaps say is missing, from the time $2 on (ns).
of() { for f in "$1"/lease-*.db "$1"/hot-*.db; do [[ ! -e $f ]] || sqlite3 -readonly "$f" "$2"; done; }
lives() { of "$1" "SELECT port || '/' || start FROM leases WHERE netns+0=$ns_inode AND ended IS NOT NULL AND pid+0 NOT NULL AND start>=${2:-0}"; }
lost() { of "$1" "SELECT coalesce(sum(lost), 0) FROM gap WHERE lost > 0 AND until>=${2:-0}" | awk '{ n += $1 } END { print n + 0 }'; }
lives "$disk/state" >"$work/steady.lives"
lives "$work/state" >"$work/mortal.lives"
once() { [[ -z $(sort "$1" | uniq -d | head -n 3) ]]; }
expect "steady: no life is twice in the history" once "$work/steady.lives"
expect "mortal: no life is twice in the history" once "$work/mortal.lives"
# Retention, or a full disk, has removed the oldest files: then from the first load on that began after that.
kept=0
if ! compgen -G "$disk/state/*-000001[-.]*" >/dev/null; then
	kept=$(of "$disk/state" 'SELECT since+2000000000 FROM meta' | sort -n | head -n 1)
fi
since=$(awk -v kept="$kept" '$1 >= kept' "$work/starts" | head -n 1)
[[ $kept -ne 0 ]] || since=0
expect "steady: all is in the history from $since on, but what its gaps count" python3 -c '
import sys
had, have, lost = map(int, sys.argv[1:])
sys.exit(0 if 0 < have <= had <= have + lost else f"{have} of {had}, {lost} lost")' \
	"$(paste "$work/starts" "$work/had" | awk -v since="$since" '$1 >= since { n += $2 } END { print n + 0 }')" \
	"$(lives "$disk/state" "$since" | wc -l)" "$(lost "$disk/state" "$since")"
expect "mortal: no more than there were, and some" test "$(wc -l <"$work/mortal.lives")" -gt 0 -a "$(wc -l <"$work/mortal.lives")" -le "$had"
expect "steady: the files are whole" whole "$disk/state"
expect "mortal: the files are whole" whole "$work/state"
expect "none was set aside" test -z "$(find "$disk/state" "$work/state" -name '*.corrupt')"
expect "steady: its summaries add up to the totals" python3 -c '
import json, sys
d = json.loads(sys.argv[1])
sys.exit(0 if all(d["sums"][k] == d["said"][k] for k in d["said"]) and d["said"]["allocs"] else str(d))' "$(python3 "$here/logs.py" sum "$work"/steady.log*)"
# Memory: the second half of the time needs no more than the first, but for what new processes cost, and what others on
# this host hold: 200 bytes a lease, twice while the table grows. In two minutes not each kind of fault has come in the first
# half: trace keeps 8 MiB for a reader that is slow, twice while that grows. Of descriptors the least: a look at the sockets that is
# under way has some.
judge_memory() {
	python3 -c '
import sys
rows = [tuple(map(int, l.split())) for l in open(sys.argv[1])]
half = rows[-1][0] / 2
most = [max(r[5] for r in rows if (r[0] < half) == early) for early in (True, False)]
more = max(0, most[1] - most[0]) * 512 // 1024
for at, slack, what in ((1, 20480, "memory of trace"), (2, 0, "descriptors of trace"), (3, 12288, "memory of record"), (4, 4, "descriptors of record")):
    most_or_least = max if "memory" in what else min
    first, second = (most_or_least(r[at] for r in rows if (r[0] < half) == early) for early in (True, False))
    slack += more if "memory" in what else 0
    print(what, first, "then", second, "leases", most)
    assert second <= first + slack, (what, first, second, "leases", most)
' "$work/samples" >"$work/memory"
}
expect "memory and descriptors stay as they are" judge_memory
cat "$work/memory"
umount -l "$disk"
tests_end
