/* Where everything begins: the address, the keys, the theme, and the bar at the top. */
import { $, el, setText, announce, duration } from "./dom.js";
import { store, on, now, connect, title } from "./store.js";
import { startList, act, isUp, currentName, moveFocus, focusRow, layoutNow } from "./list.js";
import { startDetail, show, shownName } from "./detail.js";
import { startPlan, togglePlan } from "./plan.js";

/* ---- the address: #/NAME and #/NAME/log; "#//log" is the daemon's own ---- */

function address(name, tab) {
	return `#/${encodeURIComponent(name)}${tab === "log" ? "/log" : ""}`;
}

let opener = null;			/* what had the focus before the details came */

function route() {
	const [, name, tab] = location.hash.match(/^#\/([^/]*)(\/log)?$/) ?? [];
	const wanted = name === undefined || (name === "" && !tab) ? null : decodeURIComponent(name);
	const before = shownName();
	show(wanted, tab ? "log" : "overview");
	if (wanted !== null && before === null) {
		opener = currentName();
		$("detail").focus({ preventScroll: true });
	} else if (wanted === null && before !== null) {
		focusRow(opener ?? before);
	}
}

function open(name, tab) {
	location.hash = address(name, tab);
}

/* ---- the theme ---- */

const THEMES = ["auto", "light", "dark"];

function theme() {
	return document.documentElement.dataset.theme ?? "auto";
}

function nextTheme() {
	const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
	if (next === "auto")
		delete document.documentElement.dataset.theme;
	else
		document.documentElement.dataset.theme = next;
	try {
		localStorage.setItem("theme", next);
	} catch {
		/* it lasts as long as the page */
	}
	drawTheme();
	announce(`Theme: ${next}`);
}

function drawTheme() {
	setText($("theme-name"), `Theme: ${theme()}`);
	$("theme").title = `Theme: ${theme()} (t)`;
}

/* ---- the bar ---- */

function drawBar() {
	const { statename, up } = store.daemon;
	setText($("identifier"), title());
	const text = store.link === "lost" ? "no connection" : store.link === "connecting" ? "connecting"
		: !up ? "the supervisor does not answer" : statename !== "RUNNING" ? "shutting down" : "live";
	setText($("link"), text);
	$("link").dataset.link = text === "live" ? "live" : store.link === "connecting" ? "connecting" : "lost";
	document.body.classList.toggle("lost", text !== "live" && store.link !== "connecting");
	drawFoot();
}

function drawFoot() {
	const d = store.daemon;
	if (!d.pid)
		return;
	const items = [`Reeve ${d.version}`, `pid ${d.pid}`, `up ${duration(now() - d.start)}`, d.config_file, `configuration ${d.generation}`];
	if (d.successions)
		items.push(`supervisor replaced ${d.successions} ×`);
	$("foot").replaceChildren(...items.map((text) => el("span", {}, text)));
}

/* ---- keys ---- */

/* Those with `row` work on the process that has the focus, or whose details are open. */
const KEYS = [
	{ keys: ["j", "ArrowDown"], text: "Next process", run: () => moveFocus(1) },
	{ keys: ["k", "ArrowUp"], text: "Process before", run: () => moveFocus(-1) },
	{ keys: ["Enter"], text: "Details", row: true, run: (name) => open(name) },
	{ keys: ["l"], text: "Log", row: true, run: (name) => open(name, "log") },
	{ keys: ["s"], text: "Start", row: true, run: (name) => { if (!isUp(store.processes.get(name))) act("start", [name]); } },
	{ keys: ["x"], text: "Stop", row: true, run: (name) => { if (isUp(store.processes.get(name))) act("stop", [name]); } },
	{ keys: ["r"], text: "Restart", row: true, run: (name) => act("restart", [name]) },
	{ keys: ["/"], text: "Filter, or search in the log", run: () => (document.querySelector(".log-tools input") ?? $("filter")).focus() },
	{ keys: ["p"], text: "Pending configuration", run: togglePlan },
	{ keys: ["t"], text: "Theme: as the system, light, dark", run: nextTheme },
	{ keys: ["Escape"], text: "Close", run: () => { if (shownName() !== null) location.hash = "#/"; } },
	{ keys: ["?"], text: "This list", run: showKeys },
];

const KEY_NAMES = { ArrowDown: "↓", ArrowUp: "↑", Escape: "Esc" };

function showKeys() {
	$("keys-list").replaceChildren(...KEYS.flatMap(({ keys, text }) => [
		el("dt", {}, ...keys.map((key) => el("kbd", {}, KEY_NAMES[key] ?? key))), el("dd", {}, text)]));
	$("keys").showModal();
}

function target() {
	const name = currentName() ?? shownName();
	return store.processes.has(name) ? name : null;
}

function pressed(event) {
	if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]"))
		return;
	const field = event.target.closest("input, select, textarea");
	if (field) {
		if (event.key === "Escape")
			field.blur();
		if (field === $("filter") && (event.key === "ArrowDown" || event.key === "Enter")) {
			event.preventDefault();
			layoutNow();
			moveFocus(0);
		}
		return;
	}
	const key = KEYS.find(({ keys }) => keys.includes(event.key));
	if (!key || (event.key === "Enter" && event.target.closest("button, a")))
		return;
	if (event.key.startsWith("Arrow") && event.target.closest(".scroller, .detail"))
		return;			/* they scroll */
	const name = key.row ? target() : null;
	if (key.row && !name)
		return;
	event.preventDefault();
	key.run(name);
}

/* ---- begin ---- */

startList(open);
startDetail();
startPlan();
on("link", drawBar);
on("daemon", drawBar);
setInterval(drawFoot, 1000);
addEventListener("hashchange", route);
addEventListener("keydown", pressed);
$("theme").addEventListener("click", nextTheme);
$("help").addEventListener("click", showKeys);
$("daemon-log").addEventListener("click", () => open("", "log"));
drawTheme();
drawBar();
connect();
route();
