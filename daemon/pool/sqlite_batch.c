/*
 * See sqlite_parts.h. What the loop asks for during a turn is a batch; the thread carries it out, and its answers come back when it is on
 * the disk.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sqlite_parts.h"
#include "unique.h"

enum {
	DIRECT_MAX = 8192,		/* waiting tasks in memory beyond which new ones stay on disk */
	BATCH_MAX = 20000,		/* operations in one transaction */
	TRIM_STEP = 256,		/* superfluous results that are worth a delete */
};

static const double retry_pause = 1;	/* seconds after a failed transaction */

/* ---- the thread ---- */

static void *thread_main(void *data)
{
	struct store *s = data;

	(void)pthread_mutex_lock(&s->lock);
	for (;;) {
		char text[256] = "";
		int r;

		while (!s->given && !s->quit)
			(void)pthread_cond_wait(&s->ready, &s->lock);
		if (!s->given)
			break;
		(void)pthread_mutex_unlock(&s->lock);
		r = sqlite_run(s, &s->batch, text, sizeof text);
		(void)pthread_mutex_lock(&s->lock);
		s->error = r;
		memcpy(s->text, text, sizeof s->text);
		s->given = false;
		s->finished = true;
		(void)pthread_cond_signal(&s->ready);
		ev_async_send(s->queue.pool->loop, &s->done);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return NULL;
}

int sqlite_thread_start(struct store *s, struct error *err)
{
	sigset_t all, old;
	int r;

	/* Signals are the loop's. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&s->thread, NULL, thread_main, s);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r)
		return error_set(err, r, "cannot start a thread: %s", errno_name(r));
	s->threaded = true;
	return 0;
}

void sqlite_thread_end(struct store *s)
{
	(void)pthread_mutex_lock(&s->lock);
	while (s->given)
		(void)pthread_cond_wait(&s->ready, &s->lock);
	s->quit = true;
	(void)pthread_cond_signal(&s->ready);
	(void)pthread_mutex_unlock(&s->lock);
	(void)pthread_join(s->thread, NULL);
	s->threaded = false;
}

/* ---- batches ---- */

struct op *sqlite_op_add(struct store *s, enum op_kind kind, uint64_t id)
{
	struct op *op = calloc(1, sizeof *op);

	if (!op)
		return NULL;
	op->kind = kind;
	op->id = id;
	STAILQ_INSERT_TAIL(&s->next, op, next);
	s->n_next++;
	return op;
}

void sqlite_op_free(struct op *op)
{
	free(op->result);
	free(op);
}

void sqlite_give(struct store *s)
{
	if (s->busy || s->paused || !s->threaded || STAILQ_EMPTY(&s->next))
		return;
	(void)pthread_mutex_lock(&s->lock);
	if (s->n_next <= BATCH_MAX) {
		STAILQ_CONCAT(&s->batch, &s->next);
		s->n_next = 0;
	} else {
		for (size_t i = 0; i < BATCH_MAX; i++) {
			struct op *op = STAILQ_FIRST(&s->next);

			STAILQ_REMOVE_HEAD(&s->next, next);
			STAILQ_INSERT_TAIL(&s->batch, op, next);
		}
		s->n_next -= BATCH_MAX;
	}
	s->given = true;
	s->busy = true;
	(void)pthread_cond_signal(&s->ready);
	(void)pthread_mutex_unlock(&s->lock);
}

/* ---- answers ---- */

/* TASK is on disk. In memory it goes only if none that waits on disk is before it. */
static void answer_submit(struct store *s, struct op *op)
{
	struct pool *pool = s->queue.pool;
	struct task *task = op->task;

	if (op->error) {
		pool_accepted(pool, task, EIO, s->text);
		return;
	}
	pool_accepted(pool, task, 0, NULL);
	if (task->priority || (!s->on_disk && pool->ready.n < DIRECT_MAX)) {
		if (!task->priority)
			s->cursor = task->id;
		pool_ready(pool, task);
		return;
	}
	s->on_disk++;
	pool_unload(pool, task);
}

static void answer_load(struct store *s, struct op *op)
{
	struct pool *pool = s->queue.pool;

	pool->wanting = false;
	s->on_disk -= op->n < s->on_disk ? op->n : s->on_disk;
	if (!op->n)
		s->on_disk = 0;
	for (size_t i = 0; i < op->n; i++) {
		struct task *task = task_table_find(&pool->tasks, op->tasks[i]->id);

		s->cursor = op->tasks[i]->id;
		if (task) {
			task_free(op->tasks[i]);
			if (task->recording || task->place != PLACE_NONE)
				continue;
		} else {
			task = op->tasks[i];
			if (task_table_add(&pool->tasks, task) < 0) {
				task_free(task);
				continue;
			}
		}
		pool_ready(pool, task);
	}
	free(op->tasks);
	op->tasks = NULL;
	op->n = 0;
}

static void answer_finish(struct store *s, struct op *op)
{
	s->kept += op->changed;
	pool_recorded(s->queue.pool, op->task, op->result, op->changed);
}

static void answer_request(struct store *s, struct op *op)
{
	struct pool *pool = s->queue.pool;
	struct queue_request *q = op->request;
	struct task *task;

	if ((q->kind == REQUEST_FETCH || q->kind == REQUEST_FORGET) && op->changed)
		s->kept--;
	if (q->kind == REQUEST_FORGET && !op->changed && !q->error)
		q->error = -EBUSY;
	if (q->kind == REQUEST_CANCEL_ALL) {
		s->on_disk = 0;
		s->kept += op->n;
	}
	if (q->kind == REQUEST_CANCEL && !q->error) {
		s->kept++;
		if (s->on_disk && q->id > s->cursor)
			s->on_disk--;
		/* A submitter may have it in memory, or it was loaded just before. */
		task = task_table_find(&pool->tasks, q->id);
		if (task && task->place == PLACE_NONE && !task->recording && q->n_tasks && q->tasks[0]->result)
			pool_delivered(pool, task, q->tasks[0]->result);
		else if (task)
			(void)pool_cancel(pool, q->id);
	}
	if (q->kind == REQUEST_RETRY && !q->error && q->n_tasks) {
		task = q->tasks[0];
		q->n_tasks = 0;
		s->kept--;
		task->retries = (uint16_t)(task->attempts + task->retries);
		if (task_key(task))
			(void)unique_set(pool->uniques, task_key(task), task->id);
		if (task_table_add(&pool->tasks, task) == 0)
			pool_ready(pool, task);
		else
			task_free(task);
	}
	q->done(q);
}

static void answer(struct store *s, struct op *op)
{
	switch (op->kind) {
	case OP_SUBMIT:
		answer_submit(s, op);
		break;
	case OP_FINISH:
		answer_finish(s, op);
		break;
	case OP_CLAIM:
		pool_claimed(s->queue.pool, op->task, op->changed);
		break;
	case OP_FORGET:
		if (op->changed && s->kept)
			s->kept--;
		break;
	case OP_TRIM:
	case OP_EXPIRE:
		s->trimming = s->trimming && op->kind != OP_TRIM;
		s->kept -= op->n < s->kept ? op->n : s->kept;
		op->n = 0;
		break;
	case OP_LOAD:
		answer_load(s, op);
		break;
	case OP_REQUEST:
		answer_request(s, op);
		break;
	case OP_RESERVE:
		break;
	}
}

/* Too many results that nobody fetches. Those of open maps are counted too, but go at once. */
static void trim(struct store *s)
{
	unsigned long long most = (unsigned long long)s->queue.pool->settings.pool.keep_results;
	struct op *op;

	if (s->trimming || s->kept <= most + TRIM_STEP + s->n_next)
		return;
	op = sqlite_op_add(s, OP_TRIM, 0);
	if (!op)
		return;
	op->limit = (size_t)(s->kept - most - s->n_next);
	s->trimming = true;
}

/* The transaction failed: submissions are refused, the rest is tried again after a moment. */
static void batch_failed(struct store *s, struct op_list *batch)
{
	struct op_list rest = STAILQ_HEAD_INITIALIZER(rest);
	char text[400];
	size_t n = 0;
	struct op *op;

	(void)snprintf(text, sizeof text, "queue %s: %s", s->queue.pool->settings.pool.queue, s->text);
	pool_trouble(s->queue.pool, text);
	while ((op = STAILQ_FIRST(batch))) {
		STAILQ_REMOVE_HEAD(batch, next);
		if (op->kind != OP_SUBMIT) {
			STAILQ_INSERT_TAIL(&rest, op, next);
			n++;
			continue;
		}
		op->error = EIO;
		answer(s, op);
		sqlite_op_free(op);
	}
	STAILQ_CONCAT(&rest, &s->next);
	STAILQ_CONCAT(&s->next, &rest);
	s->n_next += n;
	s->paused = true;
	ev_timer_set(&s->again, retry_pause, 0);
	ev_timer_start(s->queue.pool->loop, &s->again);
}

void sqlite_batch_done(struct ev_loop *loop, ev_async *async, int events)
{
	struct store *s = async->data;
	struct op_list batch = STAILQ_HEAD_INITIALIZER(batch);
	struct op *op;
	int error;

	(void)loop;
	(void)events;
	(void)pthread_mutex_lock(&s->lock);
	if (!s->finished) {
		(void)pthread_mutex_unlock(&s->lock);
		return;
	}
	STAILQ_CONCAT(&batch, &s->batch);
	s->finished = false;
	error = s->error;
	(void)pthread_mutex_unlock(&s->lock);
	s->busy = false;
	if (error) {
		batch_failed(s, &batch);
		return;
	}
	pool_trouble(s->queue.pool, NULL);
	/* The thread has work again while we go through the answers. */
	sqlite_give(s);
	while ((op = STAILQ_FIRST(&batch))) {
		STAILQ_REMOVE_HEAD(&batch, next);
		answer(s, op);
		sqlite_op_free(op);
	}
	trim(s);
}
