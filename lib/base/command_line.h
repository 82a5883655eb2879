/*
 * Options by the rules of supervisord and supervisorctl: `-x VALUE`, `-xVALUE`, several letters in one word, `--name=VALUE`, `--name VALUE`;
 * a long name may be abbreviated as long as it means one option only, and none may be given twice. The table is the program's: parser,
 * help and manual walk it.
 */
#ifndef REEVE_BASE_COMMAND_LINE_H
#define REEVE_BASE_COMMAND_LINE_H

#include <stddef.h>

struct option {
	char letter;			/* 0: none */
	const char *name;
	const char *argument;		/* as help prints it; NULL: takes none */
	unsigned kind;			/* one bit or several: the program knows what they mean */
	size_t at;			/* where its value goes, in a structure of the program's */
	const char *help;
};

enum {
	COMMAND_LINE_OPTIONS = 64,	/* rows at most */
	COMMAND_LINE_GO_ON = -1,
	COMMAND_LINE_USAGE = 2,		/* exit status */
};

struct command_line {
	const char *program;		/* as called; for messages */
	const struct option *options;	/* ends with a row without name */
	unsigned kinds;			/* rows that have none of these bits do not exist */
	int width;			/* columns that help leaves to the options */
	/* OPTION was given, as SHOWN ("-x" or "--name"), with VALUE (NULL: it takes none). GO_ON, or the exit status to leave with at once. */
	int (*take)(void *data, const struct option *option, const char *shown, const char *value);
	void *data;
};

/* GO_ON, with the index of the first word that is no option in *RET_AT; or the exit status to leave with at once. */
int command_line_parse(const struct command_line *c, int argc, char **argv, int *ret_at);
/* A line for each option. */
void command_line_help(const struct command_line *c);
/* All rows of OPTIONS, tab-separated: letter or "-", name, argument, help. */
void command_line_print(const struct option *options);
/* "Error: ..." and where help is, on stderr. Returns COMMAND_LINE_USAGE. */
int command_line_error(const char *program, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
