#!/bin/bash
# The daemon as a good citizen: its configuration file, what it tells a service manager, what it may do once attached,
# the unit file that is installed. A real systemd runs it in tests/vm/systemd.
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"

here=$(realpath "$(dirname "$0")")
state=$work/state

# The configuration, which needs no privilege to be refused.
conf() { printf '%s\n' "$@" >"$work/conf"; }
refused() {
	run record --state-dir "$state" --config "$work/conf" --duration 1s
	[[ $status -eq 2 ]] && grep -qF "$1" "$work/stderr" || { echo "exit $status: $(cat "$work/stderr")"; return 1; }
}
conf '# a comment' '' 'summary-intervall = 5s'
expect "an unknown key: file and line" refused "$work/conf:3: unknown key 'summary-intervall'"
conf 'summary-interval = soon'
expect "a bad value: file, line and value" refused "$work/conf:1: key 'summary-interval': 'soon' is not a span"
conf 'print = perhaps'
expect "a flag takes yes or no" refused "$work/conf:1: key 'print': 'perhaps' is neither yes nor no"
conf 'print'
expect "a line without =" refused "$work/conf:1: no '=' in 'print'"
conf 'state-dir ='
expect "an empty value" refused "$work/conf:1: key 'state-dir': needs a value"
conf 'config = /etc/passwd'
expect "a file does not name another" refused "$work/conf:1: unknown key 'config'"
conf 'help = yes'
expect "help is no setting" refused "$work/conf:1: unknown key 'help'"
printf 'print = no\0\n' >"$work/conf"
expect "a NUL byte" refused 'holds a NUL byte'
conf 'summary-interval = 1ms'
expect "a value that cannot be" refused 'must be at least 1s'
rm "$work/conf"
expect "a file that was named must be there" refused "no configuration file '$work/conf'"
mkfifo "$work/conf"
expect "a pipe is not read" refused "cannot read the configuration '$work/conf'"
rm "$work/conf"
mkdir "$work/conf"
expect "nor is a directory" refused "cannot read the configuration '$work/conf'"
rmdir "$work/conf"

# Whatever it is refused for: where no state directory was, none is left.
refused_clean() {
	local want=$1
	shift
	run record --config "$work/empty" --state-dir "$work/none" --duration 1s "$@"
	[[ $status -eq $want && ! -e $work/none ]] || { echo "exit $status: $(cat "$work/stderr"; ls -la "$work/none")"; return 1; }
}
: >"$work/empty"
expect "refused for its metrics address: no directory is left" refused_clean 2 --metrics-listen 0.0.0.0:9
expect "refused for its log: none either" refused_clean 5 --log-file /nonexistent/log
unprivileged() {
	setpriv --bounding-set=-all --inh-caps=-all timeout 60 "$portlife" record --config "$work/empty" --state-dir "$work/none" \
		--duration 1s 2>"$work/stderr" </dev/null
	status=$?
	[[ $status -eq 4 && ! -e $work/none ]] || { echo "exit $status: $(cat "$work/stderr"; ls -la "$work/none")"; return 1; }
}
expect "refused its hooks: none either" unprivileged
if [[ $(id -u) -eq 0 ]] && id nobody >/dev/null 2>&1; then
	expect "refused as another user: none either" refused_clean 2 --metrics-listen 0.0.0.0:9 --user nobody
fi

# The unit file.
unit=$work/portlife.service
sed 's|@SBINDIR@|/usr/sbin|' "$here/../../user/dist/portlife.service" >"$unit"
if command -v systemd-analyze >/dev/null; then
	exposure() {
		local got
		got=$(systemd-analyze security --no-pager --offline=true "$unit" | sed -nE 's/.*Overall exposure level.*: ([0-9.]+) .*/\1/p')
		[[ -n $got ]] && awk -v x="$got" 'BEGIN { exit !(x <= 2.5) }' || { echo "exposure $got"; return 1; }
	}
	expect "systemd-analyze security: 2.5 or better" exposure
else
	skip "systemd-analyze security" "systemd-analyze is not installed"
fi
last() { grep '^SystemCallFilter=' "$unit" | tail -n 1 | grep -q 'bpf$'; }
expect "the system call filter allows bpf last" last

if ! probe_tier; then
	skip "the daemon at work" "$cannot_record"
	tests_end
fi

# The command line wins over the file; a key of the file counts; SIGHUP.
conf 'log-format = json' "log-file = $work/log" 'summary-interval = 300s' '; another comment' "  state-dir=$state  "
"$portlife" record --config "$work/conf" --summary-interval 1s 2>"$work/err" </dev/null &
pid=$!
children+=("$pid")
says() { grep -qF -- "$1" "$work/log"; }
expect "the file's form and log" until_true 60 says "\"msg\":\"recording to $state"
expect "the command line wins" until_true 20 says '"event":"port.summary"'
echo 'nonsense = 1' >>"$work/conf"
kill -HUP "$pid"
expect "SIGHUP with a bad file: said, file and line" until_true 20 says "$work/conf:6: unknown key 'nonsense'"
expect "and everything stays" until_true 20 says 'the configuration stays as it was'
conf 'log-format = logfmt' "log-file = $work/log" 'ring-size = 16M' "state-dir=$state"
kill -HUP "$pid"
expect "SIGHUP changes what can change" until_true 20 grep -q '^time=.* msg="the configuration was read again"' "$work/log"
expect "and says what cannot" says "'ring-size' has changed in the configuration; that takes effect with the next start"

# Again and again, each time another form or file of the log, the old one renamed.  What that does to memory: record_faults.
# The least of some: a look at the sockets that is under way has descriptors of its own.
fds() { for _ in {1..20}; do find "/proc/$pid/fd" -mindepth 1 2>/dev/null | wc -l; sleep 0.05; done | sort -n | head -1; }
read_again() { [[ $(cat "$work"/log "$work"/log.* 2>/dev/null | grep -c 'the configuration was read again') -ge $1 ]]; }
reloads() {
	local i
	for ((i = 0; i < $1; i++)); do
		turn=$((turn + 1))
		[[ $((turn % 3)) -ne 0 ]] || mv "$work/log" "$work/log.old$turn"
		conf "log-format = $([[ $((turn % 2)) -eq 0 ]] && echo json || echo logfmt)" "log-file = $work/log$([[ $((turn % 5)) -ne 0 ]] || echo .other)" \
			"state-dir=$state" "warn-exhaustion = ${turn}min"
		kill -HUP "$pid"
		until_true 20 read_again $((turn + 1)) || return
	done
}
turn=0
reloads 15
fds_before=$(fds)
expect "SIGHUP 60 times more: each is answered" reloads 60
expect "SIGHUP leaves no descriptor behind" test "$(fds)" -eq "$fds_before"

# What it may do once attached.
caps() {
	python3 - "$pid" <<'PY'
import os, sys
allowed = 1 << 39 | 1 << 38 | 1 << 21 | 1 << 19 | 1 << 12
seen = []
for t in os.listdir(f"/proc/{sys.argv[1]}/task"):
    s = dict(l.rstrip("\n").split(":\t", 1) for l in open(f"/proc/{sys.argv[1]}/task/{t}/status") if ":\t" in l)
    seen.append((t == sys.argv[1], int(s["CapPrm"], 16), s["NoNewPrivs"]))
ok = len(seen) > 2 and all((p & ~allowed) == 0 if main else p == 0 for main, p, _ in seen) and all(n == "1" for _, _, n in seen)
sys.exit(0 if ok else str(seen))
PY
}
expect "five capabilities in the thread that records, none in the others" caps
# Netns and owners are still found after that: a socket of a new namespace, held before the next start.
kill -TERM "$pid"
wait "$pid"
expect "SIGTERM ends it well" test $? -eq 0

if [[ $(id -u) -eq 0 ]] && id nobody >/dev/null 2>&1; then
	mkdir "$work/open"
	chmod 777 "$work/open"
	: >"$work/empty"
	"$portlife" record --config "$work/empty" --state-dir "$work/open/state" --user nobody --summary-interval 1s 2>"$work/nobody.err" </dev/null &
	pid=$!
	children+=("$pid")
	until_true 60 grep -q 'recording to' "$work/nobody.err"
	uids() { [[ $(awk '/^Uid/ { print $2, $3, $4, $5 }' /proc/"$pid"/task/*/status | sort -u) == "$(id -u nobody) $(id -u nobody) $(id -u nobody) $(id -u nobody)" ]]; }
	expect "--user: every thread is that user" uids
	expect "--user: five capabilities, none elsewhere" caps
	expect "--user: the history belongs to it" test "$(stat -c '%U %a' "$work/open/state")" = 'nobody 750'
	files() { [[ -n $(find "$work/open/state" -name '*.db') && -z $(find "$work/open/state" ! -user nobody) ]]; }
	expect "--user: so do its files" files
	kill -TERM "$pid"
	wait "$pid"
	expect "--user: SIGTERM ends it well" test $? -eq 0
	run record --config "$work/empty" --state-dir "$work/open/state" --user no-such-user --duration 1s
	expect "--user: a user that is not there" grep -q "no user 'no-such-user'" "$work/stderr"
fi

# A service manager.
: >"$work/empty"
python3 "$here/daemon.py" 7 "$portlife" record --config "$work/empty" --state-dir "$state" >"$work/told" 2>"$work/told.err"
expect "under a service manager it ends well" test $? -eq 0
expect "READY=1 comes first" test "$(head -n 1 "$work/told")" = 'READY=1'
expect "RELOADING=1 with its time, and ready again" test "$(grep -A1 -c '^RELOADING=1' "$work/told") $(grep -c '^MONOTONIC_USEC=' "$work/told") $(grep -c '^READY=1' "$work/told")" = '1 1 2'
expect "WATCHDOG=1 again and again" test "$(grep -c '^WATCHDOG=1' "$work/told")" -ge 3
expect "STATUS has counts" grep -q '^STATUS=recording: [0-9]* leases open' "$work/told"
expect "STOPPING=1 at the end" test "$(grep -v '^STATUS\|^WATCHDOG' "$work/told" | tail -n 1)" = 'STOPPING=1'
tests_end
