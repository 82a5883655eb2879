/*
 * The interactive shell: a prompt, lines from a terminal (with history and completion where there is libedit) or from a
 * pipe, each run as a command line would be. Ctrl-C during a command ends the waiting for it, at the prompt the shell;
 * so does Ctrl-D.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "complete.h"
#include "ctl.h"
#include "editor.h"

static void run_line(struct ctl *ctl, const char *line)
{
	struct error err;
	char **words;
	int n = 0;

	if (ctl->compatible) {
		supervisorctl_run(ctl, line);
		return;
	}
	if (line[strspn(line, " \t")] == '#')
		return;
	words = command_split(line, &err);
	if (!words) {
		(void)printf("error: %s\n", err.text);
		ctl_fail(ctl, CTL_USAGE);
		return;
	}
	ctl->json = false;
	for (char **w = words; *w; w++) {
		if (strcmp(*w, "--json") == 0 && (w == words || strcmp(w[-1], "--") != 0)) {
			ctl->json = true;
			free(*w);
		} else {
			words[n++] = *w;
		}
	}
	words[n] = NULL;
	if (n)
		command_run(ctl, n, words);
	strv_free(words);
}

/* Every command begins with connections of its own: the daemon may have been replaced while the user was thinking. */
static void run_one(struct ctl *ctl, const char *line)
{
	run_line(ctl, line);
	(void)fflush(stdout);
	ctl_disconnect(ctl);
	ctl_interrupted = 0;
}

bool shell_confirms(const char *question)
{
	char line[64];

	(void)fputs(question, stdout);
	(void)fflush(stdout);
	return fgets(line, sizeof line, stdin) && (line[0] == 'y' || line[0] == 'Y');
}

static const char *prompt_of(const struct ctl *ctl, char *buffer, size_t size)
{
	const char *word = ctl->config && ctl->config->has_ctl ? ctl->config->ctl.prompt : NULL;

	if (!ctl->compatible && (!word || strcmp(word, "supervisor") == 0))
		word = "reeve";
	(void)snprintf(buffer, size, "%s> ", word ? word : "supervisor");
	return buffer;
}

static char *history_path(const struct ctl *ctl)
{
	const char *path = ctl->history_file;
	const char *home = getenv("HOME");
	char *ret;

	if (!path && ctl->config)
		path = ctl->config->ctl.history_file;
	if (path && strncmp(path, "~/", 2) == 0 && home)
		return asprintf(&ret, "%s%s", home, path + 1) < 0 ? NULL : ret;
	return path ? strdup(path) : NULL;
}

/* Without a terminal reevectl prints no prompts, and its exit status is that of the commands. */
static void read_lines(struct ctl *ctl, struct editor *editor, bool terminal)
{
	char *line;

	while (!ctl->quit && editor_line(editor, &line) == 0) {
		run_one(ctl, line);
		free(line);
	}
	if (!ctl->quit && (terminal || ctl->compatible))
		(void)putchar('\n');
}

int shell_run(struct ctl *ctl)
{
	bool terminal = isatty(STDIN_FILENO);
	_cleanup_(freep) char *history = NULL;
	struct editor *editor;
	char prompt[128];
	int r = ctl_configure(ctl);

	if (r != CTL_OK && !ctl->server)
		return r;
	ctl->shell = ctl->interactive = true;
	history = history_path(ctl);
	editor = editor_new(terminal || ctl->compatible ? prompt_of(ctl, prompt, sizeof prompt) : "",
			    terminal ? history : NULL, complete_line, ctl);
	if (!editor) {
		(void)printf("error: out of memory\n");
		return CTL_GENERIC;
	}
	ctl_catch_interrupts();
	if (terminal || ctl->compatible)
		run_one(ctl, "status");
	read_lines(ctl, editor, terminal);
	editor_free(editor);
	return ctl->compatible ? CTL_OK : terminal ? CTL_OK : ctl->status;
}
