#!/bin/bash
# What a host does to a recorder, with the identity as the oracle (what was told to begin or be held = told to end + live; what did
# not reach the reader, beginnings and ends, is counted apart and stands in gaps) and a load that knows what it did: namespaces made and destroyed, short-lived processes and reused process ids, a reader of stdout that stops,
# a full one, SIGTERM under load, a second recorder. FAULTS_SCALE=5 does five times as much.
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"
scale=${FAULTS_SCALE:-1}

if ! probe_tier; then
	skip "faults" "$cannot_record"
	tests_end
fi

# identity NAME: the last line on stderr of a trace adds up, with no more lost than its gaps say
identity() {
	local held
	held=$(tally "$1" "held before the start")
	[[ -n $held ]] || { tail -n 3 "$work/$1.err"; return 1; }
	[[ $(($(tally "$1" allocs) + held)) -eq $(($(tally "$1" releases) + $(tally "$1" live))) ]] ||
		{ tail -n 1 "$work/$1.err"; return 1; }
	python3 "$work/gaps.py" "$work/$1.out" "$(tally "$1" lost)"
}
cat >"$work/gaps.py" <<'PY'
import json, sys
gaps = sum(e["lost"] or 0 for e in map(json.loads, open(sys.argv[1])) if e["event"] == "recorder.gap" and e["cause"] in ("ring", "table"))
assert gaps == int(sys.argv[2]), (gaps, sys.argv[2])
PY
# One process, one UDP port that the kernel chose, in the namespace it runs in; says pid and port.
cat >"$work/one.py" <<'PY'
import os, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
print(os.getpid(), s.getsockname()[1], flush=True)
PY
# Every (pid, port) of the truth is an alloc of that process in that namespace, once; prints how many are not.
cat >"$work/owners.py" <<'PY'
import collections, json, sys
truth = [tuple(map(int, line.split())) for line in open(sys.argv[1])]
seen, ends = collections.Counter(), collections.Counter()
for line in open(sys.argv[2]):
    e = json.loads(line)
    if e.get("netns") != sys.argv[3]: continue
    key = (e["pid"], e["port"])
    if e["event"] == "port.alloc":
        seen[key] += 1
        assert e["comm"] == "python3" or e["comm"].startswith("python"), e["comm"]
        assert e["exe"] and "python" in e["exe"] and e["proc_start"] and e["owner_src"] == "process", line
    if e["event"] == "port.release": ends[key] += 1
want = collections.Counter(truth)
assert len(truth) == int(sys.argv[4]), len(truth)
assert seen == want, (seen - want, want - seen)
assert ends == want, (ends - want, want - ends)
PY

netns_new || { skip "faults" "no network namespace can be made here"; tests_end; }

# Short-lived processes.
n=$((100 * scale))
trace_start owners -o jsonl --netns "$ns_inode"
for ((i = 0; i < n; i++)); do in_netns python3 -S -E "$work/one.py"; done >"$work/truth"
sleep 2.5	# a UDP socket's end may be seen by a sweep
trace_stop INT
expect "$n short-lived processes each own their lease" python3 "$work/owners.py" "$work/truth" "$work/owners.out" "$ns_inode" "$n"
expect "identity after short-lived processes" identity owners

# Namespaces come and go: no growth, each accounted for.
n=$((60 * scale))
# shellcheck disable=SC2317 # called by expect
flat() { [[ $2 -le $(($1 + $3)) ]] || { echo "was $1, is $2"; return 1; }; }
fds() { find "/proc/$trace_pid/fd" -mindepth 1 | wc -l; }
rss() { awk '/^RssAnon/ {print $2}' "/proc/$trace_pid/status"; }
churn() { for ((i = 0; i < $1; i++)); do unshare -n bash -c "ip link set lo up; exec python3 -S -E '$work/one.py'"; done >"$work/truth"; }
trace_start netns -o jsonl
churn 20
fds_before=$(fds) rss_before=$(rss)
churn "$n"
expect "descriptors after $n namespaces" flat "$fds_before" "$(fds)" 2
expect "memory after $n namespaces (kB)" flat "$rss_before" "$(rss)" 8192	# all other load of the host is recorded, too
sleep 2.5
trace_stop INT
cat >"$work/spaces.py" <<'PY'
import json, sys
ports = {tuple(map(int, line.split())) for line in open(sys.argv[1])}
missing = set(ports)
for line in open(sys.argv[2]):
    e = json.loads(line)
    if e["event"] == "port.alloc": missing.discard((e["pid"], e["port"]))
assert not missing, missing
PY
expect "every namespace's lease is told" python3 "$work/spaces.py" "$work/truth" "$work/netns.out"
expect "identity after $n namespaces" identity netns

# Load until told to stop.
cat >"$work/load.py" <<'PY'
import socket
while True:
    s = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(50)]
    for x in s: x.bind(("127.0.0.1", 0))
    for x in s: x.close()
PY
in_netns_child python3 "$work/load.py"
load=$child

trace_start term -o jsonl
sleep 1
trace_stop TERM
expect "SIGTERM under load ends with 0" test "$status" -eq 0
expect "SIGTERM under load: the tally adds up" identity term
expect "SIGTERM under load: the last line is whole" python3 -c '
import json, sys
for line in open(sys.argv[1]): json.loads(line)' "$work/term.out"

"$portlife" trace -o jsonl --duration 5s >/dev/full 2>"$work/full.err" </dev/null
status=$?
expect "a full stdout is an error" test "$status" -eq 5
expect "a full stdout is named" grep -qi 'no space' "$work/full.err"

# The reader of the pipe stops, and comes back: nothing is torn, what was lost is counted.
mkfifo "$work/pipe"
cat "$work/pipe" >"$work/slow.out" &
cat=$!
children+=("$cat")
"$portlife" trace -o jsonl --duration 6s --ring-size 64K >"$work/pipe" 2>"$work/slow.err" </dev/null &
trace_pid=$! trace_name=slow
children+=("$trace_pid")
until_true 60 trace_ready
kill -STOP "$cat"
sleep 3
kill -CONT "$cat"
wait "$trace_pid"
wait "$cat"
kill "$load"
expect "a reader that stopped: the tally adds up" identity slow
expect "a reader that stopped: something was lost" test "$(tally slow lost)" -gt 0

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
