/*
 * The queue in a Redis stream, which any number of pools on any number of machines share: one consumer group, each pool a consumer. The
 * truth is in Redis; what this pool has fetched stays its own by heartbeats, and what a dead pool had is taken over after `takeover`
 * seconds. The first acknowledgement of a task writes its result (redis_scripts.h) and tells the pool that submitted it.
 *
 * A task has up to two lives here: the submitter's (in pool::tasks while a map waits for it) and that of the pool that runs it (in
 * pool::remote, marked `remote`; its key holds who submitted it). They may be the same process, and still meet through Redis only.
 *
 * If one connection breaks all are made anew; what had no answer is sent again where that does no harm. The other jobs: redis_parts.h.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_parts.h"

static const double closing_time = 2;	/* seconds to say goodbye */

static struct store *store_of(struct queue *queue)
{
	return (struct store *)queue;
}

/* ---- what the pool asks ---- */

/* On the first way to Redis, or on the way back before anything has failed. */
static bool is_connecting(const struct store *s)
{
	return !s->ready && s->pause <= 0 && !s->closing;
}

static void store_submit(struct queue *queue, struct task *task)
{
	struct store *s = store_of(queue);
	struct op *op;

	if (!s->ready && !is_connecting(s) && !task->job) {
		pool_accepted(queue->pool, task, EIO, "Redis cannot be reached");
		return;
	}
	op = redis_op_new(s, OP_SUBMIT);
	if (!op) {
		pool_accepted(queue->pool, task, ENOMEM, NULL);
		return;
	}
	op->task = task;
	redis_op_send(op);
}

static void store_claim(struct queue *queue, struct task *task)
{
	struct op *op = redis_op_new(store_of(queue), OP_CLAIM);

	if (!op) {
		pool_claimed(queue->pool, task, false);
		return;
	}
	op->task = task;
	redis_op_send(op);
}

static void store_finish(struct queue *queue, struct task *task, const struct result *result)
{
	struct op *op = redis_op_new(store_of(queue), OP_FINISH);

	if (op)
		op->result = result_copy(result);
	if (!op || !op->result) {
		/* Another pool will do it again. */
		if (op)
			redis_op_free(op);
		pool_recorded(queue->pool, task, result, false);
		return;
	}
	op->task = task;
	redis_op_send(op);
}

static void store_release(struct queue *queue, struct task *task)
{
	struct store *s = store_of(queue);
	char entry[48];

	/* Nobody's, and idle for a day: the next pool that looks takes it. That it was here does not count as a delivery. */
	if (task->remote && s->ready && !queue->pool->settings.pool.claim)
		(void)redisAsyncCommand(s->connection[COMMANDS], redis_no_answer, NULL,
					"XCLAIM %s %s %s 0 %s IDLE 86400000 RETRYCOUNT %u JUSTID", s->place.stream, redis_group, s->name,
					redis_entry_id(task->id, entry), (unsigned)task->attempts);
}

static void store_forget(struct queue *queue, uint64_t id)
{
	redis_forget_result(store_of(queue), id);
}

static void store_ask(struct queue *queue, struct queue_request *request)
{
	struct store *s = store_of(queue);
	struct op *op;

	/* What is in the stream belongs to all pools: terminating one of them leaves it. */
	if (request->kind == REQUEST_CANCEL_ALL) {
		request->done(request);
		return;
	}
	op = s->ready || is_connecting(s) ? redis_op_new(s, OP_REQUEST) : NULL;
	if (!op) {
		request->error = -EIO;
		request->done(request);
		return;
	}
	op->request = request;
	redis_op_send(op);
}

static void store_turn(struct queue *queue)
{
	(void)queue;
}

static void store_count(struct queue *queue, struct queue_counts *ret)
{
	struct store *s = store_of(queue);
	const struct pool *pool = queue->pool;
	long long elsewhere = s->total - (long long)pool->remote.n;

	*ret = (struct queue_counts){ 0 };
	if (elsewhere > 0 && pool->state != POOL_TERMINATING && pool->state != POOL_ENDED && !pool->stopping)
		ret->queued = (unsigned long long)elsewhere;
}

static void store_want(struct queue *queue, size_t n)
{
	struct store *s = store_of(queue);

	s->wanted = n;
	if (s->more_to_take && s->ready)
		redis_take_over(s);
	redis_read_more(s);
	queue->pool->wanting = s->reading;
}

/* ---- open and close ---- */

static void try_again(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	redis_connect(timer->data);
}

static void ticked(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	redis_heartbeat(timer->data);
}

static void store_free(struct store *s)
{
	redis_early_free(s);
	redis_place_free(&s->place);
	free(s);
}

static int store_open(struct pool *pool, const char *url, struct queue **ret, struct error *err)
{
	struct store *s = calloc(1, sizeof *s);
	char machine[64] = "?";
	double interval;
	int r;

	if (!s)
		return error_set(err, ENOMEM, "out of memory");
	s->queue.ops = &queue_redis;
	s->queue.pool = pool;
	TAILQ_INIT(&s->waiting);
	TAILQ_INIT(&s->sent);
	STAILQ_INIT(&s->early);
	r = redis_place_read(url, pool->settings.name, &s->place, err);
	if (r < 0) {
		store_free(s);
		return r;
	}
	(void)gethostname(machine, sizeof machine - 1);
	(void)snprintf(s->name, sizeof s->name, "%s.%d.%lld", machine, (int)getpid(), (long long)(clock_wall() * 1000));
	for (char *at = s->name; *at; at++)
		if (*at <= ' ')
			*at = '_';
	interval = fmin(s->place.takeover / 5, 2);
	ev_timer_init(&s->again, try_again, 0, 0);
	ev_timer_init(&s->tick, ticked, interval, interval);
	s->again.data = s->tick.data = s;
	ev_timer_start(pool->loop, &s->tick);
	*ret = &s->queue;
	redis_connect(s);
	return 0;
}

static void drop_op(struct op *op)
{
	if (op->kind == OP_SUBMIT || op->origin || (op->kind == OP_REQUEST && op->task))
		task_free(op->task);
	if (op->request)
		queue_request_free(op->request);
	redis_op_free(op);
}

static void closing_wake(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)timer;
	(void)events;
}

static void store_close(struct queue *queue)
{
	struct store *s = store_of(queue);
	struct ev_loop *loop = queue->pool->loop;
	double deadline = clock_now() + closing_time;
	struct op *op;

	ev_timer_stop(loop, &s->tick);
	ev_timer_stop(loop, &s->again);
	s->closing = true;
	if (s->ready) {
		(void)redisAsyncCommand(s->connection[COMMANDS], redis_no_answer, NULL, "DEL %s:pool:%s", s->place.stream, s->name);
		redisAsyncDisconnect(s->connection[COMMANDS]);	/* when all is answered */
	}
	while (s->connection[COMMANDS] && s->ready && clock_now() < deadline) {
		ev_timer wake;

		ev_timer_init(&wake, closing_wake, 0.1, 0);
		ev_timer_start(loop, &wake);
		ev_run(loop, EVRUN_ONCE);
		ev_timer_stop(loop, &wake);
	}
	redis_disconnect(s);
	while ((op = TAILQ_FIRST(&s->waiting)))
		drop_op(op);
	store_free(s);
}

const struct queue_ops queue_redis = {
	.name = "redis",
	.keeps = true,
	.shared = true,
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
