'use strict';
// Draws the report whose numbers stand in the element "data". Loads nothing, sends nothing. Names of other people only
// ever become text nodes, with what would hide or turn text written out.
(() => {
const data = JSON.parse(document.getElementById('data').textContent);
const $ = id => document.getElementById(id);
const SVG = 'http://www.w3.org/2000/svg';
const INSTANTS = 240;

const show = s => String(s).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}]/gu, c => '\\u{' + c.codePointAt(0).toString(16) + '}');

function el(tag, attrs, ...children) {
	const e = document.createElement(tag);
	for (const [k, v] of Object.entries(attrs || {})) {
		if (k === 'class') e.className = v;
		else if (k.startsWith('on')) e.addEventListener(k.slice(2), v);
		else if (v !== false && v !== null) e.setAttribute(k, v === true ? '' : v);
	}
	e.append(...children.filter(c => c !== null && c !== undefined).map(c => c instanceof Node ? c : show(c)));
	return e;
}

function svg(tag, attrs, text) {
	const e = document.createElementNS(SVG, tag);
	for (const [k, v] of Object.entries(attrs || {})) e.setAttribute(k, v);
	if (text !== undefined) e.textContent = show(text);
	return e;
}

const count = n => n === null || n === undefined ? '' : Number(n).toLocaleString('en');
const percent = x => (x < 10 ? x.toFixed(1) : x.toFixed(0)) + ' %';

function span(us) {
	if (us === null || us === undefined) return '';
	const units = [[864e8, 'd'], [36e8, 'h'], [6e7, 'min'], [1e6, 's'], [1e3, 'ms'], [1, 'us']];
	const [size, name] = units.find(([u], i) => us >= u * (i < 3 ? 1.995 : 1)) || units[5];
	const n = us / size;
	return (n < 9.95 ? String(Math.round(n * 10) / 10) : Math.round(n)) + ' ' + name;
}

const ms = iso => iso ? Date.parse(iso.slice(0, 23) + 'Z') : null;
const stamp = t => t === null ? '' : new Date(t).toISOString().replace('T', ' ').slice(0, 19);
const since = ms(data.since), until = ms(data.until);
const bin = data.bin_us / 1000, instant = i => ms(data.first_instant) + i * bin;

// ---- what hovers ----

const tip = $('tip');
function tipShow(text, x, y) {
	tip.textContent = show(text).replaceAll('\\u{a}', '\n');
	tip.hidden = false;
	const w = tip.offsetWidth, h = tip.offsetHeight;
	const left = x + 14 + w > innerWidth - 6 ? Math.max(6, x - w - 14) : x + 14;
	const top = y + 14 + h > innerHeight - 6 ? Math.max(6, y - h - 14) : y + 14;
	tip.style.transform = `translate(${left}px, ${top}px)`;
}
const tipHide = () => { tip.hidden = true; };
addEventListener('scroll', tipHide, { passive: true });
addEventListener('keydown', e => { if (e.key === 'Escape') tipHide(); });

// A plot that can be looked at with a pointer, a finger or the arrow keys: look(x, y) by place, step(dx, dy) by key.
function lookable(node, look, step, leave) {
	const out = () => { tipHide(); leave(); };
	node.setAttribute('tabindex', '0');
	node.addEventListener('pointermove', e => { const r = node.getBoundingClientRect(); look(e.clientX - r.left, e.clientY - r.top, e.clientX, e.clientY); });
	node.addEventListener('pointerdown', e => { const r = node.getBoundingClientRect(); look(e.clientX - r.left, e.clientY - r.top, e.clientX, e.clientY); });
	node.addEventListener('pointerleave', out);
	node.addEventListener('blur', out);
	node.addEventListener('keydown', e => {
		const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1], PageDown: [24, 0], PageUp: [-24, 0] }[e.key];
		if (!by) return;
		e.preventDefault();
		step(...by);
	});
}

// ---- head ----

function head() {
	$('span').textContent = `${show(data.host || 'this host')} · ${stamp(since)} to ${stamp(until)} UTC (${span((until - since) * 1000)})` +
		(data.live ? ', traced live' : '');
	document.title = `portlife report · ${show(data.host || 'this host')} · ${stamp(since)}`;
	$('made').textContent = `Made ${stamp(ms(data.made))} UTC by portlife ${show(data.version || '')}. All times are UTC. Quantiles are within 1.6 % ` +
		`(3.1 % side by side); use over time is exact at ${INSTANTS} instants, ${span(data.bin_us)} apart.`;
	if (data.status !== 'incomplete') return;
	const why = [];
	if (data.partial) why.push('Stopped before all was read: these are the sums until then.');
	if (data.gap_count) why.push(`${count(data.gap_count)} gap${data.gap_count > 1 ? 's' : ''}, ${span(data.gap_us)} in all (shaded).`);
	if (data.lost === null) why.push('Events were lost; how many is not known.');
	else if (data.lost) why.push(`${count(data.lost)} events were lost.`);
	if (data.evicted) why.push('The span begins in history that retention removed.');
	if (data.before_recording && data.recorded_since) why.push(`Recording began at ${stamp(ms(data.recorded_since))}.`);
	if (data.files_skipped) why.push('History files that could not be read are left out.');
	$('worth').append(el('div', { class: 'warn' }, el('b', {}, 'Incomplete: the numbers are of what was seen'),
		el('ul', {}, ...why.map(w => el('li', {}, w)))));
}

function tiles() {
	const peak = Math.max(0, ...data.netns.flatMap(n => ['tcp', 'udp'].map(p => n[p] ? n[p].peak_even + n[p].peak_odd : 0)));
	const tile = (value, name, bad) => el('div', { class: bad ? 'tile bad' : 'tile' }, el('b', {}, value), el('span', {}, name));
	$('tiles').append(
		tile(count(data.leases.count), 'leases'), tile(count(data.leases.open), 'still held'),
		tile(span(data.active.p50_us) || '–', 'median active time'), tile(span(data.active.p99_us) || '–', '99 % are active at most'),
		tile(span(data.reuse.p50_us) || '–', 'median until used again'), tile(count(peak), 'ports in use at most'),
		tile(count(data.fails), 'refused', data.fails > 0));
}

// ---- axes ----

function niceStep(range, want) {
	const raw = range / want, mag = 10 ** Math.floor(Math.log10(raw || 1));
	return [1, 2, 5, 10].map(m => m * mag).find(s => s >= raw);
}

const TIME_STEPS = [1, 5, 10, 50, 100, 500, 1e3, 2e3, 5e3, 1e4, 3e4, 6e4, 12e4, 3e5, 6e5, 18e5, 36e5, 72e5, 108e5, 216e5, 432e5, 864e5, 1728e5, 6048e5, 2592e6, 7776e6, 31536e6];
function timeTicks(n) {
	const step = TIME_STEPS.find(s => (until - since) / s <= n) || TIME_STEPS.at(-1), ticks = [];
	for (let t = Math.ceil(since / step) * step; t <= until; t += step) {
		const iso = new Date(t).toISOString();
		ticks.push([t, step >= 864e5 ? iso.slice(0, 10) : t % 864e5 === 0 ? iso.slice(5, 10) : step < 1e3 ? iso.slice(14, 23) : step < 6e4 ? iso.slice(11, 19) : iso.slice(11, 16)]);
	}
	return ticks;
}

const shortCount = n => n >= 1e9 ? +(n / 1e9).toFixed(1) + 'G' : n >= 1e6 ? +(n / 1e6).toFixed(1) + 'M' : n >= 1e4 ? +(n / 1e3).toFixed(1) + 'k' : count(n);

// ---- ports in use ----

let space = data.netns[0];
const total = (lane, i) => lane ? lane.held[i][0] + lane.held[i][1] : 0;

function useSub() {
	const cap = space.range ? space.range[1] - space.range[0] + 1 - space.reserved : 0;
	const parts = [cap ? `Ephemeral range ${space.range[0]}–${space.range[1]}, ${count(cap)} usable${space.range_changed ? ' (it changed meanwhile)' : ''}.` : 'The ephemeral range is not on record.'];
	for (const p of ['tcp', 'udp']) {
		const lane = space[p];
		if (!lane) continue;
		const most = lane.peak_even + lane.peak_odd;
		parts.push(`${p.toUpperCase()}: most ${count(most)}${cap && lane.in_range_only ? ` in the range (${percent(100 * most / cap)}; even ${percent(200 * lane.peak_even / cap)}, odd ${percent(200 * lane.peak_odd / cap)} of their half)` : ''} at ${stamp(ms(lane.peak_at)).slice(11)}.` +
			(lane.exhausted_in_s !== null ? ` At its pace the range is exhausted in ${span(lane.exhausted_in_s * 1e6)}.` : ''));
	}
	$('use-sub').textContent = parts.join(' ');
	return cap;
}

function drawUse() {
	const box = $('use'), W = Math.max(280, box.clientWidth), H = W < 600 ? 200 : 260, L = 46, R = 8, T = 10, B = 24;
	const cap = useSub(), lanes = ['tcp', 'udp'].filter(p => space[p]);
	let top = 1;
	for (const p of lanes) for (let i = 0; i < INSTANTS; i++) top = Math.max(top, total(space[p], i));
	const half = cap && top > cap / 5 ? cap / 2 : 0;
	if (half) top = Math.max(top, half * 1.08);
	const step = Math.max(1, niceStep(top, 4));
	top = Math.ceil(top / step) * step;
	const x = t => L + (W - L - R) * (t - since) / (until - since || 1), y = n => T + (H - T - B) * (1 - n / top);
	const root = svg('svg', { width: W, height: H, viewBox: `0 0 ${W} ${H}`, role: 'img', 'aria-label': 'Ports in use over time; arrow keys move through it. ' + $('use-sub').textContent });
	for (const g of data.gaps) {
		const from = Math.max(since, ms(g.from) || since), to = Math.min(until, g.to ? ms(g.to) : until);
		if (to >= from) root.append(svg('rect', { class: 'gap-band', x: x(from), y: T, width: Math.max(2, x(to) - x(from)), height: H - T - B }));
	}
	for (let n = 0; n <= top; n += step) {
		root.append(svg('line', { class: 'grid', x1: L, x2: W - R, y1: y(n), y2: y(n) }), svg('text', { x: L - 6, y: y(n) + 4, 'text-anchor': 'end' }, shortCount(n)));
	}
	for (const [t, label] of timeTicks(W / 75)) {
		if (x(t) < L + 10 || x(t) > W - R - 14) continue;
		root.append(svg('line', { class: 'grid', x1: x(t), x2: x(t), y1: H - B, y2: H - B + 4 }), svg('text', { x: x(t), y: H - 7, 'text-anchor': 'middle' }, label));
	}
	for (const p of lanes) {
		const at = Array.from({ length: INSTANTS }, (_, i) => `${x(instant(i)).toFixed(1)},${y(total(space[p], i)).toFixed(1)}`);
		root.append(svg('path', { class: p + '-fill', d: `M${x(instant(0)).toFixed(1)},${y(0)}L${at.join('L')}L${x(instant(INSTANTS - 1)).toFixed(1)},${y(0)}Z` }),
			svg('path', { class: 'curve ' + p, d: 'M' + at.join('L') }));
	}
	data.fails_over_time.forEach((n, i) => { if (n) root.append(svg('rect', { class: 'refusal', x: x(instant(i)) - 1.5, y: H - B - 5, width: 3, height: 5 })); });
	if (half) root.append(svg('line', { class: 'half', x1: L, x2: W - R, y1: y(half), y2: y(half) }), svg('text', { class: 'half-text', x: W - R - 4, y: y(half) - 5, 'text-anchor': 'end' }, 'half of the range: TCP’s search slows down'));
	const cross = svg('line', { class: 'cross', y1: T, y2: H - B, visibility: 'hidden' });
	root.append(cross);
	lanes.forEach((p, k) => root.append(svg('line', { class: 'curve ' + p, x1: L + 8 + 60 * k, x2: L + 24 + 60 * k, y1: T + 8, y2: T + 8 }), svg('text', { x: L + 29 + 60 * k, y: T + 12 }, p.toUpperCase())));
	const live = el('div', { class: 'live', 'aria-live': 'polite' });
	let at = INSTANTS - 1;
	const say = (px, py) => {
		const i = at, text = [stamp(instant(i)), ...lanes.map(p => `${p.toUpperCase()} ${count(total(space[p], i))} (even ${count(space[p].held[i][0])}, odd ${count(space[p].held[i][1])})`),
			`${count(data.starts[i])} leases began here` + (data.fails_over_time[i] ? `, ${count(data.fails_over_time[i])} refused` : '')].join('\n');
		cross.setAttribute('x1', x(instant(i)));
		cross.setAttribute('x2', x(instant(i)));
		cross.setAttribute('visibility', 'visible');
		tipShow(text, px, py);
		return text;
	};
	lookable(root, (px, py, cx, cy) => {
		at = Math.min(INSTANTS - 1, Math.max(0, Math.round((px * W / root.getBoundingClientRect().width - L) / (W - L - R) * INSTANTS - .5)));
		say(cx, cy);
	}, dx => {
		at = Math.min(INSTANTS - 1, Math.max(0, at + dx));
		const r = root.getBoundingClientRect();
		live.textContent = say(r.left + x(instant(at)), r.top + T);
	}, () => cross.setAttribute('visibility', 'hidden'));
	box.replaceChildren(root, live);
}

// ---- the map ----

const PALETTE = ['#2f7fc1', '#e08214', '#2f9e6e', '#b0529c', '#c9a800', '#d1495b', '#5e6bd8', '#41a9a9', '#8b6b3e', '#7da53a'];
const OTHER = '#8a94a0';
let picked = null;

function mapNames() {
	const weight = new Map();
	for (const [, , name, held] of space.map || []) weight.set(name, (weight.get(name) || 0) + held);
	return [...weight].sort((a, b) => b[1] - a[1]).map(([name]) => name);
}
const nameOf = id => id ? show(data.names[id]) : 'unknown';

function drawMap() {
	const box = $('map'), cells = space.map || [], P = data.map_row_ports;
	if (!cells.length) {
		box.replaceChildren(el('p', { class: 'note' }, 'No port was held here.'));
		$('map-legend').replaceChildren();
		return;
	}
	const order = mapNames(), color = new Map(order.map((n, i) => [n, i < PALETTE.length ? PALETTE[i] : OTHER]));
	const lo = Math.min(...cells.reduce((s, c) => s.add(c[0]), new Set())), hi = cells.reduce((m, c) => Math.max(m, c[0]), 0), rows = hi - lo + 1;
	const W = Math.max(280, box.clientWidth), L = 46, R = 8, T = 4, B = 22, H = Math.max(120, Math.min(420, rows * 8)) + T + B;
	const canvas = el('canvas', { role: 'img', 'aria-label': `Ports ${lo * P} to ${hi * P + P - 1} over time, each place coloured by the process that held most of it; arrow keys move through it.` });
	const scale = devicePixelRatio || 1, ink = getComputedStyle(document.documentElement);
	canvas.width = W * scale;
	canvas.height = H * scale;
	canvas.style.height = H + 'px';
	const c = canvas.getContext('2d'), w = (W - L - R) / INSTANTS, h = (H - T - B) / rows;
	const x = i => L + i * w, y = row => T + (hi - row) * h, at = new Map(cells.map(q => [q[0] * INSTANTS + q[1], q]));
	const most = cells.reduce((m, q) => Math.max(m, q[3]), 0) || 1;
	let cursor = null;
	function paint() {
		c.setTransform(scale, 0, 0, scale, 0, 0);
		c.clearRect(0, 0, W, H);
		c.fillStyle = ink.getPropertyValue('--empty');
		c.fillRect(L, T, W - L - R, H - T - B);
		for (const [row, i, name, held] of cells) {
			// Root, because a range is seldom full and a few ports must show too.
			c.globalAlpha = (picked === null || picked === name ? 1 : .07) * (.28 + .72 * Math.sqrt(held / most));
			c.fillStyle = color.get(name);
			c.fillRect(x(i), y(row), Math.ceil(w * scale) / scale, Math.max(1, h - (h > 4 ? .6 : 0)));
		}
		c.globalAlpha = 1;
		c.fillStyle = ink.getPropertyValue('--soft');
		c.font = '11.5px system-ui, sans-serif';
		c.textAlign = 'right';
		const step = Math.max(1, Math.ceil(rows / 8));
		for (let row = lo; row <= hi; row += step) c.fillText(String(row * P), L - 6, y(row) + h);
		c.textAlign = 'center';
		for (const [t, label] of timeTicks(W / 75)) {
			const px = L + (W - L - R) * (t - since) / (until - since || 1);
			if (px > L + 10 && px < W - R - 14) c.fillText(label, px, H - 6);
		}
		if (cursor) {
			c.strokeStyle = ink.getPropertyValue('--ink');
			c.strokeRect(x(cursor[1]) - .5, y(cursor[0]) - .5, w + 1, h + 1);
		}
	}
	const live = el('div', { class: 'live', 'aria-live': 'polite' });
	const say = (px, py) => {
		const [row, i] = cursor, q = at.get(row * INSTANTS + i);
		const text = `ports ${row * P}–${row * P + P - 1}, ${stamp(since + i * bin)}\n` + (q ? `${q[3] >= .01 ? percent(q[3]) : 'under 0.01 %'} held, most by ${nameOf(q[2])}` : 'free');
		tipShow(text, px, py);
		return text;
	};
	lookable(canvas, (px, py, cx, cy) => {
		const k = W / canvas.getBoundingClientRect().width, i = Math.floor((px * k - L) / w), row = hi - Math.floor((py - T) / h);
		if (i < 0 || i >= INSTANTS || row < lo || row > hi) { cursor = null; tipHide(); paint(); return; }
		cursor = [row, i];
		paint();
		say(cx, cy);
	}, (dx, dy) => {
		cursor = cursor || [hi, INSTANTS - 1];
		cursor = [Math.min(hi, Math.max(lo, cursor[0] + dy)), Math.min(INSTANTS - 1, Math.max(0, cursor[1] + dx))];
		paint();
		const r = canvas.getBoundingClientRect();
		live.textContent = say(r.left + x(cursor[1]), r.top + y(cursor[0]));
	}, () => { cursor = null; paint(); });
	paint();
	box.replaceChildren(canvas, live);
	$('map-sub').textContent = `Each row is ${P} ports, each column ${span(data.bin_us)}. The colour is the process that held most of that place, its strength how much of it was held. Choose a name to see it alone.`;
	const chip = (name, i) => {
		const dot = el('i');
		dot.style.background = color.get(name);
		return el('button', { class: 'chip', type: 'button', 'aria-pressed': String(picked === name), onclick: e => {
			picked = picked === name ? null : name;
			for (const b of $('map-legend').children) b.setAttribute('aria-pressed', 'false');
			e.currentTarget.setAttribute('aria-pressed', String(picked === name));
			paint();
		} }, dot, el('span', {}, nameOf(name)));
	};
	$('map-legend').replaceChildren(...order.slice(0, PALETTE.length).map(chip),
		...(order.length > PALETTE.length ? [el('span', { class: 'note' }, `and ${order.length - PALETTE.length} others, grey`)] : []));
}

// ---- times ----

function drawTimes() {
	const kinds = [['active', 'Active', 'from allocation to close or TIME_WAIT'], ['time_wait', 'TIME_WAIT', 'after it, while the port is still held'],
		['held', 'Held', 'both together'], ['reuse', 'Free until used again', 'of one port, namespace and protocol']];
	$('times').replaceChildren(...kinds.map(([key, title, what]) => {
		const t = data[key], box = el('div', {}, el('h3', {}, title));
		if (!t.count) {
			box.append(el('p', {}, 'None were measured.'));
			return box;
		}
		box.append(el('p', {}, `${what}: p50 ${span(t.p50_us)}, p90 ${span(t.p90_us)}, p99 ${span(t.p99_us)}, max ${span(t.max_us)}, mean ${span(t.mean_us)}, of ${count(t.count)}`));
		const plot = el('div', { class: 'plot' });
		box.append(plot);
		requestAnimationFrame(() => drawSteps(plot, t, title));
		return box;
	}));
	if (data.leases.unmeasured) $('times').append(el('p', {}, `Of ${count(data.leases.unmeasured)} ended leases a start or an end was not seen; they are not measured.`));
}

function drawSteps(box, t, title) {
	const W = Math.max(240, box.clientWidth), H = 150, L = 40, R = 4, T = 6, B = 22, n = t.steps.length;
	const most = Math.max(...t.steps.map(s => s[1])), step = Math.max(1, niceStep(most, 3)), top = Math.ceil(most / step) * step;
	const w = Math.min(46, (W - L - R) / n), y = v => T + (H - T - B) * (1 - v / top);
	const root = svg('svg', { width: W, height: H, viewBox: `0 0 ${W} ${H}`, role: 'img', 'aria-label': `${title}: histogram of ${t.count} times; arrow keys move through it.` });
	for (let v = 0; v <= top; v += step) root.append(svg('line', { class: 'grid', x1: L, x2: W - R, y1: y(v), y2: y(v) }), svg('text', { x: L - 5, y: y(v) + 4, 'text-anchor': 'end' }, shortCount(v)));
	const bars = t.steps.map(([, v], i) => svg('rect', { class: 'hbar', x: L + i * w + .5, y: v ? Math.min(y(v), H - B - 1) : H - B, width: Math.max(1, w - 1), height: v ? Math.max(1, H - B - y(v)) : 0 }));
	root.append(...bars);
	const every = Math.max(1, Math.ceil(48 / w));
	t.steps.forEach(([le], i) => { if (i % every === every - 1 || n < every) root.append(svg('text', { x: Math.min(L + (i + 1) * w, W - 16), y: H - 6, 'text-anchor': 'middle' }, le === null ? 'above' : span(le))); });
	const live = el('div', { class: 'live', 'aria-live': 'polite' });
	let at = -1;
	const say = (i, px, py) => {
		bars[at]?.classList.remove('on');
		at = i;
		bars[at].classList.add('on');
		const [le, v] = t.steps[i], from = i ? span(t.steps[i - 1][0]) + ' to ' : 'up to ';
		const text = `${le === null ? 'above ' + span(t.steps[i - 1]?.[0]) : from + span(le)}\n${count(v)} (${percent(100 * v / t.count)})`;
		tipShow(text, px, py);
		return text;
	};
	lookable(root, (px, py, cx, cy) => {
		const i = Math.floor((px * W / root.getBoundingClientRect().width - L) / w);
		if (i >= 0 && i < n) say(i, cx, cy);
	}, dx => {
		const i = Math.min(n - 1, Math.max(0, at + dx)), r = root.getBoundingClientRect();
		live.textContent = say(i, r.left + L + i * w, r.top + T);
	}, () => { bars[at]?.classList.remove('on'); });
	box.replaceChildren(root, live);
}

// ---- tables ----

// A table that sorts by its titles and filters by what is typed; cols: [title, value, text of the value, is it a number].
function table(cols, rows, sorted, note) {
	const SHORT = 25, filter = el('input', { type: 'search', placeholder: 'Filter', 'aria-label': 'Filter the rows' });
	const body = el('tbody'), info = el('span'), more = el('button', { type: 'button' });
	let by = sorted, down = true, all = false;
	const texts = rows.map(r => cols.map(([, value, text]) => { const v = value(r); return show(text ? text(v, r) : v ?? ''); }));
	const heads = cols.map(([title, , , num], i) => el('th', { class: num ? 'num' : '', scope: 'col' }, el('button', { type: 'button', onclick: () => {
		down = by === i ? !down : num;
		by = i;
		fill();
	} }, title)));
	function fill() {
		const word = filter.value.trim().toLowerCase(), value = cols[by][1], sign = down ? -1 : 1;
		let order = rows.map((_, i) => i).filter(i => !word || texts[i].some(t => t.toLowerCase().includes(word)));
		order.sort((a, b) => {
			const p = value(rows[a]), q = value(rows[b]);
			if (p === q) return a - b;
			if (p === null || p === undefined) return 1;	// what is not known is last, either way
			if (q === null || q === undefined) return -1;
			return sign * (typeof p === 'number' ? p - q : String(p).localeCompare(String(q), 'en', { numeric: true }));
		});
		heads.forEach((h, i) => i === by ? h.setAttribute('aria-sort', down ? 'descending' : 'ascending') : h.removeAttribute('aria-sort'));
		const shown = all ? order : order.slice(0, SHORT);
		body.replaceChildren(...shown.map(i => el('tr', {}, ...cols.map(([, , , num], k) => {
			const td = el('td', { class: num ? 'num' : k ? '' : 'name', title: k ? null : texts[i][k] });
			td.textContent = texts[i][k];
			return td;
		}))));
		info.textContent = `${count(shown.length)} of ${count(order.length)}${word ? ' that match' : ''}` + (note ? `. ${note}` : '');
		more.hidden = order.length <= SHORT;
		more.textContent = all ? 'Show fewer' : 'Show all';
	}
	filter.addEventListener('input', fill);
	more.addEventListener('click', () => { all = !all; fill(); });
	fill();
	return el('div', {}, rows.length > 5 ? el('div', { class: 'under' }, filter) : null,
		el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Table, scrolls sideways' }, el('table', {}, el('thead', {}, el('tr', {}, ...heads)), body)), el('div', { class: 'under' }, info, more));
}

const TITLES = { process: 'process', exe: 'executable', unit: 'unit', container: 'container', port: 'port', dest: 'destination' };
const NONE = { process: 'unknown', exe: 'unknown', unit: 'no unit', container: 'no container', dest: 'no destination' };
const groupName = (by, g) => g.name === null ? NONE[by] : by === 'process' ? `${g.name} (${g.pid})` : by === 'port' || by === 'dest' ? `${g.name}/${g.proto}` : g.name;

function drawGroups() {
	const by = $('by').value, set = data.groups[by], time = (k, q) => r => r[k] ? r[k][q] : null;
	const cols = [[TITLES[by], r => groupName(by, r)], ['leases', r => r.leases, count, true], ['held now', r => r.open, count, true],
		['port-time', r => r.held_s, v => span(v * 1e6), true], ['active p50', time('active', 'p50_us'), span, true], ['p90', time('active', 'p90_us'), span, true],
		['p99', time('active', 'p99_us'), span, true], ['max', time('active', 'max_us'), span, true], ['TIME_WAIT p50', time('time_wait', 'p50_us'), span, true],
		['refused', r => r.fails, v => v ? count(v) : '', true], ['last', r => r.last, v => stamp(ms(v))]];
	const note = [set.groups + set.dropped > set.rows.length ? `${count(set.groups + set.dropped - set.rows.length)} more are not in this page` : '',
		set.missed_at_most ? `too many to keep apart: counts may be ${count(set.missed_at_most)} too low` : ''].filter(Boolean).join('; ');
	$('groups').replaceChildren(table(cols, set.rows, 1, note));
}

function tables() {
	const lease = [['port', r => r.port, (v, r) => `${v}/${r.proto}`, true], ['held', r => r.held_us, (v, r) => span(v) + (r.end ? '' : ' +'), true], ['since', r => r.start, v => v ? stamp(ms(v)) : 'before recording'],
		['process', r => r.pid ? `${r.comm} (${r.pid})` : null, v => v ?? 'unknown'], ['kind', r => r.kind], ['address', r => r.laddr], ['to', r => r.raddr ? `${r.raddr} ${r.rport}` : null, v => v ?? ''],
		['unit', r => r.unit], ['executable', r => r.exe]];
	const add = (title, sub, cols, rows, sorted, note) => {
		if (rows.length) $('tables').append(el('section', {}, el('div', { class: 'bar' }, el('h2', {}, title)), sub ? el('p', { class: 'sub' }, sub) : null, table(cols, rows, sorted, note)));
	};
	add('Refused', 'Who asked for a port and got none.', [['errno', r => r.errno], ['port', r => r.port, (v, r) => `${v || 'any'}/${r.proto}`, true], ['process', r => r.name, v => v ?? 'unknown'],
		['count', r => r.fails, count, true], ['last', r => r.last, v => stamp(ms(v))]], data.groups.refused.rows, 3);
	add('Holds more and more ports', 'Processes whose ports only ever rose, at eight instants of the span: a leak looks like this.',
		[['process', r => `${r.name} (${r.pid})`], ['held now', r => r.open, count, true], ['over time', r => r.trend.at(-1), (v, r) => r.trend.join(' → '), true]], data.suspects.rising, 1);
	add('Bound and idle', `Sockets older than ${span(data.suspects.idle_from_us)} that hold a port and neither listen nor talk to anybody.`, lease, data.suspects.idle, 1,
		data.suspects.idle_count > data.suspects.idle.length ? `${count(data.suspects.idle_count)} in all` : '');
	add('Fullest destinations at the end', 'Source ports in use to one destination; connect() fails when none is left.',
		[['destination', r => `${r.raddr} ${r.rport}/${r.proto}`], ['from', r => r.laddr], ['namespace', r => r.netns], ['in use', r => r.used_even + r.used_odd + r.blocked, count, true], ['even', r => r.used_even, count, true], ['odd', r => r.used_odd, count, true],
			['of', r => r.capacity, count, true], ['full', r => r.ratio, v => v === null ? '' : percent(100 * v), true]], data.destinations, 3);
	add('Longest held', '', lease, data.longest, 1);
	add('Gaps', 'When nobody looked, or events were lost.', [['from', r => r.from, v => stamp(ms(v))], ['to', r => r.to, v => v ? stamp(ms(v)) : 'lasts'], ['cause', r => r.cause], ['lost', r => r.lost, v => v === null ? 'not known' : count(v), true]],
		data.gaps, 0, data.gap_count > data.gaps.length ? `${count(data.gap_count)} in all` : '');
}

// ---- all ----

function draw() {
	if (!space) return;
	drawUse();
	drawMap();
}
head();
tiles();
$('netns-label').hidden = data.netns.length < 2;
$('netns').append(...data.netns.map((n, i) => el('option', { value: i }, `${n.netns} (${count(n.leases)} leases)`)));
$('netns').addEventListener('change', e => { space = data.netns[e.target.value]; picked = null; draw(); });
$('by').append(...Object.keys(TITLES).filter(k => data.groups[k] && data.groups[k].rows.length).map(k => el('option', { value: k, selected: k === data.by }, TITLES[k])));
$('by').addEventListener('change', drawGroups);
if ($('by').value) drawGroups();
draw();
drawTimes();
tables();
let wide = innerWidth, timer;
addEventListener('resize', () => {
	if (innerWidth === wide) return;	// a phone's address bar
	wide = innerWidth;
	clearTimeout(timer);
	timer = setTimeout(() => { draw(); drawTimes(); }, 120);
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
document.documentElement.dataset.drawn = 'yes';
})();
