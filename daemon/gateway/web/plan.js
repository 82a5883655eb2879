/* The difference between the configuration on disk and what runs, and the button that applies it. */
import { $, el, icon, setText, toast, ask, announce } from "./dom.js";
import { store, on, post } from "./store.js";

const ACTIONS = { add: "added", remove: "removed", restart: "restarted", live: "changed in place", invalid: "invalid" };
const SIGNS = { add: "+", remove: "−", restart: "↻", live: "~", invalid: "!" };

let open = false, applying = false, told = false;

function summary(changes) {
	const counts = new Map();
	for (const { action } of changes)
		counts.set(action, (counts.get(action) ?? 0) + 1);
	const known = Object.keys(ACTIONS).filter((action) => counts.has(action));
	return known.map((action) => `${counts.get(action)} ${ACTIONS[action]}`).join(", ");
}

/* What would change; a section that had its error all along shows in the list. */
function news() {
	const known = (group) => store.processes.get(group)?.statename === "INVALID";
	return (store.plan?.changes ?? []).filter(({ action, group }) => action !== "invalid" || !known(group));
}

function changeRow(change) {
	return el("tr", { "data-action": change.action },
		el("td.sign", { "aria-hidden": "true" }, SIGNS[change.action] ?? ""),
		el("th", { scope: "row" }, change.namespec),
		el("td", {}, ACTIONS[change.action] ?? change.action), el("td.keys", {}, change.message || change.keys.join(", ")));
}

async function apply(changes) {
	const stops = changes.filter(({ action }) => action === "restart" || action === "remove").map(({ namespec }) => namespec);
	const more = stops.length > 8 ? ` and ${stops.length - 8} more` : "";
	if (stops.length && !(await ask("Apply the configuration?", `This stops ${stops.slice(0, 8).join(", ")}${more}.`, "Apply")))
		return;
	applying = true;
	draw();
	try {
		await post("update", { groups: [] });
		toast("The configuration is applied.");
	} catch (error) {
		toast(`Not applied: ${error.message}`, "error");
	}
	applying = false;
	draw();
}

function toggleLines() {
	open = !open;
	draw();
	$("plan-show").focus();
}

function draw() {
	const plan = store.plan, changes = news(), pending = changes.some(({ action }) => action !== "invalid");
	const shown = changes.length || plan?.error;
	$("plan").hidden = !shown;
	if (!shown) {
		told = open = false;
		return;
	}
	if (!told)
		announce("The configuration on disk differs from what runs");
	told = true;
	const toggle = el("button.plain", { type: "button", id: "plan-show", "aria-expanded": String(open), onclick: toggleLines },
		icon("fold"), open ? "Hide" : "Show");
	const applyButton = el("button.button.primary", { type: "button", id: "plan-apply", disabled: applying,
		onclick: () => apply(changes) }, applying ? "Applying…" : "Apply");
	const what = plan.error ? "The configuration cannot be read. " : "The configuration on disk differs. ";
	const line = el("div.plan-line", {},
		el("p", {}, el("strong", {}, what), el("span", {}, plan.error ?? summary(changes))),
		changes.length ? toggle : null, pending ? applyButton : null);
	const diagnostics = (plan.diagnostics ?? []).map((text) => el("li", {}, text));
	$("plan").replaceChildren(line, ...(open ? [el("table.changes", {}, el("tbody", {}, ...changes.map(changeRow)))] : []),
		...((open || plan.error) && diagnostics.length ? [el("ul.diagnostics", {}, ...diagnostics)] : []));
}

export function togglePlan() {
	if ($("plan").hidden)
		return;
	open = !open;
	draw();
	$("plan-apply")?.focus();
}

export function startPlan() {
	on("plan", draw);
	setText($("plan"), "");
}

