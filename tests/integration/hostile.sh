#!/bin/bash
# Names that nobody should have given, as process, path of the program (4 kB too), cgroup and network namespace: escapes, line ends,
# quotes, %, bytes that are no UTF-8, bidi, markup, SQL, what a spreadsheet runs. Each sink of one recording is read back strictly and
# has them as they are, and nothing raw reaches a terminal. Then the same of a history to which somebody wrote names himself.
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"

if ! probe_tier; then
	skip "hostile names" "$cannot_record"
	tests_end
fi
here=$(realpath "$(dirname "$0")")
holder=$(dirname "$portlife")/tests/integration/holder
state=$work/state
: >"$work/conf"
read_back() { python3 "$here/hostile.py" "$1" "$work/truth" "$2"; }
tame() { python3 "$here/hostile.py" tame "$1"; }

cg=/sys/fs/cgroup
[[ -e $cg/cgroup.procs ]] || cg=/sys/fs/cgroup/unified
group=$cg/portlife-hostile-$$
if ! mkdir "$group" 2>/dev/null; then
	skip "hostile names" "no cgroup v2 to make one in"
	tests_end
fi
# shellcheck disable=SC2317 # the trap calls it
leave() {
	tests_cleanup
	until_true 10 python3 "$here/hostile.py" tidy "$group"
	[[ -z ${netns_name:-} ]] || ip netns del "$netns_name" 2>/dev/null
}
trap leave EXIT

# A namespace with a name; the kernel side tells numbers, so it only ever goes in.
netns_new || { not_ok "a network namespace" "could not be made"; tests_end; }
netns_name=portlife-$$-$'\e]0;x\a"%s\xff\xe2\x80\xae\n'
ip netns attach "$netns_name" "$ns_pid" 2>"$work/stderr" || netns_name=

# ---- one recording, all sinks ----

# recorder NAME ARGUMENTS...: its stdout in $work/NAME.out
recorder() {
	local name=$1
	shift
	"$portlife" record --state-dir "$work/state-$name" --config "$work/conf" "$@" >"$work/$name.out" 2>"$work/$name.err" </dev/null &
	recorders+=($!)
	children+=($!)
}
recorders=()
mkdir "$work/textfile"
recorder json --print -o jsonl --log-leases --log-format logfmt --log-file "$work/logfmt" --metrics-listen "unix:$work/m.sock" --metrics-workloads \
	--metrics-textfile "$work/textfile/p.prom"
until_true 60 grep -q 'recording to' "$work/logfmt"
mv "$work/state-json" "$state" 2>/dev/null && ln -s "$state" "$work/state-json"
# shellcheck disable=SC2016 # the inner shell expands it
unshare -m bash -c 'mkdir -p /run/systemd && mount -t tmpfs none /run/systemd && exec python3 "$@"' - "$here/logs.py" journal \
	"$portlife" record --log-leases --state-dir "$work/state-journal" --config "$work/conf" >"$work/journal" 2>"$work/journal.err" &
journal_pid=$!
children+=("$journal_pid")
until_true 60 grep -q 'recording to' "$work/journal"
in_netns_child python3 "$here/hostile.py" run "$work/truth" "$holder" "$work" "$group" 2>"$work/run.err"
runner=$child
if ! until_true 60 test -s "$work/truth"; then
	not_ok "holders under hostile names" "$(cat "$work/run.err")"
	tests_end
fi

# While they hold.
read_now() { "$portlife" who 45100-45120 --netns "$ns_inode" -o json --state-dir "$state" >"$work/now" 2>"$work/stderr"; read_back json "$work/now"; }
expect "now, in JSON" until_true 10 read_now
scrape() { python3 "$here/metrics.py" get "unix:$work/m.sock" | sed 1d >"$work/metrics" && read_back metrics "$work/metrics"; }
expect "labels of Prometheus" until_true 10 scrape
expect "a strict reader takes them" python3 "$here/metrics.py" check <"$work/metrics"
if command -v promtool >/dev/null; then
	expect "promtool takes them" test -z "$(promtool check metrics <"$work/metrics" 2>&1)"
else
	skip "promtool" "not installed"
fi
if [[ $netns_name ]]; then
	run who 45100 --netns "$netns_name" --state-dir "$state"
	expect "--netns finds a hostile name" test "$status" -eq 0
	run who 45100 --netns "$netns_name-none" --state-dir "$state"
	expect "and what it says of one that is not there is harmless" tame "$work/stderr"
	run who 45100 --netns "/run/netns/$netns_name" -o json --state-dir "$state"
	expect "also by path" tame "$work/stdout"
else
	skip "a hostile name of a namespace" "$(cat "$work/stderr")"
fi
kill "$runner"
wait "$runner"
ended() { [[ $(grep -c '"event":"port.release".*"port":451' "$work/json.out") -ge 13 ]]; }
expect "all ends are told" until_true 20 ended
kill "${recorders[@]}"
wait "${recorders[@]}"
kill "$journal_pid"
wait "$journal_pid"

expect "JSON lines, byte for byte" read_back jsonl "$work/json.out"
expect "logfmt" read_back logfmt "$work/logfmt"
expect "the journal" read_back journal "$work/journal"
expect "the textfile" tame "$work/textfile/p.prom"
expect "SQL" read_back history "$state"

# ---- from the stream and from the history ----

cat >"$work/terminal.py" <<'PY'
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
PY
# on_terminal NAME ARGUMENTS...: nothing raw but our colours, none of which is that of a name, and the terminal's own line ends
on_terminal() {
	local name=$1
	shift
	python3 "$work/terminal.py" "$portlife" "$@" </dev/null 2>&1 | sed -E 's/\r$//; s/\x1b\[(0|1|2|3[0-9])?m//g; s/(\r[0-9]+ leases read[^\r]*)+\r\x1b\[K//g' >"$work/terminal"
	expect "$name on a terminal" tame "$work/terminal"
}
run trace --replay "$work/json.out" -o jsonl
expect "replayed byte for byte" cmp "$work/json.out" "$work/stdout"
run trace --replay "$work/json.out" -o csv
expect "CSV" read_back csv "$work/stdout"
on_terminal "trace" trace --replay "$work/json.out"
on_terminal "who" who 45100-45120 --since -1h --state-dir "$state"
on_terminal "why" why --since -1h --state-dir "$state"
on_terminal "report" report --since -1h --by exe --state-dir "$state"
run who 45100-45120 --since -1h --until now --limit 100 --netns "$ns_inode" -o json --state-dir "$state"
expect "who, in JSON" read_back json "$work/stdout"
for by in process exe unit container; do
	run report --since -1h --by $by -o csv --state-dir "$state"
	expect "report --by $by, in CSV" tame "$work/stdout"
done
run why --since -1h -o jsonl --state-dir "$state"
expect "why, in JSON lines" tame "$work/stdout"
run report --since -1h --by exe --html "$work/page.html" --state-dir "$state"
expect "the page" read_back page "$work/page.html"

# ---- a history to which somebody wrote ----

cp -r "$state" "$work/spoiled"
chmod 750 "$work/spoiled"
expect "names are written into a history" python3 "$here/hostile.py" spoil "$work/spoiled"
# answers NAME ARGUMENTS...: an exit code of ours, both outputs harmless, JSON strict
answers() {
	local name=$1
	shift
	run "$@" --state-dir "$work/spoiled"
	cat "$work/stdout" "$work/stderr" >"$work/both"
	if [[ $status -gt 5 ]]; then not_ok "$name" "exit code $status"
	else expect "$name" tame "$work/both"; fi
}
for format in table json jsonl csv; do
	answers "who of it, $format" who 45100-45120 --since -1h --until now -o $format
	answers "why of it, $format" why --since -1h --until now -o $format
	answers "report of it, $format" report --since -1h -o $format
done
answers_json() { run report --since -1h -o json --state-dir "$work/spoiled"; [[ $status -eq 5 ]] || python3 -m json.tool <"$work/stdout" >/dev/null; }
expect "report of it is one document of JSON" answers_json
answers "the page of it" report --since -1h --html "$work/spoiled.html"
page_of_spoiled() { [[ ! -e $work/spoiled.html ]] || { echo '[]' >"$work/none" && python3 "$here/hostile.py" page "$work/none" "$work/spoiled.html"; }; }
expect "is a page of ours" page_of_spoiled
on_terminal "who of it" who 45100-45120 --since -1h --state-dir "$work/spoiled"
tests_end
