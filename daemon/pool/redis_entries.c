/* See redis_parts.h. Entries of the stream become tasks of this pool. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_parts.h"

enum { READ_WAIT = 2000 };		/* ms that a read waits in Redis */

static bool is_field(const redisReply *name, const char *wanted)
{
	return name->type == REDIS_REPLY_STRING && strcmp(name->str, wanted) == 0;
}

struct task *redis_entry_read(const struct store *s, const redisReply *fields)
{
	const redisReply *words = NULL;
	const char *from = "", *job = "0", *key = "";
	_cleanup_(freep) char *origin = NULL;
	const struct pool_conf *settings = &s->queue.pool->settings.pool;
	long long priority = 0, retries = settings->retries;
	double timeout = settings->timeout, submitted = 0;
	bool bare = false;
	struct task *t;

	for (size_t i = 0; i + 1 < fields->elements; i += 2) {
		const redisReply *name = fields->element[i], *value = fields->element[i + 1];

		if (value->type != REDIS_REPLY_STRING)
			continue;
		if (is_field(name, "words"))
			words = value;
		else if (is_field(name, "from"))
			from = value->str;
		else if (is_field(name, "job"))
			job = value->str;
		else if (is_field(name, "key"))
			key = value->str;
		else if (is_field(name, "priority"))
			priority = atoll(value->str);
		else if (is_field(name, "retries"))
			retries = atoll(value->str);
		else if (is_field(name, "timeout"))
			timeout = atof(value->str);
		else if (is_field(name, "submitted"))
			submitted = atof(value->str);
		else if (is_field(name, "bare"))
			bare = true;
	}
	if (!words || asprintf(&origin, "%s\n%s\n%s", from, job, key) < 0)
		return NULL;
	t = task_new(words->str, (size_t)words->len, bare, origin);
	if (!t)
		return NULL;
	t->priority = (int16_t)(priority < -30000 ? -30000 : priority > 30000 ? 30000 : priority);
	t->retries = (uint16_t)(retries < 0 ? 0 : retries > 10000 ? 10000 : retries);
	t->timeout = (float)(timeout >= 0 && timeout < 1e9 ? timeout : 0);
	t->submitted = submitted;
	t->state = TASK_QUEUED;
	return t;
}

void redis_entry_take(struct store *s, const redisReply *id, const redisReply *fields, long long deliveries)
{
	struct pool *pool = s->queue.pool;
	struct task *task;
	struct op *op;

	if (id->type != REDIS_REPLY_STRING || fields->type != REDIS_REPLY_ARRAY ||
	    task_table_find(&pool->remote, redis_task_id(id->str)))
		return;
	task = redis_entry_read(s, fields);
	if (!task)
		return;
	task->id = redis_task_id(id->str);
	task->remote = true;
	task->attempts = (uint16_t)(deliveries > 1 ? deliveries - 1 : 0);
	if (task->retries)
		task->retries = (uint16_t)(task->retries + task->attempts);
	if (deliveries <= s->place.poison) {
		pool_ready(pool, task);
		return;
	}
	op = redis_op_new(s, OP_FINISH);
	if (op)
		op->result = result_copy(&(struct result){ .state = TASK_LOST, .attempts = (unsigned)deliveries - 1,
							   .ended = ev_now(pool->loop),
							   .why = "given up: the pools that ran it died" });
	if (!op || !op->result || !(op->origin = strdup(task_key(task)))) {
		if (op)
			redis_op_free(op);
		task_free(task);
		return;
	}
	op->task = task;
	op->poison = true;
	redis_op_send(op);
}

static void entries_read(struct redisAsyncContext *context, void *data, void *private)
{
	struct store *s = context->data;
	const redisReply *reply = data;

	(void)private;
	if (!s || s->tearing)
		return;
	s->reading = false;
	s->queue.pool->wanting = false;
	if (!reply)
		return;
	s->heard = clock_now();
	if (reply->type == REDIS_REPLY_ERROR) {
		/* The stream was deleted under us, most likely. */
		pool_trouble(s->queue.pool, reply->str);
		redisAsyncDisconnect(context);
		return;
	}
	/* [[stream, [[id, fields], ...]]], or nil after the wait */
	if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 && reply->element[0]->elements == 2) {
		const redisReply *entries = reply->element[0]->element[1];

		for (size_t i = 0; i < entries->elements; i++)
			if (entries->element[i]->elements == 2)
				redis_entry_take(s, entries->element[i]->element[0], entries->element[i]->element[1], 1);
	}
	pool_wake(s->queue.pool);
}

void redis_read_more(struct store *s)
{
	if (!s->ready || s->reading || !s->wanted || !s->connection[READER])
		return;
	s->reading = redisAsyncCommand(s->connection[READER], entries_read, NULL,
				       "XREADGROUP GROUP %s %s COUNT %lld BLOCK %d STREAMS %s >", redis_group, s->name, (long long)s->wanted,
				       READ_WAIT, s->place.stream) == REDIS_OK;
}
