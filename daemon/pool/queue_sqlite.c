/*
 * The queue in a SQLite file. One thread owns the database. What the loop asks for during a turn is a batch; the thread carries a batch out
 * in one transaction, and its answers come back when that is on the disk: many tasks share one fsync, and the loop never waits.
 *
 * The pool has the first few thousand waiting tasks in memory; those behind `cursor` are on disk only and are loaded in the order of their
 * ids. Tasks with a priority are few, and always in memory.
 * After a crash: waiting rows run (again: at least once). With claim=yes a row is marked before its task begins, and a marked row that
 * has not ended becomes lost (at most once). The other jobs: sqlite_parts.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sqlite_parts.h"

enum {
	ID_BLOCK = 100000,		/* ids that are reserved at once, so that none is ever given twice */
	LOAD_MAX = 8192,
};

static const double expire_pause = 3600;	/* seconds between two searches for old results, at most */

static struct store *store_of(struct queue *queue)
{
	return (struct store *)queue;
}

/* ---- what the pool asks ---- */

static void store_submit(struct queue *queue, struct task *task)
{
	struct store *s = store_of(queue);
	struct op *op;

	if (s->last_id + 1 >= s->reserved) {
		s->reserved = s->last_id + ID_BLOCK;
		(void)sqlite_op_add(s, OP_RESERVE, s->reserved + 1);
	}
	op = sqlite_op_add(s, OP_SUBMIT, 0);
	if (!op) {
		pool_accepted(queue->pool, task, ENOMEM, NULL);
		return;
	}
	task->id = ++s->last_id;
	op->task = task;
}

static void store_want(struct queue *queue, size_t n)
{
	struct store *s = store_of(queue);
	struct op *op;

	if (!s->on_disk)
		return;
	op = sqlite_op_add(s, OP_LOAD, s->cursor);
	if (op) {
		op->limit = n < LOAD_MAX ? n : LOAD_MAX;
		queue->pool->wanting = true;
	}
}

static void store_claim(struct queue *queue, struct task *task)
{
	struct op *op = sqlite_op_add(store_of(queue), OP_CLAIM, task->id);

	if (op)
		op->task = task;
	else
		pool_claimed(queue->pool, task, false);
}

static void store_finish(struct queue *queue, struct task *task, const struct result *result)
{
	struct store *s = store_of(queue);
	struct op *op = sqlite_op_add(s, OP_FINISH, task->id);

	if (op)
		op->result = result_copy(result);
	if (!op || !op->result) {
		/* Not recorded: it will run again. */
		if (op)
			op->kind = OP_FORGET;
		pool_recorded(queue->pool, task, result, true);
		return;
	}
	op->task = task;
}

static void store_release(struct queue *queue, struct task *task)
{
	(void)queue;
	(void)task;	/* its row says that it waits */
}

static void store_forget(struct queue *queue, uint64_t id)
{
	(void)sqlite_op_add(store_of(queue), OP_FORGET, id);
}

static void store_ask(struct queue *queue, struct queue_request *request)
{
	struct store *s = store_of(queue);
	struct op *op = sqlite_op_add(s, OP_REQUEST, request->kind == REQUEST_CANCEL_ALL ? s->cursor : request->id);

	if (!op) {
		request->error = -ENOMEM;
		request->done(request);
		return;
	}
	op->request = request;
}

static void store_turn(struct queue *queue)
{
	sqlite_give(store_of(queue));
}

static void store_count(struct queue *queue, struct queue_counts *ret)
{
	struct store *s = store_of(queue);

	ret->queued = s->on_disk;
	ret->kept = s->kept;
}

/* ---- timers ---- */

static void try_again(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct store *s = timer->data;

	(void)loop;
	(void)events;
	s->paused = false;
	sqlite_give(s);
}

/* Now and then: the file is looked through for it. */
static void expire(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct store *s = timer->data;
	double age = s->queue.pool->settings.pool.keep_time;
	struct op *op = sqlite_op_add(s, OP_EXPIRE, 0);

	(void)events;
	if (op)
		op->before = ev_now(loop) - age;
	sqlite_give(s);
	timer->repeat = age / 4 < 1 ? 1 : age / 4 < expire_pause ? age / 4 : expire_pause;
	ev_timer_again(loop, timer);
}

/* ---- open and close ---- */

/* OP will not be carried out. */
static void refuse(struct store *s, struct op *op)
{
	sqlite_op_reset(op);
	if (op->kind == OP_SUBMIT)
		pool_accepted(s->queue.pool, op->task, EIO, s->text);
	if (op->request) {
		op->request->error = -EIO;
		op->request->done(op->request);
	}
	sqlite_op_free(op);
}

/* What was asked for last is carried out here, and answered; an answer may ask for more. */
static void finish_work(struct store *s)
{
	struct op *op;
	int rounds = 0;

	sqlite_thread_end(s);
	if (s->finished)
		sqlite_batch_done(s->queue.pool->loop, &s->done, 0);
	while (!STAILQ_EMPTY(&s->next) && rounds++ < 4) {
		STAILQ_CONCAT(&s->batch, &s->next);
		s->n_next = 0;
		s->finished = true;
		s->error = sqlite_run(s, &s->batch, s->text, sizeof s->text);
		sqlite_batch_done(s->queue.pool->loop, &s->done, 0);
	}
	while ((op = STAILQ_FIRST(&s->next))) {
		STAILQ_REMOVE_HEAD(&s->next, next);
		refuse(s, op);
	}
}

static void store_close(struct queue *queue)
{
	struct store *s = store_of(queue);

	if (s->threaded)
		finish_work(s);
	ev_async_stop(queue->pool->loop, &s->done);
	ev_timer_stop(queue->pool->loop, &s->again);
	ev_timer_stop(queue->pool->loop, &s->expire);
	sqlite_file_close(s);
	(void)pthread_mutex_destroy(&s->lock);
	(void)pthread_cond_destroy(&s->ready);
	free(s);
}

static int store_open(struct pool *pool, const char *url, struct queue **ret, struct error *err)
{
	const char *path = strchr(url, ':') + 1;
	struct store *s = calloc(1, sizeof *s);
	int r;

	if (!s)
		return error_set(err, ENOMEM, "out of memory");
	s->queue.ops = &queue_sqlite;
	s->queue.pool = pool;
	STAILQ_INIT(&s->next);
	STAILQ_INIT(&s->batch);
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_cond_init(&s->ready, NULL);
	ev_async_init(&s->done, sqlite_batch_done);
	ev_timer_init(&s->again, try_again, 0, 0);
	ev_timer_init(&s->expire, expire, 1, 0);
	s->done.data = s->again.data = s->expire.data = s;
	ev_async_start(pool->loop, &s->done);
	ev_timer_start(pool->loop, &s->expire);
	r = sqlite_file_open(s, path, err);
	if (r == 0)
		r = sqlite_thread_start(s, err);
	if (r < 0) {
		store_close(&s->queue);
		return r;
	}
	*ret = &s->queue;
	return 0;
}

const struct queue_ops queue_sqlite = {
	.name = "sqlite",
	.keeps = true,
	.durable = true,
	.open = store_open,
	.close = store_close,
	.submit = store_submit,
	.want = store_want,
	.claim = store_claim,
	.finish = store_finish,
	.release = store_release,
	.forget = store_forget,
	.ask = store_ask,
	.turn = store_turn,
	.count = store_count,
};
