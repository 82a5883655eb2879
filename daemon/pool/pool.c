/* See pool.h. */
#include "pool.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "control.h"
#include "job.h"
#include "process/spawn.h"
#include "queue.h"
#include "slots.h"
#include "unique.h"
#include "worker.h"

enum {
	OWN_VARIABLES = 4,		/* places behind environ: see worker.c */
	KEPT_BYTES_MAX = 64 << 20,	/* of results that nobody has fetched */
	MANY_TASKS = 100000,		/* in memory: when they have gone it is given back */
	READ_AHEAD = 4096,		/* tasks that the pool asks a queue for, at least */
	FEEDS_PER_TURN = 4096,		/* so that a long queue does not keep the loop from its sockets */
};

static const double quick_task = 100e-6, spin_time = 200e-6;	/* seconds */
static const double rate_window = 3;	/* seconds over which the rate is smoothed */

/* ---- small things ---- */

void pool_log(const struct pool *pool, const char *format, ...)
{
	char line[1024];
	va_list ap;
	int n = snprintf(line, sizeof line, "reeve-pool: %s: ", pool->settings.name ? pool->settings.name : "?");

	va_start(ap, format);
	n += vsnprintf(line + n, sizeof line - (size_t)n - 1, format, ap);
	va_end(ap);
	if ((size_t)n > sizeof line - 2)
		n = sizeof line - 2;
	line[n++] = '\n';
	(void)!write(pool->log_fd, line, (size_t)n);
}

const char *pool_state_name(const struct pool *pool)
{
	static const char *const names[] = { [POOL_RUN] = "run", [POOL_CLOSED] = "closed", [POOL_TERMINATING] = "terminating",
					     [POOL_ENDED] = "ended" };

	if (pool->fatal && pool->state == POOL_RUN)
		return "fatal";
	if (pool->paused && pool->state == POOL_RUN)
		return "paused";
	return names[pool->state];
}

void pool_wake(struct pool *pool)
{
	ev_idle_start(pool->loop, &pool->again);
}

/*
 * Are answers coming so fast that going to sleep and being woken would cost more than the tasks themselves? Then the loop looks again
 * instead, and lets workers run between two looks; at most for `spin_time` after the last answer.
 */
static bool is_hot(const struct pool *pool)
{
	return pool->n_running && pool->ready.n && pool->task_time < quick_task && ev_now(pool->loop) - pool->answered < spin_time;
}

/* Called when nothing else has happened. */
static void woken(struct ev_loop *loop, ev_idle *idle, int events)
{
	(void)events;
	if (is_hot(idle->data))
		(void)sched_yield();
	else
		ev_idle_stop(loop, idle);
}

size_t pool_queued(const struct pool *pool)
{
	struct queue_counts counts;

	pool->queue->ops->count(pool->queue, &counts);
	return pool->ready.n + pool->n_claimed + pool->n_claiming + pool->n_delayed + (size_t)counts.queued;
}

bool pool_drained(const struct pool *pool)
{
	return !pool->n_pending && !pool->n_running && !pool->n_recording && !pool_queued(pool);
}

bool pool_idle(const struct pool *pool)
{
	return pool_drained(pool) && LIST_EMPTY(&pool->jobs);
}

static void count_end(struct pool *pool, enum task_state state)
{
	unsigned long long *counters[TASK_N_STATES] = {
		[TASK_DONE] = &pool->counters.done,	  [TASK_FAILED] = &pool->counters.failed,
		[TASK_LOST] = &pool->counters.lost,	  [TASK_TIMEOUT] = &pool->counters.timeout,
		[TASK_CANCELLED] = &pool->counters.cancelled,
	};

	if (counters[state])
		(*counters[state])++;
	if (state != TASK_DONE)
		pool->counters.unsuccessful++;
	pool->rate_ended++;
}

/* Called when asked, and once in a while when tasks end: no timer of its own. */
double pool_rate(struct pool *pool)
{
	double now = clock_now(), span = now - pool->rate_since, weight;

	if (span >= 0.2) {
		weight = exp(-span / rate_window);
		pool->rate = pool->rate * weight + (double)pool->rate_ended / span * (1 - weight);
		pool->rate_since = now;
		pool->rate_ended = 0;
	}
	return pool->rate;
}

/* ---- submissions ---- */

int pool_accepts(const struct pool *pool, struct error *err)
{
	if (pool->stopping)
		return error_set(err, ESHUTDOWN, "pool %s is being stopped", pool->settings.name);
	if (pool->state != POOL_RUN)
		return error_set(err, ESHUTDOWN, "pool %s is closed", pool->settings.name);
	return 0;
}

int pool_check(const struct pool *pool, const char *words, size_t length, struct error *err)
{
	if (length > (size_t)pool->settings.pool.max_task_bytes)
		return error_set(err, EMSGSIZE, "the task has %zu bytes; max_task_bytes is %lld", length,
				 pool->settings.pool.max_task_bytes);
	if (pool->settings.pool.mode == MODE_LINE && length && memchr(words, '\n', length))
		return error_set(err, EINVAL, "the task holds a newline, which line mode cannot carry");
	return 0;
}

void pool_submit(struct pool *pool, struct task *task, struct submission *submission)
{
	task->submission = submission;
	task->submitted = ev_now(pool->loop);
	pool->n_pending++;
	if (task_key(task) && !pool->queue->ops->shared)
		(void)unique_set(pool->uniques, task_key(task), 0);
	pool->queue->ops->submit(pool->queue, task);
}

void pool_accepted(struct pool *pool, struct task *task, int error, const char *text)
{
	struct submission *submission = task->submission;

	pool->n_pending--;
	task->hash_next = NULL;
	if (!error && task_table_add(&pool->tasks, task) < 0)
		error = ENOMEM;
	if (submission)
		submission_accepted(submission, task->index, task->id, error ? text ? text : errno_name(error) : NULL);
	if (error) {
		if (task_key(task))
			unique_drop(pool->uniques, task_key(task));
		if (task->job)
			job_refused(task->job, task, text ? text : errno_name(error));
		task_free(task);
		return;
	}
	if (task_key(task) && !pool->queue->ops->shared)
		(void)unique_set(pool->uniques, task_key(task), task->id);
	task->state = TASK_QUEUED;
	pool->swollen = pool->swollen || pool->tasks.n > MANY_TASKS;
}

void pool_duplicate(struct pool *pool, struct task *task, uint64_t id)
{
	pool->n_pending--;
	if (task->submission)
		submission_accepted(task->submission, task->index, id, NULL);
	if (task->job)
		job_refused(task->job, task, "a task with the same key is unfinished");
	task_free(task);
}

void pool_heard(struct pool *pool, const struct task *told)
{
	if (pool->control && control_ended(pool->control, told, told->result))
		pool->queue->ops->forget(pool->queue, told->id);
}

void pool_unload(struct pool *pool, struct task *task)
{
	if (task->job || task->cancel)
		return;
	task_table_remove(&pool->tasks, task);
	task_free(task);
}

/* ---- tasks in lists ---- */

/* Take TASK out of wherever it waits. */
static void unplace(struct pool *pool, struct task *task)
{
	switch ((enum place)task->place) {
	case PLACE_READY:
		ready_remove(&pool->ready, task);
		break;
	case PLACE_CLAIMED:
		TAILQ_REMOVE(&pool->claimed, task, link);
		pool->n_claimed--;
		break;
	case PLACE_DELAYED:
		TAILQ_REMOVE(&pool->delayed, task, link);
		pool->n_delayed--;
		break;
	case PLACE_PARKED:
		job_unpark(task->job, task);
		break;
	case PLACE_KEPT:
		TAILQ_REMOVE(&pool->kept, task, link);
		pool->n_kept--;
		pool->bytes_kept -= task->result->out_length + task->result->err_length;
		break;
	case PLACE_CLAIMING:
		pool->n_claiming--;
		break;
	case PLACE_NONE:
	case PLACE_WORKER:
		break;
	}
	task->place = PLACE_NONE;
}

static void to_ready(struct pool *pool, struct task *task, bool front)
{
	task->state = TASK_QUEUED;
	task->place = PLACE_READY;
	if ((front ? ready_push_front : ready_push)(&pool->ready, task) < 0) {
		/* A level could not be made: any other will do. */
		task->priority = pool->ready.n_levels ? (int16_t)pool->ready.levels[0].priority : 0;
		if (ready_push(&pool->ready, task) < 0)
			abort();	/* not even the first list: nothing has ever run */
	}
}

/* End a task that no worker has. */
static void end_as(struct pool *pool, struct task *task, enum task_state state, const char *why)
{
	struct result result = { .state = state, .exit = 0, .attempts = task->attempts, .ended = ev_now(pool->loop),
				 .slot = 0, .why = why };

	task->recording = true;
	pool->n_recording++;
	pool->queue->ops->finish(pool->queue, task, &result);
}

void pool_ready(struct pool *pool, struct task *task)
{
	pool->wanting = false;
	if (task->remote && task_table_add(&pool->remote, task) < 0) {
		task_free(task);
		return;
	}
	if (task->cancel || pool->state == POOL_TERMINATING || (task->job && job_cancelled(task->job))) {
		task->state = TASK_QUEUED;
		end_as(pool, task, TASK_CANCELLED, NULL);
		return;
	}
	to_ready(pool, task, false);
}

void pool_claimed(struct pool *pool, struct task *task, bool ok)
{
	pool->n_claiming--;
	task->place = PLACE_NONE;
	if (!ok) {
		if (task->remote)
			task_table_remove(&pool->remote, task);
		else
			task_table_remove(&pool->tasks, task);
		task_free(task);
		return;
	}
	if (task->cancel) {
		end_as(pool, task, TASK_CANCELLED, NULL);
		return;
	}
	task->place = PLACE_CLAIMED;
	TAILQ_INSERT_TAIL(&pool->claimed, task, link);
	pool->n_claimed++;
}

void pool_trouble(struct pool *pool, const char *text)
{
	if (pool->fatal)
		return;
	if (text && strcmp(pool->trouble, text) != 0)
		pool_log(pool, "%s", text);
	else if (!text && pool->trouble[0])
		pool_log(pool, "the queue can be reached again");
	(void)snprintf(pool->trouble, sizeof pool->trouble, "%s", text ? text : "");
}

/* ---- dispatch ---- */

/* What the queue has not loaded yet has priority 0: it goes before what has less. */
static bool must_wait(const struct pool *pool, const struct task *task)
{
	struct queue_counts counts = { 0 };

	if (task->priority < 0 && !pool->queue->ops->shared)
		pool->queue->ops->count(pool->queue, &counts);
	return counts.queued > 0;
}

/* The first ready task that may be handed out; those whose clients do not read are set aside. */
static struct task *take_ready(struct pool *pool)
{
	struct task *task;

	while ((task = ready_first(&pool->ready)) && !must_wait(pool, task)) {
		ready_remove(&pool->ready, task);
		task->place = PLACE_NONE;
		if (!task->job || !job_stalled(task->job))
			return task;
		job_park(task->job, task);
	}
	return NULL;
}

struct task *pool_next_task(struct pool *pool)
{
	struct task *task = TAILQ_FIRST(&pool->claimed);

	if (task)
		unplace(pool, task);
	else if (!pool->settings.pool.claim)
		task = take_ready(pool);
	return task;
}

struct task *pool_next_of_chunk(struct pool *pool, const struct job *job, uint32_t chunk)
{
	struct task *task = pool->settings.pool.claim ? TAILQ_FIRST(&pool->claimed) : ready_first(&pool->ready);

	if (!task || task->job != job || task->chunk != chunk)
		return NULL;
	unplace(pool, task);
	return task;
}

static void claim_ahead(struct pool *pool)
{
	size_t most = slots_appetite(pool);
	struct task *task;

	while (pool->n_claiming + pool->n_claimed < most && (task = take_ready(pool))) {
		task->place = PLACE_CLAIMING;
		pool->n_claiming++;
		pool->queue->ops->claim(pool->queue, task);
	}
}

static bool may_dispatch(const struct pool *pool)
{
	return !pool->paused && !pool->stopping && !pool->fatal && pool->state != POOL_TERMINATING;
}

static void dispatch(struct pool *pool)
{
	struct slot *slot;
	struct task *task;
	int n = 0;

	if (!may_dispatch(pool))
		return;
	if (pool->settings.pool.claim)
		claim_ahead(pool);
	while ((slot = slots_hungry(pool)) && (task = pool_next_task(pool))) {
		slot_feed(slot, task);
		if (++n == FEEDS_PER_TURN) {
			pool_wake(pool);
			break;
		}
	}
}

void pool_worker_dry(struct pool *pool)
{
	if (pool->ready.n > pool->n_slots * (size_t)pool->settings.pool.window)
		dispatch(pool);
}

/* Ask the queue for more before the last one has gone. */
static void ask_for_more(struct pool *pool)
{
	size_t least = (size_t)pool->settings.pool.workers * (size_t)pool->settings.pool.window;
	/* What is taken from a shared queue others cannot do. */
	size_t most = pool->queue->ops->shared ? least : 4 * least > READ_AHEAD ? 4 * least : READ_AHEAD;
	size_t have = ready_at_least(&pool->ready, 0);	/* what waits in the queue has no priority, or a higher one */

	if (!may_dispatch(pool) || pool->wanting || have >= most / 2 + 1)
		return;
	pool->queue->ops->want(pool->queue, most - have);
}

/* While we start nothing, others shall have what we have taken from a shared queue. */
static void give_back(struct pool *pool)
{
	struct task *task, *next;

	for (size_t i = 0; i < pool->remote.size; i++)
		for (task = pool->remote.bucket[i]; task; task = next) {
			next = task->hash_next;
			if (task->place != PLACE_READY)
				continue;
			unplace(pool, task);
			pool->queue->ops->release(pool->queue, task);
			task_table_remove(&pool->remote, task);
			task_free(task);
		}
}

static void check_end(struct pool *pool)
{
	if (pool->state == POOL_CLOSED && pool_idle(pool))
		slots_finish(pool);
	if ((pool->state == POOL_CLOSED || pool->state == POOL_TERMINATING) && pool_idle(pool) && !pool->n_workers)
		pool->state = POOL_ENDED;
	if (pool->stopping && !pool->n_workers && (!pool->n_recording || pool->impatient))
		ev_break(pool->loop, EVBREAK_ALL);
	if (pool->transient && !pool->stopping && !control_connections(pool->control) && !jobs_count(pool))
		pool_stop(pool);
}

static void pool_turn(struct ev_loop *loop, ev_prepare *prepare, int events)
{
	struct pool *pool = prepare->data;

	(void)loop;
	(void)events;
	if (pool->fatal && !LIST_EMPTY(&pool->jobs))
		jobs_fault(pool, pool->trouble);
	if (pool->queue->ops->shared && !may_dispatch(pool))
		give_back(pool);
	dispatch(pool);
	ask_for_more(pool);
	pool->queue->ops->turn(pool->queue);
	jobs_flush(pool);
	check_end(pool);
	if (pool->control)
		control_check(pool->control);	/* last: nothing may follow that they wait for */
	if (is_hot(pool))
		pool_wake(pool);
	if (pool->swollen && !pool->ready.n) {
		pool->swollen = false;
		(void)malloc_trim(0);
	}
}

/* ---- ends of tasks ---- */

static bool to_be_retried(const struct pool *pool, const struct task *task, const struct result *result)
{
	if (task->cancel || pool->state == POOL_TERMINATING || task->attempts > task->retries)
		return false;
	return result->state == TASK_FAILED || result->state == TASK_LOST || result->state == TASK_TIMEOUT;
}

static void delay_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct pool *pool = timer->data;
	double now = clock_now();
	struct task *task;

	(void)events;
	while ((task = TAILQ_FIRST(&pool->delayed)) && task->submitted <= now) {
		unplace(pool, task);
		to_ready(pool, task, true);
	}
	if (task) {
		ev_timer_set(timer, task->submitted - now, 0);
		ev_timer_start(loop, timer);
	}
}

/* Again after a pause that doubles with each attempt. `submitted` holds the time meanwhile. */
static void delay(struct pool *pool, struct task *task)
{
	double pause = pool->settings.pool.retry_delay, most = pool->settings.pool.retry_delay_max;
	struct task *after;

	for (unsigned i = 1; i < task->attempts && pause < most; i++)
		pause *= 2;
	task->submitted = clock_now() + (pause < most ? pause : most);
	task->state = TASK_QUEUED;
	task->place = PLACE_DELAYED;
	pool->n_delayed++;
	TAILQ_FOREACH_REVERSE(after, &pool->delayed, task_list, link)
		if (after->submitted <= task->submitted)
			break;
	if (after)
		TAILQ_INSERT_AFTER(&pool->delayed, after, task, link);
	else
		TAILQ_INSERT_HEAD(&pool->delayed, task, link);
	ev_timer_stop(pool->loop, &pool->delay_timer);
	ev_timer_set(&pool->delay_timer, TAILQ_FIRST(&pool->delayed)->submitted - clock_now(), 0);
	ev_timer_start(pool->loop, &pool->delay_timer);
}

void pool_task_ended(struct pool *pool, struct task *task, const struct result *result)
{
	struct result changed;

	task->place = PLACE_NONE;
	pool->counters.executions++;
	if (result->slot < pool->n_slots)
		pool->slots[result->slot]->tasks++;
	/* Cut off by our own end: the queue still has it, and somebody will do it. */
	if (pool->stopping && result->state == TASK_LOST && pool->queue->ops->durable && !pool->settings.pool.claim) {
		task->attempts--;
		to_ready(pool, task, true);
		return;
	}
	if (to_be_retried(pool, task, result)) {
		pool->counters.retried++;
		if (pool->settings.pool.retry_delay <= 0)
			to_ready(pool, task, true);
		else
			delay(pool, task);
		return;
	}
	if (task->cancel && result->state != TASK_CANCELLED) {
		changed = *result;
		changed.state = TASK_CANCELLED;
		result = &changed;
	}
	task->recording = true;
	pool->n_recording++;
	pool->queue->ops->finish(pool->queue, task, result);
}

void pool_task_release(struct pool *pool, struct task *task)
{
	task->place = PLACE_NONE;
	if (task->cancel || pool->state == POOL_TERMINATING) {
		end_as(pool, task, TASK_CANCELLED, NULL);
		return;
	}
	if (pool->settings.pool.claim) {
		/* Already marked as begun, though it has not. */
		task->state = TASK_QUEUED;
		task->place = PLACE_CLAIMED;
		TAILQ_INSERT_HEAD(&pool->claimed, task, link);
		pool->n_claimed++;
		return;
	}
	to_ready(pool, task, true);
}

static void drop(struct pool *pool, struct task *task)
{
	unplace(pool, task);
	task_table_remove(&pool->tasks, task);
	pool->queue->ops->forget(pool->queue, task->id);
	task_free(task);
}

void pool_forget(struct pool *pool, struct task *task)
{
	drop(pool, task);
}

/* Only as many unfetched results as was agreed, and not for ever. */
static void trim_kept(struct pool *pool)
{
	double oldest = ev_now(pool->loop) - pool->settings.pool.keep_time;
	struct task *task;

	while ((task = TAILQ_FIRST(&pool->kept)) &&
	       (pool->n_kept > (size_t)pool->settings.pool.keep_results || pool->bytes_kept > KEPT_BYTES_MAX ||
		task->result->ended < oldest))
		drop(pool, task);
}

static void keep(struct pool *pool, struct task *task, const struct result *result)
{
	if (pool->queue->ops->keeps) {
		task_table_remove(&pool->tasks, task);
		task_free(task);
		return;
	}
	if (task_keep_result(task, result) < 0) {
		drop(pool, task);
		return;
	}
	task->place = PLACE_KEPT;
	TAILQ_INSERT_TAIL(&pool->kept, task, link);
	pool->n_kept++;
	pool->bytes_kept += result->out_length + result->err_length;
	trim_kept(pool);
}

/* TASK has ended, durably: hand its result to whoever waits for it. */
static void deliver(struct pool *pool, struct task *task, const struct result *result)
{
	task->state = (uint8_t)result->state;
	if (task_key(task))
		unique_drop(pool->uniques, task_key(task));
	if (task->job) {
		job_result(task->job, task, result);
		task->job = NULL;
		drop(pool, task);
	} else if (pool->control && control_ended(pool->control, task, result)) {
		drop(pool, task);
	} else {
		keep(pool, task, result);
	}
}

void pool_recorded(struct pool *pool, struct task *task, const struct result *result, bool first)
{
	pool->n_recording--;
	task->recording = false;
	if (first)
		count_end(pool, result->state);
	if (!task->remote) {
		deliver(pool, task, result);
		return;
	}
	/* Its submitter, who may be ourselves, hears of it from the queue. */
	task_table_remove(&pool->remote, task);
	task_free(task);
}

void pool_delivered(struct pool *pool, struct task *task, const struct result *result)
{
	unplace(pool, task);
	deliver(pool, task, result);
}

/* ---- commands ---- */

static struct worker *worker_of(struct pool *pool, const struct task *task)
{
	struct worker *w;
	struct task *t;

	for (size_t i = 0; i < ARRAY_LEN(pool->workers); i++)
		LIST_FOREACH(w, &pool->workers[i], by_pid)
			TAILQ_FOREACH(t, &w->tasks, link)
				if (t == task)
					return w;
	return NULL;
}

static void cancel(struct pool *pool, struct task *task)
{
	struct worker *w;

	if (task->cancel || task->recording)
		return;
	task->cancel = true;
	if (task->place == PLACE_WORKER) {
		w = worker_of(pool, task);
		/* Behind the first of a window it cannot be withdrawn; its answer will be dropped. */
		if (w && TAILQ_FIRST(&w->tasks) == task)
			worker_kill(w, TASK_CANCELLED);
	} else if (task->place != PLACE_NONE && task->place != PLACE_CLAIMING) {
		unplace(pool, task);
		end_as(pool, task, TASK_CANCELLED, NULL);
	}
}

enum cancel pool_cancel(struct pool *pool, uint64_t id)
{
	struct task *task = task_table_find(&pool->remote, id);

	if (!task)
		task = task_table_find(&pool->tasks, id);
	if (!task)
		return CANCEL_UNKNOWN;
	if (task_ended(task) || task->recording)
		return CANCEL_ENDED;
	if (task->place == PLACE_NONE && !task->remote && pool->queue->ops->keeps)
		return CANCEL_UNKNOWN;	/* the queue has it */
	cancel(pool, task);
	return CANCEL_DONE;
}

/* All tasks of TABLE for which MATCH (NULL: any) is the job. Ending one may remove it: collected first. */
static size_t cancel_all(struct pool *pool, struct task_table *table, const struct job *match)
{
	struct task **list = malloc((table->n + 1) * sizeof(struct task *));
	size_t n = 0, cancelled = 0;

	for (size_t i = 0; list && i < table->size; i++)
		for (struct task *t = table->bucket[i]; t; t = t->hash_next)
			if (!task_ended(t) && (!match || t->job == match))
				list[n++] = t;
	for (size_t i = 0; i < n; i++) {
		cancelled += !list[i]->recording;
		cancel(pool, list[i]);
	}
	free(list);
	return cancelled;
}

static void cancel_request_done(struct queue_request *request)
{
	struct pool *pool = request->data;

	if (request->kind == REQUEST_CANCEL_ALL && pool->control)
		control_look(pool->control);
	queue_request_free(request);
}

/* The queue has TASK, not we: it must not begin elsewhere. */
static void cancel_in_queue(struct pool *pool, struct task *task)
{
	struct queue_request *request = calloc(1, sizeof *request);

	if (!request)
		return;
	*request = (struct queue_request){ .kind = REQUEST_CANCEL, .id = task->id, .done = cancel_request_done,
					   .data = pool };
	pool->queue->ops->ask(pool->queue, request);
}

void pool_cancel_job(struct pool *pool, struct job *job)
{
	(void)cancel_all(pool, &pool->tasks, job);
	if (!pool->queue->ops->durable)
		return;
	for (size_t i = 0; i < pool->tasks.size; i++)
		for (struct task *t = pool->tasks.bucket[i]; t; t = t->hash_next)
			if (t->job == job && !t->recording && t->place == PLACE_NONE)
				cancel_in_queue(pool, t);
}

void pool_retry(struct pool *pool, struct task *task)
{
	unplace(pool, task);
	free(task->result);
	task->result = NULL;
	task->cancel = false;
	task->retries = (uint16_t)(task->attempts + task->retries);
	if (task_key(task))
		(void)unique_set(pool->uniques, task_key(task), task->id);
	to_ready(pool, task, false);
}

void pool_close(struct pool *pool)
{
	if (pool->state == POOL_RUN)
		pool->state = POOL_CLOSED;
	pool_wake(pool);
}

void pool_open(struct pool *pool)
{
	if (pool->state != POOL_TERMINATING)
		pool->state = POOL_RUN;
	pool->counters.unsuccessful = 0;
	slots_revive(pool);
	pool_wake(pool);
}

void pool_pause(struct pool *pool, bool paused)
{
	pool->paused = paused;
	pool_wake(pool);
}

void pool_resize(struct pool *pool, size_t workers)
{
	settings_set_workers(&pool->settings, (long long)workers);
	slots_adjust(pool);
	pool_wake(pool);
}

size_t pool_terminate(struct pool *pool)
{
	struct queue_request *request = calloc(1, sizeof *request);
	size_t n;

	pool->state = POOL_TERMINATING;
	n = cancel_all(pool, &pool->tasks, NULL);
	n += cancel_all(pool, &pool->remote, NULL);
	if (request) {
		*request = (struct queue_request){ .kind = REQUEST_CANCEL_ALL, .done = cancel_request_done, .data = pool };
		pool->queue->ops->ask(pool->queue, request);
	}
	slots_kill(pool, TASK_CANCELLED, false);
	pool_wake(pool);
	return n;
}

static void patience_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct pool *pool = timer->data;

	(void)loop;
	(void)events;
	pool->impatient = true;
	slots_kill(pool, 0, true);
	pool_wake(pool);
}

void pool_stop(struct pool *pool)
{
	if (pool->stopping || (pool->transient && pool->n_running)) {
		pool->stopping = true;
		slots_kill(pool, 0, true);
		pool_wake(pool);
		return;
	}
	pool->stopping = true;
	if (!pool->transient)
		pool_log(pool, "stopping; %zu tasks run, %zu wait", pool->n_running, pool_queued(pool));
	slots_finish(pool);
	ev_timer_set(&pool->stop_timer, pool->settings.stop_timeout, 0);
	ev_timer_start(pool->loop, &pool->stop_timer);
	pool_wake(pool);
}

/* ---- life ---- */

static void child_ended(struct ev_loop *loop, ev_signal *signal, int events)
{
	(void)loop;
	(void)events;
	workers_reap(signal->data);
}

static void asked_to_stop(struct ev_loop *loop, ev_signal *signal, int events)
{
	(void)loop;
	(void)events;
	pool_stop(signal->data);
}

/* Ours without what is meant for us alone, and room for what each worker gets. */
static int make_environ(struct pool *pool)
{
	static const char *const ours[] = { "REEVE_POOL_SETTINGS=", "NOTIFY_SOCKET=", "WATCHDOG_", "LISTEN_" };
	size_t n = 0;
	char *name;

	while (environ[n])
		n++;
	pool->environ = calloc(n + 2 + OWN_VARIABLES, sizeof *pool->environ);
	if (!pool->environ)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		bool skip = false;

		for (size_t k = 0; k < ARRAY_LEN(ours); k++)
			skip = skip || strncmp(environ[i], ours[k], strlen(ours[k])) == 0;
		if (!skip)
			pool->environ[pool->n_environ++] = environ[i];
	}
	if (asprintf(&name, "REEVE_POOL=%s", pool->settings.name) < 0)
		return -ENOMEM;
	pool->environ[pool->n_environ++] = name;
	return 0;
}

/* We need descriptors for each worker; they get the limit that was meant for them. */
static void raise_limits(struct pool *pool)
{
	struct rlimit all;

	if (getrlimit(RLIMIT_NOFILE, &pool->nofile) < 0)
		pool->nofile = (struct rlimit){ 1024, 1024 };
	all = (struct rlimit){ pool->nofile.rlim_max, pool->nofile.rlim_max };
	(void)setrlimit(RLIMIT_NOFILE, &all);
}

static int find_files(struct pool *pool)
{
	const char *path = getenv("PATH");

	pool->files[0] = spawn_search(pool->settings.argv[0], path);
	if (pool->settings.initializer)
		pool->files[1] = spawn_search(pool->settings.initializer[0], path);
	return pool->files[0] && (!pool->settings.initializer || pool->files[1]) ? 0 : -ENOMEM;
}

static void init_watchers(struct pool *pool)
{
	ev_signal_init(&pool->child, child_ended, SIGCHLD);
	ev_signal_init(&pool->term, asked_to_stop, SIGTERM);
	ev_signal_init(&pool->intr, asked_to_stop, SIGINT);
	ev_prepare_init(&pool->prepare, pool_turn);
	ev_timer_init(&pool->delay_timer, delay_over, 0, 0);
	ev_timer_init(&pool->stop_timer, patience_over, 0, 0);
	ev_idle_init(&pool->again, woken);
	pool->again.data = pool;
	pool->child.data = pool->term.data = pool->intr.data = pool->prepare.data = pool;
	pool->delay_timer.data = pool->stop_timer.data = pool;
	ev_signal_start(pool->loop, &pool->child);
	ev_signal_start(pool->loop, &pool->term);
	ev_signal_start(pool->loop, &pool->intr);
	ev_prepare_start(pool->loop, &pool->prepare);
}

int pool_init(struct pool *pool, struct ev_loop *loop, const char *queue_url, struct error *err)
{
	pool->loop = loop;
	pool->since = ev_now(loop);
	pool->rate_since = clock_now();
	TAILQ_INIT(&pool->claimed);
	TAILQ_INIT(&pool->delayed);
	TAILQ_INIT(&pool->kept);
	TAILQ_INIT(&pool->hungry);
	LIST_INIT(&pool->jobs);
	for (size_t i = 0; i < ARRAY_LEN(pool->workers); i++)
		LIST_INIT(&pool->workers[i]);
	init_watchers(pool);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	raise_limits(pool);
	pool->uniques = unique_new();
	pool->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (pool->null_fd < 0)
		return error_set(err, errno, "/dev/null: %s", errno_name(errno));
	if (!pool->uniques || make_environ(pool) < 0 || find_files(pool) < 0)
		return error_set(err, ENOMEM, "out of memory");
	return queue_open(pool, queue_url, &pool->queue, err);
}

static void free_table(struct pool *pool, struct task_table *table)
{
	for (size_t i = 0; i < table->size; i++) {
		struct task *task, *next;

		for (task = table->bucket[i]; task; task = next) {
			next = task->hash_next;
			if (pool->queue && !task_ended(task) && !task->recording)
				pool->queue->ops->release(pool->queue, task);
		}
	}
}

static void free_tasks(struct task_table *table)
{
	for (size_t i = 0; i < table->size; i++) {
		struct task *task, *next;

		for (task = table->bucket[i]; task; task = next) {
			next = task->hash_next;
			task_free(task);
		}
	}
	task_table_free(table);
}

void pool_fini(struct pool *pool)
{
	ev_prepare_stop(pool->loop, &pool->prepare);	/* the queue may run the loop to say goodbye */
	jobs_free(pool);
	free_table(pool, &pool->tasks);
	free_table(pool, &pool->remote);
	if (pool->queue)
		pool->queue->ops->close(pool->queue);
	pool->queue = NULL;
	control_free(pool->control);
	pool->control = NULL;
	slots_free(pool);
	workers_sweep(pool);
	spawn_collect();
	free_tasks(&pool->tasks);
	free_tasks(&pool->remote);
	ready_free(&pool->ready);
	unique_free(pool->uniques);
	if (pool->environ)
		free(pool->environ[pool->n_environ - 1]);
	free(pool->environ);
	free(pool->files[0]);
	free(pool->files[1]);
	closep(&pool->null_fd);
	ev_signal_stop(pool->loop, &pool->child);
	ev_signal_stop(pool->loop, &pool->term);
	ev_signal_stop(pool->loop, &pool->intr);
	ev_timer_stop(pool->loop, &pool->delay_timer);
	ev_timer_stop(pool->loop, &pool->stop_timer);
	ev_idle_stop(pool->loop, &pool->again);
	settings_free(&pool->settings);
}
