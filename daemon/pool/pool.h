/*
 * The pool: tasks that may run, slots with workers, and what becomes of results. Everything runs on one libev loop. Reading, writing
 * and process ends arrive in any order during a turn of the loop; decisions are made once at its end (pool_dispatch.c): hand tasks to
 * workers, flush the queue's batch and the clients' output. So the cost of a system call is shared by all that came in one turn. One
 * thing is done at once: a worker that has nothing left gets its next task (pool_worker_dry).
 *
 * The life of a task, and who moves it on:
 *
 *   SUBMITTED --queue: accepted--> QUEUED --dispatch--> RUNNING --worker: result--> (queue: recorded) --> ended, delivered
 *                                    ^                     |
 *                                    +---- retry, release -+
 */
#ifndef REEVE_POOL_POOL_H
#define REEVE_POOL_POOL_H

#include <ev.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <sys/resource.h>

#include "base/base.h"
#include "settings.h"
#include "task.h"

struct control;
struct queue;
struct worker;
struct submission;
struct unique;

enum pool_state {
	POOL_RUN,
	POOL_CLOSED,			/* takes no tasks; workers end when nothing is left */
	POOL_TERMINATING,		/* everything is being stopped */
	POOL_ENDED,			/* closed or terminated, and the last worker is gone */
};

/* The place of a worker: kept while workers come and go. */
struct slot {
	TAILQ_ENTRY(slot) hungry;	/* pool::hungry, while is_hungry */
	struct pool *pool;
	unsigned number;
	bool is_hungry;			/* can take a task now */
	bool surplus;			/* to vanish when its worker is gone */
	bool prepared;			/* the initializer has run */
	bool failed;			/* has used up its start_retries */
	unsigned failures;		/* failed starts in a row */
	ev_timer backoff;		/* until the next start */
	struct worker *worker;		/* gets the tasks; owned by the pool's table until reaped */
	struct worker *next;		/* started ahead, follows when the present one has answered its last task */
	unsigned long long tasks;	/* ended here */
};

struct counters {
	unsigned long long done, failed, lost, timeout, cancelled;
	unsigned long long retried, executions, recycled, worker_deaths, start_failures;
	unsigned long long unsuccessful;	/* since the pool was opened: what join reports */
};

TAILQ_HEAD(slot_list, slot);
LIST_HEAD(worker_list, worker);
LIST_HEAD(job_list, job);

struct pool {
	struct ev_loop *loop;
	struct settings settings;
	enum pool_state state;
	bool paused;
	bool stopping;			/* the process is to end; tasks stay in the queue where it can keep them */
	bool impatient;			/* stopping takes too long: what cannot be recorded now is left */
	bool transient;			/* ends with its only connection */
	bool swollen;			/* has held very many tasks */
	bool fatal;			/* no slot can start its worker */
	char trouble[512];		/* of the workers' start, or of the queue; "": none */
	double since;			/* unix time */

	struct queue *queue;		/* owned */
	struct control *control;	/* owned */
	struct task_table tasks;	/* all tasks in memory that have an id, but not the next: owned */
	struct task_table remote;	/* Redis entries that are being run here; owned */
	struct ready ready;
	struct task_list claimed;	/* may start at once */
	size_t n_claimed, n_claiming;
	struct task_list delayed;	/* by time */
	ev_timer delay_timer;
	size_t n_delayed;
	struct unique *uniques;		/* keys of unfinished tasks */
	struct task_list kept;		/* ended ones with result, oldest first (queues that do not keep results themselves) */
	size_t n_kept, bytes_kept;
	bool wanting;			/* the queue has been asked for more and has not answered */
	size_t n_pending;		/* submitted, not accepted */
	size_t n_running;		/* with a worker */
	size_t n_recording;		/* result on its way to the queue */

	struct slot **slots;		/* owned */
	size_t n_slots;
	struct slot_list hungry;
	size_t n_hungry;
	struct worker_list workers[256];	/* by pid */
	size_t n_workers;

	struct job_list jobs;
	unsigned long long last_job;
	struct counters counters;
	double task_time;		/* seconds that a task of a stream worker takes, smoothed */
	double answered;		/* unix time of the last answer of one */
	double rate, rate_since;	/* tasks per second, smoothed; monotonic time of the last sample */
	unsigned long long rate_ended;	/* ended since then */

	struct rlimit nofile;		/* as it was given to us: for workers */
	char **environ;			/* of workers; owned; the last places are filled per start */
	size_t n_environ;
	char **files[2];		/* where the command and the initializer may lie; owned */
	int null_fd;
	int log_fd;

	ev_signal child, term, intr;
	ev_prepare prepare;
	ev_timer stop_timer;
	ev_idle again;			/* active while a turn must follow at once */
};

int pool_init(struct pool *pool, struct ev_loop *loop, const char *queue_url, struct error *err);
void pool_fini(struct pool *pool);

/* A line on stderr, which the supervisor's logger reads. Never waits. */
void pool_log(const struct pool *pool, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- tasks in ---- */

/* May tasks be submitted? 0, or -ESHUTDOWN with ERR. */
int pool_accepts(const struct pool *pool, struct error *err);
/* Is it a task that this pool can run (size, newlines)? 0 or -EINVAL, -EMSGSIZE with ERR. */
int pool_check(const struct pool *pool, const char *words, size_t length, struct error *err);
/* TASK is the pool's from here on. Its job or submission hears of it. */
void pool_submit(struct pool *pool, struct task *task, struct submission *submission);

/* ---- called by the queue ---- */

/* TASK is durable now (ERROR 0) or refused; it has an id. It is not yet ready. */
void pool_accepted(struct pool *pool, struct task *task, int error, const char *text);
/* TASK has been accepted and will run, but need not be in memory meanwhile: freed, unless somebody waits for it here. */
void pool_unload(struct pool *pool, struct task *task);
/* TASK may run. */
void pool_ready(struct pool *pool, struct task *task);
/* TASK was not added: ID, unfinished, has its unique key. Frees TASK. */
void pool_duplicate(struct pool *pool, struct task *task, uint64_t id);
/* A task that is not in memory has ended: TOLD (the caller's) is a copy of it with its result. */
void pool_heard(struct pool *pool, const struct task *told);
/* The answer to a claim. OK false: somebody else has it; TASK is freed. */
void pool_claimed(struct pool *pool, struct task *task, bool ok);
/* The result of TASK is durable. FIRST: it is the one that counts. */
void pool_recorded(struct pool *pool, struct task *task, const struct result *result, bool first);
/* TASK, which was submitted here, has been run elsewhere. */
void pool_delivered(struct pool *pool, struct task *task, const struct result *result);
/* The queue is in trouble (a sentence), or well again (NULL). */
void pool_trouble(struct pool *pool, const char *text);

/* ---- called by workers ---- */

/* TASK has left its worker. RESULT is borrowed. */
void pool_task_ended(struct pool *pool, struct task *task, const struct result *result);
/* TASK did not begin, or may be run again: back to the head of its queue. */
void pool_task_release(struct pool *pool, struct task *task);
/*
 * A worker has answered all that it had. Where there is plenty for everybody it gets more at once instead of at the end of the turn:
 * until then it would fall asleep, and waking it costs more than a small task.
 */
void pool_worker_dry(struct pool *pool);

/* ---- commands ---- */

enum cancel { CANCEL_UNKNOWN, CANCEL_ENDED, CANCEL_DONE };

/* Of a task in memory. */
enum cancel pool_cancel(struct pool *pool, uint64_t id);
void pool_cancel_job(struct pool *pool, struct job *job);
/* An ended task in memory runs again. */
void pool_retry(struct pool *pool, struct task *task);
void pool_forget(struct pool *pool, struct task *task);
void pool_close(struct pool *pool);
void pool_open(struct pool *pool);
size_t pool_terminate(struct pool *pool);	/* how many tasks were cancelled */
void pool_resize(struct pool *pool, size_t workers);
void pool_pause(struct pool *pool, bool paused);
/* End the process in order. A second call: at once. */
void pool_stop(struct pool *pool);

/* Nothing is queued, delayed, running, or on its way to the queue. */
bool pool_drained(const struct pool *pool);
/* The same, and no map is open. */
bool pool_idle(const struct pool *pool);
size_t pool_queued(const struct pool *pool);
const char *pool_state_name(const struct pool *pool);
/* Tasks ended per second of late. */
double pool_rate(struct pool *pool);
/* Another turn is needed although nothing happens. */
void pool_wake(struct pool *pool);

#endif
