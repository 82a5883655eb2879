/*
 * Inside of the model, for model*.c alone. model.c follows the supervisor; model_process.c holds the list and what is remembered of each
 * process; model_usage.c measures; model_pools.c asks the pools; model_plan.c compares the files with what runs.
 */
#ifndef REEVE_GATEWAY_MODEL_PARTS_H
#define REEVE_GATEWAY_MODEL_PARTS_H

#include "model.h"

struct model {
	struct ev_loop *loop;
	struct backend *backend;
	model_listener *listener;
	void *data;

	struct model_process **list;		/* sorted by namespec; owned */
	size_t n, size;
	struct curves *curves;			/* owned */
	json_t *daemon;
	bool streaming, current;		/* the event stream is open; the list has come since then */
	double answered;			/* CLOCK_MONOTONIC of the last GetStatus */

	json_t *dirty;				/* {namespec: true}: to be asked for */
	bool all_dirty, with_history;		/* with_history: the list that is being asked for */
	struct backend_call *events, *status, *listing, *planning;
	ev_timer settle, poll, relist, retry;

	ev_timer tick;
	uint64_t newest;			/* tick */
	double newest_time;			/* seconds since the epoch */
	double counted;				/* seconds since the epoch: what was before is in the curves that we found */
	double usage_time;			/* CLOCK_MONOTONIC of the last look at /proc */

	bool watched;
	ev_timer pool_timer;
	double pools_asked;

	json_t *plan;
	bool plan_again;
	ev_timer plan_timer;
	double plan_asked, plan_cost;		/* when, and how long the answer took */
	struct timespec config_time;
};

static inline void model_tell(struct model *m, const char *what, const json_t *json)
{
	m->listener(m->data, what, json);
}

/* A text of an object, "" where there is none. */
static inline const char *text_of(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

/* ---- model_process.c ---- */

/* The index of NAMESPEC in the list, or the one where it belongs. */
size_t model_place(const struct model *m, const char *namespec, bool *ret_found);
/* Add one at PLACE. NULL: out of memory. */
struct model_process *model_process_add(struct model *m, const char *namespec, size_t place);
/* Remove it and tell. */
void model_process_remove(struct model *m, size_t place);
void model_process_free(struct model_process *p);
/* What it was doing, as `history` of io.reeve.Supervisor.List has it: what is new in it becomes marks and counts. */
void model_process_transitions(const struct model *m, struct model_process *p, json_t *transitions);

static inline pid_t model_process_pid(const struct model_process *p)	/* 0: does not run */
{
	return (pid_t)json_integer_value(json_object_get(p->about, "pid"));
}

/* ---- the others: each has a timer of its own ---- */

/* Go on with the curves in memfd CURVES (taken; -1: none), at the ticks that they have. 0 or -ENOMEM. */
int model_usage_start(struct model *m, int curves);
void model_usage_stop(struct model *m);
void model_pools_start(struct model *m);
void model_plan_start(struct model *m);
/* How they are, now. */
void model_ask_pools(struct model *m);

#endif
