/* See options.h. The table below is the command line: parser, help and manual walk it. */
#include "options.h"

#include <stdio.h>
#include <string.h>

#include "check.h"
#include "conf/keys.h"

struct option {
	char letter;			/* 0: none */
	const char *name;
	const char *argument;		/* as help prints it; NULL: takes none */
	const char *key;		/* of [supervisord] that it sets, or NULL */
	const char *value;		/* that it sets without an argument */
	const char *help;
};

static const struct option options[] = {
	{ 'c', "configuration", "FILE", NULL, NULL, "Configuration file." },
	{ 'n', "nodaemon", NULL, "nodaemon", "true", "Stay in the foreground (the default unless called as supervisord)." },
	{ 0, "daemon", NULL, NULL, NULL, "Go to the background (the default when called as supervisord)." },
	{ 0, "check", NULL, NULL, NULL, "Read the configuration, say what is wrong with it, and exit (0, or 78)." },
	{ 0, "dump", "json", NULL, NULL, "With --check: print the effective configuration." },
	{ 0, "print", "TABLE", NULL, NULL, "Print a table for the manual: keys, options or sections." },
	{ 's', "silent", NULL, "silent", "true", "In the foreground: no copy of the log on stdout." },
	{ 'h', "help", NULL, NULL, NULL, "Print this text." },
	{ 'v', "version", NULL, NULL, NULL, "Print the version." },
	{ 'u', "user", "USER", "user", NULL, "Run as this user (name or number)." },
	{ 'm', "umask", "UMASK", "umask", NULL, "Octal umask of the daemon." },
	{ 'd', "directory", "DIRECTORY", "directory", NULL, "Directory to change to when daemonising." },
	{ 'l', "logfile", "FILE", "logfile", NULL, "The daemon's own log." },
	{ 'y', "logfile_maxbytes", "BYTES", "logfile_maxbytes", NULL, "Size at which it is rotated." },
	{ 'z', "logfile_backups", "N", "logfile_backups", NULL, "How many rotated ones are kept." },
	{ 'e', "loglevel", "LEVEL", "loglevel", NULL, "What is logged." },
	{ 'j', "pidfile", "FILE", "pidfile", NULL, "File for the daemon's pid." },
	{ 'i', "identifier", "TEXT", "identifier", NULL, "Name of this daemon." },
	{ 'q', "childlogdir", "DIRECTORY", "childlogdir", NULL, "Directory for AUTO logs." },
	{ 'k', "nocleanup", NULL, "nocleanup", "true", "Keep old AUTO logs." },
	{ 'a', "minfds", "N", "minfds", NULL, "Least limit of open files." },
	{ 't', "strip_ansi", NULL, "strip_ansi", "true", "Remove terminal escapes from logs." },
	{ 0, "minprocs", "N", "minprocs", NULL, "Least limit of processes." },
	{ 0, "cgroups", "WHEN", "cgroups", NULL, "Make control groups: auto, on or off." },
	{ 0, "profile_options", "LIST", NULL, NULL, "Accepted for supervisord's sake; has no effect." },
};

static int usage(const struct options *o, const char *format, const char *what)
{
	(void)fprintf(stderr, "Error: ");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)fprintf(stderr, format, what);
#pragma GCC diagnostic pop
	(void)fprintf(stderr, "\nFor help, use %s -h\n", o->argv0);
	return 2;
}

/* -1: no such option, -2: several begin so. */
static int find_long(const char *name, size_t length)
{
	int found = -1;

	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		if (strncmp(options[i].name, name, length) != 0)
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

static void apply(struct options *o, const struct option *option, const char *value)
{
	static const struct {
		const char *name;
		size_t flag;
	} flags[] = { { "check", offsetof(struct options, check) },   { "help", offsetof(struct options, help) },
		      { "version", offsetof(struct options, version) }, { "daemon", offsetof(struct options, daemon) },
		      { "nodaemon", offsetof(struct options, nodaemon) } };

	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (strcmp(option->name, flags[i].name) == 0)
			*(bool *)((char *)o + flags[i].flag) = true;
	if (strcmp(option->name, "configuration") == 0)
		o->configuration = value;
	if (strcmp(option->name, "dump") == 0)
		o->dump = value;
	if (strcmp(option->name, "print") == 0)
		o->print = value;
	if (option->key)
		o->overrides[o->n_overrides++] = (struct override){ option->key, option->argument ? value : option->value };
}

/* The value is checked by the key's own rules, at once. */
static int check_value(const struct options *o, const struct option *option, const char *shown, const char *value)
{
	static const struct key *const tables[] = { supervisord_keys, NULL };
	static const struct section_kind kind = { .name = "supervisord", .tables = tables };
	const struct key *key = option->key && option->argument ? key_find(&kind, option->key) : NULL;
	struct supervisord_conf scratch = { 0 };
	struct error err;
	char text[700];
	int r = key ? key_set(key, &scratch, value, &err) : 0;

	if (key)
		key_free(key, &scratch);
	if (r == 0 && key && check_place(key->name, value, &err))
		r = -err.code;
	if (r == 0)
		return 0;
	(void)snprintf(text, sizeof text, "invalid value for %s '%s': %s", shown, value, err.text);
	return usage(o, "%s", text);
}

static int take(struct options *o, bool seen[], int i, const char *shown, const char *value)
{
	int r;

	if (seen[i])
		return usage(o, "conflicting command line option '%s'", shown);
	seen[i] = true;
	r = value ? check_value(o, &options[i], shown, value) : 0;
	if (r == 0)
		apply(o, &options[i], value);
	return r;
}

static int take_long(struct options *o, bool seen[], char **argv, int *at)
{
	const char *name = argv[*at] + 2, *value = strchr(name, '=');
	size_t length = value ? (size_t)(value - name) : strlen(name);
	int i = find_long(name, length);
	char shown[64];

	(void)snprintf(shown, sizeof shown, "--%.*s", (int)length, name);
	if (i < 0)
		return usage(o, i == -1 ? "option %s not recognized" : "option %s not a unique prefix", shown);
	(void)snprintf(shown, sizeof shown, "--%s", options[i].name);
	if (!options[i].argument)
		return value ? usage(o, "option %s must not have an argument", shown) : take(o, seen, i, shown, NULL);
	value = value ? value + 1 : argv[*at + 1] ? argv[++*at] : NULL;
	return value ? take(o, seen, i, shown, value) : usage(o, "option %s requires argument", shown);
}

static int take_short(struct options *o, bool seen[], char **argv, int *at)
{
	for (const char *p = argv[*at] + 1; *p; p++) {
		char shown[3] = { '-', *p, 0 };
		int i = find_short(*p), r;

		if (i < 0)
			return usage(o, "option %s not recognized", shown);
		if (options[i].argument) {
			const char *value = p[1] ? p + 1 : argv[*at + 1] ? argv[++*at] : NULL;

			return value ? take(o, seen, i, shown, value) : usage(o, "option %s requires argument", shown);
		}
		r = take(o, seen, i, shown, NULL);
		if (r)
			return r;
	}
	return 0;
}

int options_parse(int argc, char **argv, struct options *ret)
{
	bool seen[ARRAY_LEN(options)] = { false };
	const char *slash = strrchr(argv[0], '/');
	char text[300];

	*ret = (struct options){ .argv0 = argv[0], .program = slash ? slash + 1 : argv[0] };
	ret->compatible = strcmp(ret->program, "supervisord") == 0;
	for (int i = 1; i < argc; i++) {
		int r;

		if (argv[i][0] != '-' || !argv[i][1]) {
			(void)snprintf(text, sizeof text, "positional arguments are not supported: ['%.200s']", argv[i]);
			return usage(ret, "%s", text);
		}
		r = argv[i][1] == '-' ? take_long(ret, seen, argv, &i) : take_short(ret, seen, argv, &i);
		if (r)
			return r;
	}
	return 0;
}

void options_help(const struct options *o)
{
	(void)printf("usage: %s [OPTION]...\n\nRun the programs of a configuration file and keep them running.\n\n", o->program);
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		char left[48], letter[6] = "    ";

		if (options[i].letter)
			(void)snprintf(letter, sizeof letter, "-%c, ", options[i].letter);
		(void)snprintf(left, sizeof left, "%s--%s%s%s", letter, options[i].name, options[i].argument ? "=" : "",
			       options[i].argument ? options[i].argument : "");
		(void)printf("  %-32s %s\n", left, options[i].help);
	}
}

static void print_options(void)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		(void)printf("%c\t%s\t%s\t%s\n", options[i].letter ? options[i].letter : '-', options[i].name,
			     options[i].argument ? options[i].argument : "", options[i].help);
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
		print_options();
	else if (strcmp(o->print, "keys") == 0)
		print_keys();
	else if (strcmp(o->print, "sections") == 0)
		print_sections();
	else
		return usage(o, "there is no table '%s'; write keys, options or sections", o->print);
	return 0;
}
