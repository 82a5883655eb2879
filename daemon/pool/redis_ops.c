/*
 * See redis_parts.h. What needs an answer, from the moment it is asked for until it is answered: it waits for the connection, is sent, waits
 * again if the connection breaks.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "redis_parts.h"

struct op *redis_op_new(struct store *s, enum op_kind kind)
{
	struct op *op = calloc(1, sizeof *op);

	if (!op)
		return NULL;
	op->store = s;
	op->kind = kind;
	TAILQ_INSERT_TAIL(&s->waiting, op, link);
	return op;
}

void redis_op_free(struct op *op)
{
	TAILQ_REMOVE(op->sent ? &op->store->sent : &op->store->waiting, op, link);
	free(op->result);
	free(op->origin);
	free(op);
}

void redis_no_answer(struct redisAsyncContext *context, void *reply, void *data)
{
	struct store *s = context->data;

	(void)data;
	if (reply && s)
		s->heard = clock_now();
}

/* A submission was lost on the way: for a map it is made again (a task may then run twice, its result counts once). */
static void submit_lost(struct op *op)
{
	struct store *s = op->store;
	struct task *task = op->task;

	if (task->job && !s->closing)
		return;	/* sent again */
	redis_op_free(op);
	pool_accepted(s->queue.pool, task, EIO, "Redis cannot be reached; the task may have been accepted nevertheless");
}

static void request_failed(struct op *op, int error)
{
	struct queue_request *request = op->request;

	task_free(op->task);
	redis_op_free(op);
	request->error = error;
	request->done(request);
}

void redis_op_fail(struct op *op)
{
	if (op->kind == OP_SUBMIT)
		submit_lost(op);
	else if (op->kind == OP_REQUEST)
		request_failed(op, -EIO);
}

void redis_op_lost(struct op *op)
{
	struct store *s = op->store;

	TAILQ_REMOVE(&s->sent, op, link);
	TAILQ_INSERT_TAIL(&s->waiting, op, link);
	op->sent = false;
	redis_op_fail(op);
}

/* ---- answers ---- */

static void answered_submit(struct op *op, const redisReply *reply)
{
	struct store *s = op->store;
	struct pool *pool = s->queue.pool;
	struct task *task = op->task;
	struct result *early;
	uint64_t id;

	redis_op_free(op);
	if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && reply->element[1]->type == REDIS_REPLY_STRING) {
		id = redis_task_id(reply->element[1]->str);
		if (reply->element[0]->integer == 0) {
			pool_duplicate(pool, task, id);
			return;
		}
		task->id = id;
	} else if (reply->type == REDIS_REPLY_STRING) {
		task->id = redis_task_id(reply->str);
	} else {
		pool_accepted(pool, task, EIO, reply->type == REDIS_REPLY_ERROR ? reply->str : "Redis answered something strange");
		return;
	}
	s->total++;
	id = task->id;
	pool_accepted(pool, task, 0, NULL);
	early = redis_early_take(s, id);
	if (early)
		pool_delivered(pool, task, early);
	else
		pool_unload(pool, task);
	free(early);
}

static void answered_claim(struct op *op, const redisReply *reply)
{
	struct pool *pool = op->store->queue.pool;
	struct task *task = op->task;

	redis_op_free(op);
	pool_claimed(pool, task, reply->type == REDIS_REPLY_INTEGER && reply->integer == 1);
}

static void answered_finish(struct op *op, const redisReply *reply)
{
	struct store *s = op->store;
	struct task *task = op->task;
	struct result *result = TAKE(op->result);
	bool first = reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
	bool known = !op->origin;

	redis_op_free(op);
	s->total -= first;
	if (known)
		pool_recorded(s->queue.pool, task, result, first);
	else
		task_free(task);
	free(result);
}

static void retry_ended(struct op *op, struct task *old)
{
	struct store *s = op->store;

	/* A new entry; the request is answered when that has its id. */
	free(old->result);
	old->result = NULL;
	old->attempts = 0;
	old->state = TASK_SUBMITTED;
	op->task = old;
	TAILQ_REMOVE(&s->sent, op, link);
	TAILQ_INSERT_TAIL(&s->waiting, op, link);
	op->sent = false;
	redis_op_send(op);
}

void redis_forget_result(struct store *s, uint64_t id)
{
	if (s->ready)
		(void)redisAsyncCommand(s->connection[COMMANDS], redis_no_answer, NULL, "DEL %s:result:%llu", s->place.stream,
					(unsigned long long)id);
}

static void give_one(struct queue_request *request, struct task *task)
{
	request->tasks = malloc(sizeof(struct task *));
	if (!request->tasks) {
		task_free(task);
		request->error = -ENOMEM;
		return;
	}
	task->id = request->id;
	request->tasks[0] = task;
	request->n_tasks = 1;
}

/* LOOKUP's answer for every kind of question about one task. */
static void answered_lookup(struct op *op, const redisReply *reply)
{
	struct store *s = op->store;
	struct queue_request *request = op->request;
	struct task *task = reply->type == REDIS_REPLY_STRING ? redis_unpack(reply->str, (size_t)reply->len) :
			    reply->type == REDIS_REPLY_ARRAY  ? redis_entry_read(s, reply) :
								NULL;

	if (!task && reply->type == REDIS_REPLY_INTEGER && reply->integer == 1) {
		task = task_new("", 0, true, NULL);
		if (task)
			task->state = TASK_RUNNING;
	}
	if (!task) {
		request_failed(op, -ENOENT);
		return;
	}
	if (request->kind == REQUEST_RETRY && task_ended(task) && task->state != TASK_DONE) {
		redis_forget_result(s, request->id);
		retry_ended(op, task);
		return;
	}
	if ((request->kind == REQUEST_FETCH || request->kind == REQUEST_FORGET) && task_ended(task))
		redis_forget_result(s, request->id);
	if (request->kind == REQUEST_RETRY || (request->kind == REQUEST_FORGET && !task_ended(task)))
		request->error = -EBUSY;
	give_one(request, task);
	redis_op_free(op);
	request->done(request);
}

static void answered_retry(struct op *op, const redisReply *reply)
{
	struct queue_request *request = op->request;

	task_free(op->task);
	if (reply->type == REDIS_REPLY_STRING)
		request->id = redis_task_id(reply->str);
	else
		request->error = -EIO;
	op->store->total++;
	redis_op_free(op);
	request->done(request);
}

static void answered_list(struct op *op, const redisReply *reply)
{
	struct queue_request *request = op->request;
	const struct store *s = op->store;
	size_t n = reply->type == REDIS_REPLY_ARRAY ? reply->elements : 0;

	request->tasks = calloc(n + 1, sizeof(struct task *));
	for (size_t i = 0; request->tasks && i < n; i++) {
		const redisReply *entry = reply->element[i];
		bool whole = entry->elements == 2 && entry->element[0]->type == REDIS_REPLY_STRING;
		struct task *task = whole ? redis_entry_read(s, entry->element[1]) : NULL;

		if (!task)
			continue;
		task->id = redis_task_id(entry->element[0]->str);
		if (task_table_find(&s->queue.pool->remote, task->id))
			task->state = task_table_find(&s->queue.pool->remote, task->id)->state;
		request->tasks[request->n_tasks++] = task;
	}
	request->more = n == request->limit;
	redis_op_free(op);
	request->done(request);
}

static void answered_cancel(struct op *op, const redisReply *reply)
{
	struct store *s = op->store;
	struct queue_request *request = op->request;
	bool good = reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;

	s->total -= good;
	if (op->task)
		task_free(op->task);
	op->task = NULL;
	redis_op_free(op);
	/* Those who wait hear of it through the channel, or when they look again. */
	request->error = good ? 0 : -EBUSY;
	request->done(request);
}

void redis_op_answered(struct redisAsyncContext *context, void *data, void *private)
{
	const redisReply *reply = data;
	struct op *op = private;
	struct store *s = op->store;

	(void)context;
	if (!reply || s->tearing) {
		redis_op_lost(op);
		return;
	}
	s->heard = clock_now();
	switch (op->kind) {
	case OP_SUBMIT:
		answered_submit(op, reply);
		break;
	case OP_CLAIM:
		answered_claim(op, reply);
		break;
	case OP_FINISH:
		answered_finish(op, reply);
		break;
	case OP_REQUEST:
		if (op->request->kind == REQUEST_LIST)
			answered_list(op, reply);
		else if (op->request->kind == REQUEST_CANCEL && op->task)
			answered_cancel(op, reply);
		else if (op->request->kind == REQUEST_RETRY && op->task)
			answered_retry(op, reply);
		else
			answered_lookup(op, reply);
		break;
	}
}

void redis_op_send(struct op *op)
{
	struct store *s = op->store;

	if (!s->ready)
		return;
	TAILQ_REMOVE(&s->waiting, op, link);
	TAILQ_INSERT_TAIL(&s->sent, op, link);
	op->sent = true;
	if (redis_command(op) < 0) {
		/* The context is on its way down and has not said so yet. */
		TAILQ_REMOVE(&s->sent, op, link);
		TAILQ_INSERT_TAIL(&s->waiting, op, link);
		op->sent = false;
	}
}
