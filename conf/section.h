/*
 * Reading one section: its keys, by name or by table, expanded; what is said about them; names. For the reader alone (read.h).
 */
#ifndef REEVE_CONF_SECTION_H
#define REEVE_CONF_SECTION_H

#include <stdbool.h>

#include "config.h"
#include "expand.h"
#include "ini.h"
#include "keys.h"
#include "sources.h"

struct parser {
	unsigned failures;		/* memory_failures at the beginning */
	struct config *config;
	struct ini ini;
	struct scope base;		/* environment, [supervisord]'s variables */
};

/* What one section is read into, and by which names. */
struct reading {
	struct parser *p;
	struct ini_section *section;
	struct scope scope;
	bool of_program;		/* supervisord names section and file behind its messages */
	char *first_error;		/* supervisord's message of the first error; owned */
};

/* Memory has run out: what has been read may lack anything, and is thrown away at the end. */
bool parser_starved(const struct parser *p);
struct reading section_reading(struct parser *p, struct ini_section *s);

/* TEXT, in supervisord's words, about KEY, which stands at K (NULL: not given); HINT (or NULL) says what to write. */
void section_error(struct reading *r, const struct ini_key *k, const char *key, const char *hint, const char *text);
void section_warn(struct reading *r, const struct ini_key *k, const char *key, const char *text);
/* The hint for an expansion that failed with ERROR, of a key that is expanded TIMES times. NULL: the message says all. */
const char *section_expansion_hint(int error, int times);

/* The expanded value of KEY (malloc'd), or NULL: not given, or an error (which is told). *RET_KEY (may be NULL): where it stands. */
char *section_get(struct reading *r, const char *key, struct ini_key **ret_key);
/* One row of a table into BASE. TIMES: how often the value is expanded. */
void section_read_key(struct reading *r, const struct key *key, void *base, int times);
/* All rows but those of type KEY_OTHER. */
void section_read(struct reading *r, const struct key *table, void *base);

/* False: NAME has a character that no name may have, which has been told. KEY: where it was given; NULL: in the section's own name. */
bool section_check_name(struct reading *r, const char *key, const char *name);
/* The trimmed part of a section's name after the colon (malloc'd). */
char *section_own_name(const char *section);

#endif
