#!/bin/bash
# A small disk of its own: it gets full while the recorder runs and while it starts. Counting goes on, it is said once,
# and when there is room again all is in the history. (More than memory can hold: tests/unit/test_store_crash.c.) The same
# with a disk that answers with an error, or takes no writes any more (disk_fault.c).
# shellcheck source=tests/integration/lib.sh
# shellcheck disable=SC2317 # the helpers are called through expect
[[ -n ${OWN_MOUNTS:-} ]] || exec unshare -m env OWN_MOUNTS=1 "$0" "$@"
source "$(dirname "$0")/lib.sh"
helper=$(dirname "$(realpath "$0")")/history.py

if ! probe_tier; then
	skip "a full disk" "$cannot_record"
	tests_end
fi
netns_new || { not_ok "a network namespace" "could not be made"; tests_end; }
disk=$work/disk
state=$disk/state
mkdir "$disk"
if ! mount -t tmpfs -o size=8m tmpfs "$disk"; then
	skip "a full disk" "cannot mount a tmpfs"
	tests_end
fi

record_start() {
	rm -f "$work/record.err"
	"$portlife" record --state-dir "$state" "$@" >"$work/record.out" 2>"$work/record.err" </dev/null &
	record_pid=$!
	children+=("$record_pid")
	until_true 60 grep -q '^portlife: recording to' "$work/record.err"
}
record_end() {
	kill -TERM "$record_pid"
	wait "$record_pid" 2>/dev/null
	status=$?
}
fill() { dd if=/dev/zero of="$disk/ballast" bs=4k 2>/dev/null; [[ $(df --output=avail "$disk" | tail -1) -eq 0 ]]; }
said() { grep -c -- "$1" "$work/record.err"; }
burst() { in_netns python3 "$helper" burst "$1"; }
# told PID: how many lives of that process the history has
told() {
	local f n=0
	for f in "$state"/hot-*.db "$state"/lease-*.db; do
		[[ -e $f ]] && n=$((n + $(sqlite3 -readonly "$f" "SELECT count(*) FROM leases WHERE pid=$1 AND ended IS NOT NULL AND netns=$ns_inode")))
	done
	echo "$n"
}
lost() { sqlite3 -readonly "$state"/hot-*.db "SELECT coalesce(sum(lost),0) FROM gap WHERE cause $1"; }
whole() { [[ $(sqlite3 -readonly "$1" 'PRAGMA integrity_check') == ok ]]; }

# who_says CODE WORDS TIME: of a port that nobody had
who_says() {
	run who 1 --state-dir "$state" --at "$3"
	[[ $status -eq $1 ]] && cat "$work/stdout" "$work/stderr" | grep -q -- "$2" || { echo "$status"; cat "$work/stdout" "$work/stderr"; return 1; }
}

# ---- while it runs ----

record_start
first=$(burst 500)
all_told() { [[ $(told "$first") -eq 500 ]]; }
expect "what happens before is written" until_true 30 all_told
expect "the disk gets full" fill
second=$(burst 2000)
expect "that is said" until_true 30 said 'cannot be written: No space left on device'
third=$(burst 2000)
sleep 2
# Where the history lags behind, it does not say that nobody was there.
expect "who, meanwhile: the answer may not be complete" who_says 3 'may not be complete' "@$(date +%s)"
expect "once" test "$(said 'cannot be written')" -eq 1
expect "recording goes on" kill -0 "$record_pid"
rm "$disk/ballast"
expect "there is room again: that is said" until_true 30 said 'is written again'
nobody() { who_says 1 nobody "@$(date +%s)"; }
expect "who, then: nobody" until_true 30 nobody
fourth=$(burst 500)
record_end
expect "it ends well" test "$status" -eq 0
ring=$(lost "<>'store'")
for n in "$first 500" "$second 2000" "$third 2000" "$fourth 500"; do
	read -r pid count <<<"$n"
	have=$(told "$pid")
	if [[ $have -eq $count ]]; then ok "all $count lives are told"
	elif [[ $have -lt $count && $((have + ring)) -ge $count ]]; then ok "$have of $count lives are told, the ring lost $ring"
	else not_ok "all $count lives are told" "$have, and $ring lost in the ring"; fi
done
expect "memory had room for all" test "$(lost "='store'")" -eq 0
expect "no torn row" whole "$state"/hot-000001.db

# ---- while it starts ----

fill
record_start
expect "it starts on a full disk" kill -0 "$record_pid"
fifth=$(burst 300)
rm "$disk/ballast"
last_told() { [[ $(told "$fifth") -eq 300 ]]; }
expect "and writes all once there is room" until_true 30 last_told
record_end
expect "and ends well" test "$status" -eq 0

# ---- until it ends ----

record_start
expect "a session on a disk that gets full: it gets full" fill
full=$(date +%s)
sixth=$(burst 2000)
expect "that is said, too" until_true 30 said 'cannot be written: No space left on device'
record_end
expect "what could not be written is said at the end, with an exit code" test "$status" -eq 5
expect "and how much that is" grep -Eq 'is not complete: [1-9][0-9]* leases and refusals could not be written \(No space left on device\)' "$work/record.err"
expect "who, then: the answer may not be complete" who_says 3 'may not be complete' "@$(date +%s)"
rm "$disk/ballast"
before=$(told "$sixth")
record_start
gap_told() { [[ $(sqlite3 -readonly "$state"/hot-*.db "SELECT count(*) FROM gap WHERE cause='crash' AND until>${full}000000000") -eq 1 ]]; }
expect "the next session tells a gap ($before of 2000 were written)" until_true 30 gap_told
record_end

# ---- errors, for a while ----

# metric: refused writes so far
metric() { sed -n 's/^portlife_store_write_errors_total //p' "$work/metrics.prom"; }
more_than() { [[ $(metric) -gt $1 ]]; }
for fault in "5 Input/output error" "30 Read-only file system"; do
	words=${fault#* }
	state=$disk/${fault%% *}
	LD_PRELOAD=$(dirname "$portlife")/tests/integration/disk_fault.so DISK_FAULT_WHEN=$work/fault DISK_FAULT_DIR=$state record_start \
		--metrics-textfile "$work/metrics.prom" --metrics-interval 1s
	first=$(burst 500)
	expect "$words: what happens before is written" until_true 30 all_told
	until_true 30 test -s "$work/metrics.prom"
	expect "$words: no write was refused till then" test "$(metric)" -eq 0
	echo "${fault%% *}" >"$work/fault"
	second=$(burst 500)
	expect "$words: that is said" until_true 30 said "cannot be written: $words"
	expect "$words: and counted in the metrics" until_true 30 more_than 0
	third=$(burst 500)
	expect "$words: who, meanwhile: the answer may not be complete" until_true 30 who_says 3 'may not be complete' "@$(date +%s)"
	expect "$words: recording goes on" kill -0 "$record_pid"
	rm "$work/fault"
	expect "$words: it is written again, and that is said" until_true 30 said 'is written again'
	sleep 2.5	# the metrics are written each second
	errors=$(metric)
	fourth=$(burst 500)
	for n in "$first" "$second" "$third" "$fourth"; do
		its_all() { [[ $(($(told "$n") + $(lost "<>'store'"))) -ge 500 && $(told "$n") -le 500 ]]; }
		expect "$words: 500 lives are told, but what the ring lost" until_true 30 its_all
	done
	expect "$words: no write is refused any more" test "$(metric)" -eq "$errors"
	record_end
	expect "$words: it ends well" test "$status" -eq 0
	expect "$words: memory had room for all" test "$(lost "='store'")" -eq 0
	expect "$words: no torn row" whole "$state"/hot-000001.db
	expect "$words: no file was set aside" test -z "$(find "$state" -name '*.corrupt')"
done
umount -l "$disk"
tests_end
