/*
 * Where tasks wait. The pool itself holds those that may run next; a queue decides which these are, says when a submission and a result
 * are durable, and answers for what is not in memory. A new kind of queue is one of these tables and a row in queue.c.
 *
 * All calls are made on the loop and return at once. Whatever takes time (a disk, a network) is answered later through the pool_*
 * functions of pool.h; a queue that has nothing to wait for may answer from within the call.
 */
#ifndef REEVE_POOL_QUEUE_H
#define REEVE_POOL_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

struct pool;
struct queue;
struct result;
struct task;

enum request_kind {
	REQUEST_LOOKUP,			/* the task with its result */
	REQUEST_FETCH,			/* the same, and it is forgotten if it has ended */
	REQUEST_CANCEL,			/* end it as cancelled if it has not begun */
	REQUEST_RETRY,			/* an ended, unsuccessful one is queued again */
	REQUEST_FORGET,			/* remove it if it has ended */
	REQUEST_LIST,			/* up to `limit` tasks that the pool does not have in memory */
	REQUEST_CANCEL_ALL,		/* all that have not begun */
};

/* A question about tasks that the pool does not have in memory. Owned by the asker; the queue hands it back through done(). */
struct queue_request {
	enum request_kind kind;
	uint64_t id;
	size_t limit;
	void (*done)(struct queue_request *request);
	void *data;
	/* The answer: */
	int error;			/* 0, -ENOENT: no such task, -EBUSY: its state forbids it, -errno: the queue cannot say */
	struct task **tasks;		/* malloc'd vector of tasks with results; the asker's */
	size_t n_tasks;			/* CANCEL_ALL: how many; tasks is NULL then */
	bool more;			/* LIST: there are others */
};

void queue_request_free(struct queue_request *request);

struct queue_counts {
	unsigned long long queued;	/* tasks that wait in the queue and not in the pool's memory */
	unsigned long long kept;	/* results */
};

struct queue_ops {
	const char *name;
	bool keeps;			/* it keeps results itself */
	bool shared;			/* others take from it too: a task may end elsewhere */
	bool durable;			/* survives this process */
	int (*open)(struct pool *pool, const char *url, struct queue **ret, struct error *err);
	/* Everything that was asked for is carried out first, as far as that is possible within a few seconds. */
	void (*close)(struct queue *queue);
	void (*submit)(struct queue *queue, struct task *task);	/* -> pool_accepted, pool_ready */
	void (*want)(struct queue *queue, size_t n);		/* the pool would take N more -> pool_ready */
	void (*claim)(struct queue *queue, struct task *task);	/* -> pool_claimed */
	void (*finish)(struct queue *queue, struct task *task, const struct result *result);	/* -> pool_recorded */
	void (*release)(struct queue *queue, struct task *task);	/* the pool ends: others may have it; the pool frees it */
	void (*forget)(struct queue *queue, uint64_t id);	/* the result of an ended task is no longer needed */
	void (*ask)(struct queue *queue, struct queue_request *request);
	void (*turn)(struct queue *queue);			/* a turn of the loop ends */
	void (*count)(struct queue *queue, struct queue_counts *ret);
};

struct queue {
	const struct queue_ops *ops;
	struct pool *pool;
};

/* URL as in the setting `queue`. */
int queue_open(struct pool *pool, const char *url, struct queue **ret, struct error *err);

extern const struct queue_ops queue_memory;
extern const struct queue_ops queue_sqlite;
extern const struct queue_ops queue_redis;

#endif
