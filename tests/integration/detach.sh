#!/bin/bash
# Somebody with the right to do so takes portlife's hooks away (bpftool link detach). It notices, says so, puts them
# back, tells a gap, and finds by looking what began unseen meanwhile.
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
detach_all() { local id; for id in $(cgroup_links); do bpftool link detach id "$id" || return 1; done; }

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
trace_stop INT
expect "ended well" test "$status" -eq 0
expect "the port held before is told once" test "$(grep -c '"port":5001,' "$work/detach.out")" -eq 1
tests_end
