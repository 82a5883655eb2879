/*
 * The text of a configuration as sections of keys, by the rules of Python's RawConfigParser as supervisord sets it up: continuation
 * lines are those indented deeper than their key, `;` and `#` after a blank begin a comment, duplicate sections merge and the last of
 * two equal keys wins. One deliberate difference: a mark inside
 * quotes that the line closes begins no comment.
 *
 * A reader of our own, because inih knows neither that indentation rule nor blank lines inside values nor keys' columns.
 */
#ifndef REEVE_CONF_INI_H
#define REEVE_CONF_INI_H

#include "config.h"

struct ini_key {
	char *name;			/* lower case */
	char *value;			/* lines joined by newlines; NULL: a key without delimiter never gets here */
	const char *file;		/* borrowed from the sources */
	int line;
	bool used;			/* somebody asked for it */
};

struct ini_section {
	char *name;
	const char *file;		/* that introduced it */
	int line;
	struct ini_key *keys;
	size_t n_keys;
};

struct ini {
	struct ini_section *sections;	/* in order of first appearance */
	size_t n_sections;
};

/*
 * Read TEXT of FILE into INI (merging). HERE: replaces the literal %(here)s in its values, NULL: nothing does. What is wrong is
 * added to DIAGNOSTICS. -EINVAL: nothing can be made of it (ERR has supervisord's words).
 */
int ini_read(struct ini *ini, const char *text, const char *file, const char *here, struct diagnostics *diagnostics,
	     struct error *err);
void ini_free(struct ini *ini);
struct ini_section *ini_section(const struct ini *ini, const char *name);
/* The key, or the one of [DEFAULT], or NULL; marks it used. */
struct ini_key *ini_key(const struct ini *ini, struct ini_section *section, const char *name);

void diagnostic_add(struct diagnostics *d, enum severity severity, const char *file, int line, const char *section,
		    const char *key, const char *format, ...) __attribute__((format(printf, 7, 8)));
void diagnostics_free(struct diagnostics *d);

#endif
