/* See command_line.h. */
#include "command_line.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* What has been given so far. */
struct progress {
	const struct command_line *line;
	char **argv;
	int at;				/* the word that is being read */
	bool seen[COMMAND_LINE_OPTIONS];
};

int command_line_error(const char *program, const char *format, ...)
{
	va_list ap;

	(void)fflush(stdout);
	(void)fprintf(stderr, "Error: ");
	va_start(ap, format);
	(void)vfprintf(stderr, format, ap);
	va_end(ap);
	(void)fprintf(stderr, "\nFor help, use %s -h\n", program);
	return COMMAND_LINE_USAGE;
}

static bool exists(const struct command_line *c, const struct option *option)
{
	return option->kind & c->kinds;
}

/* -1: no such option, -2: several begin so. */
static int find_long(const struct command_line *c, const char *name, size_t length)
{
	int found = -1;

	for (int i = 0; c->options[i].name; i++) {
		if (!exists(c, &c->options[i]) || strncmp(c->options[i].name, name, length) != 0)
			continue;
		if (strlen(c->options[i].name) == length)
			return i;
		found = found == -1 ? i : -2;
	}
	return found;
}

static int find_short(const struct command_line *c, char letter)
{
	if (letter == '?')
		letter = 'h';
	for (int i = 0; c->options[i].name; i++)
		if (exists(c, &c->options[i]) && c->options[i].letter == letter)
			return i;
	return -1;
}

static int take(struct progress *p, int i, const char *shown, const char *value)
{
	const struct command_line *c = p->line;

	if (p->seen[i])
		return command_line_error(c->program, "conflicting command line option '%s'", shown);
	p->seen[i] = true;
	return c->take(c->data, &c->options[i], shown, value);
}

/* An option with an argument: VALUE, or NULL: the next word. */
static int take_with(struct progress *p, int i, const char *shown, const char *value)
{
	if (!value && p->argv[p->at + 1])
		value = p->argv[++p->at];
	return value ? take(p, i, shown, value) : command_line_error(p->line->program, "option %s requires argument", shown);
}

static int take_long(struct progress *p)
{
	const struct command_line *c = p->line;
	const char *name = p->argv[p->at] + 2, *value = strchr(name, '=');
	size_t length = value ? (size_t)(value - name) : strlen(name);
	int i = find_long(c, name, length);
	char shown[64];

	(void)snprintf(shown, sizeof shown, "--%.*s", (int)length, name);
	if (i == -1)
		return command_line_error(c->program, "option %s not recognized", shown);
	if (i == -2)
		return command_line_error(c->program, "option %s not a unique prefix", shown);
	(void)snprintf(shown, sizeof shown, "--%s", c->options[i].name);
	if (c->options[i].argument)
		return take_with(p, i, shown, value ? value + 1 : NULL);
	return value ? command_line_error(c->program, "option %s must not have an argument", shown) : take(p, i, shown, NULL);
}

static int take_short(struct progress *p)
{
	const struct command_line *c = p->line;

	for (const char *letter = p->argv[p->at] + 1; *letter; letter++) {
		char shown[3] = { '-', *letter, 0 };
		int i = find_short(c, *letter), r;

		if (i < 0)
			return command_line_error(c->program, "option %s not recognized", shown);
		if (c->options[i].argument)
			return take_with(p, i, shown, letter[1] ? letter + 1 : NULL);
		r = take(p, i, shown, NULL);
		if (r != COMMAND_LINE_GO_ON)
			return r;
	}
	return COMMAND_LINE_GO_ON;
}

int command_line_parse(const struct command_line *c, int argc, char **argv, int *ret_at)
{
	struct progress p = { .line = c, .argv = argv, .at = 1 };

	for (; p.at < argc && argv[p.at][0] == '-' && argv[p.at][1]; p.at++) {
		int r;

		if (strcmp(argv[p.at], "--") == 0) {
			p.at++;
			break;
		}
		r = argv[p.at][1] == '-' ? take_long(&p) : take_short(&p);
		if (r != COMMAND_LINE_GO_ON)
			return r;
	}
	*ret_at = p.at;
	return COMMAND_LINE_GO_ON;
}

void command_line_help(const struct command_line *c)
{
	for (const struct option *o = c->options; o->name; o++) {
		char left[48], letter[6] = "    ";

		if (!exists(c, o))
			continue;
		if (o->letter)
			(void)snprintf(letter, sizeof letter, "-%c, ", o->letter);
		(void)snprintf(left, sizeof left, "%s--%s%s%s", letter, o->name, o->argument ? "=" : "", o->argument ? o->argument : "");
		(void)printf("  %-*s %s\n", c->width, left, o->help);
	}
}

void command_line_print(const struct option *options)
{
	for (const struct option *o = options; o->name; o++)
		(void)printf("%c\t%s\t%s\t%s\n", o->letter ? o->letter : '-', o->name, o->argument ? o->argument : "", o->help);
}
