/* See pool_parts.h. What clients, signals and closing maps ask for: of a task, of many, of the whole pool. */
#include <stdlib.h>

#include "pool_parts.h"

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
		pool_unplace(pool, task);
		pool_end_as(pool, task, TASK_CANCELLED, NULL);
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
	pool_unplace(pool, task);
	free(task->result);
	task->result = NULL;
	task->cancel = false;
	task->retries = (uint16_t)(task->attempts + task->retries);
	if (task_key(task))
		(void)unique_set(pool->uniques, task_key(task), task->id);
	pool_to_ready(pool, task, false);
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
	ev_timer_init(&pool->stop_timer, patience_over, pool->settings.stop_timeout, 0);
	pool->stop_timer.data = pool;
	ev_timer_start(pool->loop, &pool->stop_timer);
	pool_wake(pool);
}
