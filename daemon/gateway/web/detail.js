/* The details of one process: why it is as it is, its last hour, its exits, its log. */
import { $, el, icon, setText, duration, clock, about, toast } from "./dom.js";
import { store, on, now, get, loadSeries } from "./store.js";
import { act, isUp, stateWord, exitWords, clearLogs, markOpen } from "./list.js";
import { Chart, failed } from "./chart.js";
import { LogView } from "./log.js";

const SIGNALS = ["HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "KILL", "STOP", "CONT"];
const UNSETTLED = new Set(["STARTING", "STOPPING", "BACKOFF"]);

let name = null;			/* namespec that is shown; "": the daemon's log; null: nothing */
let tab = "overview";
let parts = null;			/* the nodes of what is shown */
let whyTimer = 0, why = null;
const log = new LogView();

export const shownName = () => name;

/* ---- head ---- */

function tabs() {
	const base = `#/${encodeURIComponent(name)}`;
	const make = (key, href, label) => el("a.tab", { href, "aria-current": tab === key ? "page" : null }, label);
	return el("nav.tabs", { "aria-label": "Views" }, make("overview", base, "Overview"), make("log", `${base}/log`, "Log"));
}

function sendSignal() {
	act("signal", [name], { signal: parts.signal.value });
}

function head() {
	const process = store.processes.get(name);
	const close = el("a.icon.close", { href: "#/", title: "Close (Esc)", "aria-label": "Close the details" }, icon("close"));
	if (!process)
		return el("header.detail-head", {}, el("div.detail-title", {}, el("h2", {}, name === "" ? "Daemon log" : name)), close);
	parts.icon = icon("stopped");
	parts.word = el("span.word");
	parts.toggle = el("button.button", { type: "button", onclick: () => act(isUp(store.processes.get(name)) ? "stop" : "start", [name]) });
	parts.signal = el("select", { "aria-label": "Signal" }, ...SIGNALS.map((signal) => el("option", { value: signal }, `SIG${signal}`)));
	return el("header.detail-head", {},
		el("div.detail-title", {}, el("h2", {}, name), el("span.state", { id: "detail-state" }, parts.icon, parts.word)), close,
		el("div.detail-acts", { role: "group", "aria-label": "Actions" }, parts.toggle,
			el("button.button", { type: "button", onclick: () => act("restart", [name]) }, icon("restart"), "Restart"),
			el("button.button", { type: "button", onclick: () => clearLogs([name]) }, icon("clear"), "Clear logs"),
			el("span.send", {}, parts.signal, el("button.button", { type: "button", onclick: sendSignal }, "Send"))),
		tabs());
}

function drawHead() {
	const process = store.processes.get(name);
	if (!process || !parts.word)
		return;
	const up = isUp(process);
	parts.icon.firstChild.setAttribute("href", `#i-${stateWord(process)}`);
	setText(parts.word, stateWord(process));
	parts.word.parentNode.dataset.state = stateWord(process);
	parts.toggle.replaceChildren(icon(up ? "stop" : "start"), up ? "Stop" : "Start");
	parts.signal.disabled = !process.pid;
	parts.signal.nextSibling.disabled = !process.pid;
}

/* ---- why ---- */

function drawWhy() {
	const process = store.processes.get(name);
	if (!why || !process)
		return;
	const [first, ...others] = why.sentences.map((text) => text.replace(/ \(\d[^)]*\),/, ","));	/* for how long: that grows old */
	const wrong = others.filter((sentence) => sentence.startsWith("What went wrong:"));
	const tail = why.stderr_tail.length && !["RUNNING", "STARTING"].includes(process.statename);
	parts.why.replaceChildren(
		el("p.lead", {}, `${first}.`.replace(/\.\.$/, ".")),
		...wrong.map((text) => el("p", {}, text)),
		process.statename === "RUNNING" ? "" : el("p.next", {}, "Next: ", why.next, "."),
		...(tail ? [el("p.quiet", {}, "The end of its output:"), el("pre.tail", {}, why.stderr_tail.join("\n"))] : []));
}

async function loadWhy() {
	const asked = name;
	try {
		const answer = await get(`api/why/${encodeURIComponent(asked)}`);
		if (asked !== name || !parts?.why)
			return;
		why = answer;
		drawWhy();
	} catch (error) {
		if (asked === name && parts?.why)
			parts.why.replaceChildren(el("p.quiet", {}, error.message));
	}
}

function loadWhySoon() {
	clearTimeout(whyTimer);
	whyTimer = setTimeout(() => { if (name && tab === "overview") loadWhy(); }, 150);
}

/* ---- facts ---- */

function facts(process) {
	const latest = process.pid ? store.latest.get(name) : null;
	const rows = [
		["Pid", process.pid ? String(process.pid) : null],
		["Up for", process.pid ? duration(now() - process.start) : null],
		["Started", process.start ? clock(process.start) : "never"],
		["Stopped", !process.pid && process.stop ? clock(process.stop) : null],
		["Last exit", process.exitcode === null ? null : exitWords(process.exitcode)],
		["Starts", String(process.run)],
		["Restarts by itself", String(process.restarts)],
		["Processes in its tree", latest ? String(latest[2]) : null],
		["Ready", process.ready && process.ready !== "unknown" ? process.ready : null],
		["Waits for", process.waiting_for || null],
		["Left over", process.leftovers?.length ? `pid ${process.leftovers.join(", ")}` : null],
		["Kind", process.kind === "program" ? null : process.kind],
		["Log", process.stdout_logfile || null],
		["Error log", process.stderr_logfile || null],
	];
	return rows.filter(([, value]) => value !== null).flatMap(([key, value]) => [el("dt", {}, key), el("dd", {}, value)]);
}

function drawFacts() {
	const process = store.processes.get(name);
	if (process && parts.facts)
		parts.facts.replaceChildren(...facts(process));
}

/* ---- a pool's gauges ---- */

const GAUGES = [["queued", "Queued"], ["delayed", "Delayed"], ["running", "Running"], ["done", "Done"], ["failed", "Failed"], ["lost", "Lost"],
	["timeout", "Timed out"], ["cancelled", "Cancelled"], ["retried", "Retried"], ["worker_deaths", "Worker deaths"]];

function drawPool() {
	const pool = store.pools.get(name);
	parts.pool.hidden = !pool;
	if (!pool)
		return;
	const gauges = GAUGES.filter(([key]) => pool[key] || ["queued", "running", "done", "failed"].includes(key));
	const most = Math.max(pool.workers, pool.alive, 1);
	const alive = pool.mode === "exec" || pool.alive === pool.workers ? "" : `, ${pool.alive} alive`;
	const end = pool.queued && Number.isFinite(pool.eta) ? `, queue empty in ${about(pool.eta)}` : "";
	const rate = `${pool.rate.toFixed(pool.rate < 10 ? 1 : 0)} tasks a second${end}`;
	parts.pool.replaceChildren(el("h3", {}, "Pool"),
		el("div.gauge", {},
			el("meter", { min: 0, max: most, value: pool.busy, "aria-label": "Busy workers" }),
			el("span", {}, `${pool.busy} of ${pool.workers} workers busy${alive}`),
			el("span.quiet", {}, pool.state === "run" ? rate : pool.state)),
		el("dl.gauges", {}, ...gauges.map(([key, label]) => el("div", {}, el("dt", {}, label), el("dd", {}, pool[key].toLocaleString("en-GB"))))),
		...(pool.trouble ? [el("p", {}, pool.trouble)] : []));
}

/* ---- exits ---- */

function exitRow(mark, start) {
	const bad = failed(mark), sign = bad ? "fatal" : "exited";
	const then = mark.to === "STOPPED" && mark.asked ? "was asked to stop" : mark.to.toLowerCase();
	return el("tr", {}, el("td", {}, clock(mark.t)), el("td", {}, start ? duration(mark.t - start.t) : ""),
		el("td", { className: bad ? "bad" : "" }, el("span.state", { "data-state": sign }, icon(sign), mark.text.replace(/^it ended: /, ""))),
		el("td", {}, then));
}

function drawExits() {
	const marks = store.series.get(name)?.marks ?? [];
	const exits = marks.filter((mark) => mark.kind === "exit").reverse();
	const startOf = (exit) => marks.findLast((mark) => mark.kind === "start" && mark.run === exit.run && mark.t <= exit.t);
	const process = store.processes.get(name);
	parts.exits.replaceChildren(exits.length
		? el("table.exits", {},
			el("thead", {}, el("tr", {}, ...["Ended", "After", "How", "Then"].map((text) => el("th", { scope: "col" }, text)))),
			el("tbody", {}, ...exits.slice(0, 30).map((mark) => exitRow(mark, startOf(mark)))))
		: el("p.quiet", {}, process?.run ? "It has not ended since it was first seen." : "It has never been started."));
}

function drawCurves() {
	const series = store.series.get(name);
	parts.cpu.draw(series);
	parts.memory.draw(series);
	drawExits();
}

/* ---- the whole ---- */

function overview() {
	parts.why = el("section.why", { "aria-label": "Why" }, el("p.quiet", {}, "…"));
	parts.cpu = new Chart("cpu", "CPU");
	parts.memory = new Chart("memory", "Memory");
	parts.facts = el("dl.facts");
	parts.pool = el("section.pool", { "aria-label": "Pool", hidden: true });
	parts.exits = el("div");
	return el("div.overview", {}, parts.why, parts.pool,
		el("section.charts", { "aria-label": "Last hour" }, parts.cpu.node, parts.memory.node,
			el("p.legend", {}, el("span.legend-start", {}, "started"), el("span.legend-crash", {}, "failed"),
				el("span.legend-asked", {}, "stopped or finished"))),
		el("section", {}, el("h3", {}, "Exits"), parts.exits),
		el("section", {}, el("h3", {}, "Facts"), parts.facts));
}

function drawAll() {
	drawHead();
	if (tab === "overview") {
		drawFacts();
		drawPool();
		drawCurves();
	}
}

/* Show NAME; null: close. */
export function show(newName, newTab) {
	if (newName === name && newTab === tab)
		return;
	log.close();
	clearTimeout(whyTimer);
	name = newName;
	tab = newTab;
	why = null;
	parts = {};
	markOpen(name);
	document.body.classList.toggle("has-detail", name !== null);
	$("detail").hidden = name === null;
	if (name === null) {
		$("detail").replaceChildren();
		return;
	}
	$("detail").classList.toggle("is-log", tab === "log");
	if (tab === "log") {
		$("detail").replaceChildren(head(), log.node);
		log.open(name);
	} else {
		$("detail").replaceChildren(head(), overview());
		loadWhy();
		loadSeries([name]).catch((error) => toast(error.message, "error"));
	}
	$("detail").scrollTop = 0;
	drawAll();
}

export function startDetail() {
	on("process", ({ process }) => {
		if (process.namespec !== name)
			return;
		drawHead();
		if (tab === "overview") {
			drawFacts();
			loadWhySoon();
			loadSeries([name]).catch(() => {});
		}
	});
	on("pool", (changed) => { if (changed === name && tab === "overview") drawPool(); });
	on("removed", (process) => { if (process.namespec === name) location.hash = "#/"; });
	on("state", () => {
		if (name === null)
			return;
		if (name && !parts.word && store.processes.has(name)) {	/* it was opened before the page knew it */
			const wanted = name;
			show(null);
			show(wanted, tab);
		}
		drawAll();
		if (name && tab === "overview") {
			loadWhySoon();
			loadSeries([name]).catch(() => {});
		}
	});
	on("series", (names) => { if (names.includes(name) && tab === "overview") drawCurves(); });
	on("sample", () => { if (name && tab === "overview" && parts.cpu) drawAll(); });
	setInterval(() => {
		const process = store.processes.get(name);
		if (!process || tab !== "overview" || document.hidden)
			return;
		drawFacts();
		if (UNSETTLED.has(process.statename) && Math.round(now()) % 2 === 0)
			loadWhySoon();
	}, 1000);
}
