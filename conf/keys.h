/*
 * The key tables: every key of every section with its type, its default as a user would write it, what a changed value needs, and one
 * sentence. Parser, checks, plan, dump, manual and `--print=keys` walk them. A new key is a member in config.h and a row here; a
 * new kind of section is a table, a row in section_kinds, and what config.c makes of it.
 */
#ifndef REEVE_CONF_KEYS_H
#define REEVE_CONF_KEYS_H

#include "config.h"

enum key_type {
	KEY_STRING, KEY_INTEGER, KEY_BOOLEAN, KEY_BYTES, KEY_OCTAL, KEY_EXITCODES, KEY_SIGNAL, KEY_LOGLEVEL, KEY_AUTORESTART,
	KEY_ENVIRONMENT, KEY_LOGFILE, KEY_SECONDS, KEY_POOL_MODE,
	KEY_WORD,			/* one of key::words; the field is an int, its index */
	KEY_OTHER,			/* read by hand in config.c */
};

enum key_change {
	CHANGE_NONE,			/* nothing to do */
	CHANGE_LIVE,			/* takes effect in the running process */
	CHANGE_RESTART,			/* the process is started again */
	CHANGE_DAEMON,			/* takes effect when the daemon is restarted */
};

struct key {
	const char *name;
	enum key_type type;
	size_t field;			/* offset in the section's structure */
	const char *initial;		/* default; NULL: none */
	enum key_change change;
	const char *help;
	double least, most;		/* bounds of a number; both 0: none */
	const char *const *words;	/* KEY_WORD: in the order of the enum; NULL-terminated */
};

struct section_kind {
	const char *name;		/* "program"; "[program:x]" or "[program]" */
	bool named;			/* has a name after a colon */
	const struct key *const *tables;	/* NULL-terminated: tables of keys, each ended by a NULL name */
	const char *alias_of;		/* this name stands for another, or NULL */
	const char *help;		/* what such a section is; NULL for an alias */
};

extern const struct key program_keys[], instance_keys[], listener_keys[], fcgi_keys[], pool_keys[], group_keys[], supervisord_keys[],
	ctl_keys[], server_unix_keys[], server_inet_keys[], include_keys[], rpcinterface_keys[];
extern const struct section_kind section_kinds[];	/* ends with a NULL name */

struct instances {			/* what instance_keys fill */
	long long numprocs, numprocs_start;
	char *process_name;
};

/* The row of KEY in the tables of KIND, or NULL. */
const struct key *key_find(const struct section_kind *kind, const char *name);
/* Parse TEXT into BASE + offset (replacing). */
int key_set(const struct key *key, void *base, const char *text, struct error *err);
/* The initial values of all rows, but those of type KEY_OTHER, into BASE. */
void keys_set_defaults(const struct key *table, void *base);
bool key_equal(const struct key *key, const void *a, const void *b);
void key_free(const struct key *key, void *base);
const char *key_type_hint(enum key_type type);	/* "write true or false" */
const char *key_type_name(enum key_type type);
const char *key_change_name(enum key_change change);

#endif
