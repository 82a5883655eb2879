/*
 * Curves of the last hour as SVG. Time is the slot's number, so a curve never has to be recomputed for a new width; marks stand for
 * starts (a tick with a triangle) and exits (a cross), which differ in shape and not only in colour.
 */
import { svg, el, setText, percent, bytes, clock } from "./dom.js";
import { store } from "./store.js";

/* Pieces of a path through VALUES (null: a gap), at the right edge of SLOTS. */
function path(values, top, width, height) {
	const start = store.slots - values.length;
	let line = "", area = "", open = -1;
	const x = (i) => ((start + i) * width / (store.slots - 1)).toFixed(1);
	const y = (value) => (height - Math.min(1, value / top) * height).toFixed(1);
	values.forEach((value, i) => {
		if (value === null) {
			if (open >= 0)
				area += `L${x(i - 1)} ${height}Z`;
			open = -1;
			return;
		}
		if (open < 0) {
			line += `M${x(i)} ${y(value)}`;
			area += `M${x(i)} ${height}L${x(i)} ${y(value)}`;
			open = i;
			if (values[i + 1] === null || i + 1 === values.length)
				line += "h.8";		/* a single sample is a dot */
		} else {
			line += `L${x(i)} ${y(value)}`;
			area += `L${x(i)} ${y(value)}`;
		}
	});
	if (open >= 0)
		area += `L${x(values.length - 1)} ${height}Z`;
	return { line, area };
}

/* The next round number: a scale that does not jump with every sample. */
function ceiling(value, least) {
	const wanted = Math.max(value * 1.15, least);
	const power = 10 ** Math.floor(Math.log10(wanted));
	return [1, 1.5, 2, 3, 4, 5, 7.5, 10].map((step) => step * power).find((step) => step >= wanted);
}

const peak = (values) => values.reduce((most, value) => Math.max(most, value ?? 0), 0);

/* Slot of TIME, fractional; below 0: more than an hour ago. */
function slotOf(time, end) {
	return store.slots - 1 - (end - time) / store.step;
}

const KINDS = ["start", "crash", "asked"];

/* Did it end as it should not? */
export const failed = (mark) => !mark.asked && (mark.exitcode !== 0 || mark.to !== "EXITED");

function markText(mark) {
	return `${clock(mark.t)}  ${mark.kind === "start" ? "started" : "ended"}: ${mark.text.replace(/^it ended: /, "")}`;
}

/*
 * The starts and exits of the last hour, newest first: [{slot, kind, text}]. The newest are known one by one, with their causes; of
 * what was before, how many there were in each step.
 */
function happenings(series) {
	if (!series)
		return [];
	const list = [];
	for (const mark of series.marks) {
		const slot = slotOf(mark.t, series.end), kind = mark.kind === "start" ? "start" : failed(mark) ? "crash" : "asked";
		if (slot >= 0)
			list.unshift({ slot, kind, text: markText(mark) });
	}
	const oldest = list.length ? list[list.length - 1].slot : store.slots;
	for (const [age, ...counts] of series.events.toReversed()) {
		const slot = store.slots - 1 - age;
		counts.forEach((n, i) => {
			if (n && slot < oldest - 1)
				list.push({ slot, kind: KINDS[i], text: `${clock(series.end - age * store.step)}  ${["started", "failed", "ended"][i]} ${n} ×` });
		});
	}
	return list;
}

/* ---- in a row ---- */

const WIDTH = 120, HEIGHT = 22;

export class Sparkline {
	constructor(kind) {
		this.kind = kind;
		this.area = svg("path", { class: "area" });
		this.line = svg("path", { class: "line" });
		this.marks = svg("path", { class: "mark" });
		this.node = svg("svg", { class: `spark ${kind}`, viewBox: `0 -1 ${WIDTH} ${HEIGHT + 2}`, preserveAspectRatio: "none",
			"aria-hidden": "true" }, svg("path", { class: "base", d: `M0 ${HEIGHT}H${WIDTH}` }), this.area, this.marks, this.line);
	}

	draw(series) {
		const values = series?.[this.kind] ?? [];
		const top = this.kind === "cpu" ? ceiling(peak(values), 50) : ceiling(peak(values), 1024);
		const { line, area } = path(values, top, WIDTH, HEIGHT);
		this.line.setAttribute("d", line);
		this.area.setAttribute("d", area);
		const crashes = happenings(series).filter(({ kind }) => kind === "crash");
		this.marks.setAttribute("d", [...new Set(crashes.map(({ slot }) => (slot * WIDTH / (store.slots - 1)).toFixed(0)))]
			.map((x) => `M${x} 0V${HEIGHT}`).join(""));
	}
}

/* ---- in the details ---- */

const MARGIN = { top: 8, right: 10, bottom: 20, left: 44 };

export class Chart {
	constructor(kind, title) {
		this.kind = kind;
		this.format = kind === "cpu" ? percent : bytes;
		this.value = el("span.chart-value");
		this.peak = el("span.chart-peak");
		this.svg = svg("svg", { class: `chart-svg ${kind}`, role: "img", tabindex: "0" });
		this.node = el("figure.chart", {}, el("figcaption", {}, el("span.chart-title", {}, title), this.value, this.peak), this.svg);
		this.title = title;
		this.at = null;
		this.svg.addEventListener("pointermove", (event) => this.point(event));
		this.svg.addEventListener("pointerleave", () => this.leave());
		this.svg.addEventListener("blur", () => this.leave());
		this.svg.addEventListener("keydown", (event) => this.key(event));
		new ResizeObserver(() => this.draw(this.series)).observe(this.svg);
	}

	leave() {
		this.at = null;
		this.cursor();
	}

	point(event) {
		const box = this.svg.getBoundingClientRect();
		this.at = Math.round((event.clientX - box.left - MARGIN.left) / this.width * (store.slots - 1));
		this.cursor();
	}

	key(event) {
		const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -30, PageDown: 30 }[event.key];
		if (!step)
			return;
		event.preventDefault();
		event.stopPropagation();
		this.at = Math.max(0, Math.min(store.slots - 1, (this.at ?? store.slots - 1) + step));
		this.cursor();
	}

	valueAt(slot) {
		const values = this.series?.[this.kind] ?? [];
		return values[slot - (store.slots - values.length)] ?? null;
	}

	cursor() {
		const slot = this.at;
		const shown = slot !== null && slot >= 0 && slot < store.slots && this.series;
		this.line?.setAttribute("visibility", shown ? "visible" : "hidden");
		this.dot?.setAttribute("visibility", shown && this.valueAt(slot) !== null ? "visible" : "hidden");
		if (!shown) {
			this.caption();
			return;
		}
		const x = MARGIN.left + slot * this.width / (store.slots - 1), value = this.valueAt(slot);
		this.line.setAttribute("x1", x);
		this.line.setAttribute("x2", x);
		if (value !== null) {
			this.dot.setAttribute("cx", x);
			this.dot.setAttribute("cy", MARGIN.top + this.height - value / this.top * this.height);
		}
		setText(this.value, value === null ? "–" : this.format(value));
		setText(this.peak, clock(this.series.end - (store.slots - 1 - slot) * store.step));
	}

	caption() {
		const values = this.series?.[this.kind] ?? [];
		const last = values[values.length - 1] ?? null;
		setText(this.value, last === null ? "–" : this.format(last));
		setText(this.peak, values.length ? `peak ${this.format(peak(values))}` : "no samples yet");
		this.svg.setAttribute("aria-label", values.length
			? `${this.title} of the last hour: now ${last === null ? "not running" : this.format(last)}, at most ${this.format(peak(values))}`
			: `${this.title}: no samples yet`);
	}

	grid() {
		const nodes = [], bottom = MARGIN.top + this.height;
		for (const part of [0, 0.5, 1]) {
			const y = MARGIN.top + this.height * (1 - part);
			nodes.push(svg("path", { class: part ? "grid" : "base", d: `M${MARGIN.left} ${y}h${this.width}` }));
			nodes.push(svg("text", { class: "tick", x: MARGIN.left - 6, y: y + 3.5, "text-anchor": "end" }, part ? this.format(this.top * part) : "0"));
		}
		const end = this.series?.end || Date.now() / 1000, span = (store.slots - 1) * store.step;
		for (const minutes of [60, 45, 30, 15, 0]) {
			const x = MARGIN.left + this.width - minutes * 60 / 3600 * this.width;
			const anchor = minutes === 60 ? "start" : minutes === 0 ? "end" : "middle";
			nodes.push(svg("text", { class: "tick", x, y: bottom + 15, "text-anchor": anchor },
				minutes === 0 ? "now" : clock(end - Math.min(minutes * 60, span)).slice(-8, -3)));
		}
		return nodes;
	}

	/* Every start and exit; those of one place are one. */
	marks() {
		const bottom = MARGIN.top + this.height, seen = new Set(), nodes = [];
		for (const { slot, kind, text } of happenings(this.series)) {
			const x = Math.round(MARGIN.left + Math.min(slot, store.slots - 1) * this.width / (store.slots - 1));
			if (seen.has(`${kind}${Math.round(x / 8)}`))
				continue;
			seen.add(`${kind}${Math.round(x / 8)}`);
			const shape = kind === "start" ? `M${x} ${bottom - 7}l4 7h-8z` : `M${x - 3} ${MARGIN.top}l6 6m0 -6l-6 6`;
			nodes.push(svg("g", { class: `event ${kind}` },
				svg("path", { class: "stem", d: `M${x} ${MARGIN.top + (kind === "start" ? 0 : 8)}V${bottom}` }),
				svg("path", { class: "sign", d: shape }),
				svg("title", {}, text)));
		}
		return nodes;
	}

	draw(series) {
		this.series = series;
		const box = this.svg.getBoundingClientRect();
		this.width = Math.max(60, box.width - MARGIN.left - MARGIN.right);
		this.height = Math.max(30, box.height - MARGIN.top - MARGIN.bottom);
		if (!box.width)
			return;
		const values = series?.[this.kind] ?? [];
		this.top = this.kind === "cpu" ? ceiling(peak(values), 100) : ceiling(peak(values) / 1024, 1) * 1024;
		const { line, area } = path(values, this.top, this.width, this.height);
		const move = `translate(${MARGIN.left} ${MARGIN.top})`;
		this.line = svg("line", { class: "cursor", y1: MARGIN.top, y2: MARGIN.top + this.height, visibility: "hidden" });
		this.dot = svg("circle", { class: "dot", r: 3, visibility: "hidden" });
		this.svg.replaceChildren(...this.grid(), svg("path", { class: "area", d: area, transform: move }), ...this.marks(),
			svg("path", { class: "line", d: line, transform: move }), this.line, this.dot);
		this.svg.setAttribute("viewBox", `0 0 ${box.width} ${box.height}`);
		this.cursor();
	}
}
