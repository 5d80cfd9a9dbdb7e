#!/bin/bash
# The scope of recording: connections accepted on a port outside the ephemeral range (a web server's) are counted in
# the kernel and not told, unless --scope all; the listener itself, the clients' ports, and what is accepted on a port
# inside the range are told in both.
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"

if ! probe_tier; then
	skip "scope" "$cannot_record"
	tests_end
fi
netns_new || { not_ok "a network namespace" "could not be made"; tests_end; }

cat >"$work/serve.py" <<'PY'
import socket, struct, sys
port, count = int(sys.argv[1]), int(sys.argv[2])
reset = struct.pack('ii', 1, 0)
l = socket.socket()
l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
l.bind(('127.0.0.1', port))
l.listen(8)
for _ in range(count):
    c = socket.socket()
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
    c.connect(('127.0.0.1', port))
    s, _ = l.accept()
    c.close()
    s.close()
PY

# count NAME PORT KIND: port.alloc lines in the namespace
count() { grep '"event":"port.alloc"' "$work/$1.out" | grep "\"port\":$2," | grep -c "\"kind\":\"$3\""; }
connects() { grep '"event":"port.alloc"' "$work/$1.out" | grep -c '"kind":"connect"'; }

for scope in default all; do
	trace_start "$scope" -o jsonl --scope "$scope" --netns "$ns_inode"
	in_netns python3 "$work/serve.py" 8080 20
	in_netns python3 "$work/serve.py" 45080 7
	trace_stop INT
	expect "$scope: ended well" test "$status" -eq 0
	expect "$scope: the listener outside the range" test "$(count "$scope" 8080 bind)" -eq 1
	expect "$scope: the clients' ports" test "$(connects "$scope")" -eq 27
	expect "$scope: accepted inside the range" test "$(count "$scope" 45080 accept)" -eq 7
done
expect "default: accepted outside the range is not told" test "$(count default 8080 accept)" -eq 0
expect "default: and is counted" test "$(tally default 'out of scope')" -ge 20
expect "all: accepted outside the range is told" test "$(count all 8080 accept)" -eq 20
tests_end
