#!/bin/bash
# Counts to logs: all summaries together are the totals and the truth of a generator, across loss, rotation of the log
# and a restart; hostile names come back whole through every form; a log that hangs, is full or gone holds up nothing
# and what it did not take is counted; a file is opened anew at SIGHUP.
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"

if ! probe_tier; then
	skip "logs" "$cannot_record"
	tests_end
fi
netns_new || { not_ok "a network namespace" "could not be made"; tests_end; }
logs=$(realpath "$(dirname "$0")")/logs.py
state=$work/state
load() { in_netns python3 "$logs" load "$@"; }

ready() { grep -q 'recording to' "$1" || ! kill -0 "$record_pid"; }
record_end() {
	kill -TERM "$record_pid"
	wait "$record_pid" 2>/dev/null
	status=$?
}
# sums EXPRESSION FILE...: over `s` (sums of all summaries) and `t` (totals as said)
sums() {
	local expr=$1
	shift
	python3 "$logs" sum "$@" >"$work/sums" || return 1
	python3 -c 'import json, sys
d = json.load(open(sys.argv[1])); s, t = d["sums"], d["said"]
sys.exit(0 if eval(sys.argv[2]) else json.dumps(d))' "$work/sums" "$expr"
}
: >"$work/empty.conf"
conf=$work/empty.conf
# record NAME ARGUMENTS...: stderr in $work/NAME.err, its id in record_pid
record() {
	local name=$1
	shift
	: >"$work/$name.err"
	"$portlife" record --state-dir "$state" --config "$conf" "$@" 2>"$work/$name.err" </dev/null &
	record_pid=$!
	children+=("$record_pid")
}

# Truth: two sessions, the reader stopped under load with a tiny ring, a log file that is rotated away.
record one --log-format json --log-file "$work/one.log" --summary-interval 1s --ring-size 4K
until_true 60 ready "$work/one.log"
load 300 20
mv "$work/one.log" "$work/one.log.1"
kill -HUP "$record_pid"
expect "SIGHUP opens the log file anew" until_true 20 test -s "$work/one.log"
kill -STOP "$record_pid"
load 500 20
kill -CONT "$record_pid"
lossy() { grep -q '"event":"recorder.gap"' "$work"/one.log*; }
expect "a loss is in the log at once" until_true 20 lossy
load 100 10
record_end
expect "SIGTERM ends it well" test "$status" -eq 0
record two --log-format json --log-file "$work/two.log" --summary-interval 60s
until_true 60 ready "$work/two.log"
load 50 5
record_end
all=("$work/one.log.1" "$work/one.log" "$work/two.log")
expect "events were lost" sums 's["lost"] > 0' "${all[@]}"
expect "summaries add up to the totals, loss, rotation and restart included" sums \
	'all(s[k] == t[k] for k in t) and t["allocs"] > 0' "${all[@]}"
# 4 loads: 300 + 500 + 100 + 50 on port 0, and one each that holds what is refused.
expect "and to what the generator did" sums \
	's["udplite"] == 954 and s["udplite_ended"] == 954 and s["udplite_fails"] == 55' "${all[@]}"
few() { [[ $(grep -c '"event":"port.fail".*"proto":"udplite"' "$work/two.log") -eq 5 ]]; }
expect "few are all told" few
expect "nothing is printed beside the log file" test ! -s "$work/one.err"

# Hostile names through every form.
want=$(python3 "$logs" hostile)
record logfmt --log-format logfmt
until_true 60 ready "$work/logfmt.err"
load 1 25
record_end
expect "a hostile name through JSON" test "$(python3 "$logs" name json "$work/two.log")" = "$want"
limited() { [[ $(grep -c 'event=port.fail' "$work/logfmt.err") -le 20 ]] && grep -q 'msg="[0-9]* more refusals within' "$work/logfmt.err"; }
expect "refusals are rate-limited, and what was left out is told" limited
expect "a hostile name through logfmt" test "$(python3 "$logs" name logfmt "$work/logfmt.err")" = "$want"
record human --log-leases
until_true 60 ready "$work/human.err"
load 1 2
record_end
expect "lines for people hold no control byte" test -z "$(LC_ALL=C tr -d '\n\040-\377' <"$work/human.err" | od -c | head -3 | grep -v '^0000000$')"
expect "finished leases when asked for" grep -q '^portlife: released: udplite 127.0.0.1:45001' "$work/human.err"
expect "not unless asked for" test "$(grep -c 'port.release' "$work/two.log")" -eq 0

# The journal, ours: native fields, and priorities before lines when a form was asked for.
# shellcheck disable=SC2016 # the inner shell expands it
unshare -m bash -c 'mkdir -p /run/systemd && mount -t tmpfs none /run/systemd && exec python3 "$@"' - "$logs" journal \
	"$portlife" record --state-dir "$state" --config "$conf" >"$work/journal" 2>"$work/journal.err" &
journal_pid=$!
children+=("$journal_pid")
until_true 60 grep -q 'recording to' "$work/journal"
load 5 2
until_true 20 grep -q 'PORTLIFE_PROTO": "udplite"' "$work/journal"
kill "$journal_pid"
wait "$journal_pid"
native() {
	python3 - "$work/journal" "$want" "$(dirname "$logs")" <<'PY'
import json, sys
sys.path.insert(0, sys.argv[3])
from logs import unescape
e = [json.loads(line) for line in open(sys.argv[1])]
fails = [x for x in e if x.get("PORTLIFE_EVENT") == "port.fail" and x["PORTLIFE_PROTO"] == "udplite"]
last = [x for x in e if x.get("PORTLIFE_EVENT") == "port.summary"][-1]
good = (len(fails) == 2 and all(unescape(x["PORTLIFE_COMM"]).hex() == sys.argv[2] and x["PRIORITY"] == "4" for x in fails)
        and int(last["PORTLIFE_ALLOCS_BY_UDPLITE"]) == 6 and last["PRIORITY"] == "6"
        and all(x["SYSLOG_IDENTIFIER"] == "portlife" and "\x1b" not in x["MESSAGE"] for x in e))
sys.exit(0 if good else json.dumps(e)[-1500:])
PY
}
expect "the journal gets fields, names escaped" native
: >"$work/prio.err"
JOURNAL_STREAM=$(stat -c %d:%i "$work/prio.err") "$portlife" record --state-dir "$state" --config "$conf" --log-format logfmt \
	--duration 1s 2>>"$work/prio.err" </dev/null
expect "lines to the journal begin with their priority" test "$(grep -c '^<6>time=' "$work/prio.err")" -gt 0 -a "$(grep -vc '^<[0-7]>time=' "$work/prio.err")" -eq 0

# Ranges that fill up, in a namespace that is not ours: half, then nearly all, each told once.
in_netns sh -c 'echo "40000 40009" >/proc/sys/net/ipv4/ip_local_port_range'
record full
until_true 60 ready "$work/full.err"
in_netns_child python3 -c 'import signal, socket, time
held = []
for n in range(10):
    held.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 136)); held[-1].bind(("127.0.0.1", 40000 + n))
    if n in (5, 9): time.sleep(6)
signal.pause()'
expect "half of a range in use" until_true 40 grep -q "netns $ns_inode: half of the ephemeral range is in use: 6 of 10 ports of 40000-40009" "$work/full.err"
expect "a range that will be used up soon" until_true 40 grep -q "netns $ns_inode: at this rate the ephemeral range will be used up in [0-9]" "$work/full.err"
expect "90 % of a range in use" until_true 40 grep -q "netns $ns_inode: 90 % of the ephemeral range is in use: 10 of 10" "$work/full.err"
kill "$child"
record_end
expect "each is told once" test "$(grep -c "netns $ns_inode: .* in use: " "$work/full.err")" -eq 2
expect "and so is the end that comes" test "$(grep -c "netns $ns_inode: at this rate" "$work/full.err")" -eq 1

# Lines for people: with the time in a file, without on stderr, where who reads them has it.
"$portlife" record --state-dir "$state" --config "$conf" --duration 1s --log-file "$work/people.log" --utc 2>/dev/null </dev/null
expect "a file has the time in each line" test "$(grep -cE '^20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9:]{8}\.[0-9]{3}\+00:00 ' "$work/people.log")" -eq "$(wc -l <"$work/people.log")"
expect "and it has lines" grep -q 'recording to' "$work/people.log"

# Logs that hang, are full, are gone: recording goes on, the end comes, the loss is counted.
dropped() { sed -n 's/^portlife_log_messages_dropped_total //p' "$work/m.prom" 2>/dev/null; }
exact() { grep -q '^portlife_failures_total{proto="udplite",errno="EADDRINUSE"} 3$' "$work/m.prom"; }
mkfifo "$work/pipe"
sleep infinity <>"$work/pipe" &
children+=($!)
for sink in hangs full gone 'is a hung journal'; do
	rm -f "$work/m.prom"
	into=() n=100
	case $sink in
	hangs)	# a pipe that is filled and that nobody reads
		dd if=/dev/zero of="$work/pipe" oflag=nonblock bs=4096 count=1000 2>/dev/null
		exec 9>"$work/pipe" ;;
	full) exec 9>/dev/full ;;
	gone)
		mkfifo "$work/gone"
		exec 8<>"$work/gone" 9>"$work/gone" 8<&- ;;
	*)	# a line for each lease: more than the queue and the socket have room for
		n=3000
		# shellcheck disable=SC2016 # it is the inner shell that has arguments
		into=(unshare -m bash -c 'mkdir -p /run/systemd && mount -t tmpfs none /run/systemd && exec "$@"' - python3 "$logs" hung-journal)
		exec 9>/dev/null ;;
	esac
	"${into[@]}" "$portlife" record --log-leases --state-dir "$state" --config "$conf" --summary-interval 1s --metrics-textfile "$work/m.prom" \
		--metrics-interval 1s 2>&9 9>&- </dev/null &
	record_pid=$!
	children+=("$record_pid")
	exec 9>&-
	until_true 60 test -s "$work/m.prom"
	load $n 3
	expect "a log that $sink: counting goes on" until_true 30 exact
	some() { [[ $(dropped) -gt 0 ]]; }
	expect "a log that $sink: what it did not take is counted" until_true 30 some
	record_end
	expect "a log that $sink: SIGTERM ends it well" test "$status" -eq 0
	run who 45001 --state-dir "$state" --netns "$ns_inode" --at now -o json
	expect "a log that $sink: the history has it" test "$status" -ne 5
done
tests_end
