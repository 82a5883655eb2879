/*
 * Inside of the pool, for pool*.c alone.
 *
 *   pool.c           the process: its start and end, its numbers and its log
 *   pool_tasks.c     a task's life: submitted, accepted, ready, ended, delivered
 *   pool_dispatch.c  the end of each turn: who gets what, and what the queue is asked for
 *   pool_commands.c  cancel, retry, close, terminate, stop
 */
#ifndef REEVE_POOL_PARTS_H
#define REEVE_POOL_PARTS_H

#include "control.h"
#include "job.h"
#include "pool.h"
#include "queue.h"
#include "slots.h"
#include "unique.h"
#include "worker.h"

/* ---- pool_tasks.c ---- */

/* 0 or -ENOMEM. */
int pool_tasks_init(struct pool *pool);
/* What has not ended is the queue's again. */
void pool_tasks_release(struct pool *pool);
void pool_tasks_free(struct pool *pool);

/* Take TASK out of wherever it waits. */
void pool_unplace(struct pool *pool, struct task *task);
/* TASK may run; FRONT: before all others of its priority. */
void pool_to_ready(struct pool *pool, struct task *task, bool front);
/* End a task that no worker has. */
void pool_end_as(struct pool *pool, struct task *task, enum task_state state, const char *why);

/* ---- pool_dispatch.c ---- */

void pool_dispatch_start(struct pool *pool);
void pool_dispatch_stop(struct pool *pool);

#endif
