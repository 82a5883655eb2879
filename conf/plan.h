/*
 * The difference between two configurations, process by process. Pure: it reads two `struct config` and nothing else.
 * What a changed key needs (nothing, a live change, a restart) is a column of the key table in keys.c.
 */
#ifndef REEVE_PLAN_H
#define REEVE_PLAN_H

#include "config.h"
#include "keys.h"

enum plan_action { PLAN_UNCHANGED, PLAN_LIVE, PLAN_RESTART, PLAN_ADD, PLAN_REMOVE, PLAN_INVALID };

struct plan_process {
	const struct process_conf *old, *new;	/* borrowed; NULL: not there */
	enum plan_action action;
	const char **keys;		/* changed keys, NULL-terminated; names are static, the vector is the plan's */
};

struct plan_group {
	const struct group_conf *old, *new;	/* borrowed; NULL: not there */
	enum plan_action action;	/* of the group as a whole: the strongest of its processes and its own keys */
	bool changed;			/* what supervisord's reread would call changed */
	const char **keys;
	struct plan_process *processes;
	size_t n_processes;
};

struct plan {
	struct plan_group *groups;	/* new configuration's order, removed ones (running order) last */
	size_t n_groups;
};

/* A changed key of the daemon itself, or of a server section. */
struct plan_key {
	const char *section;		/* borrowed from a configuration, or static */
	const char *key;		/* static; NULL: the section itself is new, or gone */
	enum key_change change;
};

/*
 * OLD_GROUPS: the running groups, which may come from several configurations. Both stay the caller's and must outlive the plan.
 */
int plan_make(struct group_conf *const *old_groups, size_t n_old, const struct config *new, struct plan **ret);
void plan_free(struct plan *plan);
/* The daemon's own keys that differ: a malloc'd list of *RET_N, or NULL where there are none (or no memory). */
struct plan_key *plan_daemon(const struct config *old, const struct config *new, size_t *ret_n);
const char *plan_action_name(enum plan_action action);	/* "unchanged", "live", ... */

#endif
