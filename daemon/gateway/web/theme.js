/* Loaded before anything is painted: a theme that was chosen by hand must not flash the other one. */
"use strict";
try {
	const theme = localStorage.getItem("theme");
	if (theme === "light" || theme === "dark")
		document.documentElement.dataset.theme = theme;
} catch {
	/* no storage: the system's theme */
}
