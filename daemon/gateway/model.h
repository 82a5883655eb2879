/*
 * What the gateway knows of the processes: the supervisor's list, kept current by its events, and what the gateway measures and
 * remembers itself (cpu, memory, starts and exits). The page, /metrics and the probes read it, so none of them costs the
 * supervisor a call.
 */
#ifndef REEVE_GATEWAY_MODEL_H
#define REEVE_GATEWAY_MODEL_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "backend.h"
#include "samples.h"

enum {
	MODEL_MARKS = 64,		/* starts and exits that are remembered of one process */
};

struct model;

struct model_process {
	char *namespec;
	json_t *about;			/* as io.reeve.Supervisor.List has it, without what changes by itself (now, uptime, "pid N, uptime") */
	json_t *marks;			/* [{t, kind: "start" or "exit", run, text, and of an exit: exitcode, to, asked}], oldest first */
	json_t *pool;			/* a running pool's io.reeve.Pool.GetStatus, without its workers; or NULL */
	json_t *exits;			/* {"0": 3, "SIGKILL": 1}: exits by status since the gateway began */
	struct samples *samples;	/* NULL: never measured, or there are CURVES_MAX; borrowed from curves.h */
	double cpu_seconds;		/* of all runs since the gateway began, and of the run it found; only grows */
	uint64_t memory;		/* bytes resident; 0: not running or not known */
	unsigned members;		/* processes in its tree */
	/* private */
	uint8_t starts, crashes, stops;	/* since the last tick */
	struct model *model;
	struct backend_call *asking_pool;
	json_t *transitions;
	pid_t measured;
	double cpu_before;
	bool listed;
};

/*
 * What has changed: "process" (its `about`), "removed" {namespec}, "daemon" (model_daemon), "sample" (model_sample), "plan"
 * (model_plan), "pool" {namespec, status}. JSON is borrowed.
 */
typedef void model_listener(void *data, const char *what, const json_t *json);

/* CURVES (taken): the memory of curves.h. NULL: out of memory. LISTENER is called on the loop. */
struct model *model_new(struct ev_loop *loop, struct backend *backend, int curves, model_listener *listener, void *data);
void model_free(struct model *model);	/* accepts NULL */

/* Has the supervisor answered lately, and is the list current? */
bool model_up(const struct model *model);
/* The newest io.reeve.Supervisor.GetStatus, and "up", "host", "gateway_start". Borrowed; never NULL. */
const json_t *model_daemon(const struct model *model);
/* By namespec, for I from 0; NULL: no more. */
const struct model_process *model_process(const struct model *model, size_t i);
const struct model_process *model_find(const struct model *model, const char *namespec);

/* {"t": time, "rows": {NAMESPEC: [thousandths of a core, KiB, processes]}} of the processes that run. New reference. */
json_t *model_sample(const struct model *model);
/* {"t": time of the newest sample, "step": seconds, "slots": SAMPLES, "series": {NAMESPEC: samples_json and "marks"}}. NAMES: separated
   by newlines. New reference. */
json_t *model_history(const struct model *model, const char *names);

/* Measure now unless that was done less than MAX_AGE seconds ago; curves keep their own step. */
void model_measure(struct model *model, double max_age);

/* While somebody watches, the files are compared with what runs, a difference is told as "plan", and pools are asked more often. */
void model_watch(struct model *model, bool watched);
/* Compare now (after an update, say). */
void model_ask_plan(struct model *model);
/* The last io.reeve.Supervisor.Plan that was told, without what it would leave alone; or NULL. Borrowed. */
const json_t *model_plan(const struct model *model);

#endif
