#!/usr/bin/env python3
"""The lines of user/ that no test ran: never_run.py BUILD_DIR

Reads gcov's counts, prints a table of the files and writes BUILD_DIR/never-run, one `file:line: text` each. In the files
of STRICT every line must have run, but for those in never_run.txt, which has a reason for each; an entry there that was not
needed is told, since some of them run by luck.
"""
import json
import os
import re
import subprocess
import sys

STRICT = re.compile(r'user/store/.*|user/model/(tracker|tally)\.c|user/kern/(recorder|source)\.c')


def counts(build):
    """{file: {line: times}}"""
    out = {}
    notes = [os.path.join(d, f) for d, _, files in os.walk(f'{build}/obj') for f in files if f.endswith('.gcno')]
    text = subprocess.run(['gcov', '--json-format', '--stdout', *sorted(notes)], check=True, capture_output=True, text=True).stdout
    for doc in text.splitlines():
        for f in json.loads(doc)['files']:
            if not f['file'].startswith('user/'):
                continue
            lines = out.setdefault(f['file'], {})
            for x in f['lines']:
                lines[x['line_number']] = lines.get(x['line_number'], 0) + x['count']
    return out


def exempt(path):
    """{(file, text): [reason, times to be seen]}: `file: text` lines below the reason, a line that begins with #."""
    out, reason = {}, ''
    with open(path, encoding='utf-8') as f:
        for line in f:
            line = line.rstrip('\n')
            if line.startswith('#'):
                reason = line
            elif line:
                name, _, text = line.partition(': ')
                out[name, text.strip()] = reason
    return out


def main(build):
    excused = exempt(os.path.join(os.path.dirname(__file__), 'never_run.txt'))
    files = counts(build)
    if not files:
        sys.exit('no counts: was it built with --coverage, and did anything run?')
    used, bad, ran_all, all_lines = set(), [], 0, 0
    with open(f'{build}/never-run', 'w', encoding='utf-8') as out:
        for name, lines in sorted(files.items()):
            with open(name, encoding='utf-8') as f:
                source = f.read().split('\n')
            ran = sum(1 for n in lines.values() if n)
            ran_all, all_lines = ran_all + ran, all_lines + len(lines)
            print(f'{ran * 100 / max(len(lines), 1):6.1f} %  {ran:5} of {len(lines):5}  {name}')
            for number in sorted(n for n, times in lines.items() if not times):
                text = source[number - 1].strip()
                out.write(f'{name}:{number}: {text}\n')
                if not STRICT.fullmatch(name):
                    continue
                if (name, text) in excused:
                    used.add((name, text))
                else:
                    bad.append(f'{name}:{number}: {text}')
    print(f'{ran_all * 100 / all_lines:6.1f} %  {ran_all:5} of {all_lines:5}  in all; what never ran is listed in {build}/never-run')
    for line in bad:
        print(f'not ok - never run: {line}')
    for name, text in sorted(set(excused) - used):
        print(f'not needed in never_run.txt: {name}: {text}')
    return 1 if bad else 0


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
