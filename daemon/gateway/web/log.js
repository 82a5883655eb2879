/*
 * A log that follows: the end of stdout, stderr or both as they arrive, with search. Lines are kept as text; at most MAX_LINES are
 * shown, and the view stays where its reader put it.
 */
import { el, icon, iconButton, setText, plural } from "./dom.js";
import { url } from "./store.js";

const FIRST_BYTES = 32 << 10, MOST_BYTES = 8 << 20, MAX_LINES = 20000;

/* Colours and cursor movements of terminals. */
const ESCAPES = /\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])/g;

function decode(base64) {
	return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}

export class LogView {
	constructor() {
		this.stream = "both";
		this.search = el("input", { type: "search", placeholder: "Search the log", "aria-label": "Search the log", autocomplete: "off",
			spellcheck: false, oninput: () => this.find(), onkeydown: (event) => this.searchKey(event) });
		this.count = el("span.found", { "aria-live": "polite" });
		this.only = el("button.button.small", { type: "button", "aria-pressed": "false", title: "Show only lines that match",
			onclick: () => this.toggleOnly() }, "Matches only");
		this.wrap = el("button.button.small", { type: "button", "aria-pressed": "true", onclick: () => this.toggleWrap() }, "Wrap");
		this.more = el("button.button.small.more", { type: "button", onclick: () => this.loadMore() }, icon("up"), "Earlier lines");
		this.down = el("button.button.small.down", { type: "button", hidden: true, onclick: () => this.toEnd() });
		this.lines = el("div.lines", { role: "log", "aria-live": "off" });
		this.scroller = el("div.scroller", { tabIndex: 0, "aria-label": "Log" }, this.more, this.lines);
		this.note = el("p.log-note", { role: "status" });
		this.scroller.addEventListener("scroll", () => this.scrolled());
		this.streams = el("div.segments", { role: "group", "aria-label": "Streams" },
			...["both", "stdout", "stderr"].map((stream) => el("button", { type: "button", "aria-pressed": String(stream === "both"),
				onclick: () => this.choose(stream), "data-stream": stream }, stream)));
		this.node = el("div.log-view", {},
			el("div.log-tools", {}, this.streams,
				el("label.search", {}, icon("search"), this.search, this.count,
					iconButton("up", "Match before (Shift+Enter)", () => this.step(-1)),
					iconButton("fold", "Next match (Enter)", () => this.step(1))),
				this.only, this.wrap),
			el("div.log-frame", {}, this.scroller, this.down), this.note);
	}

	open(name) {
		if (name !== this.name) {
			this.search.value = "";
			this.setOnly(false);
			this.choose(name === "" ? "stdout" : "both", false);
		}
		this.name = name;
		this.streams.hidden = name === "";
		this.bytes = FIRST_BYTES;
		this.follow();
	}

	close() {
		this.source?.close();
		this.source = null;
	}

	choose(stream, restart = true) {
		this.stream = stream;
		for (const button of this.streams.children)
			button.setAttribute("aria-pressed", String(button.dataset.stream === stream));
		if (restart)
			this.follow();
	}

	/* ---- the stream ---- */

	reset() {
		this.lines.replaceChildren();
		this.rest = { stdout: "", stderr: "" };
		this.decoder = { stdout: new TextDecoder(), stderr: new TextDecoder() };
		this.open_line = { stdout: null, stderr: null };
		this.atEnd = true;
		this.fresh = 0;
		this.matched = [];
		this.at = -1;
		this.received = 0;
		this.missing = new Set();
		this.past = this.stream === "both" ? { stdout: null, stderr: null } : null;
		clearTimeout(this.pastTimer);
		this.batch = [];
		this.begun = new Set();
		this.pastTimer = 0;
	}

	follow() {
		this.close();
		this.reset();
		setText(this.note, "");
		this.source = new EventSource(url(`api/log/${encodeURIComponent(this.name)}?stream=${this.stream}&follow=${this.bytes}`));
		this.source.onopen = () => { this.reset(); setText(this.note, ""); };
		this.source.addEventListener("log", (event) => this.take(JSON.parse(event.data)));
		this.source.addEventListener("end", (event) => this.ended(JSON.parse(event.data)));
		this.source.onerror = () => {
			if (this.missing.size < (this.stream === "both" ? 2 : 1))
				setText(this.note, "The connection is lost; trying again.");
		};
	}

	ended({ stream, error }) {
		const texts = { NoFile: "has no log file", BadName: "is not known to the logger", Disconnected: "is interrupted" };
		if (error === "NoFile" || error === "BadName")
			this.missing.add(stream);
		if (this.missing.size === (this.stream === "both" ? 2 : 1))
			this.close();
		if (this.stream !== "both" || this.missing.size === 2)
			setText(this.note, `${this.name || "The daemon"} ${this.missing.size ? texts.NoFile : texts[error] ?? "has ended"}.`);
	}

	/*
	 * Nobody knows how what two streams wrote in the past belongs together: it is shown one after the other, and from then on as it
	 * comes.
	 */
	take(message) {
		if (!this.past) {
			this.show(message);
			return;
		}
		this.pastTimer ||= setTimeout(() => this.showPast(), 400);
		(this.past[message.stream] ??= []).push(message);
		if ((this.past.stdout || this.missing.has("stdout")) && (this.past.stderr || this.missing.has("stderr")))
			this.showPast();
	}

	showPast() {
		const { stdout, stderr } = this.past;
		clearTimeout(this.pastTimer);
		this.pastTimer = 0;
		this.past = null;
		for (const [stream, messages] of [["stderr", stderr], ["stdout", stdout]]) {
			if (stdout && stderr)
				this.addLine(stream, `${stream} so far`, "cut");
			messages?.forEach((message) => this.show(message));
		}
		if (stdout && stderr)
			this.addLine("stdout", "from here on as it comes", "cut");
		this.schedule();
	}

	show({ stream, data, event }) {
		if (event === "truncated")
			this.addLine(stream, "cleared or truncated", "cut");
		const raw = decode(data);
		this.received += raw.length;
		const text = this.rest[stream] + this.decoder[stream].decode(raw, { stream: true });
		const lines = text.split("\n");
		if (!this.begun.has(stream) && this.bytes === FIRST_BYTES && raw.length === FIRST_BYTES && lines.length > 1)
			lines.shift();		/* what the end of a longer log begins with is half a line */
		this.begun.add(stream);
		this.rest[stream] = lines.pop();
		lines.forEach((line, i) => {
			if (i === 0 && this.open_line[stream])
				this.finishLine(stream, line);
			else
				this.addLine(stream, line);
		});
		if (this.rest[stream].length > 65536) {		/* a line without end */
			this.addLine(stream, this.rest[stream]);
			this.rest[stream] = "";
		}
		this.showRest(stream);
		this.schedule();
	}

	/* A line that is not ended yet is shown, and replaced when more of it comes. */
	showRest(stream) {
		this.open_line[stream]?.remove();
		this.open_line[stream] = null;
		if (this.rest[stream]) {
			this.addLine(stream, this.rest[stream]);
			this.open_line[stream] = this.batch[this.batch.length - 1];
		}
	}

	finishLine(stream, line) {
		const node = this.open_line[stream];
		this.open_line[stream] = null;
		node.line = line.replace(ESCAPES, "").replace(/\r$/, "");
		this.paint(node);
	}

	addLine(stream, line, kind) {
		const node = el(`div.line.${stream}${kind ? `.${kind}` : ""}`);
		node.line = line.replace(ESCAPES, "").replace(/\r$/, "");
		this.paint(node);
		this.batch.push(node);
		if (!this.atEnd)
			this.fresh++;
	}

	/* Once per frame: a flood of lines is one layout. */
	schedule() {
		this.frame ||= requestAnimationFrame(() => {
			this.frame = 0;
			this.lines.append(...this.batch);
			this.batch = [];
			const surplus = this.lines.childElementCount - MAX_LINES;
			for (let i = 0; i < surplus; i++)
				this.lines.firstChild.remove();
			this.more.hidden = this.bytes >= MOST_BYTES || this.received < this.bytes;
			if (this.atEnd)
				this.scroller.scrollTop = this.scroller.scrollHeight;
			this.recount();
			this.showDown();
		});
	}

	loadMore() {
		this.bytes = Math.min(MOST_BYTES, this.bytes * 8);
		this.follow();
	}

	/* ---- the place ---- */

	scrolled() {
		const s = this.scroller;
		this.atEnd = s.scrollHeight - s.scrollTop - s.clientHeight < 24;
		if (this.atEnd)
			this.fresh = 0;
		this.showDown();
	}

	showDown() {
		this.down.hidden = this.atEnd;
		setText(this.down, this.fresh ? `${plural(this.fresh, "new line")} below` : "Follow the end");
	}

	toEnd() {
		this.atEnd = true;
		this.fresh = 0;
		this.scroller.scrollTop = this.scroller.scrollHeight;
		this.showDown();
		this.scroller.focus({ preventScroll: true });
	}

	toggleWrap() {
		const on = this.wrap.getAttribute("aria-pressed") !== "true";
		this.wrap.setAttribute("aria-pressed", String(on));
		this.lines.classList.toggle("nowrap", !on);
	}

	toggleOnly() {
		this.setOnly(this.only.getAttribute("aria-pressed") !== "true");
	}

	setOnly(on) {
		this.only.setAttribute("aria-pressed", String(on));
		this.lines.classList.toggle("only", on);
		if (this.atEnd)
			this.scroller.scrollTop = this.scroller.scrollHeight;
	}

	/* ---- searching ---- */

	/* The text of a line, with what is searched for marked. */
	paint(node) {
		const needle = this.search.value.toLowerCase(), line = node.line, low = line.toLowerCase();
		node.classList.remove("match");
		if (!needle || !low.includes(needle)) {
			node.textContent = line || "\u00a0";
			return;
		}
		const parts = [];
		let from = 0;
		for (let at = low.indexOf(needle); at >= 0 && parts.length < 200; at = low.indexOf(needle, from)) {
			parts.push(line.slice(from, at), el("mark", {}, line.slice(at, at + needle.length)));
			from = at + needle.length;
		}
		node.replaceChildren(...parts, line.slice(from));
		node.classList.add("match");
	}

	find() {
		for (const node of this.lines.children)
			this.paint(node);
		this.at = -1;
		this.lines.querySelector(".line.at")?.classList.remove("at");
		this.recount();
		if (this.matched.length)
			this.step(-1);
	}

	recount() {
		const searching = this.search.value !== "";
		this.matched = searching ? [...this.lines.querySelectorAll(".line.match")] : [];
		const n = this.matched.length;
		setText(this.count, !searching ? "" : !n ? "none" : this.at < 0 ? plural(n, "line") : `${this.at + 1} of ${n}`);
	}

	step(by) {
		const n = this.matched.length;
		if (!n)
			return;
		this.lines.querySelector(".line.at")?.classList.remove("at");
		this.at = this.at < 0 ? (by < 0 ? n - 1 : 0) : (this.at + by + n) % n;
		const node = this.matched[this.at];
		node.classList.add("at");
		node.scrollIntoView({ block: "center" });
		setText(this.count, `${this.at + 1} of ${n}`);
	}

	searchKey(event) {
		if (event.key === "Enter") {
			event.preventDefault();
			this.step(event.shiftKey ? -1 : 1);
		} else if (event.key === "Escape" && this.search.value) {
			event.stopPropagation();
			this.search.value = "";
			this.find();
		}
	}
}
