/* The table of processes: rows that change only where something changed, groups, sorting, the filter, and what one can do to all. */
import { $, el, icon, iconButton, setText, announce, toast, ask, percent, bytes, duration, about, plural } from "./dom.js";
import { store, on, now, post, loadSeries, title } from "./store.js";
import { Sparkline } from "./chart.js";

const STATES = ["FATAL", "INVALID", "UNKNOWN", "BACKOFF", "STARTING", "STOPPING", "RUNNING", "EXITED", "STOPPED"];	/* worst first */
const UP = new Set(["STARTING", "RUNNING", "BACKOFF"]);
const BAD = new Set(["FATAL", "INVALID", "UNKNOWN", "BACKOFF"]);

export const isUp = (process) => UP.has(process.statename);
export const stateWord = (process) => process.statename.toLowerCase();

function describe(process) {
	const ago = process.stop ? `${about(now() - process.stop)} ago` : "";
	switch (process.statename) {
	case "RUNNING":
		if (store.pools.has(process.namespec))
			return poolWords(store.pools.get(process.namespec));
		return `pid ${process.pid}, up ${duration(now() - process.start)}`;
	case "STARTING":
		return process.pid ? `pid ${process.pid}` : "";
	case "EXITED":
		return `${exitWords(process.exitcode)}${ago && ", "}${ago}`;
	case "STOPPED":
		return process.run ? `stopped ${ago}` : "not started";
	default:
		return process.description;
	}
}

function poolWords(pool) {
	const failed = pool.failed + pool.lost + pool.timeout;
	const words = [`${pool.busy} of ${pool.workers} busy`, `${pool.queued} queued`, `${pool.done} done`];
	if (pool.state !== "run")
		words.unshift(pool.state);
	if (failed)
		words.push(`${failed} failed`);
	return words.join(", ");
}

export function exitWords(code) {
	if (code === null || code === undefined)
		return "ended";
	return code < 0 ? `signal ${-code}` : `exit status ${code}`;
}

/* ---- doing ---- */

const VERBS = { start: "Start", stop: "Stop", restart: "Restart", clear: "Clear the logs of" };

/* Ask the daemon to do ACTION to NAMES; what comes of it shows in the states. */
export async function act(action, names, more = {}) {
	try {
		const { results = [] } = await post(action, { names, ...more });
		const failed = results.filter((result) => result.status !== 80);
		for (const result of failed.slice(0, 3))
			toast(`${result.namespec ?? result.name}: ${result.description}`, "error");
		if (!failed.length && (action === "clear" || action === "signal"))
			toast(action === "clear" ? `Cleared: ${nameList(names)}` : `SIG${more.signal} sent to ${nameList(names)}`);
	} catch (error) {
		toast(`${VERBS[action] ?? action} ${nameList(names)}: ${error.message}`, "error");
	}
}

function nameList(names) {
	return names.length > 3 ? plural(names.length, "process", "processes") : names.join(", ");
}

export async function clearLogs(names) {
	if (await ask(`Clear ${names.length === 1 ? "the logs" : "logs"}?`, `What ${nameList(names)} wrote so far is deleted.`, "Clear"))
		act("clear", names);
}

/* ---- rows ---- */

const rows = new Map();			/* namespec: Row */
const groups = new Map();		/* group's name: GroupRow */
const folded = new Set();
let current = null;			/* namespec of the row that Tab reaches */
let sort = { by: "name", down: false };
const shownStates = new Set();
let openProcess = () => {};		/* (namespec, tab) */

const wanted = new Set();		/* names whose curves are to be asked for */
let asking = 0;

function askSeries() {
	const names = [...wanted].slice(0, 64);
	names.forEach((name) => wanted.delete(name));
	asking = 0;
	if (names.length)
		loadSeries(names).catch(() => {});
	if (wanted.size)
		asking = setTimeout(askSeries, 100);
}

const sight = new IntersectionObserver((entries) => {
	for (const entry of entries) {
		const row = entry.target.row;
		row.visible = entry.isIntersecting;
		if (row.visible)
			row.refresh();
	}
}, { rootMargin: "200px" });

class Row {
	constructor(process) {
		this.name = process.namespec;
		this.visible = false;
		this.icon = icon("stopped");
		this.word = el("span.word");
		this.label = el("span.label");
		this.text = el("span.text");
		this.cpu = new Sparkline("cpu");
		this.memory = new Sparkline("memory");
		this.cpuValue = el("span.value");
		this.memoryValue = el("span.value");
		this.restarts = el("td.c-restarts", { role: "cell" });
		this.toggle = iconButton("start", "", () => act(isUp(this.process) ? "stop" : "start", [this.name]));
		this.restart = iconButton("restart", `Restart ${this.name}`, () => act("restart", [this.name]), { className: "icon restart" });
		this.node = el("tr.row", { role: "row", tabIndex: -1 },
			el("td.c-state", { role: "cell" }, el("span.state", {}, this.icon, this.word)),
			el("th.c-name", { role: "rowheader", scope: "row" },
				el("a.name", { href: `#/${encodeURIComponent(this.name)}`, tabIndex: -1 }, this.label)),
			el("td.c-text", { role: "cell" }, this.text),
			el("td.c-cpu", { role: "cell" }, el("span.curve", {}, this.cpu.node, this.cpuValue)),
			el("td.c-rss", { role: "cell" }, el("span.curve", {}, this.memory.node, this.memoryValue)),
			this.restarts,
			el("td.c-acts", { role: "cell" }, el("span.acts", {}, this.toggle, this.restart,
				iconButton("log", `Log of ${this.name}`, () => openProcess(this.name, "log"), { className: "icon log" }),
				iconButton("clear", `Clear the logs of ${this.name}`, () => clearLogs([this.name]), { className: "icon clear" }))));
		this.node.row = this;
		setTabbable(this.node, false);
		this.node.addEventListener("click", (event) => {
			if (!event.target.closest("button, a") && !String(getSelection()))
				openProcess(this.name);
		});
		this.node.addEventListener("focusin", () => makeCurrent(this.name));
		sight.observe(this.node);
		this.update(process);
	}

	update(process) {
		const before = this.process;
		this.process = process;
		const [group, name] = process.group !== process.name ? [`${process.group}:`, process.name] : ["", process.name];
		if (!before)
			this.label.append(el("span.prefix", {}, group), name);
		if (before?.statename !== process.statename) {
			const up = isUp(process);
			this.node.dataset.state = stateWord(process);
			this.icon.firstChild.setAttribute("href", `#i-${stateWord(process)}`);
			setText(this.word, stateWord(process));
			this.toggle.title = `${up ? "Stop" : "Start"} ${this.name}`;
			this.toggle.setAttribute("aria-label", this.toggle.title);
			this.toggle.firstChild.firstChild.setAttribute("href", up ? "#i-stop" : "#i-start");
			this.toggle.className = `icon toggle ${up ? "stop" : "start"}`;
		}
		setText(this.restarts, process.restarts ? String(process.restarts) : "");
		this.restarts.classList.toggle("some", process.restarts > 0);
		if (before && before.run !== process.run)
			wanted.add(this.name);
		this.describe();
		if (this.visible)
			this.refresh();
	}

	describe() {
		setText(this.text, describe(this.process));
	}

	values() {
		const row = this.process.pid ? store.latest.get(this.name) : null;
		setText(this.cpuValue, row ? percent(row[0]) : "");
		setText(this.memoryValue, row ? bytes(row[1]) : "");
	}

	refresh() {
		this.describe();
		this.values();
		if (!store.series.has(this.name) || wanted.has(this.name)) {
			wanted.add(this.name);
			asking ||= setTimeout(askSeries, 60);
		} else {
			this.cpu.draw(store.series.get(this.name));
			this.memory.draw(store.series.get(this.name));
		}
	}
}

class GroupRow {
	constructor(name) {
		this.name = name;
		this.fold = el("button.fold", { type: "button", onclick: () => this.toggleFold() }, icon("fold"), el("span", {}, name));
		this.summary = el("span.text");
		this.cpuValue = el("span.value");
		this.memoryValue = el("span.value");
		const all = [`${name}:*`];
		this.node = el("tr.group", { role: "row" },
			el("th.c-group", { role: "rowheader", scope: "rowgroup", colSpan: 2 }, this.fold),
			el("td.c-text", { role: "cell" }, this.summary),
			el("td.c-cpu", { role: "cell" }, el("span.curve", {}, this.cpuValue)),
			el("td.c-rss", { role: "cell" }, el("span.curve", {}, this.memoryValue)),
			el("td.c-restarts", { role: "cell" }),
			el("td.c-acts", { role: "cell" }, el("span.acts", {}, iconButton("start", `Start all of ${name}`, () => act("start", all)),
				iconButton("stop", `Stop all of ${name}`, () => act("stop", all)),
				iconButton("restart", `Restart all of ${name}`, () => act("restart", all)))));
	}

	toggleFold() {
		if (!folded.delete(this.name))
			folded.add(this.name);
		layout();
	}

	update(members) {
		const sum = (column) => members.reduce((total, process) => total + (store.latest.get(process.namespec)?.[column] ?? 0), 0);
		const running = members.filter((process) => process.statename === "RUNNING").length;
		const bad = members.filter((process) => BAD.has(process.statename)).length;
		setText(this.summary, `${running} of ${members.length} running${bad ? `, ${bad} in trouble` : ""}`);
		setText(this.cpuValue, running ? percent(sum(0)) : "");
		setText(this.memoryValue, running ? bytes(sum(1)) : "");
		this.fold.setAttribute("aria-expanded", String(!folded.has(this.name)));
		this.node.classList.toggle("trouble", bad > 0);
	}
}

/* ---- order ---- */

function matches(process) {
	if (shownStates.size && !shownStates.has(process.statename))
		return false;
	const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
	const text = `${process.namespec} ${process.statename} ${process.description}`.toLowerCase();
	return words.every((word) => text.includes(word));
}

const collator = new Intl.Collator("en", { numeric: true });
const byName = (a, b) => collator.compare(a.group, b.group) || collator.compare(a.name, b.name);
const keys = {
	state: (process) => STATES.indexOf(process.statename),
	cpu: (process) => -(store.latest.get(process.namespec)?.[0] ?? -1),
	rss: (process) => -(store.latest.get(process.namespec)?.[1] ?? -1),
	restarts: (process) => -process.restarts,
};

export function shown() {
	const list = [...store.processes.values()].filter(matches);
	const key = keys[sort.by];
	list.sort((a, b) => (key ? key(a) - key(b) : 0) || byName(a, b));
	return sort.down ? list.reverse() : list;
}

function membersOf(list) {
	const members = new Map();
	for (const process of list) {
		if (!members.has(process.group))
			members.set(process.group, []);
		members.get(process.group).push(process);
	}
	return members;
}

function rowOf(process) {
	let row = rows.get(process.namespec);
	if (!row)
		rows.set(process.namespec, row = new Row(process));
	return row;
}

/* The rows as they should be, in order. */
function wantedNodes(list) {
	if (sort.by !== "name")
		return list.map((process) => rowOf(process).node);
	const nodes = [];
	for (const [name, members] of membersOf(list)) {
		const isGroup = members.length > 1 || members[0].name !== members[0].group;
		if (isGroup) {
			if (!groups.has(name))
				groups.set(name, new GroupRow(name));
			groups.get(name).update(members);
			nodes.push(groups.get(name).node);
		}
		for (const process of isGroup && folded.has(name) ? [] : members) {
			const row = rowOf(process);
			row.node.classList.toggle("member", isGroup);
			nodes.push(row.node);
		}
	}
	return nodes;
}

let layingOut = 0;

/* At the next frame, however many changes ask for it. */
export function layout() {
	layingOut ||= requestAnimationFrame(() => {
		layingOut = 0;
		layoutNow();
	});
}

export function layoutNow() {
	const list = shown(), nodes = wantedNodes(list), body = $("rows"), keep = new Set(nodes);
	const focused = document.activeElement, inside = body.contains(focused);
	for (const node of [...body.children])
		if (!keep.has(node))
			node.remove();
	nodes.forEach((node, i) => {
		if (body.children[i] !== node)
			body.insertBefore(node, body.children[i] ?? null);
	});
	if (sort.by !== "name")
		rows.forEach((row) => row.node.classList.remove("member"));
	if (!rows.get(current)?.node.isConnected)
		makeCurrent(list[0]?.namespec ?? null);
	if (inside && focused !== document.activeElement)	/* moving or removing a node takes its focus */
		(body.contains(focused) ? focused : rows.get(current)?.node)?.focus({ preventScroll: true });
	$("processes").hidden = !list.length;
	$("empty").hidden = list.length > 0;
	setText($("empty"), store.processes.size ? "No process matches." : store.link === "live" ? "No processes are configured." : "");
	drawCounts();
	drawBulk(list);
}

let titleTimer = 0;

/* Not with the rows: a hidden tab draws no frames, but its title is seen. */
function drawTitleSoon() {
	titleTimer ||= setTimeout(drawTitle, 200);
}

function drawTitle() {
	titleTimer = 0;
	const bad = [...store.processes.values()].filter((process) => process.statename === "FATAL" || process.statename === "INVALID").length;
	document.title = `${bad ? `${bad} down, ` : ""}${title()}`;
}

/* ---- above the table ---- */

const chips = new Map();

function drawCounts() {
	const counts = new Map(STATES.map((state) => [state, 0]));
	for (const process of store.processes.values())
		counts.set(process.statename, (counts.get(process.statename) ?? 0) + 1);
	for (const state of STATES) {
		const n = counts.get(state);
		if (!chips.has(state)) {
			const text = el("span");
			const node = el("button.chip", { type: "button", "data-state": state.toLowerCase(), onclick: () => {
				if (!shownStates.delete(state))
					shownStates.add(state);
				layout();
			} }, icon(state.toLowerCase()), text);
			chips.set(state, { node, text });
			$("counts").append(node);
		}
		const chip = chips.get(state);
		chip.node.hidden = n === 0 && !shownStates.has(state);
		chip.node.setAttribute("aria-pressed", String(shownStates.has(state)));
		setText(chip.text, `${n} ${state.toLowerCase()}`);
	}
}

const bulk = ["start", "restart", "stop", "clear"].map((action) => {
	const text = el("span");
	const node = el("button.button", { type: "button", id: `all-${action}`, onclick: () => actOnAll(action) }, icon(action), text);
	return { action, node, text };
});

function drawBulk(list) {
	const all = list.length === store.processes.size;
	if (!bulk[0].node.isConnected)
		$("bulk").append(...bulk.map(({ node }) => node));
	for (const { action, node, text } of bulk) {
		const verb = action === "clear" ? "Clear logs" : VERBS[action];
		setText(text, all ? (action === "clear" ? verb : `${verb} all`) : `${verb} (${list.length})`);
		node.disabled = !list.length;
	}
}

async function actOnAll(action) {
	const list = shown(), all = list.length === store.processes.size;
	const names = list.map((process) => process.namespec);
	const which = all ? `all ${plural(names.length, "process", "processes")}` : nameList(names);
	if (action === "clear")
		return clearLogs(names);
	if (action !== "start" && !(await ask(`${VERBS[action]} ${which}?`, names.length > 1 && !all ? names.join(", ") : "", VERBS[action])))
		return undefined;
	return act(action, all ? ["all"] : names);
}

function drawSort() {
	for (const button of document.querySelectorAll("[data-sort]")) {
		const by = button.dataset.sort === sort.by;
		button.closest("th").setAttribute("aria-sort", by ? (sort.down ? "descending" : "ascending") : "none");
	}
}

/* ---- the keyboard ---- */

function makeCurrent(name) {
	if (current === name)
		return;
	if (rows.has(current))
		setTabbable(rows.get(current).node, false);
	current = name;
	if (rows.has(name))
		setTabbable(rows.get(name).node, true);
}

function setTabbable(node, yes) {
	node.tabIndex = yes ? 0 : -1;
	for (const inner of node.querySelectorAll("button, a"))
		inner.tabIndex = yes ? 0 : -1;
}

export function currentName() {
	return document.activeElement?.closest("tr.row")?.row.name ?? null;
}

export function moveFocus(step) {
	const nodes = [...$("rows").querySelectorAll("tr.row")];
	const at = nodes.indexOf(document.activeElement?.closest("tr.row"));
	const next = nodes[at < 0 ? Math.max(0, nodes.indexOf(rows.get(current)?.node)) : Math.max(0, Math.min(nodes.length - 1, at + step))];
	next?.focus();
	next?.scrollIntoView({ block: "nearest" });
}

export function focusRow(name) {
	rows.get(name)?.node.focus();
}

export function markOpen(name) {
	for (const [key, row] of rows)
		row.node.classList.toggle("open", key === name);
}

/* ---- listening ---- */

function tellChange({ process, before }) {
	if (!before || before.statename === process.statename || store.link !== "live")
		return;
	if (BAD.has(process.statename) || BAD.has(before.statename) || !["STARTING", "STOPPING"].includes(process.statename))
		announce(`${process.namespec} is ${stateWord(process)}`);
}

export function startList(open) {
	openProcess = open;
	on("process", (change) => {
		rows.get(change.process.namespec)?.update(change.process);
		tellChange(change);
		layout();
	});
	on("removed", (process) => {
		const row = rows.get(process.namespec);
		if (row) {
			sight.unobserve(row.node);
			row.node.remove();
			rows.delete(process.namespec);
		}
		announce(`${process.namespec} was removed`);
		layout();
	});
	on("state", () => {
		rows.forEach((row) => row.visible && row.refresh());
		layout();
	});
	on("series", (names) => names.forEach((name) => rows.get(name)?.visible && rows.get(name).refresh()));
	on("sample", () => {
		rows.forEach((row) => row.visible && row.refresh());
		layout();
	});
	on("pool", (name) => rows.get(name)?.describe());
	on("link", layout);
	for (const what of ["process", "removed", "state", "daemon"])
		on(what, drawTitleSoon);
	setInterval(() => rows.forEach((row) => row.visible && row.describe()), 1000);
	setInterval(() => { if (wanted.size && !asking) askSeries(); }, 3000);
	$("filter").addEventListener("input", layout);
	for (const button of document.querySelectorAll("[data-sort]"))
		button.addEventListener("click", () => {
			sort = { by: button.dataset.sort, down: sort.by === button.dataset.sort && !sort.down };
			drawSort();
			layout();
		});
	drawSort();
}
