#!/bin/bash
# What reads the output is slow, stops, goes away, or has no room, while ports come and go: it has its own loss, counted
# apart, the recorder goes on and loses nothing for its sake, and ends with totals that agree with the stream to the unit.
# shellcheck source=tests/integration/lib.sh
# shellcheck disable=SC2317 # the helpers are called through expect
source "$(dirname "$0")/lib.sh"
here=$(realpath "$(dirname "$0")")
crowd=$(dirname "$portlife")/tests/integration/crowd

if ! probe_tier; then
	skip "slow and full outputs" "$cannot_record"
	tests_end
fi
netns_new || { not_ok "a network namespace" "could not be made"; tests_end; }

told() { python3 "$here/told.py" "$work/$1.out" "$work/$1.err" "${@:2}"; }
left() { grep -Eo '[0-9]+ events were left out' "$work/$1.err" | awk '{ n += $1 } END { print n + 0 }'; }
gone() { ! kill -0 "$1" 2>/dev/null; }
# load_start COUNT PAUSE_US: ports one after the other in the namespace
load_start() {
	nsenter -t "$ns_pid" -n -- "$crowd" churn "$@" >/dev/null &
	load=$!
	children+=("$load")
}
load_end() { kill -TERM "$load" 2>/dev/null; wait "$load"; }
# trace_into FILE NAME: a trace whose stdout is FILE, ready
trace_into() {
	trace_name=$2
	: >"$work/$2.err"
	"$portlife" trace -o jsonl --tier "$tier" >"$1" 2>"$work/$2.err" </dev/null &
	trace_pid=$!
	children+=("$trace_pid")
	until_true 60 trace_ready
}
tally_whole() { tail -n 1 "$work/$1.err" | grep -Eq '^portlife: allocs [0-9]+, .* lost [0-9]+ '; }

# SIGTERM under full load: all that was counted was told.
load_start 0
trace_into "$work/term.out" term
sleep 1
trace_stop TERM
load_end
expect "SIGTERM under load: ends well" test "$status" -eq 0
expect "SIGTERM under load: told and lost are the counts, to the unit" told term
expect "SIGTERM under load: there was load" test "$(tally term allocs)" -gt 5000

# The reader of the pipe stops, and comes back.
mkfifo "$work/pipe"
cat "$work/pipe" >"$work/stop.out" &
cat=$!
children+=("$cat")
trace_into "$work/pipe" stop
kill -STOP "$cat"
load_start 12000 20
wait "$load"
kill -CONT "$cat"
sleep 0.5	# to have read what was kept
load_start 500 100
wait "$load"
sleep 0.5
trace_stop TERM
wait "$cat"
expect "a reader that stops: some is left out, and said" test "$(left stop)" -gt 0
expect "a reader that stops: the ring loses nothing for it" test "$(tally stop lost)" -eq 0
expect "a reader that stops: lines, left out and counts agree" told stop
expect "a reader that stops: ended well" test "$status" -eq 0

# It stops for ever: the end does not wait for it.
cat "$work/pipe" >"$work/ever.out" &
cat=$!
children+=("$cat")
trace_into "$work/pipe" ever
kill -STOP "$cat"
load_start 5000
wait "$load"
kill -TERM "$trace_pid"
expect "a reader that stands still: SIGTERM ends it" until_true 30 gone "$trace_pid"
kill -9 "$trace_pid" 2>/dev/null
wait "$trace_pid"
expect "a reader that stands still: it ends with its totals" tally_whole ever
kill -CONT "$cat"
wait "$cat"

# It goes away.
load_start 0
"$portlife" trace -o jsonl --tier "$tier" 2>"$work/epipe.err" </dev/null | head -n 1 >"$work/epipe.out"
status=${PIPESTATUS[0]}
# no other word than these
quiet() { ! grep -Ev '^portlife: (recording|allocs|[0-9]+ events were left out)' "$work/$1.err"; }
expect "a reader that goes away while it starts ends it" test "$status" -eq 0
expect "and quietly" quiet epipe
"$portlife" trace -o jsonl --tier "$tier" 2>"$work/epipe.err" </dev/null | { until_true 60 grep -q recording "$work/epipe.err"; head -n 50; } >"$work/epipe.out"
status=${PIPESTATUS[0]}
expect "a reader that goes away ends it, quietly" test "$status" -eq 0
expect "a reader that goes away: it ends with its totals" tally_whole epipe
expect "a reader that goes away: no other word" quiet epipe

"$portlife" trace -o jsonl --tier "$tier" >/dev/full 2>"$work/full.err" </dev/null
status=$?
expect "a full stdout is an error" test "$status" -eq 5
expect "a full stdout is named" grep -qi 'no space' "$work/full.err"
"$portlife" trace -o jsonl --tier "$tier" >&- 2>"$work/closed.err" </dev/null
status=$?
expect "a closed stdout is an error" test "$status" -eq 5
expect "a closed stdout is named" grep -qi 'bad file' "$work/closed.err"
load_end

# record --print: the history has all, whatever becomes of stdout.
# in_history NAME: leases of the namespace that ended
in_history() {
	local f n=0
	for f in "$work/$1"/*.db; do
		n=$((n + $(sqlite3 -readonly "$f" "SELECT count(*) FROM leases WHERE netns=$ns_inode AND ended IS NOT NULL")))
	done
	[[ $n -eq $2 ]] || { echo "$n of $2"; return 1; }
}
# printed NAME FILE: a recorder that prints to FILE, and 12000 ports
printed() {
	: >"$work/$1.err"
	"$portlife" record --print -o jsonl --tier "$tier" --state-dir "$work/$1" >"$2" 2>"$work/$1.err" </dev/null &
	recorder=$!
	children+=("$recorder")
	until_true 60 grep -q '^portlife: recording to' "$work/$1.err" || return
	[[ $1 != stops ]] || kill -STOP "$cat"
	load_start 12000 20
	wait "$load"
	kill -TERM "$recorder"
	until_true 30 gone "$recorder" || kill -9 "$recorder"	# its status tells
	wait "$recorder"
	status=$?
}
cat "$work/pipe" >"$work/stops.out" &
cat=$!
children+=("$cat")
printed stops "$work/pipe"
kill -CONT "$cat"
wait "$cat"
expect "record --print, a reader that stops: ends well" test "$status" -eq 0
expect "record --print, a reader that stops: all is in the history" in_history stops 12000
expect "record --print, a reader that stops: left out is said" test "$(left stops)" -gt 0
expect "record --print, a reader that stops: the totals come last" tally_whole stops
printed full /dev/full
expect "record --print, a full stdout: an error at the end" test "$status" -eq 5
expect "record --print, a full stdout: said" grep -q 'No space left on device; recording goes on' "$work/full.err"
expect "record --print, a full stdout: all is in the history" in_history full 12000
head -n 20 <"$work/pipe" >"$work/gone.out" &
printed gone "$work/pipe"
expect "record --print, a reader that goes away: ends well" test "$status" -eq 0
expect "record --print, a reader that goes away: all is in the history" in_history gone 12000

# On a terminal both come to one place: first what happened, then what that amounts to.
load_start 0
"$portlife" record --print --tier "$tier" --state-dir "$work/both" >"$work/both.err" 2>&1 </dev/null &
recorder=$!
children+=("$recorder")
until_true 60 grep -q '^portlife: recording to' "$work/both.err"
sleep 0.5
kill -TERM "$recorder"
wait "$recorder"
load_end
after_counts() { sed '1,/^portlife: .*: allocs /d' "$work/both.err" | grep -Ec '^[0-9:.]+ (alloc|release) '; }
expect "record --print, Ctrl-C under load: the totals come last" tally_whole both
expect "record --print, Ctrl-C under load: no event after the counts that hold it" test "$(after_counts)" -eq 0
tests_end
