#!/bin/bash
# Somebody with the right to do so takes portlife's hooks away (bpftool link detach). It notices, says so, puts them
# back, tells a gap, and finds by looking what began unseen meanwhile, and what ended. doctor --verify says whether the
# counts agree, and that they do not when somebody takes an entry out of the table.
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"

if ! probe_tier; then
	skip "detached hooks" "$cannot_record"
	tests_end
fi
if ! command -v bpftool >/dev/null; then
	skip "detached hooks" "no bpftool here"
	tests_end
fi
netns_new || { not_ok "a network namespace" "could not be made"; tests_end; }

cat >"$work/hold.py" <<'PY'
import signal, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('127.0.0.1', int(sys.argv[1])))
print(s.getsockname()[1], flush=True)
signal.pause()
PY

# hold NAME PORT: a process in the namespace that holds the port until the end
hold() {
	nsenter -t "$ns_pid" -n -- python3 "$work/hold.py" "$2" >"$work/$1.port" &
	holder=$!
	children+=("$holder")
	until_true 30 test -s "$work/$1.port"
}
# ids of the cgroup links of the recorder
cgroup_links() { grep -l 'link_type:.cgroup' /proc/"$trace_pid"/fdinfo/* 2>/dev/null | xargs -r awk '/link_id/ {print $2}'; }
told() { grep "\"event\":\"$1\"" "$work/detach.out" | grep -q "$2"; }
detach_all() {
	local id ids
	ids=$(cgroup_links)
	for id in $ids; do bpftool link detach id "$id" || return 1; done
	[[ -n $ids ]]
}

trace_start detach -o jsonl --tier c --netns "$ns_inode"
if [[ -z $(cgroup_links) ]]; then
	not_ok "the recorder's cgroup links are found" "$(tail -1 "$work/detach.err")"
	tests_end
fi
hold before 5001
expect "before: a port is told by its hook" until_true 30 told port.alloc '"port":5001,'
kill -STOP "$trace_pid"
expect "its hooks are taken away" detach_all
hold meanwhile 5002
kill -CONT "$trace_pid"
expect "a gap says so" until_true 30 told recorder.gap '"cause":"detached"'
expect "what began meanwhile is found by looking" until_true 30 told port.open '"port":5002,'
hold after 5003
expect "the hooks are back" until_true 30 told port.alloc '"port":5003,'
expect "and it is said" grep -q 'had been detached by somebody: attached again' "$work/detach.err"
twice() { [[ $(grep -c '"cause":"detached"' "$work/detach.out") -ge 2 ]]; }
expect "they are taken away once more" detach_all
expect "and that is noticed as well" until_true 30 twice
# A gap is from the last look that found them all to the one that did not; on a busy host a look may come late, not each.
in_time() { grep '"cause":"detached"' "$work/detach.out" | python3 -c '
import datetime, json, sys
spans = [[datetime.datetime.fromisoformat(json.loads(l)[k][:26]) for k in ("from", "to")] for l in sys.stdin]
sys.exit(0 if min((to - since).total_seconds() for since, to in spans) <= 1 else str(spans))'; }
for _ in 1 2 3; do
	in_time 2>/dev/null && break
	before=$(grep -c '"cause":"detached"' "$work/detach.out")
	more() { [[ $(grep -c '"cause":"detached"' "$work/detach.out") -gt $before ]]; }
	until_true 30 detach_all && until_true 30 more
done
expect "within a second of the last look" in_time
trace_stop INT
expect "ended well" test "$status" -eq 0
expect "the port held before is told once" test "$(grep -c '"port":5001,' "$work/detach.out")" -eq 1

# An end that no hook saw: the entry of a TIME_WAIT that was ended is put back into the table. The memory of such a
# socket keeps its number, so that only its place at the port tells.
cat >"$work/time_wait.py" <<'PY'
import socket
server = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(server.getsockname())
port = client.getsockname()[1]
child, _ = server.accept()
client.close()
child.close()
print(port)
PY
# MAP BEFORE AFTER: puts back what is in BEFORE only, and prints its keys
cat >"$work/put_back.py" <<'PY'
import json, subprocess, sys
before, after = ({tuple(e['key']): e['value'] for e in json.load(open(f))} for f in sys.argv[2:4])
for key in before.keys() - after.keys():
    subprocess.run(['bpftool', 'map', 'update', 'id', sys.argv[1], 'key', *key, 'value', *before[key], 'noexist'], check=True)
    print(*key)
PY
# of a process
holders_id() {
	local id
	for id in $(awk '/^map_id/ {print $2}' /proc/"$1"/fdinfo/* 2>/dev/null | sort -u); do
		if bpftool map show id "$id" | grep -q 'name holders '; then echo "$id"; fi
	done
}
released() { grep '"event":"port.release"' "$work/stale.out" | grep -q "\"port\":$port,"; }
waits() { grep '"event":"port.timewait"' "$work/stale.out" | grep -q "\"port\":$port,"; }
in_table() { bpftool map lookup id "$holders" key "${key[@]}" >/dev/null; }
not_in_table() { ! in_table; }

trace_start stale -o jsonl --netns "$ns_inode"
holders=$(holders_id "$trace_pid")
port=$(in_netns python3 "$work/time_wait.py")
expect "a TIME_WAIT is told" until_true 30 waits
bpftool -j map dump id "$holders" >"$work/before.json"
in_netns ss -K state time-wait "sport = :$port" >/dev/null 2>&1
if until_true 30 released; then
	bpftool -j map dump id "$holders" >"$work/after.json"
	read -ra key < <(python3 "$work/put_back.py" "$holders" "$work/before.json" "$work/after.json")
	expect "its entry is back in the table, as after an end that no hook saw" in_table
	expect "looking finds it, though its memory keeps its number" until_true 60 not_in_table
else
	skip "an end that no hook saw" "this kernel destroys no socket in TIME_WAIT"
fi
trace_stop INT

# ---- doctor --verify ----

run doctor --verify --duration 1s
expect "doctor --verify: the counts agree" grep -q 'verify, 1.0 s: the counts agree' "$work/stdout"
expect "and it ends with 0" test "$status" -eq 0
"$portlife" doctor --verify --duration 6s >"$work/verify.out" 2>&1 </dev/null &
doctor=$!
children+=("$doctor")
# The held port is the one whose entry is taken away; the table of an earlier tier that was tried may be there for a moment.
takes() {
	holders=$(holders_id "$doctor") && [[ -n $holders ]] || return 1
	bpftool -j map dump id "$holders" >"$work/before.json" || return 1
	read -ra key < <(python3 - "$work/before.json" <<'PY'
import json, sys
LPORT = 116     # offset in struct pl_lease
for e in json.load(open(sys.argv[1])):
    value = bytes(int(b, 16) for b in e["value"])
    if value[LPORT:LPORT + 2] == (5001).to_bytes(2, sys.byteorder):
        print(*e["key"])
        break
PY
)
	[[ ${#key[@]} -eq 8 ]] && bpftool map delete id "$holders" key "${key[@]}"
}
expect "an entry is taken out of its table" until_true 5 takes
wait "$doctor"
status=$?
expect "doctor --verify: the counts do not agree" grep -q 'the counts DO NOT agree' "$work/verify.out"
expect "and it ends with 3" test "$status" -eq 3
tests_end
