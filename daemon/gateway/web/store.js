/*
 * What the page knows: the state of all processes, kept current by server-sent events, and the way to change it. Tells those who
 * listen; draws nothing.
 */

export const store = {
	processes: new Map(),		/* namespec: as io.reeve.Supervisor.List has it */
	daemon: {},
	plan: null,
	pools: new Map(),		/* namespec: a running pool's io.reeve.Pool.GetStatus */
	latest: new Map(),		/* namespec: [thousandths of a core, KiB, processes in the tree] of the newest sample */
	series: new Map(),		/* namespec: {cpu, memory, marks}: the last hour, once it was asked for */
	sampled: 0,			/* time of the newest sample */
	step: 10,
	slots: 360,
	link: "connecting",		/* "live", "lost" */
};

const listeners = new Map();
let token = "";
let source = null;
let skew = 0;				/* what our clock is behind the daemon's, in seconds */
let sequence = 0;
let waiting = [];			/* events that came before the state they belong to */
let loading = false, outdated = false;

export function on(what, listener) {
	if (!listeners.has(what))
		listeners.set(what, []);
	listeners.get(what).push(listener);
}

function tell(what, detail) {
	for (const listener of listeners.get(what) ?? [])
		listener(detail);
}

/* What to call it: supervisord's default identifier says nothing, the machine's name does. */
export function title() {
	const { identifier, host } = store.daemon;
	return (identifier && identifier !== "supervisor" ? identifier : host) || "Reeve";
}

export const now = () => Date.now() / 1000 + skew;

/* ---- requests ---- */

/* Relative to the page, so that it works below any path of a proxy. */
export const url = (path) => new URL(path, document.baseURI).href;

async function answer(response) {
	let body = null;
	try {
		body = await response.json();
	} catch {
		/* not JSON: an error page */
	}
	if (!response.ok)
		throw new Error(body?.error ?? `${response.status} ${response.statusText}`);
	return body;
}

export async function get(path) {
	return answer(await fetch(url(path), { cache: "no-store" }));
}

export async function post(action, body) {
	const send = () => fetch(url(`api/${action}`), {
		method: "POST", headers: { "Content-Type": "application/json", "X-Reeve-Token": token }, body: JSON.stringify(body),
	});
	let response = await send();
	if (response.status === 403 && token) {		/* another gateway since then: it has another token */
		token = (await get("api/state")).token;
		response = await send();
	}
	return answer(response);
}

/* ---- curves ---- */

export async function loadSeries(names) {
	const history = await get(`api/history?names=${encodeURIComponent(names.join("\n"))}`);
	for (const [name, series] of Object.entries(history.series))
		store.series.set(name, { ...series, end: history.t });
	if (history.t)
		store.sampled = history.t;
	store.step = history.step;
	store.slots = history.slots;
	tell("series", names);
}

function appendSample(series, row) {
	const steps = series.end ? Math.max(1, Math.round((store.sampled - series.end) / store.step)) : 1;
	for (let i = 1; i <= steps; i++) {
		const newest = i === steps && row;
		if (!newest && !series.cpu.length)
			continue;
		series.cpu.push(newest ? row[0] : null);
		series.memory.push(newest ? row[1] : null);
	}
	series.cpu.splice(0, series.cpu.length - store.slots);
	series.memory.splice(0, series.memory.length - store.slots);
	series.events = series.events.map(([age, ...counts]) => [age + steps, ...counts]).filter(([age]) => age < store.slots);
	series.end = store.sampled;
}

function noteSample(sample, appending) {
	store.sampled = sample.t;
	store.latest = new Map(Object.entries(sample.rows));
	if (appending)
		for (const [name, series] of store.series)
			appendSample(series, store.latest.get(name));
	tell("sample");
}

/* ---- the state ---- */

function noteProcess(process) {
	const before = store.processes.get(process.namespec);
	store.processes.set(process.namespec, process);
	tell("process", { process, before });
}

function noteRemoved(namespec) {
	const before = store.processes.get(namespec);
	store.processes.delete(namespec);
	store.series.delete(namespec);
	store.latest.delete(namespec);
	if (before)
		tell("removed", before);
}

function notePool({ namespec, status }) {
	if (status)
		store.pools.set(namespec, status);
	else
		store.pools.delete(namespec);
	tell("pool", namespec);
}

const handlers = {
	process: noteProcess,
	removed: (data) => noteRemoved(data.namespec),
	daemon: (data) => { store.daemon = data; tell("daemon"); },
	sample: (data) => noteSample(data, true),
	plan: (data) => { store.plan = data; tell("plan"); },
	pool: notePool,
};

function take(event) {
	const number = Number(event.lastEventId);
	if (loading) {
		waiting.push(event);
		return;
	}
	if (number <= sequence)
		return;
	sequence = number;
	handlers[event.type](JSON.parse(event.data));
}

function noteState(state) {
	token = state.token;
	sequence = state.sequence;
	skew = state.now - Date.now() / 1000;
	store.daemon = state.daemon;
	store.plan = state.plan ?? store.plan;
	store.pools = new Map(Object.entries(state.pools));
	store.step = state.step;
	const names = new Set(state.processes.map((process) => process.namespec));
	for (const name of [...store.processes.keys()])
		if (!names.has(name))
			noteRemoved(name);
	state.processes.forEach(noteProcess);
	noteSample(state.sample, false);
	store.series.clear();		/* there may be a gap: what is shown is asked for again */
	tell("state");
	tell("daemon");
	tell("plan");
}

async function loadState() {
	outdated = true;
	if (loading)
		return;
	loading = true;
	while (outdated) {
		outdated = false;
		try {
			noteState(await get("api/state"));
			setLink("live");
		} catch {
			setLink("lost");
			setTimeout(loadState, 2000);
		}
	}
	loading = false;
	const late = waiting;
	waiting = [];
	late.forEach(take);
}

function setLink(link) {
	if (store.link === link)
		return;
	store.link = link;
	tell("link");
}

/* ---- the stream ---- */

let again = 0;

export function connect() {
	clearTimeout(again);
	if (source)
		source.close();
	source = new EventSource(url("api/events"));
	source.addEventListener("hello", loadState);
	source.addEventListener("stale", loadState);
	for (const type of Object.keys(handlers))
		source.addEventListener(type, take);
	source.onerror = () => {
		setLink("lost");
		if (source?.readyState === EventSource.CLOSED)	/* an answer that was no stream: EventSource gives up, we do not */
			again = setTimeout(connect, 2000);
	};
}

/* Out of sight: a browser has few connections per server, and other tabs want some too. The title is kept current by asking. */
function doze() {
	source?.close();
	source = null;
	loadState();
	again = setTimeout(doze, 30000);
}

document.addEventListener("visibilitychange", () => {
	clearTimeout(again);
	if (document.hidden)
		again = setTimeout(doze, 30000);
	else if (!source)
		connect();
});
