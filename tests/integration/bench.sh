#!/bin/bash
# The benchmark runs, and what it says can be trusted: every operation of its load is in what portlife saw (or counted
# as lost), its files are JSON, and the kernel's totals are exact. How fast anything is, is no test's business.
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"
here=$(dirname "$(realpath "$0")")
load=$(dirname "$portlife")/tests/bench/load

if ! probe_tier; then
	skip "bench" "$cannot_record"
	tests_end
fi
if [[ ! -x $load ]]; then
	skip "bench" "no $load: make bench-tools"
	tests_end
fi
"$here"/../bench/bench --portlife "$portlife" --load "$load" --out "$work/bench" --quick \
	--works connect-rst:2,connect-fin,accept,bind0,udp-bind0,udp-connect,udp-send,timers,stream --tools trace-jsonl \
	>"$work/stdout" 2>"$work/stderr"
expect "the benchmark runs" test $? -eq 0
cat >"$work/judge.py" <<'PY'
import json, sys
bench = json.load(open(sys.argv[1]))
rows = bench["rows"]
for key in ("kernel", "tier", "commit"):
    assert bench[key], f"{key} is not said"
assert len(rows) == 9, f"{len(rows)} rows"
for row in rows:
    name = f'{row["work"]} x{row["threads"]}'
    assert "failed" not in row, f'{name}: {row["failed"]}'
    seen, done, lost = row["seen"]["median"], row["done"]["median"], row["lost"]["median"]
    assert seen + lost >= done, f"{name}: {seen} seen and {lost} lost of {done}"
    assert lost or seen == done, f"{name}: {seen} seen of {done}"
    assert row["cpu_ratio"]["median"] > 0 and row["rss"]["median"] > 0, f"{name}: nothing measured"
PY
expect "operations done = events seen" python3 "$work/judge.py" "$work/bench/bench.json"

# What the kernel counts by namespace is exact although the ring overflows, and the flooder is named.
"${load%load}totals" "$load" >"$work/totals" 2>&1
while read -r verdict rest; do
	case $verdict in
	ok) ok "totals: ${rest#- }" ;;
	not) not_ok "totals" "${rest#ok - }" ;;
	esac
done <"$work/totals"
expect "totals were judged" grep -q ' 0 failed,' "$work/totals"
tests_end
