#!/bin/bash
# Agreement with the tools that people have: for every TCP and UDP port that ss -tanup, lsof -nP -i and netstat -anp show
# with a process, the snapshot of portlife shows that port with the same pid, in a private network namespace full of
# listeners, connections, shared and reused ports and datagram sockets of several processes and users. And what these
# tools cannot show: sockets that are only bound, and who left a port behind in TIME_WAIT (told if it began while
# portlife ran, unknown and never guessed if it began before).
# shellcheck source=tests/integration/lib.sh
# shellcheck disable=SC2317 # the helpers are called through expect
. "$(dirname "$0")/lib.sh"
agree=$(dirname "$(realpath "$0")")/agree.py
export LC_ALL=C

if ! probe_tier; then
	skip "agreement with ss, lsof and netstat" "$cannot_record"
	tests_end
fi
netns_new || { not_ok "a private network namespace" "cannot be made"; tests_end; }

in_netns_child setsid python3 "$agree" world >"$work/world" 2>"$work/world.err"
world=$child
world_made() { [[ -s $work/world ]] || ! kill -0 "$world"; }
until_true 60 world_made
[[ -s $work/world ]] || { not_ok "processes with sockets" "$(cat "$work/world.err")"; tests_end; }
read -r old_pid old_port < <(in_netns python3 "$agree" timewait)
waits() { in_netns ss -Htan state time-wait | grep -q ":$1 "; }
until_true 60 waits "$old_port" || not_ok "TIME_WAIT" "port $old_port did not come there"

run trace --duration 1s -o jsonl --scope all --netns "$ns_inode"
cp "$work/stdout" "$work/snapshot"
for tool in ss lsof netstat; do
	if ! command -v $tool >/dev/null; then
		skip "agreement with $tool" "$tool is not installed"
		continue
	fi
	case $tool in
	ss) in_netns ss -Htanup ;;
	lsof) in_netns lsof -nP -i -F pPn ;;
	netstat) in_netns netstat -anp ;;
	esac >"$work/$tool" 2>/dev/null
	expect "every port that $tool shows, with the same pid" python3 "$agree" compare $tool "$work/$tool" "$work/snapshot"
done

# One lease for each socket, no more: ss has one line for each.
expect "as many leases as ss has sockets, but for those that are only bound" python3 -c '
import collections, json, sys
ours = collections.Counter((e["proto"], e["port"], e["rport"] or 0) for e in map(json.loads, open(sys.argv[1])) if e["event"] == "port.open")
theirs = collections.Counter()
for line in open(sys.argv[2]):
    w = line.split()
    theirs[w[0], int(w[4].rpartition(":")[2]), int(w[5].rpartition(":")[2].replace("*", "0"))] += 1
for port, proto, pid in json.load(open(sys.argv[3]))["bound_only"]:
    theirs[proto, port, 0] += 1
assert ours == theirs, "too many %s, too few %s" % (dict(ours - theirs), dict(theirs - ours))
' "$work/snapshot" "$work/ss" "$work/world"

expect "whether the kernel chose a port is told as true, false or null, nothing else" python3 -c '
import json, sys
for e in map(json.loads, open(sys.argv[1])):
    assert e["ephemeral"] in (True, False, None), "%(proto)s port %(port)d: ephemeral is %(ephemeral)r" % e
    assert e["ephemeral"] is not None or (e["proto"] == "tcp" and e["kind"] == "unknown"), e' "$work/snapshot"
"$portlife" trace --replay "$work/snapshot" -o jsonl >"$work/stdout" 2>"$work/stderr"
expect "the snapshot can be replayed" cmp "$work/snapshot" "$work/stdout"

expect "sockets that are only bound are told with their owner" python3 -c '
import json, sys
seen = {(e["port"], e["proto"], e["pid"]) for e in map(json.loads, open(sys.argv[1]))}
want = {tuple(b) for b in json.load(open(sys.argv[2]))["bound_only"]}
assert len(want) == 3 and want <= seen, want - seen' "$work/snapshot" "$work/world"
for tool in ss lsof netstat; do
	[[ -s $work/$tool ]] || continue
	# lsof walks the files of processes as portlife does, but names no port for them.
	if grep -qE '[:.](20050|20060)\b' "$work/$tool"; then skip "$tool does not show sockets that are only bound" "this one does"
	else ok "$tool does not show sockets that are only bound"; fi
done

expect "a TIME_WAIT from before the start is told, its owner is unknown" python3 -c '
import json, sys
port, gone = map(int, sys.argv[2:])
found = [e for e in map(json.loads, open(sys.argv[1])) if e["port"] == port]
assert len(found) == 1 and found[0]["event"] == "port.open" and "time_wait" in found[0]["flags"], found
assert found[0]["pid"] is None and found[0]["comm"] is None and found[0]["uid"] is None, found' "$work/snapshot" "$old_port" "$old_pid"

# ---- the owner of a TIME_WAIT that begins while portlife runs ----

trace_start wait -o jsonl --scope all --netns "$ns_inode"
read -r pid port < <(in_netns python3 "$agree" timewait)
told() { grep -q "\"port.timewait\".*\"port\":$port,.*\"pid\":$pid," "$work/wait.out"; }
expect "a TIME_WAIT that begins now is told with its owner, who is gone" until_true 60 told
until_true 60 waits "$port"
in_netns ss -Htanp | grep ":$port " | grep TIME-WAIT >"$work/ss.wait"
if [[ ! -s $work/ss.wait ]]; then not_ok "ss shows that port without a process" "not there: $port"
elif grep -q pid= "$work/ss.wait"; then not_ok "ss shows that port without a process" "$(cat "$work/ss.wait")"
else ok "ss shows that port without a process"; fi
if command -v netstat >/dev/null; then
	in_netns netstat -anp 2>/dev/null | grep ":$port " | grep TIME_WAIT >"$work/netstat.wait"
	if grep -qE -- '-$|- *$' "$work/netstat.wait"; then ok "netstat shows that port without a process"
	else not_ok "netstat shows that port without a process" "$(cat "$work/netstat.wait")"; fi
fi
trace_stop INT
expect "that port is still held at the end of the trace" python3 -c '
import json, sys
port, pid = map(int, sys.argv[2:])
mine = [e for e in map(json.loads, open(sys.argv[1])) if e["port"] == port]
assert [e["event"] for e in mine] == ["port.alloc", "port.timewait"], [e["event"] for e in mine]
assert all(e["pid"] == pid for e in mine) and mine[1]["closed"], mine' "$work/wait.out" "$port" "$pid"
kill "$world"
tests_end
