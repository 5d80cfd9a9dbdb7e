#!/usr/bin/env python3
"""report_html.py CHROMIUM PAGE REPORT_JSON [SHOTS]: opens the page of report --html in headless Chromium, over the
debugging pipe, and looks whether it does what it should. Prints "ok - NAME" or "not ok - NAME: WHY" for each thing."""
import json, os, subprocess, sys, tempfile, time

chromium, page, path = sys.argv[1:4]
shots = sys.argv[4] if len(sys.argv) > 4 else None
report = json.load(open(path))


class Browser:
    def __init__(self, profile):
        to_r, self.to = os.pipe()
        self.back, back_w = os.pipe()

        def wire():     # the browser reads descriptor 3 and writes 4
            r, w = os.dup(to_r), os.dup(back_w)
            os.dup2(r, 3)
            os.dup2(w, 4)

        self.process = subprocess.Popen(
            [chromium, '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-extensions',
             '--disable-background-networking', '--hide-scrollbars', '--user-data-dir=' + profile, '--remote-debugging-pipe', 'about:blank'],
            preexec_fn=wire, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_r)
        os.close(back_w)
        self.buffer, self.events, self.last, self.session = b'', [], 0, None

    def read(self):
        while b'\0' not in self.buffer:
            got = os.read(self.back, 1 << 20)
            if not got:
                raise RuntimeError('the browser ended')
            self.buffer += got
        one, self.buffer = self.buffer.split(b'\0', 1)
        return json.loads(one)

    def ask(self, method, **params):
        self.last += 1
        message = {'id': self.last, 'method': method, 'params': params}
        if self.session:
            message['sessionId'] = self.session
        os.write(self.to, json.dumps(message).encode() + b'\0')
        while True:
            got = self.read()
            if got.get('id') == self.last:
                if 'error' in got:
                    raise RuntimeError(f'{method}: {got["error"]}')
                return got['result']
            self.events.append(got)

    def run(self, code):
        got = self.ask('Runtime.evaluate', expression=code, returnByValue=True, awaitPromise=True)
        if 'exceptionDetails' in got:
            raise RuntimeError(str(got['exceptionDetails']))
        return got['result'].get('value')

    def close(self):
        os.close(self.to)
        self.process.terminate()
        self.process.wait()


def check(name, good, why=''):
    print(f'ok - {name}' if good else f'not ok - {name}: {why}')


def shot(b, name, width, scheme, full=True):
    b.ask('Emulation.setEmulatedMedia', features=[{'name': 'prefers-color-scheme', 'value': scheme}])
    b.ask('Emulation.setDeviceMetricsOverride', width=width, height=900, deviceScaleFactor=1, mobile=width < 700)
    time.sleep(.5)
    if shots:
        import base64
        got = b.ask('Page.captureScreenshot', format='png', captureBeyondViewport=full)
        open(f'{shots}/{name}.png', 'wb').write(base64.b64decode(got['data']))


def key(b, name):
    for kind in ('keyDown', 'keyUp'):
        b.ask('Input.dispatchKeyEvent', type=kind, key=name, code=name, windowsVirtualKeyCode={'ArrowLeft': 37, 'Enter': 13}[name],
              **({'text': '\r'} if name == 'Enter' and kind == 'keyDown' else {}))


ROWS = "[...document.querySelectorAll('#groups tbody tr')].map(r => [...r.cells].map(c => c.textContent))"


def looks(b):
    began = time.monotonic()
    b.ask('Page.navigate', url='file://' + os.path.abspath(page))
    for _ in range(600):
        if b.run("document.readyState === 'complete' && document.documentElement.dataset.drawn") == 'yes':
            break
        time.sleep(.1)
    time.sleep(.5)      # the histograms are drawn in the next frame
    print(f'# drawn after {time.monotonic() - began:.1f} s, {os.path.getsize(page) >> 10} KiB')
    check('the page is drawn', b.run('document.documentElement.dataset.drawn') == 'yes', 'the script did not reach its end')
    curves = b.run("[...document.querySelectorAll('#use path.curve')].map(p => p.getAttribute('d').length)")
    lanes = sum(bool(report['netns'][0][p]) for p in ('tcp', 'udp'))
    check('use over time has its curves', len(curves) == lanes and min(curves) > 500, curves)
    ink = b.run("""(() => { const c = document.querySelector('#map canvas'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        const seen = new Set(); for (let i = 0; i < d.length; i += 4) if (d[i + 3]) seen.add(d[i] << 16 | d[i + 1] << 8 | d[i + 2]); return seen.size; })()""")
    check('the map is coloured', ink > 20, f'{ink} colours')
    bars = b.run("[...document.querySelectorAll('#times svg')].map(s => s.querySelectorAll('.hbar').length)")
    want = [len(report[k]['steps']) for k in ('active', 'time_wait', 'held', 'reuse') if report[k]['count']]
    check('each histogram has its bars', bars == want, f'{bars}, not {want}')
    check('the sums are those of the report', b.run("document.querySelector('.tile b').textContent") == f"{report['leases']['count']:,}", 'they are not')


def sorts(b):
    b.run("(s => { s.value = 'exe'; s.dispatchEvent(new Event('change')); })(document.getElementById('by'))")
    first = b.run(ROWS)
    leases = [int(r[1].replace(',', '')) for r in first]
    check('rows come with most leases first', leases == sorted(leases, reverse=True) and len(leases) > 1, leases)
    b.run("document.querySelectorAll('#groups th button')[1].focus()")
    key(b, 'Enter')
    check('a key on a title turns the order', [int(r[1].replace(',', '')) for r in b.run(ROWS)] == sorted(leases), b.run(ROWS)[:2])
    check('the order is told to readers', b.run("document.querySelectorAll('#groups th')[1].getAttribute('aria-sort')") == 'ascending', 'it is not')
    b.run("document.querySelectorAll('#groups th button')[0].click()")
    names = [r[0] for r in b.run(ROWS)]
    check('names sort too', sorted(names) == sorted(r[0] for r in first) and names != [r[0] for r in first], names)
    b.run("(i => { i.value = 'nginx'; i.dispatchEvent(new Event('input')); })(document.querySelector('#groups input'))")
    left = b.run(ROWS)
    check('the filter leaves what matches', len(left) == 1 and 'nginx' in left[0][0], left)
    b.run("(i => { i.value = ''; i.dispatchEvent(new Event('input')); })(document.querySelector('#groups input'))")


def hovers(b):
    for name, where in (('use over time', '#use svg'), ('the map', '#map canvas'), ('a histogram', '#times svg')):
        b.run(f"document.querySelector('{where}').focus()")
        for _ in range(50):     # coming into view scrolls, and scrolling hides what hovers
            key(b, 'ArrowLeft')
            text = b.run("document.getElementById('tip').hidden ? '' : document.getElementById('tip').textContent")
            if text:
                break
            time.sleep(.1)
        check(f'arrow keys move through {name}', len(text) > 8, repr(text))
        b.run(f"document.querySelector('{where}').blur()")


def is_safe(b):
    for by in ('exe', 'process'):
        b.run(f"(s => {{ s.value = '{by}'; s.dispatchEvent(new Event('change')); }})(document.getElementById('by'))")
        b.run("(b => { if (!b.hidden) b.click(); })(document.querySelector('#groups .under button'))")
        names = ' '.join(r[0] for r in b.run(ROWS))
        want = ('<img', '</script>', '\\u{202e}cod')
        check(f'hostile names are text, by {by}', all(w in names for w in want), names[:300])
    check('no name became an element', b.run("document.querySelectorAll('img, iframe, object, embed, link, main script, table b').length") == 0
          and b.run("document.querySelectorAll('script').length") == 2, 'one did')
    check('nothing turns text around', not b.run(r"/[\u202a-\u202e\u2066-\u2069]/.test(document.body.innerText)"), 'a bidi character is shown')


def is_narrow(b):
    shot(b, 'phone', 390, 'light')
    check('a phone needs no sideways scrolling', b.run('document.documentElement.scrollWidth') <= 390, b.run('document.documentElement.scrollWidth'))
    check('the plots follow the width', b.run("document.querySelector('#use svg').getBoundingClientRect().width") < 390, 'they do not')
    shot(b, 'phone-dark', 390, 'dark')


def has_no_complaints(b):
    bad = [e for e in b.events if e.get('method') == 'Runtime.exceptionThrown'
           or e.get('method') == 'Log.entryAdded' and e['params']['entry']['level'] in ('error', 'warning')
           or e.get('method') == 'Runtime.consoleAPICalled' and e['params']['type'] in ('error', 'warning', 'assert')]
    check('no error and nothing blocked', not bad, json.dumps(bad)[:400])
    asked = [e['params']['request']['url'] for e in b.events if e.get('method') == 'Network.requestWillBeSent']
    check('nothing is loaded', all(u.startswith('file://') and u.endswith(os.path.basename(page)) for u in asked) and len(asked) == 1, asked)
    b.run("(s => { s.textContent = 'window.pwned = 1'; document.body.append(s); })(document.createElement('script'))")
    check('a foreign script does not run', b.run('window.pwned') is None, 'it ran')


with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
    b = Browser(profile)
    try:
        target = b.ask('Target.createTarget', url='about:blank')['targetId']
        b.session = b.ask('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            b.ask(domain + '.enable')
        b.ask('Emulation.setDeviceMetricsOverride', width=1280, height=900, deviceScaleFactor=1, mobile=False)
        looks(b)
        sorts(b)
        hovers(b)
        is_safe(b)
        b.run("document.activeElement.blur()")
        shot(b, 'light', 1280, 'light')
        shot(b, 'dark', 1280, 'dark')
        is_narrow(b)
        has_no_complaints(b)
    finally:
        b.close()
