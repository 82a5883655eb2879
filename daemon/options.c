/* See options.h. The table below is the command line: parser, help and manual walk it. */
#include "options.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/command_line.h"
#include "check.h"
#include "conf/keys.h"

enum {
	OURS = 1,			/* fills a member of struct options */
	KEY = 2,			/* sets the key of [supervisord] that is called so, "true" where it takes no argument */
	IGNORED = 4,
};

#define AT(member) offsetof(struct options, member)
static const struct option options[] = {
	{ 'c', "configuration", "FILE", OURS, AT(configuration), "Configuration file." },
	{ 'n', "nodaemon", NULL, KEY, 0, "Stay in the foreground (the default unless called as supervisord)." },
	{ 0, "daemon", NULL, OURS, AT(daemon), "Go to the background (the default when called as supervisord)." },
	{ 0, "check", NULL, OURS, AT(check), "Read the configuration, say what is wrong with it, and exit (0, or 78)." },
	{ 0, "dump", "json", OURS, AT(dump), "With --check: print the effective configuration." },
	{ 0, "print", "TABLE", OURS, AT(print), "Print a table for the manual: keys, options or sections." },
	{ 's', "silent", NULL, KEY, 0, "In the foreground: no copy of the log on stdout." },
	{ 'h', "help", NULL, OURS, AT(help), "Print this text." },
	{ 'v', "version", NULL, OURS, AT(version), "Print the version." },
	{ 'u', "user", "USER", KEY, 0, "Run as this user (name or number)." },
	{ 'm', "umask", "UMASK", KEY, 0, "Octal umask of the daemon." },
	{ 'd', "directory", "DIRECTORY", KEY, 0, "Directory to change to when daemonising." },
	{ 'l', "logfile", "FILE", KEY, 0, "The daemon's own log." },
	{ 'y', "logfile_maxbytes", "BYTES", KEY, 0, "Size at which it is rotated." },
	{ 'z', "logfile_backups", "N", KEY, 0, "How many rotated ones are kept." },
	{ 'e', "loglevel", "LEVEL", KEY, 0, "What is logged." },
	{ 'j', "pidfile", "FILE", KEY, 0, "File for the daemon's pid." },
	{ 'i', "identifier", "TEXT", KEY, 0, "Name of this daemon." },
	{ 'q', "childlogdir", "DIRECTORY", KEY, 0, "Directory for AUTO logs." },
	{ 'k', "nocleanup", NULL, KEY, 0, "Keep old AUTO logs." },
	{ 'a', "minfds", "N", KEY, 0, "Least limit of open files." },
	{ 't', "strip_ansi", NULL, KEY, 0, "Remove terminal escapes from logs." },
	{ 0, "minprocs", "N", KEY, 0, "Least limit of processes." },
	{ 0, "cgroups", "WHEN", KEY, 0, "Make control groups: auto, on or off." },
	{ 0, "profile_options", "LIST", IGNORED, 0, "Accepted for supervisord's sake; has no effect." },
	{ 0 },
};
static_assert(ARRAY_LEN(options) <= COMMAND_LINE_OPTIONS, "more options than the parser takes");

/* The value is checked by the key's own rules, at once. */
static int check_value(const struct options *o, const struct option *option, const char *shown, const char *value)
{
	static const struct key *const tables[] = { supervisord_keys, NULL };
	static const struct section_kind kind = { .name = "supervisord", .tables = tables };
	const struct key *key = key_find(&kind, option->name);
	struct supervisord_conf scratch = { 0 };
	struct error err;
	int r = key ? key_set(key, &scratch, value, &err) : 0;

	if (key)
		key_free(key, &scratch);
	if (r < 0 || check_place(option->name, value, &err))
		return command_line_error(o->argv0, "invalid value for %s '%s': %s", shown, value, err.text);
	return COMMAND_LINE_GO_ON;
}

static int take(void *data, const struct option *option, const char *shown, const char *value)
{
	struct options *o = data;
	void *field = (char *)o + option->at;
	int r = COMMAND_LINE_GO_ON;

	switch (option->kind) {
	case OURS:
		if (option->argument)
			*(const char **)field = value;
		else
			*(bool *)field = true;
		break;
	case KEY:
		if (value)
			r = check_value(o, option, shown, value);
		o->overrides[o->n_overrides++] = (struct override){ option->name, value ? value : "true" };
		break;
	case IGNORED:
		break;
	}
	return r;
}

static struct command_line command_line(struct options *o)
{
	return (struct command_line){ .program = o->argv0, .options = options, .kinds = OURS | KEY | IGNORED, .width = 32, .take = take,
				      .data = o };
}

int options_parse(int argc, char **argv, struct options *ret)
{
	const char *slash = strrchr(argv[0], '/');
	struct command_line line;
	int r, at;

	*ret = (struct options){ .argv0 = argv[0], .program = slash ? slash + 1 : argv[0] };
	ret->compatible = strcmp(ret->program, "supervisord") == 0;
	line = command_line(ret);
	r = command_line_parse(&line, argc, argv, &at);
	if (r != COMMAND_LINE_GO_ON)
		return r;
	return at < argc ? command_line_error(ret->argv0, "positional arguments are not supported: ['%.200s']", argv[at]) : 0;
}

void options_help(struct options *o)
{
	struct command_line line = command_line(o);

	(void)printf("usage: %s [OPTION]...\n\nRun the programs of a configuration file and keep them running.\n\n", o->program);
	command_line_help(&line);
}

/* "text", or the words that there are: "stop|kill|leave". */
static void print_type(const struct key *k)
{
	(void)printf("%s", k->words ? k->words[0] : key_type_name(k->type));
	for (const char *const *word = k->words ? k->words + 1 : NULL; word && *word; word++)
		(void)printf("|%s", *word);
}

static void print_keys(void)
{
	for (const struct section_kind *s = section_kinds; s->name; s++)
		for (const struct key *const *table = s->alias_of ? NULL : s->tables; table && *table; table++)
			for (const struct key *k = *table; k->name; k++) {
				(void)printf("%s\t%s\t", s->name, k->name);
				print_type(k);
				(void)printf("\t%s\t%s\t%s\n", k->initial ? k->initial : "", key_change_name(k->change), k->help);
			}
}

static void print_sections(void)
{
	for (const struct section_kind *s = section_kinds; s->name; s++)
		(void)printf("%s\t%s\t%s\t%s\n", s->name, s->named ? "named" : "", s->alias_of ? s->alias_of : "", s->help ? s->help : "");
}

int options_print(const struct options *o)
{
	if (strcmp(o->print, "options") == 0)
		command_line_print(options);
	else if (strcmp(o->print, "keys") == 0)
		print_keys();
	else if (strcmp(o->print, "sections") == 0)
		print_sections();
	else
		return command_line_error(o->argv0, "there is no table '%s'; write keys, options or sections", o->print);
	return 0;
}
