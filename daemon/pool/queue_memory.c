/* The queue that is the pool's own memory: everything is accepted and recorded at once, and nothing outlives the process. */
#include <errno.h>
#include <stdlib.h>

#include "pool.h"
#include "queue.h"

struct memory {
	struct queue queue;
	uint64_t last_id;
};

static int memory_open(struct pool *pool, const char *url, struct queue **ret, struct error *err)
{
	struct memory *m = calloc(1, sizeof *m);

	(void)url;
	if (!m)
		return error_set(err, ENOMEM, "out of memory");
	m->queue.ops = &queue_memory;
	m->queue.pool = pool;
	*ret = &m->queue;
	return 0;
}

static void memory_close(struct queue *q)
{
	free(q);
}

static void memory_submit(struct queue *q, struct task *task)
{
	struct memory *m = (struct memory *)q;

	task->id = ++m->last_id;
	pool_accepted(q->pool, task, 0, NULL);
	pool_ready(q->pool, task);
}

static void memory_want(struct queue *q, size_t n)
{
	(void)q;
	(void)n;
}

static void memory_claim(struct queue *q, struct task *task)
{
	pool_claimed(q->pool, task, true);
}

static void memory_finish(struct queue *q, struct task *task, const struct result *result)
{
	pool_recorded(q->pool, task, result, true);
}

static void memory_release(struct queue *q, struct task *task)
{
	(void)q;
	(void)task;
}

static void memory_forget(struct queue *q, uint64_t id)
{
	(void)q;
	(void)id;
}

/* The pool has everything in memory, so what it does not know is not there. */
static void memory_ask(struct queue *q, struct queue_request *request)
{
	(void)q;
	request->error = request->kind == REQUEST_LIST || request->kind == REQUEST_CANCEL_ALL ? 0 : -ENOENT;
	request->done(request);
}

static void memory_turn(struct queue *q)
{
	(void)q;
}

static void memory_count(struct queue *q, struct queue_counts *ret)
{
	(void)q;
	*ret = (struct queue_counts){ 0 };
}

const struct queue_ops queue_memory = {
	.name = "memory",
	.open = memory_open,
	.close = memory_close,
	.submit = memory_submit,
	.want = memory_want,
	.claim = memory_claim,
	.finish = memory_finish,
	.release = memory_release,
	.forget = memory_forget,
	.ask = memory_ask,
	.turn = memory_turn,
	.count = memory_count,
};
