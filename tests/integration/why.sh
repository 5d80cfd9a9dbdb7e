#!/bin/bash
# portlife why: every refusal made on purpose and explained (the driver is why.c, which also runs in the test machines),
# and what a person sees of it: usage, forms, exit codes.
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"

if ! probe_tier; then
	skip "why" "$cannot_record"
	tests_end
fi
"$(dirname "$portlife")/tests/integration/why" --portlife "$portlife" --tier "$tier" >"$work/driver"
grep -E '^(not ok|skip|#)' "$work/driver"
read -r p _ f _ s _ < <(grep -E '^[0-9]+ passed, ' "$work/driver" | tr -d ,)
passed=$((passed + ${p:-0})) failed=$((failed + ${f:-1})) skipped=$((skipped + ${s:-0}))

usage() {
	local name=$1 want=$2
	shift 2
	run why "$@"
	expect "$name: exit 2" test "$status" -eq 2
	expect "$name: says so" grep -q -- "$want" "$work/stderr"
}
usage "a range" "one port can be asked about" 80-90
usage "a port with a time" "goes with no time" 80 --since today
usage "an address without a port" "go with a PORT" --addr ::
usage "an address twice" "not both" 127.0.0.1:80 --addr ::1
usage "no address" "wants an IPv4 or IPv6 address" 80 --addr nowhere
usage "v6only for IPv4" "IPv6 address" 80 --v6only
usage "a namespace that is not there" "no network namespace 'nowhere'" 80 --netns nowhere
usage "duration without live" "goes with --live" --duration 3s

run why --state-dir "$work/none"
expect "no history: exit 3" test "$status" -eq 3
expect "no history: says what to do" grep -q "portlife record" "$work/stderr"

netns_new || { not_ok "a network namespace" "could not be made"; tests_end; }
in_netns_child python3 -c '
import socket, time
s = socket.socket(); s.bind(("127.0.0.1", 8080)); s.listen()
print("ready", flush=True); time.sleep(600)' >"$work/ready"
until_true 30 grep -q ready "$work/ready"
run why 8080 --netns "$ns_inode" --no-trial
expect "from outside the namespace: exit 0" test "$status" -eq 0
expect "from outside: the sentence" grep -q "^8080/tcp cannot be bound on 0.0.0.0 in network namespace $ns_inode: a listening socket holds it$" "$work/stdout"
expect "from outside: who" grep -q "(pid $child," "$work/stdout"
expect "from outside: what to do" grep -q "to free it: kill $child$" "$work/stdout"
run why 127.0.0.2:8080 --netns "$ns_inode" -o json
expect "another address: exit 1" test "$status" -eq 1
expect "another address: the trial was made there" grep -q '"kernel_says":"OK"' "$work/stdout"
run why 8080 --netns "$ns_inode" -o csv
expect "csv: two lines" test "$(wc -l <"$work/stdout")" -eq 2
run why 8080 --netns "$ns_inode" -o jsonl
expect "jsonl: one line, with the owner" test "$(grep -c "\"pid\":$child," "$work/stdout")" -eq 1
setpriv --reuid 65534 --clear-groups "$portlife" why 8080 >"$work/stdout" 2>"$work/stderr"
expect "without privilege: exit 4" test $? -eq 4
"$portlife" why 1 >/dev/full 2>"$work/stderr"
expect "a full disk: exit 5" test $? -eq 5
tests_end
