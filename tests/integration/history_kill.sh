#!/bin/bash
# kill -9 at random moments (HISTORY_KILLS of them, 8) while a load that knows what it did goes on: the history opens
# each time, what was committed is there, each life is told once and as it was, and what is missing lies in a gap.
# shellcheck source=tests/integration/lib.sh
# shellcheck disable=SC2317 # the helpers are called through expect
source "$(dirname "$0")/lib.sh"
helper=$(dirname "$(realpath "$0")")/history.py
kills=${HISTORY_KILLS:-8}

if ! probe_tier; then
	skip "kill -9" "$cannot_record"
	tests_end
fi
netns_new || { not_ok "a network namespace" "could not be made"; tests_end; }
state=$work/state
began=@$(date +%s.%N)
step() { printf '%s %s\n' "$1" "${2:-$(date +%s.%N)}" >>"$work/steps"; }

record_start() {
	rm -f "$work/record.err"	# what the one before said must not count
	"$portlife" record --state-dir "$state" >"$work/record.out" 2>"$work/record.err" </dev/null &
	record_pid=$!
	children+=("$record_pid")
}
record_ready() { grep -q '^portlife: recording to' "$work/record.err"; }
record_kill() {
	step killed
	kill -9 "$record_pid"
	wait "$record_pid" 2>/dev/null
}
pause() { sleep "$((RANDOM % 2)).$(printf %03d $((RANDOM % 1000)))"; }
# all FILE: every life that the history knows of our namespace
all() {
	run who 1-65535 --state-dir "$state" --netns "$ns_inode" --since "$began" --limit 1000000 -o json
	cp "$work/stdout" "$1"
	[[ $status -eq 0 || $status -eq 3 ]] || { echo "exit $status: $(cat "$work/stderr")"; return 1; }
	! grep -v "^portlife: .*could not be looked at" "$work/stderr"
}

in_netns_child python3 "$helper" load "$work/truth" >"$work/load"
load=$child
until_true 30 grep -q ready "$work/load"
opened=0
for ((i = 0; i < kills; i++)); do
	record_start
	if ((i % 4 == 3)); then	# while it starts
		pause
		record_kill
		continue
	fi
	until_true 60 record_ready || break
	step recording
	pause
	if all "$work/seen.$i" >"$work/why"; then opened=$((opened + 1)); step seen "$work/seen.$i"; fi
	record_kill
done
expect "the history opens each time" test "$opened" -eq $((kills - kills / 4))
record_start
expect "and once more" until_true 60 record_ready
step recording
sleep 1
kill "$load"
wait "$load"
kill "$record_pid"
wait "$record_pid"
expect "the last one ends well" test $? -eq 0
step stopped
expect "all of it can be read" all "$work/all"
expect "no life twice, none wrong, none lost but in a gap; each kill has its gap" \
	python3 "$helper" judge "$work/truth" "$work/all" "$work/steps"
python3 "$helper" judge "$work/truth" "$work/all" "$work/steps"
expect "no file was set aside" test -z "$(find "$state" -name '*.corrupt')"
for f in "$state"/*.db; do
	expect "${f##*/} is whole" test "$(sqlite3 -readonly "$f" 'PRAGMA integrity_check')" = ok
done
tests_end
