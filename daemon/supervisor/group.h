/*
 * A group: the processes that are addressed together, and what they have in common.
 */
#ifndef REEVE_GROUP_H
#define REEVE_GROUP_H

#include "process.h"

struct listener_pool;

struct group {
	struct group *next;		/* supervisor::groups, in start order */
	struct supervisor *supervisor;
	struct generation *generation;	/* holds a use of it */
	const struct group_conf *conf;	/* borrowed from it */
	struct state_record *record;
	struct process **processes;	/* configured order; owned */
	size_t n_processes;
	struct listener_pool *listeners;	/* of [eventlistener:x]; owned; NULL: no such group */
};

/* Make the group of CONF (with stopped processes) and link it in start order; RECORD as in process_new. NULL with ERR. */
struct group *group_new(struct supervisor *s, struct generation *generation, const struct group_conf *conf,
			struct state_record *record, struct error *err);
/* Unlink and free; with its processes' records: all must be stopped. */
void group_remove(struct group *group);
/* Memory only. */
void group_free(struct group *group);
/* Start what has autostart. */
void group_autostart(struct group *group, const struct cause *cause);
bool group_stopped(const struct group *group);

struct group *group_find(const struct supervisor *s, const char *name);
/* Change to CONF of GENERATION, process by process; those that are gone must be stopped. SAME: nothing differs, nobody is told. */
int group_reconfigure(struct group *group, struct generation *generation, const struct group_conf *conf, bool same,
		      struct error *err);

/*
 * The processes that NAMES mean ("name", "group:name", "group:*", "group:", "all", globs over namespecs), each once, in the
 * order of the names. SEE is called for each, with SINGLE where the name was its own; MISSING (may be NULL) for each name that
 * means nothing.
 */
void processes_named(struct supervisor *s, const char *const *names, size_t n_names,
		     void (*see)(struct process *p, bool single, void *data), void (*missing)(const char *name, void *data),
		     void *data);
/* The one process that NAME names, or NULL. */
struct process *process_by_name(struct supervisor *s, const char *name);

#endif
