/*
 * What a pool is told at its start: one JSON object. Most keys are those of a [pool:x] section, by the table of conf/keys.c; the others
 * (settings.c) are what the supervisor makes of the keys that a pool shares with programs. Times are seconds.
 */
#ifndef REEVE_POOL_SETTINGS_H
#define REEVE_POOL_SETTINGS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/base.h"
#include "conf/config.h"

struct settings {
	struct pool_conf pool;		/* workers is never 0 here */
	char *name;
	char **argv;			/* NULL-terminated, at least one word */
	char **initializer;		/* pool.initializer as words; NULL: none */
	int stop_signal;
	double stop_timeout;		/* between the stop signal and SIGKILL */
	double start_seconds;		/* a worker that dies sooner, without an answer, has failed to start */
	long long start_retries;	/* failed starts in a row, per slot, before the pool is fatal */
	char *access;			/* what members of access_group may do: read, operate, admin */
	long long access_group;		/* gid, or -1 */
};

/* Read JSON (borrowed). 0 or -EINVAL with ERR. */
int settings_read(const json_t *json, struct settings *ret, struct error *err);
/* Take over what differs between BEFORE and NOW and may change while the pool runs. -EINVAL with ERR: nothing has changed. */
int settings_update(struct settings *settings, const json_t *before, const json_t *now, struct error *err);
/* 0: one for each CPU. */
void settings_set_workers(struct settings *settings, long long workers);
void settings_free(struct settings *settings);

#endif
