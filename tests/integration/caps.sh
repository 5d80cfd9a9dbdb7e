#!/bin/bash
# Capabilities are taken away, and so are BTF, tracefs and cgroup v2: each command works and says what it does not see
# then, or ends with 4 and names what is missing. A history needs nothing but the right to read it.
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"

if ! probe_tier; then
	skip "capabilities taken away" "$cannot_record"
	tests_end
fi
if ! command -v setpriv >/dev/null || ! unshare -m true 2>/dev/null; then
	skip "capabilities taken away" "no setpriv, or no mount namespace to be had"
	tests_end
fi

# Where the host has no tracefs or cgroup v2 mounted, portlife mounts its own, for which it needs more: not in here.
cat >"$work/place" <<'SH'
mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing || exit 99
grep -q ' cgroup2 ' /proc/mounts || mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit 99
exec "$@"
SH
# without CAPS ARGUMENTS...: portlife as root less these, or with none at all
without() {
	local caps=$1
	shift
	timeout 60 unshare -m bash "$work/place" setpriv --bounding-set "$caps" --inh-caps=-all "$portlife" "$@" \
		>"$work/stdout" 2>"$work/stderr" </dev/null
	status=$?
}
said() { grep -qE -- "$1" "$work/stderr" || { cat "$work/stderr"; return 1; }; }
ended() { [[ $status -eq $1 ]] || { echo "exit code $status"; cat "$work/stderr"; return 1; }; }
# refused NAME CAP: it ended with 4 and named that capability (as setpriv writes it)
refused() {
	local name=CAP_${2#-}
	expect "$1: exit code 4" ended 4
	expect "$1: ${name^^} is named" said "needs (CAP_[A-Z_]+(,| and) )*${name^^}"
}

without -sys_admin trace --duration 100ms
if [[ $status -eq 99 ]]; then
	skip "capabilities taken away" "tracefs or cgroup v2 cannot be mounted here"
	tests_end
fi
expect "trace without CAP_SYS_ADMIN works" ended 0
expect "and says what it leaves out: the self-test" said 'self-test skipped: .* needs CAP_SYS_ADMIN'

# CAP_SYS_ADMIN stands for the others.
others=(bpf perfmon)
[[ $tier == c ]] && others+=(net_admin syslog)
for cap in "${others[@]}"; do
	without "-sys_admin,-$cap" trace --tier "$tier" --duration 100ms
	refused "trace without CAP_${cap^^}" "-$cap"
	without "-sys_admin,-$cap" record --state-dir "$work/none" --duration 100ms
	refused "record without CAP_${cap^^}" "-$cap"
	without "-sys_admin,-$cap" doctor --verify --tier "$tier" --duration 100ms
	expect "doctor without CAP_${cap^^}: exit code 4" ended 4
	expect "doctor without CAP_${cap^^} names it as missing" grep -q "CAP_${cap^^}" "$work/stdout"
	without "-sys_admin,-$cap" report --live 100ms
	refused "report --live without CAP_${cap^^}" "-$cap"
	without "-sys_admin,-$cap" why --live --duration 100ms
	refused "why --live without CAP_${cap^^}" "-$cap"
done
without -sys_admin record --state-dir "$work/without" --duration 100ms
expect "record without CAP_SYS_ADMIN works" ended 0
expect "and says what it leaves out" said 'self-test skipped: .* needs CAP_SYS_ADMIN'
without -sys_admin,-sys_ptrace doctor
for cap in SYS_ADMIN SYS_PTRACE; do
	expect "doctor without CAP_$cap says what it is for" grep -q "^missing CAP_$cap: " "$work/stdout"
done
for cap in bpf perfmon; do
	without "-sys_admin,-$cap" why 1
	refused "why PORT without CAP_${cap^^}" "-$cap"
	without "-sys_admin,-$cap" who 1 --state-dir "$work/none"
	expect "who PORT without CAP_${cap^^}: nothing is claimed of now" ended 3
	expect "who PORT without CAP_${cap^^}: it is named" said "needs (CAP_[A-Z_]+, )*CAP_${cap^^}"
done
if [[ $tier == c ]]; then
	without -net_admin trace --duration 100ms
	expect "trace with CAP_SYS_ADMIN alone of the two works" ended 0
	expect "and says that the self-test's loopback needs CAP_NET_ADMIN" said 'self-test skipped: .*CAP_NET_ADMIN'
fi
without -sys_ptrace trace --duration 100ms
expect "trace without CAP_SYS_PTRACE works" ended 0
netns_new || { not_ok "a network namespace" "could not be made"; tests_end; }
without -sys_admin who 1 --state-dir "$work/none"
expect "who without CAP_SYS_ADMIN says which namespaces it does not search" said 'not searched .* needs CAP_SYS_ADMIN'
without -sys_admin why 1
expect "so does why PORT" said 'not searched .* needs CAP_SYS_ADMIN'
for asked in "who 1 --state-dir $work/none" "why 1" "trace --duration 100ms" "record --state-dir $work/without --duration 100ms"; do
	# shellcheck disable=SC2086 # words
	without -sys_ptrace $asked
	expect "${asked%% *} without CAP_SYS_PTRACE says so, too" said 'not searched .* needs CAP_SYS_PTRACE'
done
without -all doctor
expect "doctor with no capability: exit code 4" ended 4
expect "and it names the tiers as refused" grep -q '^tier c .*no;.*CAP_BPF' "$work/stdout"

# hidden PATH NAME WORD ARGUMENTS...: an empty folder in place of PATH
hidden() {
	local path=$1 name=$2 word=$3
	shift 3
	timeout 60 unshare -m bash -c 'grep -q " cgroup2 " /proc/mounts || mount -t cgroup2 cgroup2 /sys/fs/cgroup
		mount -t tmpfs none "$1" && shift && exec "$@"' hidden "$path" \
		"${drop[@]}" "$portlife" "$@" >"$work/stdout" 2>"$work/stderr" </dev/null
	status=$?
	expect "$name: exit code 4" ended 4
	expect "$name: the reason is named" said "$word"
}
drop=()
hidden /sys/kernel/btf "trace where BTF is hidden" 'no BTF' trace --duration 100ms
hidden /sys/kernel/btf "record where BTF is hidden" 'no BTF' record --state-dir "$work/none" --duration 100ms
hidden /sys/kernel/btf "why PORT where BTF is hidden" 'BTF' why 1
if [[ $tier == c ]]; then
	drop=(setpriv --bounding-set=-sys_admin --inh-caps=-all)
	hidden /sys/kernel/tracing "tier c without tracefs" 'tracefs is not mounted and cannot be.*CAP_SYS_ADMIN' trace --tier c --duration 100ms
	hidden /sys/fs/cgroup "tier c without cgroup v2" 'cgroup v2 is not mounted and cannot be.*CAP_SYS_ADMIN' trace --tier c --duration 100ms
	drop=()
	timeout 60 unshare -m bash -c 'mount -t tmpfs none /sys/fs/cgroup && mount -t tmpfs none /sys/kernel/tracing && exec "$@"' \
		hidden "$portlife" trace --tier c --duration 100ms >"$work/stdout" 2>"$work/stderr" </dev/null
	status=$?
	expect "with CAP_SYS_ADMIN tier c mounts what it needs for itself" ended 0
fi

# A history, read by nobody with the group of its folder.
hold() { in_netns python3 -c "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('127.0.0.1', 47011))"; }
written() { hold && run who 47011 --state-dir "$work/state" --since -1h && grep -q '47011/udp' "$work/stdout"; }
"$portlife" record --state-dir "$work/state" 2>"$work/record.err" </dev/null &
daemon=$!
children+=("$daemon")
expect "a lease is in the history" until_true 60 written
kill -TERM "$daemon"
wait "$daemon"
expect "the recorder ends well" test $? -eq 0
expect "its folder is 0750" test "$(stat -c %a "$work/state")" = 750
expect "its files are 0640" test -z "$(find "$work/state" -type f ! -perm 640)"
group=54321
chgrp -R "$group" "$work/state"
as_nobody() {
	timeout 60 setpriv --reuid=65534 --regid=65534 --groups "$1" --bounding-set=-all --inh-caps=-all "$portlife" "${@:2}" \
		--state-dir "$work/state" >"$work/stdout" 2>"$work/stderr" </dev/null
	status=$?
}
as_nobody "$group" who 47011 --since -1h --until now
expect "who over a history with group read alone: found" grep -q '47011/udp' "$work/stdout"
as_nobody "$group" report --since -1h --limit 10000 -o csv	# others on this host have more leases; the table cuts long paths
expect "report over a history with group read alone" grep -q 'python3' "$work/stdout"
as_nobody "$group" why --since -1h
expect "why over a history with group read alone is no error" test "$status" -lt 4
as_nobody 65534 who 47011 --since -1h --until now
expect "without the group it cannot be read: exit code 5" ended 5
expect "and that is said" said 'ermission denied'
as_nobody 65534 report --since -1h
expect "report without the group: exit code 5" ended 5
tests_end
