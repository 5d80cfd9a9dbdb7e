#!/usr/bin/env python3
"""Names that nobody should have given, and strict readers of what portlife makes of them: hostile.py COMMAND ARGUMENTS...

  run TRUTH HOLDER DIR CGROUP    one holder of a port for each name, at a path below DIR and in a cgroup below CGROUP that are
                                 called so; writes what is true, waits for SIGTERM
  tidy CGROUP                    removes those cgroups
  tame FILE                      no byte that a terminal could act on
  spoil DIR                      names that no kernel gives, into each file of a history
  KIND TRUTH FILE                whether FILE has the names of TRUTH as they are: jsonl, json, csv, logfmt, journal, metrics,
                                 history (a directory), page
"""
import base64
import csv
import hashlib
import html.parser
import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys

sys.path.insert(0, os.path.dirname(__file__))
from logs import logfmt, native, no_twins    # noqa: E402

BASE = 45100
CUT = '\u2026'.encode()
# The name of a directory (of program and cgroup) and of a process. A slash makes two directories.
NAMES = {
    'escape': b'\x1b]0;owned\x07\x1b[2J\x9b1m\x1b[5;44m',
    'lines': b'a\nport="1" b\r\nlevel=err\x0b\x85',
    'quotes': b'"\'`\\",\'"%s%n%%${x}$(x)',
    'bytes': b'\xff\xfe\xc3(\xed\xa0\x80\xf5\xc0\x80',
    'bidi': '\u202e\u2066gpj.\u200bexe\u2028\U000e0041'.encode(),
    'markup': b'<img src=x onerror=alert(1)></script><!--]]>&amp;',
    'query': b"x'); DROP TABLE lease;--\"",
    'sheet': b'=cmd|"x"!A1;\t,@b',
    'lookalike': b'\\x1b\\x5c\\xff\\u{202e}\\n\\u001b',
    'blank': b' ',
    'unit': b'e\\x1b\\x5c\\u.service',     # below a slice; systemd takes no other bytes
    'container': b'docker-' + b'0123456789abcdef' * 4 + b'.scope',
    'long': b'/'.join(b'%c' % (65 + i % 26) * 250 + b'\x1b\n"\\\xff' for i in range(16)),
}


def put_exe(top, name, holder):
    """Copies the program to NAME/p below `top`, step by step: a path longer than a system call takes can be reached so."""
    at = os.open(top, os.O_PATH)
    for part in name.split(b'/'):
        try:
            os.mkdir(part, dir_fd=at)
        except FileExistsError:
            pass
        below = os.open(part, os.O_PATH | os.O_NOFOLLOW, dir_fd=at)
        os.close(at)
        at = below
    with open(holder, 'rb') as f, open(os.open(b'p', os.O_WRONLY | os.O_CREAT, 0o755, dir_fd=at), 'wb') as to:
        to.write(f.read())
    return at


def put_cgroup(top, kind, name):
    path = top.encode() + (b'.slice' if kind in ('unit', 'container') else b'')
    os.makedirs(path, exist_ok=True)
    for part in name.split(b'/')[:4]:
        path += b'/' + part.replace(b'\n', b'~')    # the kernel refuses a newline
        if not os.path.isdir(path):
            os.mkdir(path)
    return path


def run(truth, holder, top, cgroup):
    children, rows = [], []
    own = cgroup.encode().rstrip(b'/')
    root = b'/sys/fs/cgroup/unified' if own.startswith(b'/sys/fs/cgroup/unified') else b'/sys/fs/cgroup'
    for n, (kind, name) in enumerate(NAMES.items()):
        at = put_exe(top, name, holder)
        group = put_cgroup(cgroup, kind, name)
        comm = name.replace(b'/', b'|')[:15]
        r, w = os.pipe()
        pid = os.fork()
        if not pid:
            with open(group + b'/cgroup.procs', 'w') as f:
                f.write('0')
            os.dup2(w, 1)
            os.fchdir(at)
            os.execv(b'./p', [b'p', str(BASE + n).encode(), comm])
        os.close(w)
        with os.fdopen(r) as f:
            assert f.readline() == 'held\n', kind
        children.append(pid)
        rows.append({'kind': kind, 'port': BASE + n, 'pid': pid, 'comm': comm.hex(), 'cgroup': group[len(root):].hex(),
                     'netns': os.stat('/proc/self/ns/net').st_ino, 'exe': (os.path.realpath(top).encode() + b'/' + name + b'/p').hex()})
    with open(truth + '.new', 'w') as f:
        json.dump(rows, f)
    os.rename(truth + '.new', truth)
    signal.sigwait({signal.SIGTERM})
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def tidy(cgroup):
    for top in (cgroup, cgroup + '.slice'):
        for path, _, _ in os.walk(top.encode(), topdown=False):
            os.rmdir(path)


def read_truth(path):
    with open(path) as f:
        return {r['port']: {k: bytes.fromhex(v) if k in ('comm', 'cgroup', 'exe') else v for k, v in r.items()} for r in json.load(f)}


# ---- what is told, and what is true ----

def from_json(text):
    """Undoes what json_str() writes: bytes that are no UTF-8 stand as \\xNN, a backslash that would read so as \\x5c."""
    return re.sub(rb'\\x([89a-f][0-9a-f]|5c)', lambda m: bytes([int(m[1], 16)]), text.encode('utf-8'))


def from_text(text):
    """Undoes str_escape()."""
    return re.sub(rb'\\x([01][0-9a-f]|7f|[89a-f][0-9a-f]|5c)|\\u\{([0-9a-f]+)\}',
                  lambda m: bytes([int(m[1], 16)]) if m[1] else chr(int(m[2], 16)).encode(), text.encode('utf-8'))


def same(told, true, undo):
    """Exact; of what is long, the end as the kernel side cut it ("..." in front), and of that the start that a line had room for."""
    if told is None:
        return False
    got = undo(told)
    if got == true or len(true) < 300:
        return got == true
    front, rest = got.startswith(b'...'), got.removeprefix(b'...')
    part = rest.removesuffix(CUT)
    if len(part) < 200 or (not front and not true.startswith(part)):
        return False
    return part in true if rest != part else true.endswith(part)


def compare(truth, told, keys, undo):
    """told: (port, {key: text}); each port of the truth must be there. Elsewhere somebody may hold the same number."""
    seen = set()
    for port, row in told:
        if port not in truth or int(row['netns']) != truth[port]['netns']:
            continue
        seen.add(port)
        for key in keys:
            if not same(row[key], truth[port][key], undo):
                sys.exit(f'{truth[port]["kind"]}: {key} is told as {row[key]!r}, true is {truth[port][key]!r}')
    if seen != set(truth):
        sys.exit(f'not told: {[truth[p]["kind"] for p in set(truth) - seen]}')


def harmless(text):
    bad = re.search('[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u2028\u2029\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]', text)
    if bad:
        sys.exit(f'{bad[0]!r} is raw in {text[max(bad.start() - 60, 0):bad.end() + 60]!r}')
    return text


def read_harmless(path):
    with open(path, 'rb') as f:
        return harmless(f.read().decode('utf-8', 'strict'))


# ---- the readers ----

def check_jsonl(truth, path):
    rows = [json.loads(line, object_pairs_hook=no_twins) for line in read_harmless(path).split('\n')[:-1]]
    rows = [e for e in rows if e['event'] in ('port.alloc', 'port.release', 'port.fail', 'port.open') and e['port'] in truth]
    compare(truth, [(e['port'], e) for e in rows], ('comm', 'exe', 'cgroup'), from_json)
    units = {truth[e['port']]['kind']: (e['unit'], e['container_id']) for e in rows if int(e['netns']) == truth[e['port']]['netns']}
    assert from_json(units['unit'][0] or '') == NAMES['unit'], units['unit']
    assert units['escape'] == (None, None), units['escape']
    assert units['container'][1] == '0123456789abcdef' * 4, units['container']


def check_json(truth, path):
    """`who -o json` of the whole range."""
    doc = json.loads(read_harmless(path), object_pairs_hook=no_twins)
    compare(truth, [(e['port'], e) for e in doc['now'] + doc['held']], ('comm', 'exe', 'cgroup'), from_json)


def check_csv(truth, path):
    rows = csv.DictReader(io.StringIO(read_harmless(path), newline=''), strict=True)
    told = []

    def undo(text):     # what a spreadsheet would run stands escaped
        return from_text(re.sub(r'^\\x(3d|2b|2d|40)', lambda m: chr(int(m[1], 16)), text))
    for row in rows:
        assert None not in row and None not in row.values(), row
        assert not re.match('[=+@-]', row['comm']), row['comm']
        told.append((int(row['port'] or 0), row))
    compare(truth, told, ('comm', 'exe', 'cgroup'), undo)


def check_logfmt(truth, path):
    rows = [logfmt(line) for line in read_harmless(path).split('\n')[:-1]]
    compare(truth, [(int(e['port']), e) for e in rows if e.get('event') == 'port.release'], ('comm', 'exe', 'cgroup'), from_text)


def check_journal(truth, path):
    with open(path) as f:
        rows = [json.loads(line) for line in f]
    for e in rows:
        for text in e.values():
            harmless(text)
    rows = [e for e in rows if e.get('PORTLIFE_EVENT') == 'port.release']
    compare(truth, [(int(e['PORTLIFE_PORT']), {'netns': e['PORTLIFE_NETNS'], 'comm': e['PORTLIFE_COMM'], 'exe': e['PORTLIFE_EXE'], 'cgroup': e['PORTLIFE_CGROUP']})
                    for e in rows], ('comm', 'exe', 'cgroup'), from_text)


def check_metrics(truth, path):
    text, names = read_harmless(path), []
    for m in re.finditer(r'^portlife_workload_ports_in_use\{workload="((?:[^"\\\n]|\\[\\"n])*)"\} 1$', text, re.M):
        names.append(from_text(re.sub(r'\\([\\"n])', lambda e: '\n' if e[1] == 'n' else e[1], m[1])))
    for row in truth.values():
        if row['kind'] in ('unit', 'container', 'long', 'markup'):
            continue    # by their unit or container, or cut
        assert row['cgroup'] in names, (row, names)
    assert NAMES['unit'] in names, names


def check_history(truth, path):
    told = []
    for name in sorted(os.listdir(path)):
        if not name.endswith('.db') or not name.startswith(('hot-', 'lease-')):
            continue
        db = sqlite3.connect(f'file:{path}/{name}?mode=ro', uri=True)
        db.text_factory = bytes
        assert db.execute('PRAGMA integrity_check').fetchall() == [(b'ok',)], name
        for port, *names in db.execute('SELECT port,netns,comm,exe,cgroup FROM leases'):
            told.append((port, dict(zip(('netns', 'comm', 'exe', 'cgroup'), names))))
        db.close()
    compare(truth, told, ('comm', 'exe', 'cgroup'), bytes)


class Page(html.parser.HTMLParser):
    """What a page may hold: one script, one style, one element of data, and no handler or address anywhere."""
    def __init__(self, allowed):
        super().__init__(convert_charrefs=True)
        self.allowed, self.inside, self.texts = allowed, None, {'script': [], 'style': [], 'data': []}

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        assert tag in self.allowed, f'<{tag}> is not ours'
        assert not any(k.startswith('on') or k == 'href' and not v.startswith('#') or k in ('src', 'srcdoc', 'action')
                       for k, v in attrs.items()), (tag, attrs)
        if tag == 'script':
            self.inside = 'data' if attrs.get('type') == 'application/json' else 'script'
            self.texts[self.inside].append('')
        elif tag == 'style':
            self.inside = 'style'
            self.texts['style'].append('')

    def handle_endtag(self, tag):
        if tag in ('script', 'style'):
            self.inside = None

    def handle_data(self, data):
        if self.inside:
            self.texts[self.inside][-1] += data


def check_page(truth, path):
    with open(path, encoding='utf-8') as f:
        text = f.read()
    harmless(text.replace('\t', ''))    # in our own script and style
    own = os.path.join(os.path.dirname(__file__), '../../user/out/html/report.html')
    with open(own, encoding='utf-8') as f:
        page = Page(set(re.findall('<([a-z0-9]+)', f.read())) | {'script', 'style', 'html', 'head', 'body', 'meta'})
    page.feed(text)
    page.close()
    assert {k: len(v) for k, v in page.texts.items()} == {'script': 1, 'style': 1, 'data': 1}, page.texts.keys()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]
    for kind in ('script', 'style'):
        digest = base64.b64encode(hashlib.sha256(page.texts[kind][0].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy, policy
    assert '\t' not in page.texts['data'][0]
    data = json.loads(page.texts['data'][0], object_pairs_hook=no_twins)
    told = [from_json(r['name']) for r in data['groups']['exe']['rows'] if r['name']]
    for row in truth.values():
        assert any(same(r['name'], row['exe'], from_json) for r in data['groups']['exe']['rows']), (row['kind'], told)


# ---- a history that somebody has written to ----

SPOILED = (b'\x1b]0;x\x07', b'a\x00b\x1b[2J', b'\xff\xc3(', '\u202ecod\u2028'.encode(), b'x"\n,\\x1b;=1', b'\x1b' * 70000, b'', b'</script><b>')


def spoil(path):
    texts = {'meta': ('host', 'boot_id', 'version'), 'session': ('version',), 'gap': ('cause',), 'exe': ('path',),
             'workload': ('cgroup', 'unit', 'container_id', 'pod_uid'), 'process': ('comm', 'cmdline'), 'fail': ('errno',)}
    n = 0
    for name in sorted(os.listdir(path)):
        if not name.endswith('.db'):
            continue
        os.chmod(f'{path}/{name}', 0o640)
        db = sqlite3.connect(f'{path}/{name}')
        for table, columns in texts.items():
            for (row,) in db.execute(f'SELECT rowid FROM {table}').fetchall():
                for column in columns:
                    db.execute(f'UPDATE {table} SET {column}=CAST(? AS TEXT) WHERE rowid=?', (SPOILED[n % len(SPOILED)], row))
                    n += 1
        db.commit()
        db.close()
    assert n > 20, n


if __name__ == '__main__':
    what, args = sys.argv[1], sys.argv[2:]
    if what == 'run':
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        run(*args)
    elif what == 'tidy':
        tidy(*args)
    elif what == 'tame':
        assert read_harmless(args[0]), 'nothing was said'
    elif what == 'spoil':
        spoil(*args)
    elif 'check_' + what in globals():
        globals()['check_' + what](read_truth(args[0]), args[1])
    else:
        sys.exit(__doc__)
