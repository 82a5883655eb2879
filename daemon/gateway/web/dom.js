/* Small things that every part of the page uses: making elements, saying things, formatting. */

export const $ = (id) => document.getElementById(id);

/* el("button.icon", {title: "x", onclick: f}, child, "text", ...): properties, aria-* and data-* as attributes. */
export function el(what, properties = {}, ...children) {
	const [tag, ...classes] = what.split(".");
	const node = document.createElement(tag || "div");
	if (classes.length)
		node.className = classes.join(" ");
	for (const [key, value] of Object.entries(properties)) {
		if (value === undefined || value === null || value === false)
			continue;
		if (key in node && !key.includes("-"))
			node[key] = value;
		else
			node.setAttribute(key, value === true ? "" : value);
	}
	node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
	return node;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
	const node = document.createElementNS(SVG, tag);
	for (const [key, value] of Object.entries(attributes))
		node.setAttribute(key, value);
	node.append(...children);
	return node;
}

export function icon(name) {
	return svg("svg", { class: "i", "aria-hidden": "true" }, svg("use", { href: `#i-${name}` }));
}

/* Change a text only if it differs: a row that did not change is not painted again. */
export function setText(node, text) {
	if (node.textContent !== text)
		node.textContent = text;
}

export function iconButton(name, label, onclick, properties = {}) {
	return el("button.icon", { type: "button", title: label, "aria-label": label, onclick, ...properties }, icon(name));
}

/* ---- saying things ---- */

let announced = 0;

/* To screen readers: several changes at once are one announcement. */
let pending = [];
export function announce(text) {
	pending.push(text);
	clearTimeout(announced);
	announced = setTimeout(() => {
		const shown = pending.slice(0, 4).join(". ");
		$("live").textContent = pending.length > 4 ? `${shown}. And ${pending.length - 4} more.` : shown;
		pending = [];
	}, 400);
}

/* A short message in the corner. KIND: "info" or "error". */
export function toast(text, kind = "info") {
	const close = iconButton("close", "Dismiss", () => node.remove());
	const node = el(`div.toast.${kind}`, { role: kind === "error" ? "alert" : "status" }, el("span", {}, text), close);
	$("toasts").append(node);
	while ($("toasts").children.length > 4)
		$("toasts").firstChild.remove();
	setTimeout(() => node.remove(), kind === "error" ? 12000 : 4000);
}

/* A question that is answered by yes or no. */
export function ask(title, text, yes) {
	const dialog = $("ask");
	setText($("ask-title"), title);
	setText($("ask-text"), text);
	setText($("ask-yes"), yes);
	dialog.returnValue = "";
	dialog.showModal();
	$("ask-yes").focus();
	return new Promise((resolve) => {
		dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
	});
}

/* ---- formats ---- */

export function bytes(kib) {
	if (kib < 1000)
		return `${Math.round(kib)} K`;
	if (kib < 10000)
		return `${(kib / 1024).toFixed(1)} M`;
	if (kib < 1000 * 1024)
		return `${Math.round(kib / 1024)} M`;
	return `${(kib / 1024 / 1024).toFixed(kib < 10240 * 1024 ? 2 : 1)} G`;
}

export function percent(thousandths) {
	const value = thousandths / 10;
	return value < 9.95 ? `${value.toFixed(1)}%` : `${Math.round(value)}%`;
}

/* 93784 s: "1d 02:03:04". */
export function duration(seconds) {
	const s = Math.max(0, Math.floor(seconds));
	const two = (n) => String(n).padStart(2, "0");
	const clock = `${two(Math.floor(s / 3600) % 24)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
	return s >= 86400 ? `${Math.floor(s / 86400)}d ${clock}` : clock;
}

/* "4 min", for sentences. */
export function about(seconds) {
	const s = Math.max(0, seconds);
	if (s < 90)
		return `${Math.round(s)} s`;
	if (s < 5400)
		return `${Math.round(s / 60)} min`;
	return s < 172800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} days`;
}

export function clock(time, withDate) {
	const date = new Date(time * 1000);
	const text = date.toLocaleTimeString("en-GB");
	const day = `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, "0")}-${String(date.getDate()).padStart(2, "0")}`;
	return withDate || date.toDateString() !== new Date().toDateString() ? `${day} ${text}` : text;
}

export const plural = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;
