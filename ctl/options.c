/* See options.h. The table below is the command line: parser, help and manual walk it. */
#include "options.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "complete.h"
#include "conf/config.h"

enum { OURS = 1, THEIRS = 2, BOTH = OURS | THEIRS }; /* reevectl's, supervisorctl's */

struct option {
	char letter; /* 0: none */
	const char *name;
	const char *argument; /* as help prints it; NULL: takes none */
	int manners;
	const char *help;
};

static const struct option options[] = {
	{ 'c', "configuration", "FILE", BOTH, "Configuration file of the daemon to talk to." },
	{ 's', "serverurl", "URL", BOTH,
	  "Where it is: unix:///SOCKET or http://HOST:PORT as in [supervisorctl], or (reevectl only) its run directory or "
	  "control socket. The variable REEVE_SOCKET is the same." },
	{ 'i', "interactive", NULL, BOTH,
	  "Ask before shutdown and reload; without a command: the shell, which is the default." },
	{ 'u', "username", "NAME", BOTH, "Who asks, where the daemon is reached by HTTP; its own socket knows." },
	{ 'p', "password", "TEXT", BOTH, "The password, likewise." },
	{ 'r', "history_file", "FILE", BOTH, "File that keeps the history of the shell." },
	{ 0, "json", NULL, OURS, "Print answers as JSON; may also stand behind the command." },
	{ 0, "print", "TABLE", OURS, "Print a table for the manual: commands, options or completion." },
	{ 0, "words", "LINE", OURS, "Print what could stand at the end of LINE, for the completion of shells." },
	{ 0, "version", NULL, OURS, "Print the version of reevectl." },
	{ 'h', "help", NULL, BOTH, "Print this text." },
};

int options_error(const struct ctl *ctl, const char *format, ...)
{
	va_list ap;

	(void)fflush(stdout);
	(void)fprintf(stderr, "Error: ");
	va_start(ap, format);
	(void)vfprintf(stderr, format, ap);
	va_end(ap);
	(void)fprintf(stderr, "\nFor help, use %s -h\n", ctl->program);
	return CTL_USAGE;
}

static bool has(const struct ctl *ctl, const struct option *option)
{
	return option->manners & (ctl->compatible ? THEIRS : OURS);
}

/* -1: no such option, -2: several begin so. */
static int find_long(const struct ctl *ctl, const char *name, size_t length)
{
	int found = -1;

	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		if (!has(ctl, &options[i]) || strncmp(options[i].name, name, length) != 0)
			continue;
		if (strlen(options[i].name) == length)
			return (int)i;
		found = found == -1 ? (int)i : -2;
	}
	return found;
}

static int find_short(char letter)
{
	if (letter == '?')
		letter = 'h';
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (options[i].letter && options[i].letter == letter)
			return (int)i;
	return -1;
}

static void print_help(const struct ctl *ctl)
{
	(void)printf("usage: %s [OPTION]... [%s [ARGUMENT]...]\n\n", ctl->program,
		     ctl->compatible ? "ACTION" : "COMMAND");
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		char left[48], letter[6] = "    ";

		if (!has(ctl, &options[i]))
			continue;
		if (options[i].letter)
			(void)snprintf(letter, sizeof letter, "-%c, ", options[i].letter);
		(void)snprintf(left, sizeof left, "%s--%s%s%s", letter, options[i].name, options[i].argument ? "=" : "",
			       options[i].argument ? options[i].argument : "");
		(void)printf("  %-27s %s\n", left, options[i].help);
	}
	(void)printf("\nWithout %s a shell reads them, from a terminal or a pipe.\n\n",
		     ctl->compatible ? "an action" : "a command");
	command_run((struct ctl *)ctl, 1, (char *[]){ (char *)"help", NULL });
}

static int print_table(const struct ctl *ctl, const char *name)
{
	if (strcmp(name, "commands") == 0)
		commands_print();
	else if (strcmp(name, "completion") == 0)
		completions_print();
	else if (strcmp(name, "options") != 0)
		return options_error(ctl, "there is no table '%s'; write commands, options or completion", name);
	for (size_t i = 0; strcmp(name, "options") == 0 && i < ARRAY_LEN(options); i++)
		(void)printf("%c\t%s\t%s\t%s\n", options[i].letter ? options[i].letter : '-', options[i].name,
			     options[i].argument ? options[i].argument : "", options[i].help);
	return CTL_OK;
}

static int print_words(struct ctl *ctl, const char *line)
{
	size_t start;
	char **words = complete_line(ctl, line, strlen(line), &start);

	for (char **word = words; word && *word; word++)
		(void)puts(*word);
	strv_free(words);
	return CTL_OK;
}

static bool is_url(const char *text)
{
	const char *colon = strstr(text, "://");

	return colon && colon != text;
}

static int apply(struct ctl *ctl, const struct option *option, const char *shown, const char *value)
{
	switch (option->letter ? option->letter : option->name[0]) {
	case 'c':
		ctl->configuration = value;
		break;
	case 's':
		if (ctl->compatible && !is_url(value))
			return options_error(ctl, "invalid value for %s '%s': value '%s' is not a URL", shown, value,
					     value);
		ctl->server = value;
		break;
	case 'u':
		ctl->username = value;
		break;
	case 'p':
		if (!option->letter)	/* --print */
			return print_table(ctl, value);
		ctl->password = value;
		break;
	case 'i':
		ctl->interactive = true;
		break;
	case 'r':
		ctl->history_file = value;
		break;
	case 'j':
		ctl->json = true;
		break;
	case 'h':
		print_help(ctl);
		return CTL_OK;
	case 'v':
		(void)puts(REEVE_VERSION);
		return CTL_OK;
	case 'w': /* --words */
		return print_words(ctl, value);
	}
	return OPTIONS_GO_ON;
}

static int take(struct ctl *ctl, bool seen[], int i, const char *shown, const char *value)
{
	if (seen[i])
		return options_error(ctl, "conflicting command line option '%s'", shown);
	seen[i] = true;
	return apply(ctl, &options[i], shown, value);
}

static int take_long(struct ctl *ctl, bool seen[], char **argv, int *at)
{
	const char *name = argv[*at] + 2, *value = strchr(name, '=');
	size_t length = value ? (size_t)(value - name) : strlen(name);
	int i = find_long(ctl, name, length);
	char shown[64];

	(void)snprintf(shown, sizeof shown, "--%.*s", (int)length, name);
	if (i < 0)
		return options_error(ctl, i == -1 ? "option %s not recognized" : "option %s not a unique prefix",
				     shown);
	(void)snprintf(shown, sizeof shown, "--%s", options[i].name);
	if (!options[i].argument)
		return value ? options_error(ctl, "option %s must not have an argument", shown)
			     : take(ctl, seen, i, shown, NULL);
	value = value ? value + 1 : argv[*at + 1] ? argv[++*at] : NULL;
	return value ? take(ctl, seen, i, shown, value) : options_error(ctl, "option %s requires argument", shown);
}

static int take_short(struct ctl *ctl, bool seen[], char **argv, int *at)
{
	for (const char *p = argv[*at] + 1; *p; p++) {
		char shown[3] = { '-', *p, 0 };
		int i = find_short(*p), r;

		if (i < 0)
			return options_error(ctl, "option %s not recognized", shown);
		if (options[i].argument) {
			const char *value = p[1] ? p + 1 : argv[*at + 1] ? argv[++*at] : NULL;

			return value ? take(ctl, seen, i, shown, value)
				     : options_error(ctl, "option %s requires argument", shown);
		}
		r = take(ctl, seen, i, shown, NULL);
		if (r != OPTIONS_GO_ON)
			return r;
	}
	return OPTIONS_GO_ON;
}

int options_parse(struct ctl *ctl, int argc, char **argv, int *ret_at)
{
	bool seen[ARRAY_LEN(options)] = { false };
	int i = 1;

	for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
		int r;

		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		r = argv[i][1] == '-' ? take_long(ctl, seen, argv, &i) : take_short(ctl, seen, argv, &i);
		if (r != OPTIONS_GO_ON)
			return r;
	}
	*ret_at = i;
	return OPTIONS_GO_ON;
}
