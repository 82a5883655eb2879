/*
 * A map: one client's stream of tasks and of results, on a connection that was upgraded to the frames of wire/bulk.h. A client that does
 * not read, or an endless input, costs a bounded amount of memory: beyond `inflight` unanswered tasks nothing is read, and beyond
 * a few MiB of unread results its waiting tasks are set aside.
 */
#ifndef REEVE_POOL_JOB_H
#define REEVE_POOL_JOB_H

#include "pool.h"
#include "varlink/varlink.h"

struct job_options {
	int priority;
	unsigned retries;
	double timeout;
	uint32_t chunk;			/* tasks that stay together; 0, 1: each for itself */
	bool detach;			/* goes on without its client */
	size_t inflight;
};

/* CONNECTION is the job's from here on. NULL: out of memory (the connection is closed). */
struct job *job_new(struct pool *pool, const struct job_options *options, struct varlink_upgraded *connection);
/* A task of JOB has ended, for good. The task is no longer the job's. */
void job_result(struct job *job, const struct task *task, const struct result *result);
/* It was not accepted. */
void job_refused(struct job *job, const struct task *task, const char *why);
/* Nobody wants its results any more. */
bool job_cancelled(const struct job *job);
bool job_stalled(const struct job *job);
/* TASK may run, but its client does not read. */
void job_park(struct job *job, struct task *task);
void job_unpark(struct job *job, struct task *task);	/* it was cancelled */
/* Tell all clients that the pool cannot go on, and cancel their tasks. */
void jobs_fault(struct pool *pool, const char *text);
/* A turn ends: write what there is. */
void jobs_flush(struct pool *pool);
size_t jobs_count(const struct pool *pool);
void jobs_free(struct pool *pool);

#endif
