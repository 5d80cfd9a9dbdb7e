#!/bin/bash
# The command line as a user meets it: what is wrong is named in one line with exit 2, --help goes to stdout, every
# output format parses with a strict parser and has the fields of one event, a closed pipe ends quietly, a full disk is
# told with exit 5, SIGINT, SIGTERM and --duration end with the tally, filters pass exactly what they name, and a
# recorded stream comes out of --replay byte for byte, without any privilege.
# The live half needs a kernel that lets portlife record; everything happens in a private network namespace.
# shellcheck source=tests/integration/lib.sh
# shellcheck disable=SC2317 # the helpers are called through expect
. "$(dirname "$0")/lib.sh"

# ---- without privilege: bad usage ----

# refused WANTED_TEXT ARGUMENTS...: exit 2, nothing on stdout, one line on stderr that names it
refused() {
	local want=$1 name lines
	shift
	name="refused: portlife ${*@Q}"
	run "$@"
	lines=$(wc -l <"$work/stderr")
	if [[ $status -ne 2 ]]; then not_ok "$name" "exit $status, not 2: $(head -c 300 "$work/stderr")"
	elif [[ -s $work/stdout ]]; then not_ok "$name" "something on stdout"
	elif [[ $lines -ne 1 ]]; then not_ok "$name" "$lines lines on stderr: $(head -c 300 "$work/stderr")"
	elif ! grep -qF -- "$want" "$work/stderr"; then not_ok "$name" "'$want' is not named: $(cat "$work/stderr")"
	else ok "$name"; fi
}

refused frobnicate frobnicate
refused --frob trace --frob
refused -Z trace -Z
refused --frob doctor --frob
refused "'--port' needs a value" trace --port
refused extra trace extra
for bad in 0 70000 60303x 300-200 0x50 ' 80' 65536; do refused "'$bad'" trace --port "$bad"; done
for bad in -5 '' 1,,2 1-2-3 '80,' ','; do refused --port trace --port "$bad"; done
for bad in abc 5parsecs 1..5s 'ten minutes' '' -5s 0; do refused --duration trace --duration "$bad"; done
for bad in d A ab; do refused "'$bad'" trace --tier "$bad"; done
refused --tier trace --tier ''
refused "'d'" doctor --tier d
for bad in 0 1 100 4095; do refused ring-size trace --ring-size "$bad"; done
for bad in x 16Q 1.5.5M '' -1; do refused ring-size trace --ring-size "$bad"; done
refused ring-size trace --ring-size 2G
for bad in 0 15 x -1; do refused --table-size trace --table-size "$bad"; done
for bad in 0 -1 x 4294967296; do refused --pid trace --pid "$bad"; done
refused sctp trace --proto sctp
refused some trace --scope some
refused xml trace -o xml
refused blue trace --color blue
for bad in no-such-namespace /etc/passwd / /proc/self/ns/mnt; do refused "no network namespace '$bad'" trace --netns "$bad"; done
refused "--live" report --live 0
refused "no-header" trace --no-header=yes

run
if [[ $status -eq 2 && ! -s $work/stdout && -s $work/stderr ]]; then ok "no command: usage on stderr, exit 2"
else not_ok "no command: usage on stderr, exit 2" "exit $status"; fi

# ---- without privilege: help ----

help_shown() {
	run "$@" --help
	[[ $status -eq 0 ]] || { echo "exit $status"; return 1; }
	[[ ! -s $work/stderr ]] || { echo "stderr: $(cat "$work/stderr")"; return 1; }
	grep -q '^usage: portlife' "$work/stdout" || { echo "no usage line"; return 1; }
}
expect "portlife --help" help_shown
mapfile -t commands < <("$portlife" --help | sed -nE 's/^  ([a-z]+) .*/\1/p')
if [[ ${#commands[@]} -ge 2 ]]; then ok "--help lists ${#commands[@]} commands"; else not_ok "--help lists commands" "${commands[*]}"; fi
refused "'whom'" help whom
for command in "${commands[@]}"; do
	expect "portlife $command --help" help_shown "$command"
	cp "$work/stdout" "$work/help"
	run "$command" -h
	expect "portlife $command -h, the same" cmp "$work/stdout" "$work/help"
	run help "$command"
	expect "portlife help $command, the same" cmp "$work/stdout" "$work/help"
	"$portlife" "$command" --help >/dev/full 2>"$work/stderr"
	status=$?
	if [[ $status -eq 5 && $(wc -l <"$work/stderr") -eq 1 ]]; then ok "$command --help >/dev/full exits 5"
	else not_ok "$command --help >/dev/full exits 5" "exit $status: $(cat "$work/stderr")"; fi
done

# ---- a recorded stream, made up: needs no kernel ----

one='{"v":1,"event":"port.alloc","lease":"7","ts":"2026-11-21T04:10:00.000000001Z","host":"h","boot_id":"b","seq":1,"proto":"tcp","family":"ipv4","laddr":"10.0.0.5","port":60303,"raddr":null,"rport":null,"kind":"bind0","ephemeral":true,"start":"2026-11-21T04:10:00.000000001Z","end":null,"duration_us":null,"closed":null,"time_wait_us":null,"pid":4711,"tid":4711,"ppid":1,"uid":33,"comm":"nginx","exe":"/usr/sbin/nginx","proc_start":"2026-11-21T04:09:00.000000000Z","cgroup":"/system.slice/nginx.service","unit":"nginx.service","container_id":null,"pod_uid":null,"netns":"4026531840","cookie":"8412","reason":null,"errno":null,"evidence":"event","owner_src":"process","in_range":true,"flags":[]}'
printf '%s\n' "$one" >"$work/one.jsonl"

# replay_refused NAME WANTED LINE_NUMBER FILE: exit 5, and the line is named
replay_refused() {
	local why
	run trace --replay "$4" -o jsonl
	why=$(tail -n 1 "$work/stderr")
	[[ $status -ne 0 ]] || { not_ok "$1" "exit 0"; return; }
	if [[ $status -ne 5 ]]; then not_ok "$1" "exit $status, not 5: $why"
	elif ! grep -q "line $3: " "$work/stderr"; then not_ok "$1" "line $3 is not named: $(cat "$work/stderr")"
	elif [[ $(grep -c . "$work/stderr") -ne 1 ]]; then not_ok "$1" "more than one line: $(cat "$work/stderr")"
	else ok "$1"; fi
}
{ cat "$work/one.jsonl"; echo 'this is no event'; } >"$work/bad.jsonl"
replay_refused "replay: text that is no JSON" 'not JSON' 2 "$work/bad.jsonl"
{ cat "$work/one.jsonl" "$work/one.jsonl"; sed 's/60303/70000/' "$work/one.jsonl"; } >"$work/bad.jsonl"
replay_refused "replay: a port out of range" port 3 "$work/bad.jsonl"
{ cat "$work/one.jsonl"; head -c 100 "$work/one.jsonl"; } >"$work/bad.jsonl"
replay_refused "replay: a torn last line" JSON 2 "$work/bad.jsonl"
{ cat "$work/one.jsonl"; echo; } >"$work/bad.jsonl"
replay_refused "replay: an empty line" empty 2 "$work/bad.jsonl"
head -c 100000 /dev/zero | tr '\0' x >"$work/bad.jsonl"
replay_refused "replay: one line of 100 kB" longer 1 "$work/bad.jsonl"
head -c 3000 /dev/urandom >"$work/bad.jsonl"
replay_refused "replay: random bytes" '' '[0-9]*' "$work/bad.jsonl"
run trace --replay "$work/none.jsonl"
if [[ $status -eq 5 && $(wc -l <"$work/stderr") -eq 1 ]] && grep -q "none.jsonl': No such file" "$work/stderr"; then ok "replay: no such file is one line"
else not_ok "replay: no such file is one line" "exit $status: $(cat "$work/stderr")"; fi
run trace --replay "$work"
if [[ $status -eq 5 ]] && grep -q "$work': Is a directory" "$work/stderr"; then ok "replay: a folder is refused, and named"
else not_ok "replay: a folder is refused, and named" "exit $status: $(cat "$work/stderr")"; fi
run trace --replay /dev/null -o json
expect "replay of nothing as json is one empty document" python3 -c 'import json,sys; assert json.load(open(sys.argv[1])) == []' "$work/stdout"

cgroup2=$(awk '$3 == "cgroup2" && $2 ~ "^/sys/fs/cgroup" {print $2; exit}' /proc/mounts)
for cgroup in /system.slice system.slice /sys/fs/cgroup/system.slice/nginx.service /sys/fs/cgroup/ /sys/fs/cgroup \
	${cgroup2:+"$cgroup2" "$cgroup2/system.slice"}; do
	run trace --replay "$work/one.jsonl" -o jsonl --cgroup "$cgroup"
	expect "--cgroup $cgroup" grep -q 60303 "$work/stdout"
done
run trace --replay "$work/one.jsonl" -o jsonl --cgroup /sys/fs/cgroupies/system.slice
expect "--cgroup somewhere else" test "$status" -eq 0 -a ! -s "$work/stdout"
run trace --replay "$work/one.jsonl" -o jsonl --cgroup /sys/fs/cgroup/user.slice
expect "--cgroup of another" test "$status" -eq 0 -a ! -s "$work/stdout"

# ---- colour and time ----

python3 -c 'import sys; sys.stdout.write((sys.argv[1] + "\n") * 10000)' "$one" >"$work/huge.jsonl"
cat >"$work/terminal.py" <<'PY'
# Runs a command on a terminal of its own and copies what it prints.
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
PY
esc=$'\033'
on_terminal() { python3 "$work/terminal.py" "$@" </dev/null; }
# escapes some|no COMMAND...
escapes() {
	local lines n
	lines=$("${@:2}" 2>&1) || { echo "$lines"; return 1; }
	n=$(grep -cF "$esc" <<<"$lines")
	[[ $lines && ($1 == some && $n -gt 0 || $1 == no && $n -eq 0) ]] || { echo "$n lines with an escape in: ${lines:0:200}"; return 1; }
}
expect "colour on a terminal" escapes some on_terminal "$portlife" trace --replay "$work/one.jsonl"
expect "NO_COLOR on a terminal" escapes no on_terminal env NO_COLOR=1 "$portlife" trace --replay "$work/one.jsonl"
expect "an empty NO_COLOR counts as unset" escapes some on_terminal env NO_COLOR= "$portlife" trace --replay "$work/one.jsonl"
expect "--color never on a terminal" escapes no on_terminal "$portlife" trace --color never --replay "$work/one.jsonl"
expect "no colour in a pipe" escapes no "$portlife" trace --replay "$work/one.jsonl"
expect "--color always in a pipe" escapes some "$portlife" trace --color always --replay "$work/one.jsonl"
expect "never colour in JSON lines" escapes no "$portlife" trace --color always -o jsonl --replay "$work/one.jsonl"
expect "local time in the table" bash -c "TZ=Asia/Tokyo '$portlife' trace --replay '$work/one.jsonl' | grep -q '^13:10:00'"
expect "--utc in the table" bash -c "TZ=Asia/Tokyo '$portlife' trace --utc --replay '$work/one.jsonl' | grep -q '^04:10:00'"
expect "a title line" bash -c "'$portlife' trace --replay '$work/one.jsonl' | head -1 | grep -q '^TIME'"
expect "--no-header" bash -c "! '$portlife' trace --no-header --replay '$work/one.jsonl' | grep -q '^TIME'"

# Names are other people's bytes: nothing of them may reach a terminal raw.
python3 - "$work/one.jsonl" >"$work/evil.jsonl" <<'PY'
import json, sys
event = json.loads(open(sys.argv[1]).read())
event["comm"] = "\x1b[2J\r\n\u202e\"%s"
event["exe"] = "/tmp/\x1b]0;x\x07 '\u202e,=cmd()\n/x"
event["cgroup"] = "/=1+1\x9b\n"
event["unit"] = None
print(json.dumps(event, ensure_ascii=True, separators=(",", ":")))
PY
harmless() {
	python3 - "$1" <<'PY'
import sys
data = open(sys.argv[1], "rb").read()
text = data.decode("utf-8")
bad = [c for c in text if (ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 or c in "\u202a\u202b\u202d\u202e\u2066\u2067\u2068"]
assert text, "no output"
assert not bad, "raw %r in the output" % bad
PY
}
for format in table csv jsonl json; do
	run trace --replay "$work/evil.jsonl" -o $format
	if [[ $status -ne 0 ]]; then not_ok "hostile names in $format" "$(cat "$work/stderr")"
	else expect "hostile names in $format" harmless "$work/stdout"; fi
done

# ---- closed pipe and full disk ----

for format in table jsonl csv json; do
	"$portlife" trace --replay "$work/huge.jsonl" -o $format 2>"$work/stderr" | head -1 >/dev/null
	status=${PIPESTATUS[0]}
	if [[ $status -eq 0 && ! -s $work/stderr ]]; then ok "replay in $format into head -1 ends quietly"
	else not_ok "replay in $format into head -1 ends quietly" "exit $status: $(cat "$work/stderr")"; fi
	"$portlife" trace --replay "$work/one.jsonl" -o $format >/dev/full 2>"$work/stderr"
	status=$?
	if [[ $status -eq 5 && $(wc -l <"$work/stderr") -eq 1 ]]; then ok "replay in $format into a full disk exits 5 and says so"
	else not_ok "replay in $format into a full disk exits 5 and says so" "exit $status: $(cat "$work/stderr")"; fi
done
for command in --help --version; do
	"$portlife" $command >/dev/full 2>"$work/stderr"
	status=$?
	if [[ $status -eq 5 ]]; then ok "$command into a full disk exits 5"; else not_ok "$command into a full disk exits 5" "exit $status"; fi
done
"$portlife" trace --replay "$work/one.jsonl" >&- 2>"$work/stderr"
status=$?
if [[ $status -eq 5 || $status -eq 0 ]]; then ok "stdout closed: no crash"; else not_ok "stdout closed: no crash" "exit $status"; fi

# ---- live ----

if ! probe_tier; then
	skip "the live half" "$cannot_record"
	tests_end
fi
"$portlife" doctor >/dev/full 2>"$work/stderr"
status=$?
if [[ $status -eq 5 ]]; then ok "doctor into a full disk exits 5"; else not_ok "doctor into a full disk exits 5" "exit $status"; fi
"$portlife" doctor -o json >/dev/full 2>"$work/stderr"
status=$?
if [[ $status -eq 5 ]]; then ok "doctor -o json into a full disk exits 5"; else not_ok "doctor -o json into a full disk exits 5" "exit $status"; fi
"$portlife" doctor 2>"$work/stderr" | head -1 >/dev/null
status=${PIPESTATUS[0]}
if [[ $status -eq 0 && ! -s $work/stderr ]]; then ok "doctor into head -1 ends quietly"
else not_ok "doctor into head -1 ends quietly" "exit $status: $(cat "$work/stderr")"; fi
for format in json jsonl; do
	run doctor -o $format
	expect "doctor -o $format is one document" python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
assert d["hooks"] and [t["tier"] for t in d["tiers"]] == ["a", "b", "c"], d
assert d["tier"] == next(t["tier"] for t in d["tiers"] if t["works"]), d["tiers"]
for h in d["hooks"]:
    assert h["state"] in ("live", "missing") if h["tier"] == d["tier"] else h["state"] in ("fallback", "missing"), h' "$work/stdout"
done
cp "$work/stdout" "$work/doctor.json"
run doctor -o csv
expect "doctor -o csv has the same hooks" python3 -c '
import csv, json, sys
rows = list(csv.DictReader(open(sys.argv[1])))
want = [{k: v or "" for k, v in h.items()} for h in json.load(open(sys.argv[2]))["hooks"]]
assert rows == want, (rows[:3], want[:3])' "$work/stdout" "$work/doctor.json"
run doctor --no-header
expect "doctor tells what is lost where a tier works without a hook, and the reason alone where it does not work" python3 -c '
import json, sys
d = json.load(open(sys.argv[2]))
works = [t["tier"] for t in d["tiers"] if t["works"]]
want = [h["reason"] + ("; lost: " + h["lost"] if h["tier"] in works else "") for h in d["hooks"] if h["state"] == "missing"]
have = [l.split(None, 3)[3].strip() for l in open(sys.argv[1]) if l[:14].split()[1:2] == ["missing"]]
assert have == want, (have, want)' "$work/stdout" "$work/doctor.json"
run doctor --state-dir "$work/"$'\e[31m' --no-header
expect "doctor escapes what it was given" harmless "$work/stdout"

netns_new || { not_ok "a private network namespace" "cannot be made"; tests_end; }

# What is found by looking is of this host, too; and where it is, when that is elsewhere.
in_netns_child python3 -c '
import socket, time
s = socket.socket(); s.bind(("127.0.0.1", 8081)); s.listen()
print("ready", flush=True); time.sleep(600)' >"$work/holder"
until_true 60 grep -q ready "$work/holder"
run who 8081 --netns "/proc/$ns_pid/ns/net" -o json
signed() {
	python3 -c '
import json, socket, sys
for e in json.load(open(sys.argv[1]))[sys.argv[2]]:
    assert e["host"] == socket.gethostname() and e["boot_id"] == open("/proc/sys/kernel/random/boot_id").read().strip(), e
    break
else: raise SystemExit("nobody")' "$@"
}
expect "who names host and boot of what it finds" signed "$work/stdout" now
run why 8081 --netns "$ns_inode" -o json
expect "why does, too" signed "$work/stdout" in_the_way
run who 8081
expect "who names another network namespace" grep -q ", in network namespace $ns_inode" "$work/stdout"
in_netns "$portlife" who 8081 >"$work/stdout" 2>&1
expect "and not one's own" bash -c "grep -q 'python3' '$work/stdout' && ! grep -q 'network namespace' '$work/stdout'"
kill "$child"

# A small system has no /etc/services.
if [[ -e /etc/services ]]; then
	unshare -m bash -c "mount --bind /dev/null /etc/services && exec '$portlife' who 22 --state-dir '$work/none'" >"$work/stdout" 2>"$work/stderr"
	expect "without /etc/services who claims nothing of services" grep -q 'port 22: .*, names of services are not known here' "$work/stdout"
else
	run who 22 --state-dir "$work/none"
	expect "without /etc/services who claims nothing of services" grep -q 'port 22: .*, names of services are not known here' "$work/stdout"
fi

# Two names, two protocols, chosen and asked ports, a refusal; prints its pids.
cat >"$work/work.py" <<'PY'
import errno, os, socket, struct, sys

def named(name, work):
    pid = os.fork()
    if pid:
        return pid
    with open("/proc/self/comm", "w") as f:
        f.write(name)
    work()
    sys.stdout.flush()
    os._exit(0)

def client():
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen()
    for i in range(5):
        s = socket.create_connection(server.getsockname())
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        accepted = server.accept()[0]
        s.close()  # first, by a reset: a FIN of the other end would sometimes make a TIME_WAIT and sometimes none
        accepted.close()

def binder():
    for port in 20001, 20002, 20005, 45001:
        for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
            with socket.socket(socket.AF_INET, kind) as s:
                s.bind(("127.0.0.1", port))
                with socket.socket(socket.AF_INET, kind) as t:
                    try:
                        t.bind(("127.0.0.1", port))
                    except OSError as e:
                        assert e.errno == errno.EADDRINUSE
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.bind(("::1", 0))

pids = [named("client:one", client), named('b "i" n,d', binder)]
for pid in pids:
    os.waitpid(pid, 0)
print(*pids)
PY

cat >"$work/fields.py" <<'PY'
# fields.py FORMAT FILE: strict parsing, and the fields of one event
import csv, json, re, sys
want = """v event lease ts host boot_id seq proto family laddr port raddr rport kind ephemeral start end duration_us closed
time_wait_us pid tid ppid uid comm exe proc_start cgroup unit container_id pod_uid netns cookie reason errno evidence""".split()
time = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")
numeric = "seq port rport duration_us time_wait_us pid tid ppid uid".split()
words = {
    "event": "port.alloc port.owner port.timewait port.release port.fail port.open",
    "kind": "connect bind0 bind listen send accept unknown", "proto": "tcp udp udplite", "family": "ipv4 ipv6",
    "evidence": "event snapshot resync", "reason": "close time_wait reset disconnect lost",
}

def no_twice(pairs):
    assert len(dict(pairs)) == len(pairs), "a field stands twice"
    return dict(pairs)

def check(e):
    if e["event"] == "recorder.gap":
        assert {"v", "ts", "lost", "from", "to", "cause"} <= set(e), e
        return
    missing = [w for w in want if w not in e]
    assert not missing, "missing %s" % missing
    assert e["v"] == 1
    for k in "ts", "start", "end", "closed", "proc_start":
        assert e[k] is None or time.match(e[k]), (k, e[k])
    for k in "lease", "netns", "cookie":
        assert e[k] is None or re.match(r"[1-9]\d*$", e[k]), (k, e[k])
    for k in numeric:
        assert e[k] is None or type(e[k]) is int and e[k] >= 0, (k, e[k])
    for k, v in words.items():
        assert e[k] is None and k == "reason" or e[k] in v.split(), (k, e[k])
    assert type(e["ephemeral"]) is bool or e["ephemeral"] is None and e["kind"] == "unknown", e["ephemeral"]
    assert e["errno"] is None or re.match("E[A-Z]+$", e["errno"])
    assert (e["errno"] is not None) == (e["event"] == "port.fail"), e
    for k in "comm", "exe", "cgroup", "unit", "laddr", "raddr":
        assert e[k] != "" and e[k] != 0, k
    if e["event"] == "port.release":
        assert e["end"] and e["reason"], e

form, path = sys.argv[1:]
data = open(path, "rb").read()
text = data.decode("utf-8", "strict")
assert text, "no output"
if form == "csv":
    import io
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    head = rows[0]
    missing = [w for w in want if w not in head]
    assert not missing, "missing columns %s" % missing
    assert len(set(head)) == len(head), "a column stands twice"
    assert all(len(r) == len(head) for r in rows), "rows of different length"
    events = rows[1:]
    assert any('b "i" n,d' in r for r in rows), "the odd name is not there"
elif form == "json":
    events = json.loads(text, object_pairs_hook=no_twice)
    for e in events:
        check(e)
else:
    lines = data.split(b"\n")
    assert lines.pop() == b"", "the last line has no end"
    events = [json.loads(l, object_pairs_hook=no_twice) for l in lines]
    assert all(len(l) < 4096 for l in lines), "a line is longer than 4 KiB"
    for e in events:
        check(e)
    seqs = [e["seq"] for e in events]
    assert seqs == sorted(set(seqs)), "seq does not rise"
assert len(events) > 30, "only %d events" % len(events)
PY

trace_start live -o jsonl --scope all --netns "$ns_inode"
read -r client_pid binder_pid < <(in_netns python3 "$work/work.py")
trace_stop INT
tally_line='^portlife: allocs [0-9]+, releases [0-9]+, fails [0-9]+, live [0-9]+, lost [0-9]+'
expect "JSON lines parse and have the fields of an event" python3 "$work/fields.py" jsonl "$work/live.out"

# ended NAME: exit 0 and the tally last
ended() {
	if [[ $status -ne 0 ]]; then not_ok "$1" "exit $status: $(tail -n 1 "$work/$trace_name.err")"
	elif ! tail -n 1 "$work/$trace_name.err" | grep -qE "$tally_line"; then not_ok "$1" "last line: $(tail -n 1 "$work/$trace_name.err")"
	else ok "$1"; fi
}
ended "SIGINT: exit 0, the tally is the last line"

for format in csv json; do
	trace_start $format -o $format --scope all --netns "$ns_inode"
	in_netns python3 "$work/work.py" >/dev/null
	trace_stop TERM
	ended "SIGTERM, $format: exit 0, the tally is the last line"
	expect "$format parses and has the fields of an event" python3 "$work/fields.py" $format "$work/$format.out"
done

trace_start live_table --scope all --netns "$ns_inode"
in_netns python3 "$work/work.py" >/dev/null
expect "a pipe or file gets its lines while the trace runs" until_true 30 grep -q ' release ' "$work/live_table.out"
kill -INT "$trace_pid"; kill -INT "$trace_pid" 2>/dev/null
wait "$trace_pid"; status=$?
ended "SIGINT twice: exit 0, the tally is the last line"

run trace --duration 300ms -o jsonl --netns "$ns_inode"
cp "$work/stderr" "$work/duration.err"; trace_name=duration
ended "--duration: ends by itself with the tally"

# Somebody holds a port before the start.
in_netns_child python3 -c '
import socket, sys, time
s = socket.socket(); s.bind(("127.0.0.1", 20077)); s.listen()
print("held", flush=True); time.sleep(600)' >"$work/holder.out"
holder=$child
until_true 30 grep -q held "$work/holder.out"
run trace --duration 300ms -o jsonl --netns "$ns_inode"
expect "the snapshot tells what is held, with its owner" python3 -c '
import json, sys
events = [json.loads(l) for l in open(sys.argv[1])]
assert [(e["event"], e["port"], e["pid"], e["evidence"]) for e in events] == [("port.open", 20077, int(sys.argv[2]), "snapshot")], events' "$work/stdout" "$holder"
run trace --duration 300ms -o jsonl --no-snapshot --netns "$ns_inode"
if [[ $status -eq 0 && ! -s $work/stdout ]]; then ok "--no-snapshot lists nothing"; else not_ok "--no-snapshot lists nothing" "$(head -c 300 "$work/stdout")"; fi
kill "$holder"

# A namespace has a name for people.
if ip netns attach "portlife-test-$$" "$ns_pid" 2>"$work/stderr"; then
	trace_start named -o jsonl --scope all --netns "portlife-test-$$"
	in_netns python3 "$work/work.py" >/dev/null
	trace_stop INT
	expect "--netns takes a name" python3 "$work/fields.py" jsonl "$work/named.out"
	run trace --duration 200ms --netns "/run/netns/portlife-test-$$"
	if [[ $status -eq 0 ]]; then ok "--netns takes a path"; else not_ok "--netns takes a path" "$(cat "$work/stderr")"; fi
	ip netns del "portlife-test-$$"
else
	skip "--netns takes a name" "ip netns: $(cat "$work/stderr")"
fi

# A closed pipe while recording; the traffic goes on until the trace has noticed.
in_netns_child python3 -c '
import socket, time
for i in range(6000):
    s = socket.socket(); s.bind(("127.0.0.1", 0)); s.close()
    time.sleep(0.01)'
"$portlife" trace --duration 50s --netns "$ns_inode" 2>"$work/stderr" | head -1 >"$work/stdout"
status=${PIPESTATUS[0]}
if [[ $status -eq 0 ]] && ! grep -qiE 'pipe|failed' "$work/stderr"; then ok "trace into head -1 ends quietly with 0"
else not_ok "trace into head -1 ends quietly with 0" "exit $status: $(cat "$work/stderr")"; fi
"$portlife" trace --duration 50s -o jsonl --netns "$ns_inode" >/dev/full 2>"$work/stderr"
status=$?
if [[ $status -eq 5 ]] && grep -q 'No space left' "$work/stderr"; then ok "trace into a full disk exits 5 and says so"
else not_ok "trace into a full disk exits 5 and says so" "exit $status: $(cat "$work/stderr")"; fi
kill "$child" 2>/dev/null

# ---- filters: each against the unfiltered stream ----

cat >"$work/filter.py" <<'PY'
# filter.py ALL GOT EXPRESSION: GOT must hold exactly the events of ALL for which the expression over `e` holds, in order
import json, sys
every = [json.loads(l) for l in open(sys.argv[1])]
got = [json.loads(l) for l in open(sys.argv[2])]
want = [e for e in every if e["event"] == "recorder.gap" or eval(sys.argv[3])]
assert want, "the expression matches nothing: the test is empty"
assert len(want) < len(every), "the expression matches everything: the test is empty"
assert got == want, "%d events, not %d" % (len(got), len(want))
PY
filtered() {
	local name="filter ${*:2}" expression=$1
	shift
	run trace --replay "$work/live.out" -o jsonl "$@"
	if [[ $status -ne 0 ]]; then not_ok "$name" "exit $status: $(cat "$work/stderr")"; return; fi
	expect "$name" python3 "$work/filter.py" "$work/live.out" "$work/stdout" "$expression"
}
filtered 'e["port"] == 20001' --port 20001
filtered '20001 <= e["port"] <= 20002 or e["port"] == 45001' --port 20001-20002,45001
filtered 'e["ephemeral"]' --ephemeral
filtered "e['pid'] == $client_pid" --pid "$client_pid"
filtered "e['pid'] == $binder_pid and e['proto'] == 'udp'" --pid "$binder_pid" --proto udp
filtered 'e["comm"] == "client:one"' --comm client:one
filtered 'e["comm"] == "client:one"' --comm 'client*'
filtered 'e["comm"] == "b \"i\" n,d"' --comm 'b "i" n,d'
filtered 'e["proto"] == "tcp"' --proto tcp
filtered 'e["event"] == "port.fail"' --fails
filtered 'e["event"] == "port.fail" and e["port"] == 20005 and e["proto"] == "udp"' --fails --port 20005 --proto udp
filtered 'e["event"] == "port.release"' --leases
run trace --replay "$work/live.out" -o jsonl --netns 1
if [[ $status -eq 0 && ! -s $work/stdout ]]; then ok "filter --netns of another namespace passes nothing"; else not_ok "filter --netns of another namespace passes nothing" "exit $status"; fi

expect "each refusal names its errno" python3 -c '
import json, sys
fails = [json.loads(l) for l in open(sys.argv[1]) if "port.fail" in l]
assert len(fails) == 8 and all(e["errno"] == "EADDRINUSE" and e["pid"] == int(sys.argv[2]) for e in fails), len(fails)' "$work/live.out" "$binder_pid"

# The same filters where events are made.
for options in "--port 20001,20005" "--fails" "--leases" "--comm client:one" "--proto udp"; do
	case $options in
	--port*) expression='e["port"] in (20001, 20005)' ;;
	--fails) expression='e["event"] == "port.fail"' ;;
	--leases) expression='e["event"] == "port.release"' ;;
	--comm*) expression='e["comm"] == "client:one"' ;;
	--proto*) expression='e["proto"] == "udp"' ;;
	esac
	# shellcheck disable=SC2086 # options are words
	trace_start filter -o jsonl --scope all --netns "$ns_inode" $options
	in_netns python3 "$work/work.py" >/dev/null
	trace_stop INT
	expect "live filter $options" python3 -c '
import json, sys
every = [json.loads(l) for l in open(sys.argv[1])]
got = [json.loads(l) for l in open(sys.argv[2])]
want = [e for e in every if eval(sys.argv[3])]
got = [e for e in got if e["event"] != "recorder.gap"]
assert want and len(got) == len(want) and all(eval(sys.argv[3]) for e in got), "%d events, not %d" % (len(got), len(want))
' "$work/live.out" "$work/filter.out" "$expression"
done

for cgroup in / "${cgroup2:-/}"; do
	run trace --duration 1ms --cgroup "$cgroup"
	expect "--cgroup '$cgroup' is there" test "$status" -eq 0 -a "$(grep -c 'there is no cgroup' "$work/stderr")" -eq 0
done
run trace --duration 1ms --cgroup "$cgroup2/none-such.slice"
expect "a cgroup that is not there is no error" test "$status" -eq 0
expect "but said" grep -q "^portlife: there is no cgroup '/none-such.slice' now" "$work/stderr"

# ---- replay ----

run trace --replay "$work/live.out" -o jsonl
expect "replay gives the recorded stream byte for byte" cmp "$work/live.out" "$work/stdout"
"$portlife" trace --replay - -o jsonl <"$work/live.out" >"$work/stdout" 2>"$work/stderr"
expect "replay from stdin, too" cmp "$work/live.out" "$work/stdout"
if [[ $(id -u) -eq 0 ]] && command -v setpriv >/dev/null; then
	cp "$portlife" "$work/portlife"
	chmod 755 "$work/portlife"
	chmod 644 "$work/live.out"
	setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all "$work/portlife" trace --replay "$work/live.out" -o jsonl >"$work/stdout" 2>"$work/stderr"
	expect "replay needs no privilege" cmp "$work/live.out" "$work/stdout"
	setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all "$work/portlife" trace -o json >"$work/stdout" 2>"$work/stderr"
	status=$?
	expect "without privilege there is no half of a document" test "$status" -eq 4 -a ! -s "$work/stdout" -a -s "$work/stderr"
else
	skip "replay needs no privilege" "setpriv and root are needed to become nobody"
fi
tests_end
