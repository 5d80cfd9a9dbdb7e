#!/bin/bash
# The page of report --html: one file whose policy names its own script and style by their hashes, whose data are those
# of -o json; written under its name complete or not at all; and, where Chromium is installed, a page that draws, sorts,
# filters, can be used by keyboard and on a phone, and shows hostile names as text.
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"

make_history=$(dirname "$portlife")/tests/integration/make_history
here=$(dirname "$0")
state=$work/history
page=$work/page.html

"$make_history" "$state" 6000 gaps || { not_ok "a history" "could not be made"; tests_end; }
run report --state-dir "$state" -o json
cp "$work/stdout" "$work/report.json"
run report --state-dir "$state" --html "$page"
expect "a page is written, exit 3 for the loss in it" test "$status" -eq 3 -a -s "$page"
expect "nothing else is left" test "$(compgen -G "$page*")" = "$page"

cat >"$work/page.py" <<'PY'
import base64, hashlib, json, re, sys
text = open(sys.argv[1], encoding='utf-8').read()
want = json.load(open(sys.argv[2]))
policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text[:2000]).group(1)
assert "default-src 'none'" in policy, policy
for tag, rule in (('script', 'script-src'), ('style', 'style-src')):
    body = re.findall(rf'<{tag}>(.*?)</{tag}>', text, re.S)
    assert len(body) == 1, f'{len(body)} of {tag}'
    digest = base64.b64encode(hashlib.sha256(body[0].encode()).digest()).decode()
    assert f"{rule} 'sha256-{digest}'" in policy, f'the policy does not name this {tag}'
island = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
assert len(island) == 1 and not re.search('[<>&]', island[0]), 'the data can end their element'
assert not re.search('\u202e', text), 'a raw bidi character'
got = json.loads(island[0])
for key in ('leases', 'active', 'time_wait', 'held', 'reuse', 'fails', 'fails_by', 'starts', 'gaps', 'lost', 'since', 'until'):
    assert got[key] == want[key], key
assert got['groups']['exe']['rows'] == want['groups']['exe']['rows'], 'groups'
assert any(r['name'] == '/tmp/</script><b>' for r in got['groups']['exe']['rows']), 'names are not what they were'
assert not re.search(r'(src|href)="(?!#)|@import|url\(', text.split('id="data"')[0]), 'something is loaded'
PY
expect "its policy names its own script and style, its data are the report's" python3 "$work/page.py" "$page" "$work/report.json"

echo before >"$work/target"
ln -s "$work/target" "$work/linked.html"
run report --state-dir "$state" --html "$work/linked.html"
expect "a link under the name is refused: exit 5" test "$status" -eq 5
expect "neither followed nor replaced" test "$(cat "$work/target")" = before -a -L "$work/linked.html"
mkfifo "$work/pipe.html"
run report --state-dir "$state" --html "$work/pipe.html"
expect "a pipe under the name is refused" test "$status" -eq 5 -a -p "$work/pipe.html"
expect "and that is said" grep -q 'no regular file' "$work/stderr"
run report --state-dir "$state" --html "$work/no/such/folder.html"
expect "a folder that is not there: exit 5" test "$status" -eq 5
expect "named in the message" grep -q 'no/such/folder' "$work/stderr"

chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
if [[ -z $chromium ]]; then
	skip "the page in a browser" "no Chromium here (its 113 MB of packages are too much for each run of the tests)"
	tests_end
fi
if ! timeout 300 python3 "$here/report_html.py" "$chromium" "$page" "$work/report.json" >"$work/browser" 2>"$work/browser.err"; then
	not_ok "the page in a browser" "$(tail -3 "$work/browser.err")"
fi
while IFS= read -r line; do
	echo "$line"
	case $line in
	"ok - "*) passed=$((passed + 1)) ;;
	"not ok - "*) failed=$((failed + 1)) ;;
	esac
done <"$work/browser"
tests_end
