#!/bin/bash
# No port is left: each refusal is told with its errno and its owner, and the ports that were had as well, to the last
# one, in a small and a larger range. SIGTERM under load: what was told and what was lost are what the tally counts.
# FAULTS_SCALE above 1 takes the full range, else 2000 ports.
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"

if ! probe_tier; then
	skip "no port left" "$cannot_record"
	tests_end
fi
netns_new || { not_ok "a network namespace" "could not be made"; tests_end; }

cat >"$work/take.py" <<'PY'
# Takes ports of the range until none is left, is refused REFUSED times, then says how many it had and gives all back.
import errno, os, resource, socket, sys
refused = int(sys.argv[1])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
held, errors = [], set()
while len(errors) < 1:
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        s.bind(('127.0.0.1', 0))
        held.append(s)
    except OSError as e:
        errors.add(e.errno)
for _ in range(refused - 1):
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM).bind(('127.0.0.1', 0))
    except OSError as e:
        errors.add(e.errno)
print(os.getpid(), len(held), *(errno.errorcode[e] for e in errors))
PY
cat >"$work/churn.py" <<'PY'
import socket
while True:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(('127.0.0.1', 0))
    s.close()
PY
lines() { grep "\"event\":\"$2\"" "$work/$1.out" | grep -c "\"pid\":$3,"; }
released() { [[ $(lines "$1" port.release "$2") -ge $3 ]]; }

# exhausted NAME LO HI
exhausted() {
	local pid had errno all=$(($3 - $2 + 1))
	in_netns sh -c "echo $2 $3 >/proc/sys/net/ipv4/ip_local_port_range"
	trace_start "$1" -o jsonl --no-snapshot --tier "$tier" --netns "$ns_inode"
	read -r pid had errno < <(in_netns python3 "$work/take.py" 7)
	until_true 60 released "$1" "$pid" "$had"
	trace_stop INT
	expect "$1: the kernel gave all $all ports" test "$had" -eq "$all"
	expect "$1: each is told" test "$(lines "$1" port.alloc "$pid")" -eq "$all"
	expect "$1: and its end" test "$(lines "$1" port.release "$pid")" -eq "$all"
	expect "$1: 7 refusals are told with their owner" test "$(lines "$1" port.fail "$pid")" -eq 7
	expect "$1: with the errno that it got, $errno" test "$(grep '"event":"port.fail"' "$work/$1.out" | grep -c "\"errno\":\"$errno\"")" -eq 7
	expect "$1: no gap" test "$(grep -c recorder.gap "$work/$1.out")" -eq 0
}
exhausted small 40000 40099
if [[ ${FAULTS_SCALE:-1} -le 1 ]]; then
	exhausted large 40000 41999
elif [[ $(ulimit -Hn) != unlimited && $(ulimit -Hn) -lt 28300 ]]; then
	skip "the full range" "not more than $(ulimit -Hn) open files are allowed here"
else
	exhausted full 32768 60999
fi

tests_end
