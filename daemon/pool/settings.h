/*
 * What a pool is told at its start, as JSON: one table says which keys there are, their types, ranges and defaults, and which of them
 * may change while it runs. Times are seconds.
 */
#ifndef REEVE_POOL_SETTINGS_H
#define REEVE_POOL_SETTINGS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/base.h"

enum pool_mode { MODE_EXEC, MODE_LINE, MODE_FRAME };

struct settings {
	char *name;
	char **argv;			/* NULL-terminated, at least one word */
	char **initializer;		/* NULL: none */
	enum pool_mode mode;
	char *queue;			/* "memory", "sqlite:PATH", "redis://...", "unix:PATH?stream=..." */
	bool claim;			/* at most once */
	long long workers;
	long long window;		/* tasks that one worker may hold unanswered (line, frame) */
	long long max_tasks_per_worker;	/* 0: no limit */
	long long retries;		/* default of a task */
	double retry_delay;		/* before the first retry; doubles up to retry_delay_max */
	double retry_delay_max;
	double timeout;			/* default of a task; 0: none */
	double stop_timeout;		/* between the stop signal and SIGKILL */
	long long stop_signal;
	double start_seconds;		/* a worker that dies sooner, without an answer, has failed to start */
	long long start_retries;	/* failed starts in a row, per slot, before the pool is fatal */
	bool ready;			/* a worker writes the line `ready` (an empty frame of id 0) before its first task */
	char *error_prefix;		/* line: an answer that begins so is a failure; "" or NULL: none */
	long long max_result_bytes;	/* of stdout, and of stderr */
	long long max_task_bytes;
	long long keep_results;		/* how many unfetched results are kept */
	double keep_time;		/* and for how long */
	char *access;			/* what members of access_group may do: read, operate, admin */
	long long access_group;		/* gid, or -1 */
};

/* Read JSON (borrowed). 0 or -EINVAL with ERR. */
int settings_read(const json_t *json, struct settings *ret, struct error *err);
/*
 * Change what may be changed: JSON holds any subset of the keys; keys with unchanged values are fine. *ret_changed: an array of names,
 * the caller's. -EINVAL with ERR: nothing has changed.
 */
int settings_change(struct settings *settings, const json_t *json, json_t **ret_changed, struct error *err);
void settings_free(struct settings *settings);
const char *mode_name(enum pool_mode mode);

#endif
