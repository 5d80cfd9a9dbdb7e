#!/bin/bash
# The question of the project, end to end: a program binds 60303 and exits; later `who 60303` knows who it was. One
# life goes on across a stop and a kill -9 of the recorder, with its start and both gaps; the exit codes tell found,
# nobody, and before recording began apart; a second instance is refused; a copy of the history answers to somebody
# without privileges; a damaged hot file is set aside and recording goes on.
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"

if ! probe_tier; then
	skip "history" "$cannot_record"
	tests_end
fi
netns_new || { not_ok "a network namespace" "could not be made"; tests_end; }
state=$work/state

cat >"$work/hold.py" <<'PY'
import os, signal, socket, sys
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.bind(('127.0.0.1', 60303))
u.connect(('127.0.0.1', 53))
l = socket.socket()
l.bind(('127.0.0.1', 45002))
l.listen(5)
c = socket.socket()
c.bind(('127.0.0.1', 45003))
c.connect(('127.0.0.1', 45002))
s, _ = l.accept()
c.close()
s.close()
print('ready', flush=True)
signal.pause()
PY

record_start() {
	rm -f "$work/record.err"	# what the one before said must not count
	"$portlife" record --state-dir "$state" >"$work/record.out" 2>"$work/record.err" </dev/null &
	record_pid=$!
	children+=("$record_pid")
	until_true 60 grep -q '^portlife: recording to' "$work/record.err"
}
record_end() {
	kill -"$1" "$record_pid"
	wait "$record_pid" 2>/dev/null
	status=$?
}
who() { run who --state-dir "$state" --netns "$ns_inode" --utc "$@"; }
# says STATUS EXPRESSION ARGUMENTS...: exit code, and a python expression over the document `d`
says() {
	local want=$1 expr=$2
	shift 2
	who -o json "$@"
	[[ $status -eq $want ]] || { echo "exit $status, not $want: $(cat "$work/stderr")"; return 1; }
	python3 -c 'import json, sys
d, pid = json.load(open(sys.argv[1])), int(sys.argv[3])
sys.exit(0 if eval(sys.argv[2]) else json.dumps(d)[:1500])' "$work/stdout" "$expr" "$holder"
}
# tells STATUS PATTERN ARGUMENTS...: exit code, and a line of the text
tells() {
	local want=$1 pattern=$2
	shift 2
	who "$@"
	[[ $status -eq $want ]] || { echo "exit $status, not $want: $(cat "$work/stderr" "$work/stdout")"; return 1; }
	grep -Eq -- "$pattern" "$work/stdout" || { cat "$work/stdout"; return 1; }
}
now() { date -u +%Y-%m-%dT%H:%M:%S.%NZ; }

before=$(now)
record_start
expect "the recorder starts" kill -0 "$record_pid"
in_netns_child python3 "$work/hold.py" >"$work/hold"
holder=$child
until_true 30 grep -q ready "$work/hold"
expect "now: held by its owner, start known" says 0 \
	'[(e["pid"], e["kind"], e["proto"]) for e in d["now"]] == [(pid, "bind", "udp")] and d["now"][0]["start"]' 60303
expect "now: a sentence" tells 0 '^60303/udp is held by python3 \(pid [0-9]+, ' 60303
expect "now: TIME_WAIT keeps its owner" says 0 \
	'd["now"] and d["now"][0]["pid"] == pid and "time_wait" in d["now"][0]["flags"]' 45003
expect "now: nobody" says 1 'd["status"] == "nobody" and d["now"] == []' 60304
expect "at a moment, before it is on disk" says 0 'd["held"][0]["pid"] == pid and d["held"][0]["kind"] == "bind"' 60303 --at now
in_netns_child python3 -c "import signal, socket
a = socket.socket()
a.bind(('0.0.0.0', 45006))
b = socket.socket(socket.AF_INET6)
b.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
b.bind(('::', 45007))
print('ready', flush=True)
signal.pause()" >"$work/wild"
wild=$child
until_true 30 grep -q ready "$work/wild"
expect "now: all of IPv4 serves no IPv6" says 1 'd["now"] == []' '[::1]:45006'
expect "now: all of IPv6 alone serves no IPv4" says 1 'd["now"] == []' 127.0.0.1:45007
expect "now: but its own" says 0 'len(d["now"]) == 1' '[::1]:45007'
expect "at a moment: the same" says 1 'd["held"] == []' 127.0.0.1:45007 --at now
expect "at a moment: its own" says 0 'len(d["held"]) == 1' '[::1]:45007' --at now
kill "$wild"
in_netns_child python3 -c "import signal, socket
held = []
for i in range(14):
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
	s.bind(('127.0.0.1', 45008))
	held.append(s) if i % 2 else s.close()
print('ready', flush=True)
signal.pause()" >"$work/many"
many=$child
until_true 30 grep -q ready "$work/many"
expect "rows beyond the limit are counted" until_true 30 says 3 'len(d["held"]) == 3 and d["held_omitted"] == 11' 45008 --limit 3 --since "$before"
expect "and said" tells 3 '^  and 11 more \(--limit\)$' 45008 --limit 3 --since "$before"
expect "also those that are only in the table of the recorder" says 3 'd["held_omitted"] == 11' 45008 --limit 3 --since "$before"
expect "none where all are there" says 3 'len(d["held"]) == 14 and d["held_omitted"] == 0' 45008 --limit 14 --since "$before"
kill "$many"
freed() { says 0 'd["now"] == [] and len(d["held"]) == 3 and d["held_omitted"] == 11 and d["lives"] == 14' 45008 --limit 3; }
expect "of the whole history, too" until_true 30 freed
# Who may read the history and no more: what is not on disk yet is not known, and no "nobody".
cat >"$work/refuse.py" <<'PY'
import socket
l = socket.socket()
l.bind(('127.0.0.1', 45005))
l.listen(5)
try:
	socket.socket().bind(('127.0.0.1', 45005))
except OSError as e:
	print('refused', e.errno, flush=True)
l.accept()
PY
in_netns_child python3 "$work/refuse.py" >"$work/refuse"
refuser=$child
until_true 30 grep -q refused "$work/refuse"
reader() {
	setpriv --reuid nobody --regid "$(id -g)" --clear-groups --inh-caps=-all "$portlife" "$@" --state-dir "$state" --netns "$ns_inode" \
		>"$work/stdout" 2>"$work/stderr" </dev/null
	status=$?
}
refusal_told() { reader why --since -1h; grep -q 'was refused 127.0.0.1:45005' "$work/stdout"; }
expect "a reader without privilege: a refusal is in the history" until_true 30 refusal_told
reader why --since -1h
# A second recorder finds the socket that the first saw begin: one life, with its start.
trace_start second --duration 1min --port 45005
run why --state-dir "$state" --netns "$ns_inode" --since -1h
trace_stop TERM
expect "a socket that two recorders know is told once, with its start" \
	test "$(grep -c 'holds it\|held it' "$work/stdout")$(grep -c 'before recording' "$work/stdout")" = 10
reader why --since -1h
expect "whose holder is not known to be nobody" grep -q 'nobody in the history held it, but the recorder that runs may not be asked' "$work/stdout"
expect "exit 3" test "$status" -eq 3
reader who 45005 --at now
expect "at a moment: exit 3" test "$status" -eq 3
expect "and why" grep -q 'the recorder that runs may not be asked by this user' "$work/stdout"
reader who 45005 --at now -o json
expect "and a gap" grep -q '"gaps":\[{"lost":null,"from":"[^"]*","to":"[^"]*","cause":"store"}\]' "$work/stdout"
reader who 45005 --at "$before"
expect "of what lies before nothing changes" grep -q 'before recording began' "$work/stdout"
kill "$refuser"
expect "at a moment: before recording began" tells 3 'before recording began' 60303 --at "$before"
expect "another address does not hold it" says 1 'd["now"] == []' 127.0.0.2:60303
expect "its own address does" says 0 'len(d["now"]) == 1' 127.0.0.1:60303
run record --state-dir "$state"
expect "a second instance is refused" test "$status" -eq 5
expect "and names the first" grep -q "pid $record_pid" "$work/stderr"

record_end TERM
expect "SIGTERM ends it well" test "$status" -eq 0
expect "and tallies" grep -Eq '^portlife: allocs [0-9]+, releases' "$work/record.err"
record_start
record_end KILL
record_start
inside=$(now)
sleep 0.1
kill "$holder"
wait "$holder" 2>/dev/null
ended() { says 0 'd["held"] and d["held"][0]["end"]' 60303; }
until_true 30 ended
after=$(now)
expect "one life across a stop and a crash" says 0 \
	'len(d["held"]) == 1 and d["held"][0]["start"] and d["held"][0]["kind"] == "bind" and d["held"][0]["pid"] == pid' 60303
expect "both gaps are told" says 0 '[g["cause"] for g in d["gaps"]] == ["crash", "stopped"]' 60303
expect "held at a moment within" tells 0 '^60303/udp was held by python3 .* at ' 60303 --at "$inside"
expect "nobody after the end" says 1 'd["status"] == "nobody"' 60303 --at "$after"
expect "in a range and a span" says 0 'd["held"][0]["port"] == 60303' 60300-60309 --since "$inside"
expect "and said: the stop" tells 0 '^  from .* to .*: no recorder ran, it had been stopped$' 60303
expect "and the crash" tells 0 '^  from .* to .*: no recorder ran, it had been killed$' 60303
expect "in a span, too, and that it begins before recording" tells 3 '^  before .*: recording had not begun$' 60303 --since "$before"
expect "where nobody was seen as well" tells 3 '^nobody that was seen held 60304 from' 60304 --since "$before"
record_end TERM

cp -r "$state" "$work/copy"
chmod 755 "$work/copy"
chmod 644 "$work/copy"/*
setpriv --reuid nobody --regid nogroup --clear-groups "$portlife" who 60303 --state-dir "$work/copy" --at "$inside" \
	>"$work/stdout" 2>"$work/stderr"
expect "a copy answers to nobody" grep -q '^60303/udp was held by python3' "$work/stdout"

hot=$(find "$state" -name 'hot-*.db' | head -1)
head -c 5000 /dev/urandom >"$hot"
rm -f "$hot-wal" "$hot-shm"
record_start
expect "a damaged hot file does not stop the recorder" kill -0 "$record_pid"
expect "it is set aside" test -n "$(find "$state" -name '*.corrupt')"
record_end TERM
expect "and that run ends well" test "$status" -eq 0
tests_end
