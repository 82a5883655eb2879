/*
 * The command line of reeved: supervisord's options and ours, by supervisord's rules (base/command_line.h); no words without an option.
 */
#ifndef REEVE_OPTIONS_H
#define REEVE_OPTIONS_H

#include "conf/config.h"

enum { OVERRIDES_MAX = 24 };

struct options {
	const char *argv0;
	const char *program;		/* basename of argv[0] */
	bool compatible;		/* called as supervisord */
	const char *configuration;	/* -c, or NULL */
	const char *dump, *print;	/* --dump=json, --print=WHAT */
	bool check, help, version, daemon;
	struct override overrides[OVERRIDES_MAX];
	size_t n_overrides;
};

/* 0, or 2 when a usage error has been printed on stderr. */
int options_parse(int argc, char **argv, struct options *ret);
void options_help(struct options *o);
/* --print=options, --print=keys, --print=sections: tables for the manual, tab-separated. 0, or 2: no such table. */
int options_print(const struct options *o);

#endif
