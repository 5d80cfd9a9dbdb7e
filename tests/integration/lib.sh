#!/bin/bash
# What the integration scripts share; sourced with the path of portlife as the first argument, never run by itself.
# Each assertion prints "ok - NAME", "not ok - NAME: WHY" or "skip - NAME: REASON"; tests_end prints the closing count
# and exits. Everything lives in a scratch folder, and every process that was started here is ended by its id.
# shellcheck disable=SC2034 # what is set here is for those who source it
set -uo pipefail

if [[ $# -lt 1 || ! -x $1 ]]; then
	echo "usage: $0 PATH_TO_PORTLIFE" >&2
	exit 2
fi
portlife=$(realpath "$1")
work=$(mktemp -d)
chmod 755 "$work"	# nobody reads here too
passed=0 failed=0 skipped=0
children=()
export PATH=$PATH:/usr/sbin:/sbin
unset NO_COLOR

# A child that a signal meets before it has put our traps aside runs them: they are none of its business.
# shellcheck disable=SC2317 # the trap calls it
tests_cleanup() {
	local pid
	[[ $BASHPID -eq $$ ]] || return
	for pid in "${children[@]}"; do kill -CONT "$pid"; kill "$pid"; done 2>/dev/null
	wait "${children[@]}" 2>/dev/null
	rm -rf "$work"
}
trap tests_cleanup EXIT
trap 'exit 130' INT TERM

ok() { printf 'ok - %s\n' "$1"; passed=$((passed + 1)); }
not_ok() { printf 'not ok - %s: %s\n' "$1" "$(tail -n 4 <<<"$2" | cut -c1-500 | tr '\n' ' ')"; failed=$((failed + 1)); }
skip() { printf 'skip - %s: %s\n' "$1" "$2"; skipped=$((skipped + 1)); }

# expect NAME COMMAND...: ok when it succeeds; what it printed is the reason when it does not.
expect() {
	local name=$1 why
	shift
	if why=$("$@" 2>&1); then ok "$name"; else not_ok "$name" "${why:-$* failed}"; fi
}

tests_end() {
	printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
	[[ $failed -eq 0 ]]
	exit
}

# until_true SECONDS COMMAND...: a generous deadline, never an assertion on speed.
until_true() {
	local end=$((SECONDS + $1))
	shift
	until "$@" 2>/dev/null; do
		[[ $SECONDS -lt $end ]] || return 1
		sleep 0.05
	done
}

# Can this process record at all? Sets `tier`; `cannot_record` says why not.
probe_tier() {
	local doc
	doc=$("$portlife" doctor -o json 2>"$work/doctor.err")
	tier=$(grep -o '"tier":"[abc]"' <<<"$doc" | head -1 | cut -d'"' -f4)
	cannot_record=$(head -1 "$work/doctor.err")
	: "${cannot_record:=portlife doctor names no tier that works}"
	[[ -n $tier ]]
}

# run ARGUMENTS...: portlife, with what it printed in $work/stdout and $work/stderr, and its exit code in `status`.
run() {
	timeout 60 "$portlife" "$@" >"$work/stdout" 2>"$work/stderr" </dev/null
	status=$?
}

# A private network namespace with lo up, kept by a process: ns_pid, ns_inode, and in_netns COMMAND...
netns_new() {
	local mine
	mine=$(stat -L -c %i /proc/self/ns/net)
	unshare -n sleep infinity &
	ns_pid=$!
	children+=("$ns_pid")
	until_true 30 netns_entered "$mine" || return 1
	ns_inode=$(stat -L -c %i "/proc/$ns_pid/ns/net")
	in_netns ip link set lo up
}
netns_entered() { [[ $(stat -L -c %i "/proc/$ns_pid/ns/net") != "$1" ]]; }
in_netns() { nsenter -t "$ns_pid" -n -- "$@"; }
# in_netns as a background job whose id is that of COMMAND: child
in_netns_child() {
	nsenter -t "$ns_pid" -n -- "$@" &
	child=$!
	children+=("$child")
}

# trace_start NAME ARGUMENTS...: returns when it records; output in $work/NAME.out and .err, its id in `trace_pid`.
trace_start() {
	trace_name=$1
	shift
	: >"$work/$trace_name.err"	# what an earlier one of that name said must not count
	"$portlife" trace "$@" >"$work/$trace_name.out" 2>"$work/$trace_name.err" </dev/null &
	trace_pid=$!
	children+=("$trace_pid")
	until_true 60 trace_ready
}
trace_ready() { grep -q '^portlife: recording' "$work/$trace_name.err" || ! kill -0 "$trace_pid"; }

# trace_stop SIGNAL: sets `status`
trace_stop() {
	kill -"$1" "$trace_pid" 2>/dev/null
	wait "$trace_pid"
	status=$?
}

# tally NAME WORD: a number of the last line on stderr
tally() { tail -n 1 "$work/$1.err" | sed -nE "s/.*\b$2 ([0-9]+).*/\1/p"; }
