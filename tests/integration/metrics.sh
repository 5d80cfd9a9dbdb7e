#!/bin/bash
# Metrics: clean for promtool, scraped and answered for by a real Prometheus, read by a real node_exporter; exact;
# hostile names in labels; who may listen where; slow clients and huge requests hold up nothing.
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"

if ! probe_tier; then
	skip "metrics" "$cannot_record"
	tests_end
fi
netns_new || { not_ok "a network namespace" "could not be made"; tests_end; }
here=$(realpath "$(dirname "$0")")
crowd=$(dirname "$portlife")/tests/integration/crowd
state=$work/state
: >"$work/conf"
client() { in_netns python3 "$here/metrics.py" "$@"; }
load() { in_netns python3 "$here/logs.py" load "$@"; }

# The daemon serves inside the namespace of the test, so that its port is nobody else's.
record() {
	: >"$work/record.err"
	nsenter -t "$ns_pid" -n -- "$portlife" record --state-dir "$state" --config "$work/conf" "$@" 2>>"$work/record.err" </dev/null &
	record_pid=$!
	children+=("$record_pid")
	until_true 60 ready
}
ready() { grep -q 'recording to' "$work/record.err" || ! kill -0 "$record_pid"; }
record_end() {
	kill -TERM "$record_pid"
	wait "$record_pid" 2>/dev/null
	status=$?
}
text=$work/textfile/portlife.prom
mkdir -p "$work/textfile"
address=127.0.0.1:9911

# A cgroup with a name that nobody should have given.
cg=/sys/fs/cgroup
[[ -e $cg/cgroup.procs ]] || cg=/sys/fs/cgroup/unified
evil=$cg/portlife-$$-$'e"\\\x1bvil\xff'
other=$cg/lxc.payload.other	# as the series of all that have none of their own
own=$(sed -n 's/^0:://p' /proc/self/cgroup)
hostile=
if mkdir "$evil" "$other" 2>/dev/null; then
	hostile=1
	cat >"$work/hold.py" <<-'PY'
		import signal, socket, sys
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		s.bind(('127.0.0.1', int(sys.argv[1])))
		print('held', flush=True)
		signal.pause()
	PY
fi
# shellcheck disable=SC2317 # the trap calls it
leave() {
	tests_cleanup
	[[ -z $hostile ]] || rmdir "$evil" "$other" 2>/dev/null
}
trap leave EXIT

record --metrics-listen $address --metrics-textfile "$text" --metrics-interval 1s --metrics-workloads
load 200 7
if [[ $hostile ]]; then
	echo $BASHPID >"$evil/cgroup.procs"
	in_netns_child python3 "$work/hold.py" 45010 >"$work/held"
	echo $BASHPID >"$other/cgroup.procs"
	in_netns_child python3 "$work/hold.py" 45011 >"$work/held.other"
	echo $BASHPID >"$cg$own/cgroup.procs"
	until_true 20 grep -q held "$work/held"
	until_true 20 grep -q held "$work/held.other"
fi
exact() {
	client get $address >"$work/got" && grep -q '^portlife_allocations_total{proto="udplite",family="ipv4",kind="bind0"} 200$' "$work/got" &&
		grep -q '^portlife_failures_total{proto="udplite",errno="EADDRINUSE"} 7$' "$work/got"
}
expect "the counts are those of the generator" until_true 20 exact
expect "the type is Prometheus' own" grep -qx 'text/plain; version=0.0.4; charset=utf-8' "$work/got"
sed -i 1d "$work/got"
expect "a strict reader likes it" python3 "$here/metrics.py" check <"$work/got"
if command -v promtool >/dev/null; then
	expect "promtool check metrics is clean" test -z "$(promtool check metrics <"$work/got" 2>&1)"
else
	skip "promtool" "not installed"
fi
missing=
for m in allocations_total releases_total failures_total ports_in_use time_wait_ports port_range_size port_range_reserved \
	destination_ports_in_use_ratio_max exhaustion_seconds lease_duration_seconds port_reuse_interval_seconds \
	workload_ports_in_use events_lost_total store_bytes store_oldest_timestamp_seconds store_write_errors_total build_info; do
	grep -q "^portlife_$m" "$work/got" || missing+=" $m"
done
expect "every metric is there" test -z "$missing"
if [[ $hostile ]]; then
	# The name goes through two escapes: ours, and that of the format.
	label="portlife_workload_ports_in_use{workload=\"/portlife-$$-e\\\"\\\\x5c\\\\x1bvil\\\\xff\"} 1"
	plain="portlife_workload_ports_in_use{workload=\"/portlife-$$-e\\\"\\\\\\\\x1bvil\\\\xff\"} 1"
	expect "a hostile cgroup as a label" grep -qxF -e "$label" -e "$plain" "$work/got"
	expect "a container called other is in the series of all others" \
		test "$(grep -c '^portlife_workload_ports_in_use{workload="other"}' "$work/got")" -eq 1
else
	skip "a hostile cgroup as a label" "no cgroup can be made"
fi
open() { client get $address 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5' >"$work/open"; }
expect "OpenMetrics for who asks" open
expect "its type" grep -qx 'application/openmetrics-text; version=1.0.0; charset=utf-8' "$work/open"
expect "its end" test "$(tail -n 1 "$work/open")" = '# EOF'
# Debian's own python has Debian's module, whatever comes first in PATH.
if /usr/bin/python3 -c 'import prometheus_client' 2>/dev/null; then
	parse() { sed 1d "$work/open" | /usr/bin/python3 -c 'import sys; from prometheus_client.openmetrics.parser import text_string_to_metric_families as p; assert len(list(p(sys.stdin.read()))) > 15'; }
	expect "a parser of OpenMetrics reads it" parse
else
	skip "a parser of OpenMetrics" "python3-prometheus-client is not installed"
fi

# A real Prometheus, and a real node_exporter on the file.
if command -v prometheus >/dev/null; then
	cat >"$work/prometheus.yml" <<-END
		global: { scrape_interval: 1s, scrape_timeout: 1s }
		scrape_configs: [ { job_name: portlife, static_configs: [ { targets: [ '$address' ] } ] } ]
	END
	in_netns_child prometheus --config.file "$work/prometheus.yml" --storage.tsdb.path "$work/tsdb" \
		--web.listen-address 127.0.0.1:9090 2>"$work/prometheus.err"
	# shellcheck disable=SC2016 # python's
	query() {
		in_netns python3 - "$1" "$2" <<-'PY'
			import json, sys, urllib.parse, urllib.request
			url = 'http://127.0.0.1:9090/api/v1/query?query=' + urllib.parse.quote(sys.argv[1])
			got = json.load(urllib.request.urlopen(url, timeout=5))['data']['result']
			sys.exit(0 if [r['value'][1] for r in got] == [sys.argv[2]] else str(got))
		PY
	}
	expect "Prometheus scrapes it" until_true 60 query 'up{job="portlife"}' 1
	expect "and answers for it" until_true 30 query 'sum(portlife_failures_total{proto="udplite"})' 7
	expect "also for histograms" until_true 30 query 'histogram_quantile(0.5, sum by (le) (portlife_lease_duration_seconds_bucket)) < bool 3600' 1
else
	skip "a real Prometheus" "not installed"
fi
if command -v prometheus-node-exporter >/dev/null; then
	in_netns_child prometheus-node-exporter --collector.disable-defaults --collector.textfile \
		--collector.textfile.directory "$work/textfile" --web.listen-address 127.0.0.1:9100 2>"$work/node.err"
	node() {
		client fetch http://127.0.0.1:9100/metrics >"$work/node" && grep -q '^portlife_failures_total{errno="EADDRINUSE",proto="udplite"} 7$' "$work/node" &&
			grep -q '^node_textfile_scrape_error 0$' "$work/node"
	}
	expect "node_exporter reads the file" until_true 60 node
else
	skip "a real node_exporter" "not installed"
fi

# Abuse.
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$record_pid/status"; }
fds() { find "/proc/$record_pid/fd" -mindepth 1 | wc -l; }
before_fds=$(fds) before_rss=$(rss)
# What it counted of the ports that the load of this namespace had. (The client's own are TCP.)
counted() { client get $address | sed -nE "s/^portlife_netns_allocations_total\{netns=\"$ns_inode\",proto=\"udp\"\} //p"; }
before=$(counted)
client abuse $address 10000 >"$work/abuse" 2>"$work/abuse.err" &
abuser=$!
children+=("$abuser")
most=0
while kill -0 $abuser 2>/dev/null; do
	now=$(fds)
	[[ $now -le $most ]] || most=$now
	[[ $most -le $before_fds || -n ${churned:-} ]] || churned=$(in_netns "$crowd" churn 2000)
	sleep 0.1
done
wait $abuser
expect "10000 slow clients: at most 32 connections at once, and many" test "$((most - before_fds))" -le 40 -a "$((most - before_fds))" -ge 16
expect "and no memory to speak of" test "$(($(rss) - before_rss))" -lt 8192
expect "a request line of 1 MB, a POST, another path" test "$(cat "$work/abuse")" = '414 405 404'
expect "served again afterwards" until_true 30 exact
lost() { ! grep -Eq '^portlife_events_lost_total\{reason="(ring|table)"\} [1-9]' "$work/got"; }
expect "and nothing was lost meanwhile" lost
all_counted() { [[ ${churned:-0} -eq 2000 && $(counted) -eq $((${before:-0} + churned)) ]]; }
expect "2000 ports that a load had meanwhile are counted, each" until_true 30 all_counted
kill -STOP "$record_pid"
sleep 0.2
kill -CONT "$record_pid"
record_end
expect "SIGTERM ends it well" test "$status" -eq 0
expect "the file has the last counts" grep -q '^portlife_failures_total{proto="udplite",errno="EADDRINUSE"} 7$' "$text"
expect "and nothing lies beside it" test "$(ls "$work/textfile")" = portlife.prom

# Where to listen.
record --metrics-listen "unix:$work/m.sock"
expect "a unix socket" client get "unix:$work/m.sock"
expect "its mode" test "$(stat -c %a "$work/m.sock")" = 660
run record --state-dir "$work/other" --config "$work/conf" --metrics-listen "unix:$work/m.sock" --duration 1s
expect "a second one there is refused" test "$status" -eq 5
kill -KILL "$record_pid"
wait "$record_pid" 2>/dev/null
record --metrics-listen "unix:$work/m.sock"
expect "a stale socket is replaced" client get "unix:$work/m.sock"
record_end
expect "and removed at the end" test ! -e "$work/m.sock"
echo precious >"$work/file"
run record --state-dir "$work/other" --config "$work/conf" --metrics-listen "unix:$work/file" --duration 1s
expect "a file is not" test "$status $(cat "$work/file")" = '5 precious'
record --metrics-listen '[::1]:9912'
expect "IPv6" client get '[::1]:9912'
record_end
for bad in 0.0.0.0:9911 '[::]:9911' 192.0.2.1:9911; do
	run record --state-dir "$work/other" --config "$work/conf" --metrics-listen "$bad" --duration 1s
	expect "$bad is refused" test "$status" -eq 2
	expect "$bad: the reason" grep -q 'metrics-allow-remote' "$work/stderr"
done
for bad in 9911 localhost:9911 127.0.0.1: unix: '::1:80' 127.0.0.1:99999; do
	run record --state-dir "$work/other" --config "$work/conf" --metrics-listen "$bad" --duration 1s
	expect "'$bad' is no address" test "$status" -eq 2
done
for bad in portlife.txt portlife.prom.tmp prom; do
	run record --state-dir "$work/other" --config "$work/conf" --metrics-textfile "$work/$bad" --duration 1s
	expect "a textfile '$bad' is refused" test "$status" -eq 2
	expect "'$bad': the reason" grep -q 'must end in .prom' "$work/stderr"
done
record --metrics-listen 0.0.0.0:9911 --metrics-allow-remote
expect "unless that is asked for" client get 127.0.0.1:9911
record_end

# The library is loaded by who serves: where it is missing that is said, and all else works.
library=$(ldconfig -p | sed -n 's/.*libmicrohttpd\.so\.12 .*=> //p' | head -1)
without() { timeout 60 unshare -m sh -c 'mount --bind /dev/null "$1" && shift && exec "$@"' sh "$(realpath "$library")" "$portlife" "$@"; }
if [[ -n $library ]] && unshare -m true 2>/dev/null; then
	without record --state-dir "$work/other" --config "$work/conf" --metrics-listen 127.0.0.1:9914 --duration 1s 2>"$work/without.err"
	expect "no library, no metrics" test $? -eq 5
	expect "and the reason, once" test "$(grep -c 'libmicrohttpd' "$work/without.err") $(grep -c metrics "$work/without.err")" = '1 1'
	expect "the other commands do without" without --version >/dev/null
else
	skip "without the library" "it is not in the cache of the linker, or there are no mount namespaces"
fi

# Sockets passed by a service manager.
if command -v systemd-socket-activate >/dev/null; then
	in_netns_child systemd-socket-activate -l 127.0.0.1:9913 "$portlife" record --state-dir "$state" --config "$work/conf" 2>"$work/activate.err"
	expect "socket activation" until_true 60 client get 127.0.0.1:9913
	kill "$child"
else
	skip "socket activation" "systemd-socket-activate is not installed"
fi
tests_end
