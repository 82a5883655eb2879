/*
 * What is different when reevectl is called as supervisorctl: the line is one string that is split at blanks, the help
 * is supervisorctl's in layout, and failures that no action has words for look like Python's. The actions themselves
 * are reevectl's.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"

struct action {
	const char *name;
	enum reach reach; /* what it says when the daemon cannot be reached */
	const char *help;
};

static const struct action actions[] = {
	/* in the order of the list, which goes down the columns */
	{ "add", REACH_PLAIN, "add <name> [...]\tBegin to run groups that reread has found\n" },
	{ "avail", REACH_PLAIN, "avail\t\t\tList every process of the configuration\n" },
	{ "clear", REACH_CHECKED,
	  "clear <name>\t\tEmpty the logs of a process\n"
	  "clear <name> <name>\tEmpty the logs of several\n"
	  "clear all\t\tEmpty the logs of all\n" },
	{ "exit", REACH_PLAIN, "exit\tLeave this shell\n" },
	{ "fg", REACH_CHECKED,
	  "fg <process>\tSee the output of a process and type its input\n\t\tCtrl-C leaves it running\n" },
	{ "maintail", REACH_CHECKED,
	  "maintail -f \tFollow the daemon's own log (until Ctrl-C)\n"
	  "maintail -100\tIts last 100 *bytes*\n"
	  "maintail\tIts last 1600 *bytes*\n\n" },
	{ "open", REACH_PLAIN,
	  "open <url>\tTalk to another daemon of this machine\n\t\t(such as unix:///socket/path)\n" },
	{ "pid", REACH_CHECKED,
	  "pid\t\t\tThe daemon's process id\n"
	  "pid <name>\t\tThat of one process\n"
	  "pid all\t\t\tThose of all processes, one a line\n" },
	{ "quit", REACH_PLAIN, "quit\tLeave this shell\n" },
	{ "reload", REACH_PLAIN, "reload \t\tStop everything and start afresh with the files on disk\n" },
	{ "remove", REACH_PLAIN, "remove <name> [...]\tForget groups that are stopped\n" },
	{ "reread", REACH_PLAIN, "reread \t\t\tRead the configuration again; nothing is started or stopped\n" },
	{ "restart", REACH_CHECKED,
	  "restart <name>\t\tStop a process and start it\n"
	  "restart <gname>:*\tThe same for a whole group\n"
	  "restart <name> <name>\tThe same for several\n"
	  "restart all\t\tThe same for all\n"
	  "Note: the files on disk are not looked at; update does that.\n" },
	{ "shutdown", REACH_ENDING, "shutdown \tStop everything and end the daemon\n" },
	{ "signal", REACH_CHECKED,
	  "signal <signal name> <name>\t\tSend a signal to a process\n"
	  "signal <signal name> <gname>:*\t\tTo a whole group\n"
	  "signal <signal name> <name> <name>\tTo several\n"
	  "signal <signal name> all\t\tTo all\n" },
	{ "start", REACH_CHECKED,
	  "start <name>\t\tStart a process\n"
	  "start <gname>:*\t\tStart a whole group\n"
	  "start <name> <name>\tStart several\n"
	  "start all\t\tStart all\n" },
	{ "status", REACH_CHECKED,
	  "status <name>\t\tState of a process\n"
	  "status <gname>:*\tOf a whole group\n"
	  "status <name> <name>\tOf several\n"
	  "status\t\t\tOf all\n" },
	{ "stop", REACH_CHECKED,
	  "stop <name>\t\tStop a process\n"
	  "stop <gname>:*\t\tStop a whole group\n"
	  "stop <name> <name>\tStop several\n"
	  "stop all\t\tStop all\n" },
	{ "tail", REACH_CHECKED,
	  "tail [-f] <name> [stdout|stderr] (default stdout)\n"
	  "Ex:\n"
	  "tail -f <name>\t\tFollow the output of a process\n\t\t\tuntil Ctrl-C\n"
	  "tail -100 <name>\tthe last 100 *bytes* of its stdout\n"
	  "tail <name> stderr\tthe last 1600 *bytes* of its stderr\n" },
	{ "update", REACH_PLAIN,
	  "update\t\t\tRead the configuration and apply what differs\n"
	  "update all\t\tThe same\n"
	  "update <gname> [...]\tThe same for some groups\n" },
	{ "version", REACH_CHECKED, "version\t\t\tThe version that the daemon claims\n" },
};

static const struct action *action_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (strcmp(actions[i].name, name) == 0)
			return &actions[i];
	return NULL;
}

bool supervisorctl_knows(const char *name)
{
	return strcmp(name, "help") == 0 || action_find(name) != NULL;
}

bool supervisorctl_help(const char *name)
{
	const struct action *a = action_find(name);

	if (a)
		(void)fputs(a->help, stdout);
	return a != NULL;
}

/* Columns as wide as their longest word, filled downwards. */
static void help_list(void)
{
	enum { COLUMNS = 7 };
	const size_t rows = (ARRAY_LEN(actions) + COLUMNS - 1) / COLUMNS;

	(void)printf("\ndefault commands (type help <topic>):\n=====================================\n");
	for (size_t row = 0; row < rows; row++) {
		for (size_t column = 0; column < COLUMNS; column++) {
			int width = 0;

			for (size_t i = column * rows; i < (column + 1) * rows; i++)
				if ((int)strlen(actions[i].name) > width)
					width = (int)strlen(actions[i].name);
			(void)printf("%-*s%s", width, actions[column * rows + row].name,
				     column + 1 < COLUMNS ? "  " : "\n");
		}
	}
	(void)putchar('\n');
}

static void help(struct ctl *ctl, const char *topic)
{
	if (!*topic)
		help_list();
	else if (strcmp(topic, "help") == 0)
		(void)printf("help\t\tList the actions\nhelp <action>\tExplain one\n");
	else if (!supervisorctl_help(topic) && command_find(topic))	/* one of ours, which supervisorctl has not */
		command_run(ctl, 2, (char *[]){ (char *)"help", (char *)topic, NULL });
	else if (!supervisorctl_knows(topic))
		(void)printf("*** No help on %s\n", topic);
}

/* ---- lines ---- */

static void unknown(struct ctl *ctl, const char *line)
{
	(void)printf("*** Unknown syntax: %s\n", line);
	ctl_fail(ctl, CTL_GENERIC);
}

/* WORD and the words of REST, which is cut up. */
static void run_words(struct ctl *ctl, char *word, char *rest)
{
	size_t n = strlen(rest);
	char **words = calloc(n / 2 + 3, sizeof *words);
	const struct action *a = action_find(word);
	int argc = 0;

	if (!words)
		return;
	words[argc++] = word;
	for (char *w = strtok(rest, " \t\r\n\v\f"); w; w = strtok(NULL, " \t\r\n\v\f"))
		words[argc++] = w;
	ctl->reach = a ? a->reach : REACH_PLAIN;
	ctl->given_up = false;
	command_run(ctl, argc, words);
	ctl->reach = REACH_PLAIN;
	free(words);
}

/* The action is what its letters, digits and underscores are; anything may follow. */
void supervisorctl_run(struct ctl *ctl, const char *line)
{
	_cleanup_(freep) char *copy = NULL, *word = NULL;
	size_t n;

	line += strspn(line, " \t\r\n\v\f");
	copy = strdup(line);
	if (!copy)
		return;
	for (n = strlen(copy); n && isspace((unsigned char)copy[n - 1]); n--)
		copy[n - 1] = '\0';
	for (n = 0; isalnum((unsigned char)copy[n]) || copy[n] == '_'; n++)
		;
	word = copy[0] == '?' ? strdup("help") : strndup(copy, n);
	if (!copy[0] || !word)
		return;
	line = copy + (copy[0] == '?' ? 1 : n);
	line += strspn(line, " \t\r\n\v\f");
	if (strcmp(word, "help") == 0)
		help(ctl, line);
	else if (strcmp(word, "EOF") == 0)
		command_quit(ctl, 0, NULL);
	else if (!command_find(word))
		unknown(ctl, copy);
	else
		run_words(ctl, word, (char *)line);
}

/* ---- names ---- */

bool has_all(int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], "all") == 0)
			return true;
	return false;
}

bool names_group(const char *name)
{
	const char *colon = strchr(name, ':');

	return colon && (!colon[1] || strcmp(colon, ":*") == 0);
}

bool is_pattern(const char *name)
{
	return !names_group(name) && name[strcspn(name, "*?[")];
}

const char *namespec_shown(const char *name, char *buffer, size_t size)
{
	size_t n = strcspn(name, ":");
	bool same = name[n] && strlen(name + n + 1) == n && strncmp(name, name + n + 1, n) == 0;

	(void)snprintf(buffer, size, "%s", same ? name + n + 1 : name);
	return buffer;
}

/* ---- failures ---- */

/* TEXT as Python's repr() writes it. */
static void print_repr(const char *text)
{
	char quote = strchr(text, '\'') && !strchr(text, '"') ? '"' : '\'';

	(void)putchar(quote);
	for (; *text; text++) {
		if (*text == '\n')
			(void)fputs("\\n", stdout);
		else if (*text == '\t')
			(void)fputs("\\t", stdout);
		else if (*text == '\\' || *text == quote)
			(void)printf("\\%c", *text);
		else
			(void)putchar(*text);
	}
	(void)putchar(quote);
}

void supervisorctl_fault(struct ctl *ctl, int code, const char *text)
{
	(void)printf("error: <class 'xmlrpc.client.Fault'>, <Fault %d: ", code);
	print_repr(text);
	(void)printf(">: file: reevectl line: 0\n");
	ctl->given_up = true;
	ctl_fail(ctl, CTL_GENERIC);
}

void supervisorctl_unreachable(struct ctl *ctl, int code)
{
	const char *class = code == ENOENT		      ? "FileNotFoundError"
			    : code == ECONNREFUSED	      ? "ConnectionRefusedError"
			    : code == EACCES || code == EPERM ? "PermissionError"
							      : "OSError";
	const char *what = code == ENOENT ? "no such file" : code == ECONNREFUSED ? "refused connection" : NULL;
	const char *url = ctl->url ? ctl->url : ctl->rundir;

	if (what && ctl->reach == REACH_CHECKED) {
		(void)printf("%s %s\n", url, what);
		ctl_fail(ctl, code == ENOENT ? CTL_NOT_RUNNING : CTL_REFUSED);
		return;
	}
	ctl->given_up = true;
	ctl_fail(ctl, CTL_GENERIC);
	if (what && ctl->reach == REACH_ENDING)
		(void)printf("ERROR: %s %s (already shut down?)\n", url, what);
	else
		(void)printf("error: <class '%s'>, [Errno %d] %s: file: reevectl line: 0\n", class, code, strerror(code));
}
