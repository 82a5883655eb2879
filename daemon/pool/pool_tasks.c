/* See pool_parts.h. A task from its submission to the delivery of its result, and the lists in which it waits meanwhile. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pool_parts.h"

enum {
	KEPT_BYTES_MAX = 64 << 20,	/* of results that nobody has fetched */
	MANY_TASKS = 100000,		/* in memory: when they have gone it is given back */
};

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

void pool_unplace(struct pool *pool, struct task *task)
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

void pool_to_ready(struct pool *pool, struct task *task, bool front)
{
	task->state = TASK_QUEUED;
	task->place = PLACE_READY;
	if ((front ? ready_push_front : ready_push)(&pool->ready, task) < 0) {
		/* A level could not be made: any other will do. */
		task->priority = (int16_t)pool->ready.levels[0].priority;
		(void)ready_push(&pool->ready, task);
	}
}

void pool_end_as(struct pool *pool, struct task *task, enum task_state state, const char *why)
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
		pool_end_as(pool, task, TASK_CANCELLED, NULL);
		return;
	}
	pool_to_ready(pool, task, false);
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
		pool_end_as(pool, task, TASK_CANCELLED, NULL);
		return;
	}
	task->place = PLACE_CLAIMED;
	TAILQ_INSERT_TAIL(&pool->claimed, task, link);
	pool->n_claimed++;
}

/* ---- ends of tasks ---- */

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
		pool_unplace(pool, task);
		pool_to_ready(pool, task, true);
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
		pool_to_ready(pool, task, true);
		return;
	}
	if (to_be_retried(pool, task, result)) {
		pool->counters.retried++;
		if (pool->settings.pool.retry_delay <= 0)
			pool_to_ready(pool, task, true);
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
		pool_end_as(pool, task, TASK_CANCELLED, NULL);
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
	pool_to_ready(pool, task, true);
}

void pool_forget(struct pool *pool, struct task *task)
{
	pool_unplace(pool, task);
	task_table_remove(&pool->tasks, task);
	pool->queue->ops->forget(pool->queue, task->id);
	task_free(task);
}

/* Only as many unfetched results as was agreed, and not for ever. */
static void trim_kept(struct pool *pool)
{
	double oldest = ev_now(pool->loop) - pool->settings.pool.keep_time;
	struct task *task;

	while ((task = TAILQ_FIRST(&pool->kept)) &&
	       (pool->n_kept > (size_t)pool->settings.pool.keep_results || pool->bytes_kept > KEPT_BYTES_MAX ||
		task->result->ended < oldest))
		pool_forget(pool, task);
}

static void keep(struct pool *pool, struct task *task, const struct result *result)
{
	if (pool->queue->ops->keeps) {
		task_table_remove(&pool->tasks, task);
		task_free(task);
		return;
	}
	if (task_keep_result(task, result) < 0) {
		pool_forget(pool, task);
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
		pool_forget(pool, task);
	} else if (pool->control && control_ended(pool->control, task, result)) {
		pool_forget(pool, task);
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
	pool_unplace(pool, task);
	deliver(pool, task, result);
}

/* ---- all of them ---- */

int pool_tasks_init(struct pool *pool)
{
	TAILQ_INIT(&pool->claimed);
	TAILQ_INIT(&pool->delayed);
	TAILQ_INIT(&pool->kept);
	ev_timer_init(&pool->delay_timer, delay_over, 0, 0);
	pool->delay_timer.data = pool;
	pool->uniques = unique_new();
	return pool->uniques ? ready_init(&pool->ready) : -ENOMEM;
}

static void release_table(struct pool *pool, struct task_table *table)
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

static void free_table(struct task_table *table)
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

void pool_tasks_release(struct pool *pool)
{
	release_table(pool, &pool->tasks);
	release_table(pool, &pool->remote);
}

void pool_tasks_free(struct pool *pool)
{
	ev_timer_stop(pool->loop, &pool->delay_timer);
	free_table(&pool->tasks);
	free_table(&pool->remote);
	ready_free(&pool->ready);
	unique_free(pool->uniques);
}
