#!/bin/bash
# One history through a host's life: ports that are held go on across a stop, a kill -9 and a reboot (made up: another
# boot id in the file), each told once with its start and owner; the reboot seals the file and is a gap; the sealed
# file answers, also copied to another directory and said to come from another host; retention removes it, and who says
# so. A life is found while it is hot.
# shellcheck source=tests/integration/lib.sh
# shellcheck disable=SC2317 # the helpers are called through expect
source "$(dirname "$0")/lib.sh"

if ! probe_tier; then
	skip "history" "$cannot_record"
	tests_end
fi
netns_new || { not_ok "a network namespace" "could not be made"; tests_end; }
state=$work/state

cat >"$work/hold.py" <<'PY'
import signal, socket
u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
u.bind(("::1", 60303))
only = socket.socket()
only.bind(("127.0.0.1", 45010))
l = socket.socket()
l.bind(("127.0.0.1", 45002))
l.listen(5)
waits = socket.socket()
waits.bind(("127.0.0.1", 45003))
waits.connect(("127.0.0.1", 45002))
s, _ = l.accept()
waits.close()
s.close()
c = socket.socket()
c.bind(("127.0.0.1", 45004))
c.connect(("127.0.0.1", 45002))
s, _ = l.accept()
print("ready", flush=True)
signal.pause()
PY

record_start() {
	rm -f "$work/record.err"
	"$portlife" record --state-dir "$state" "$@" >"$work/record.out" 2>"$work/record.err" </dev/null &
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
	[[ $status -eq $want ]] || { echo "exit $status, not $want: $(cat "$work/stderr" "$work/stdout")"; return 1; }
	python3 -c 'import json, os, sys
d, pid, first = json.load(open(sys.argv[1])), int(sys.argv[3]), sys.argv[4]
first = json.load(open(first)) if os.path.exists(first) else None
causes = [g["cause"] for g in d["gaps"]]
sys.exit(0 if eval(sys.argv[2]) else json.dumps([{k: e[k] for k in ("lease", "start", "end", "kind", "pid", "rport", "reason", "evidence", "flags")} for e in d["held"] + d["now"]] + d["gaps"]))' "$work/stdout" "$expr" "$holder" "$work/first"
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
since=$(now)
in_netns_child python3 "$work/hold.py" >"$work/hold"
holder=$child
until_true 30 grep -q ready "$work/hold"
held=$(now)

# ---- what is hot ----

in_netns python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 60401))
import time
print("@%.6f" % time.time())' >"$work/short"
short=$(<"$work/short") short_end=$(now)
ended() { says 0 'len(d["held"]) == 1 and d["held"][0]["end"]' 60401 --since "$since"; }
expect "at a moment of a life that has just ended it is found" says 0 'len(d["held"]) == 1' 60401 --at "$short"
expect "and in a span" ended
expect "and not after its end" tells 1 '^nobody held 60401 at' 60401 --at "$short_end"
expect "nor by a question for the other protocol" says 1 'not d["held"]' 60401 --proto tcp --since "$since"
expect "in a span that began before recording" says 3 'len(d["held"]) == 1' 60401 --since "$before"

# A life with TIME_WAIT, which ends early here because its whole namespace goes; asked for at each stage of it.
unshare -n python3 - >"$work/stages" <<'PY'
import os, socket, subprocess, time
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
stamp = lambda: print("@%.6f" % time.time(), flush=True)
server = socket.socket()
server.bind(("127.0.0.1", 45020))
server.listen(1)
client = socket.socket()
print(os.stat("/proc/self/ns/net").st_ino, os.getpid())
stamp()
time.sleep(0.2)
client.bind(("127.0.0.1", 60303))
client.connect(("127.0.0.1", 45020))
peer, _ = server.accept()
time.sleep(0.2)
stamp()
time.sleep(0.2)
client.close()
peer.close()
time.sleep(0.2)
stamp()
PY
{ read -r other_ns other_pid; read -r stage_before; read -r stage_active; read -r stage_wait; } <"$work/stages"
stage() { run who 60303 --state-dir "$state" --netns "$other_ns" --utc "$@"; }
freed() { stage --since "$since" -o json && grep -q '"reason":"time_wait"' "$work/stdout"; }
expect "a life with TIME_WAIT ends with its namespace" until_true 60 freed
stage_after=$(now)
stage --at "$stage_before"
expect "just before it: nobody" test "$status" -eq 1
stage --at "$stage_active"
expect "inside: its owner" grep -q "^60303/tcp was held by python3 (pid $other_pid, " "$work/stdout"
stage --at "$stage_wait"
expect "inside its TIME_WAIT: the same" grep -q "^60303/tcp was held by python3 (pid $other_pid, " "$work/stdout"
expect "and since when it waited" grep -q ', in TIME_WAIT from ' "$work/stdout"
stage --at "$stage_after"
expect "just after it: nobody" test "$status" -eq 1

# ---- what cannot be asked ----

for bad in 0 70000 60303x 60999-60000 ''; do
	run who "$bad" --state-dir "$state"
	expect "who '$bad' is bad usage" test "$status" -eq 2
done
for bad in '--at yesterdayish' '--at 2999-01-01' '--since now --until yesterday' '--proto sctp' '--netns none-such'; do
	# shellcheck disable=SC2086 # two words
	run who 60303 --state-dir "$state" $bad
	expect "$bad is bad usage" test "$status" -eq 2
	expect "and named in one line" test "$(grep -c '^portlife: ' "$work/stderr")" -eq 1
done
# The first moment of all is a time, too.
run who 60303 --state-dir "$state" --at @0
expect "--at @0 is a time before recording" test "$status" -eq 3
run who 60303 --state-dir "$state" --at @0 --since yesterday
expect "and --at with it" test "$status" -eq 2
run who 60303 --state-dir "$state" --since 1970-01-01 --utc -o json
expect "--since 1970-01-01 begins before recording" test "$status" -eq 3
for bad in --retain-size --retain-age; do
	run record --state-dir "$work/none" $bad 0
	expect "record $bad 0 is bad usage" test "$status" -eq 2
	expect "and named" grep -q -- "$bad" "$work/stderr"
done
run who 60303 --state-dir "$work/none" --at now
expect "a directory that is not there is no history" test "$status" -eq 3

# ---- a stop and a crash: each port once, as it was ----

# The start, kind and owner as the first session saw them; the listener's accepted children have its port too.
life() { echo '[e for e in d["held"] if e["kind"] != "accept"]'; }
same="(e['lease'], e['start'], e['kind'], e['pid'])"
once="len($(life)) == 1 and $(life)[0]['pid'] == pid and $(life)[0]['end'] is None"
ports=(60303 45010 45002 45003 45004)
record_end TERM
expect "a stop ends it well" test "$status" -eq 0
record_start
for port in "${ports[@]}"; do
	expect "$port goes on across a stop, once, begun when it was" says 3 \
		"$once and '$since' < $(life)[0]['start'] < '$held' and $(life)[0]['evidence'] == 'event'" "$port" --since "$since"
	cp "$work/stdout" "$work/first.$port"
done
record_end KILL
record_start
inside=$(now)
for port in "${ports[@]}"; do
	cp "$work/first.$port" "$work/first"
	expect "and across a crash, the same" says 3 \
		"$once and [$same for e in $(life)] == [$same for e in first['held'] if e['kind'] != 'accept']" "$port" --since "$since"
done
expect "with both gaps" says 3 'sorted(causes) == ["crash", "stopped"] and all(g["from"] <= g["to"] for g in d["gaps"])' \
	60303 --since "$since"
expect "now: one holder" says 0 'len(d["now"]) == 1 and d["now"][0]["pid"] == pid and d["now"][0]["kind"] == "bind"' 60303

# ---- a reboot, and a sealed file ----

record_end TERM
sqlite3 "$state"/hot-000001.db "UPDATE meta SET boot_id='00000000-0000-4000-8000-00000000dead'"
record_start
sealed() { compgen -G "$state/lease-000001-*.db"; }
expect "the file of another boot is sealed" until_true 30 sealed
# shellcheck disable=SC2016 # an expression of python
reborn() {
	says 3 '[e["reason"] for e in d["held"]] == [None, "lost"] and "boot" in causes and len({e["lease"] for e in d["held"]}) == 2' \
		60303 --since "$since"
}
expect "its open lives end with it, and the socket is a new life" until_true 30 reborn
expect "the sealed file answers for a moment" tells 0 '^60303/udp was held by python3 \(pid [0-9]+, ' 60303 --at "$inside"
expect "a range over both files" says 3 '{45003, 45004, 45010} <= {e["port"] for e in d["held"]}' 45003-45010 --since "$since" --limit 1000
expect "its address too" says 0 'd["held"][0]["laddr"] == "::1"' '[::1]:60303' --at "$inside"
expect "another address does not" tells 1 '^nobody held' '[::2]:60303' --at "$inside"
expect "in it, before recording began" tells 3 'before recording began' 60303 --at "$before"
expect "the sealed file is only read" test "$(stat -c '%a' "$(sealed)")" = 640

# ---- elsewhere ----

mkdir "$work/elsewhere"
cp "$(sealed)" "$work/elsewhere/"
sqlite3 "$work"/elsewhere/lease-* "UPDATE meta SET host='web-9'"
run who 60303 --state-dir "$work/elsewhere" --at "$inside" -o json
expect "a sealed file from another host answers alone" test "$status" -eq 0
expect "and names that host" grep -q '"host":"web-9"' "$work/stdout"
run who 60304 --state-dir "$work/elsewhere" --at "$inside"
expect "nobody there" test "$status" -eq 1
run who 60303 --state-dir "$work/elsewhere" --at now
expect "nothing is known there of now" test "$status" -eq 3
mkdir "$work/empty"
run who 60303 --state-dir "$work/empty" --at now
expect "an empty directory is no history" test "$status" -eq 3
expect "and that is said" grep -q 'there is no history to ask' "$work/stdout"
expect "once" test ! -s "$work/stderr"
run who 60303 --state-dir "$work/empty"
expect "nor is it an error where now is asked for" test ! -s "$work/stderr"
for command in why report; do
	run "$command" --state-dir "$work/empty"
	expect "$command there: exit 3" test "$status" -eq 3
	expect "and one error" test "$(grep -c '^portlife: ' "$work/stderr")" -eq 1
done

# ---- retention ----

record_end TERM
record_start --retain-size 4K
gone() { ! sealed; }
expect "retention removes the sealed file" until_true 30 gone
expect "who says so" tells 3 'removed by retention' 60401 --at "$short"
expect "its gaps outlive it" test "$(sqlite3 -readonly "$state"/minutes-*.db "SELECT count(*) FROM gap WHERE cause='crash'")" -eq 1
record_end TERM
expect "and that run ends well" test "$status" -eq 0
tests_end
