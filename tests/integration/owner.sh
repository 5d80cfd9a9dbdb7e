#!/bin/bash
# Whose lease it is: hundreds of short-lived processes with one lease each, of several programs and users, with names of
# odd bytes; one pid used again and again; a program that is deleted; a cgroup that is gone before the reader looks.
# Each lease has its true owner, and no two lives are merged. FAULTS_SCALE: times two hundred processes, at most fifty.
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"
helper=$(dirname "$0")/owner.py

if ! probe_tier; then
	skip "owners" "$cannot_record"
	tests_end
fi
netns_new || { not_ok "a network namespace" "could not be made"; tests_end; }
python=$(readlink -f "$(python3 -c 'import sys; print(sys.executable)')")	# the program itself, not a script that finds it
export PYTHONHOME
PYTHONHOME=$(python3 -c 'import sys; print(sys.prefix)')
scale=${FAULTS_SCALE:-1}
each=$((50 * (scale > 50 ? 50 : scale)))	# ports 20000-30000: below the range

# A cgroup of our own, where there is a cgroup v2 to make it in.
cgroup2=$(awk '$3 == "cgroup2" {print $2; exit}' /proc/mounts)
group=$cgroup2/portlife-test-$$
have_group=false
if [[ -n $cgroup2 ]] && mkdir "$group" 2>/dev/null; then
	have_group=true
	trap 'rmdir "$group" 2>/dev/null; tests_cleanup' EXIT
fi

# owners NAME EXE COUNT BASE KEY=VALUE...: children of a copy of python under that name
owners() {
	local name=$1 exe=$work/$2
	cp "$python" "$exe"
	in_netns "$exe" "$helper" run "$work/$name.truth" "$3" "$4" "${@:5}"
}
ends_told() { [[ $(grep -c '"event":"port.release"' "$work/$1.out") -ge $2 ]]; }
# compared NAME COUNT: all ends told, and everything as the truth has it
compared() {
	[[ -s $work/$1.truth ]] && until_true 60 ends_told "$1" "$2"
	trace_stop INT
	python3 "$helper" compare "$work/$1.truth" "$work/$1.out" | tee "$work/$1.compared"
	[[ ${PIPESTATUS[0]} -eq 0 ]] && grep -q "^compared $2 " "$work/$1.compared"
}
begin() { trace_start "$1" -o jsonl --no-snapshot --tier "$tier" --netns "$ns_inode"; }

begin many
for i in 0 1 2 3; do owners many "prog-$i" "$each" $((20000 + i * each)) uid=$((4000 + 10 * i)) || not_ok "processes of program $i" "did not run"; done
expect "each of $((4 * each)) short-lived processes owns its lease" compared many $((4 * each))

begin reuse
if owners reuse again 60 20000 reuse=1 2>"$work/reuse.why"; then
	expect "60 lives of one pid are never merged" compared reuse 60
	expect "and it was one pid, or two where somebody else took the first" grep -q 'pids [12]$' "$work/reuse.compared"
else
	trace_stop INT
	skip "lives of one pid" "$(tail -1 "$work/reuse.why")"
fi

begin deleted
owners deleted gone-program 5 20000 rmexe=1
expect "a deleted program keeps its name" compared deleted 5

if $have_group; then
	begin cgroup
	kill -STOP "$trace_pid"
	owners cgroup in-group 12 20000 "cgroup=$group" "path=/${group##*/}"
	rmdir "$group"
	kill -CONT "$trace_pid"
	expect "a cgroup that is gone before the reader looks keeps its path" compared cgroup 12
else
	skip "a cgroup that is gone" "no cgroup v2 to make one in"
fi
tests_end
