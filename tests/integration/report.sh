#!/bin/bash
# What report says of a history equals what another program computes from its files; a span, a gap, nothing and a
# copy are told apart by exit code; the text fits 80 columns and carries no control bytes whatever the names are; a
# span traced live is reported.
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"

make_history=$(dirname "$portlife")/tests/integration/make_history
here=$(dirname "$0")
state=$work/history

"$make_history" "$state" 6000 || { not_ok "a history" "could not be made"; tests_end; }

for by in process exe unit container port dest; do
	run report --state-dir "$state" --by "$by" --limit 100000 -o json
	expect "report --by $by: exit 0" test "$status" -eq 0
	expect "by $by equals what the files say" python3 "$here/report.py" "$state" "$work/stdout"
done

# The middle of the history: leases that began before, ended after, or are still open.
from=$(date -u -d '-100 min' '+%F %T') to=$(date -u -d '-60 min' '+%F %T')
run report --state-dir "$state" --since "$from" --until "$to" --utc --limit 100000 -o json
expect "a span equals what the files say" python3 "$here/report.py" "$state" "$work/stdout"
expect "a span within the history is complete" test "$status" -eq 0

# A comparison that cannot fail shows nothing.
sed 's/"ended":[0-9]*/"ended":1/' "$work/stdout" >"$work/wrong"
if python3 "$here/report.py" "$state" "$work/wrong" >/dev/null; then
	not_ok "a wrong number is found" "it was not"
else
	ok "a wrong number is found"
fi

text_is_clean() {
	python3 - "$1" <<'PY'
import sys, unicodedata
for line in open(sys.argv[1], encoding='utf-8'):
    line = line.rstrip('\n')
    if len(line) > 80: sys.exit('over 80 columns: ' + line)
    for c in line:
        if unicodedata.category(c) in ('Cc', 'Cf'): sys.exit('a control character in: ' + repr(line))
PY
}
run report --state-dir "$state" --by exe
expect "the text fits 80 columns and is clean" text_is_clean "$work/stdout"
LC_ALL=C run report --state-dir "$state" --by process
only_ascii() { ! grep -qP '[^\x00-\x7f]' "$1"; }
expect "without UTF-8 it is ASCII" only_ascii "$work/stdout"
expect "the executables are shown" grep -q 'BY PROCESS' "$work/stdout"

csv_reads() { python3 -c 'import csv, sys; r = list(csv.DictReader(open(sys.argv[1]))); assert len(r) == 8 and all(x["leases"].isdigit() and None not in x for x in r), r' "$1"; }
run report --state-dir "$state" --by exe -o csv
expect "CSV has a row for each executable" csv_reads "$work/stdout"
jsonl_reads() { python3 -c 'import json, sys; assert [json.loads(l)["leases"] for l in open(sys.argv[1])]' "$1"; }
run report --state-dir "$state" --by exe -o jsonl
expect "JSON lines have one too" jsonl_reads "$work/stdout"

run report --state-dir "$state" --since '-30 days' --until '-29 days'
expect "before recording began: exit 3" test "$status" -eq 3
run report --state-dir "$work/none"
expect "no history: exit 3, as elsewhere" test "$status" -eq 3
expect "no history: says what to do" grep -q "portlife record" "$work/stderr"
run report --state-dir "$state" --until '-30 days'
expect "up to before recording began: exit 3" test "$status" -eq 3
expect "and it counts nothing" grep -q 'nothing was recorded' "$work/stdout"
run report --state-dir "$state" --since +1h
expect "a span in the future: exit 2" test "$status" -eq 2
run report --state-dir "$state" --by colour
expect "a grouping that is none: exit 2" test "$status" -eq 2

"$make_history" "$work/gaps" 500 gaps || not_ok "a history with a gap" "could not be made"
run report --state-dir "$work/gaps"
expect "a loss: exit 3" test "$status" -eq 3
expect "a loss is told first" grep -q 'INCOMPLETE' <(head -2 "$work/stdout")
expect "how much was lost" grep -q '12 events lost' "$work/stdout"
run report --state-dir "$work/gaps" -o json
expect "a loss is in JSON" grep -q '"status":"incomplete".*"lost":12' "$work/stdout"

# Ctrl-C that is pending when it starts: it stops at its first look.
cat >"$work/stop.py" <<'PY'
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
os.kill(os.getpid(), signal.SIGINT)
os.execv(sys.argv[1], sys.argv[1:])
PY
"$make_history" "$work/long" 20000 || not_ok "a long history" "could not be made"
python3 "$work/stop.py" "$portlife" report --state-dir "$work/long" >"$work/stdout" 2>"$work/stderr"
expect "stopped: exit 3" test "$?" -eq 3
expect "what was read until then is shown and says so" grep -q '^PARTIAL' "$work/stdout"
some_leases() { local n; n=$(sed -n 's/^\([0-9]*\) leases:.*/\1/p' "$1"); [[ $n -gt 0 && $n -lt 15000 ]]; }
expect "and it is a part" some_leases "$work/stdout"

if [[ -e /dev/full ]]; then
	"$portlife" report --state-dir "$state" >/dev/full 2>"$work/full.err"
	expect "a full disk is an error" test "$?" -eq 5
fi

if ! probe_tier; then
	skip "report --live" "$cannot_record"
	tests_end
fi
netns_new || { not_ok "a network namespace" "could not be made"; tests_end; }
cat >"$work/live.py" <<'PY'
import socket, sys, time
end = time.time() + float(sys.argv[1])
while time.time() < end:
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.connect(('127.0.0.1', 53))
    time.sleep(0.01)
    u.close()
PY
in_netns_child python3 "$work/live.py" 600
run report --live 3s -o json --by process --limit 1000
live_says() {
	python3 -c '
import json, sys
r = json.load(open(sys.argv[1]))
row = [g for g in r["groups"]["process"]["rows"] if g["name"] == "python3" and str(g["pid"]) == sys.argv[3]]
space = [n for n in r["netns"] if n["netns"] == sys.argv[2]]
assert r["live"] and row and row[0]["leases"] > 0 and row[0]["active"]["p50_us"] >= 10000, row
assert space and space[0]["udp"]["leases"] == row[0]["leases"], space
assert space[0]["range"], "the range is not known"' "$@"
}
expect "report --live traces by itself" live_says "$work/stdout" "$ns_inode" "$child"
expect "report --live is complete" test "$status" -eq 0
tests_end
