/*
 * One process that does tasks: in exec mode for one task, in line and frame mode for many. A worker is made by worker_start(), belongs
 * to the pool's table of pids until its end has been collected, and frees itself then. What it had not answered goes back to the pool.
 */
#ifndef REEVE_POOL_WORKER_H
#define REEVE_POOL_WORKER_H

#include "base/bytes.h"
#include "capture.h"
#include "pool.h"
#include "process/exit_status.h"
#include "process/spawn.h"

enum worker_kind { WORKER_TASK, WORKER_STREAM, WORKER_INITIALIZER };

struct worker {
	LIST_ENTRY(worker) by_pid;	/* pool::workers */
	struct pool *pool;
	struct slot *slot;		/* NULL: no longer the slot's worker (recycled, surplus) */
	unsigned number;		/* of its slot */
	enum worker_kind kind;
	volatile pid_t pid;		/* written by the kernel */
	volatile struct spawn_failure failure;
	double born;			/* monotonic */
	double head_since;		/* unix time: when the present task began */
	struct task_list tasks;		/* given and not answered, in order; owned */
	size_t n_tasks;
	unsigned long long given, answered;
	bool ready;			/* may be given tasks */
	bool last;			/* gets no more tasks: its stdin is, or will be, closed */
	bool expected;			/* its end is no accident */
	bool forced;			/* SIGKILL has been sent */
	bool abandoned;			/* nothing more is expected of it: killed when the timer ends */
	bool protocol_error;
	enum task_state verdict;	/* why it is being killed: what its first task ends as; 0: it is not */
	ev_timer timer;			/* of the first task's timeout, or until SIGKILL */
	/* line and frame */
	int in;				/* its stdin; -1: closed */
	ev_io in_watcher;		/* active while `to` could not be written */
	ev_io in_closed;		/* nobody can read its stdin any more */
	struct bytes to;
	unsigned long long written;	/* bytes taken by its stdin */
	unsigned long long done_with;	/* of those, bytes of answered tasks */
	struct capture out, err;
};

/* Start the worker or the initializer of SLOT, or (exec) TASK, which then belongs to the worker. NULL with ERR when the
   system is short of something; TASK stays the caller's. */
struct worker *worker_start(struct slot *slot, enum worker_kind kind, struct task *task, struct error *err);

/* line and frame: how many more tasks it could take. */
size_t worker_room(const struct worker *worker);
/* Hand over; sent by worker_flush(). */
void worker_give(struct worker *worker, struct task *task);
void worker_flush(struct worker *worker);
/* It gets no more tasks: end of input when all is sent. It is to exit by itself, or will be killed after stop_timeout. */
void worker_finish(struct worker *worker);
/* Stop signal now, SIGKILL after stop_timeout. Its first task ends as VERDICT. */
void worker_kill(struct worker *worker, enum task_state verdict);
/* SIGKILL to it and everything it has started. */
void worker_kill_now(struct worker *worker, enum task_state verdict);

/* Collect all children that have ended. */
void workers_reap(struct pool *pool);
/* SIGKILL to all processes that descend from us, and wait for them (briefly). For the very end. */
void workers_sweep(struct pool *pool);

/* ---- told to the pool (slots.c) ---- */

/* WORKER can take tasks, or more than before. */
void slot_worker_ready(struct worker *worker);
/* WORKER has ended; its tasks are out of it. STARTED false: it never worked. Called before it is freed. */
void slot_worker_gone(struct worker *worker, bool started, const char *why);

#endif
