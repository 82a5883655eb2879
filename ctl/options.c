/* See options.h. The table below is the command line: parser, help and manual walk it. */
#include "options.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/command_line.h"
#include "complete.h"

enum { OURS = 1, THEIRS = 2, BOTH = OURS | THEIRS, /* reevectl's, supervisorctl's */
       ACT = 4 };				   /* does something instead of filling a member of struct ctl */

#define AT(member) offsetof(struct ctl, member)
static const struct option options[] = {
	{ 'c', "configuration", "FILE", BOTH, AT(configuration), "Configuration file of the daemon to talk to." },
	{ 's', "serverurl", "URL", BOTH, AT(server),
	  "Where it is: unix:///SOCKET or http://HOST:PORT as in [supervisorctl], or (reevectl only) its run directory or "
	  "control socket. The variable REEVE_SOCKET is the same." },
	{ 'i', "interactive", NULL, BOTH, AT(interactive),
	  "Ask before shutdown and reload; without a command: the shell, which is the default." },
	{ 'u', "username", "NAME", BOTH, AT(username), "Who asks, where the daemon is reached by HTTP; its own socket knows." },
	{ 'p', "password", "TEXT", BOTH, AT(password), "The password, likewise." },
	{ 'r', "history_file", "FILE", BOTH, AT(history_file), "File that keeps the history of the shell." },
	{ 0, "json", NULL, OURS, AT(json), "Print answers as JSON; may also stand behind the command." },
	{ 0, "print", "TABLE", OURS | ACT, 0, "Print a table for the manual: commands, options or completion." },
	{ 0, "words", "LINE", OURS | ACT, 0, "Print what could stand at the end of LINE, for the completion of shells." },
	{ 0, "version", NULL, OURS | ACT, 0, "Print the version of reevectl." },
	{ 'h', "help", NULL, BOTH | ACT, 0, "Print this text." },
	{ 0 },
};
static_assert(ARRAY_LEN(options) <= COMMAND_LINE_OPTIONS, "more options than the parser takes");

static int take(void *data, const struct option *option, const char *shown, const char *value);

static struct command_line command_line(struct ctl *ctl)
{
	return (struct command_line){ .program = ctl->program, .options = options, .kinds = ctl->compatible ? THEIRS : OURS,
				      .width = 27, .take = take, .data = ctl };
}

static int print_help(struct ctl *ctl, const char *value)
{
	struct command_line line = command_line(ctl);

	(void)value;
	(void)printf("usage: %s [OPTION]... [%s [ARGUMENT]...]\n\n", ctl->program,
		     ctl->compatible ? "ACTION" : "COMMAND");
	command_line_help(&line);
	(void)printf("\nWithout %s a shell reads them, from a terminal or a pipe.\n\n",
		     ctl->compatible ? "an action" : "a command");
	command_run(ctl, 1, (char *[]){ (char *)"help", NULL });
	return CTL_OK;
}

static int print_version(struct ctl *ctl, const char *value)
{
	(void)ctl;
	(void)value;
	(void)puts(REEVE_VERSION);
	return CTL_OK;
}

static int print_table(struct ctl *ctl, const char *name)
{
	if (strcmp(name, "commands") == 0)
		commands_print();
	else if (strcmp(name, "completion") == 0)
		completions_print();
	else if (strcmp(name, "options") == 0)
		command_line_print(options);
	else
		return command_line_error(ctl->program, "there is no table '%s'; write commands, options or completion", name);
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

static int act(struct ctl *ctl, const char *name, const char *value)
{
	static const struct {
		const char *name;
		int (*run)(struct ctl *ctl, const char *value);
	} actions[] = { { "help", print_help }, { "version", print_version }, { "print", print_table }, { "words", print_words } };

	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (strcmp(actions[i].name, name) == 0)
			return actions[i].run(ctl, value);
	return COMMAND_LINE_GO_ON;
}

static bool is_url(const char *text)
{
	const char *colon = strstr(text, "://");

	return colon && colon != text;
}

static int take(void *data, const struct option *option, const char *shown, const char *value)
{
	struct ctl *ctl = data;
	void *field = (char *)ctl + option->at;

	if (option->kind & ACT)
		return act(ctl, option->name, value);
	if (option->at == AT(server) && ctl->compatible && !is_url(value))
		return command_line_error(ctl->program, "invalid value for %s '%s': value '%s' is not a URL", shown, value, value);
	if (option->argument)
		*(const char **)field = value;
	else
		*(bool *)field = true;
	return COMMAND_LINE_GO_ON;
}

int options_parse(struct ctl *ctl, int argc, char **argv, int *ret_at)
{
	struct command_line line = command_line(ctl);

	return command_line_parse(&line, argc, argv, ret_at);
}
