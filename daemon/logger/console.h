/*
 * Programs' output on the daemon's own stdout, as containers want it: raw, with a prefix, or as JSON lines. Each line
 * stands for itself, because the lines of many streams meet there; an unfinished one is ended, and marked in JSON.
 */
#ifndef REEVE_LOGGER_CONSOLE_H
#define REEVE_LOGGER_CONSOLE_H

#include <stddef.h>

enum console_format { CONSOLE_NONE, CONSOLE_RAW, CONSOLE_PREFIX, CONSOLE_JSON };

/* The format of this name; CONSOLE_NONE for NULL and unknown names. */
enum console_format console_format_of(const char *name);

struct console_line {
	const char *process, *channel;
	double time;	  /* seconds since the epoch */
	const char *text; /* without newline */
	size_t length;
	int partial; /* not its end */
};

/* LINE with its newline, allocated. NULL: out of memory. */
char *console_line(enum console_format format, const struct console_line *line, size_t *ret_length);

#endif
