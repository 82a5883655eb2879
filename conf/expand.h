/* %(name)s in values, as Python's % operator does it with a mapping. */
#ifndef REEVE_CONF_EXPAND_H
#define REEVE_CONF_EXPAND_H

#include "config.h"

/* The names that may be used. NULL: not available here. */
struct scope {
	char *const *environment;	/* "K=V": of the daemon, for ENV_ */
	char *const *added;		/* [supervisord] environment=, wins over it */
	char *const *own;		/* the section's environment=, wins over both */
	const char *here, *host_node_name, *program_name, *group_name;
	bool numbered;			/* process_num and numprocs are available */
	long long process_num, numprocs;
};

/*
 * The expanded text (malloc'd), or NULL with supervisord's message in ERR (ENOENT: a name that is not available, EDOM: a type
 * that does not fit it, EINVAL: malformed otherwise);
 * LABEL is the "section.key" in it.
 */
char *expand(const char *text, const struct scope *scope, const char *label, struct error *err);

#endif
