/*
 * See redis_parts.h. The pools that share the stream: ours tells that it lives and which tasks it still has, and takes over what a dead one
 * has left.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_parts.h"

static void counted(struct redisAsyncContext *context, void *data, void *private)
{
	struct store *s = context->data;
	const redisReply *reply = data;

	(void)private;
	if (!s || s->tearing || !reply)
		return;
	s->heard = clock_now();
	if (reply->type == REDIS_REPLY_INTEGER)
		s->total = reply->integer;
}

static void claimed_counted(struct redisAsyncContext *context, void *data, void *private)
{
	struct store *s = context->data;
	const redisReply *reply = data;

	(void)private;
	if (s && !s->tearing && reply && reply->type == REDIS_REPLY_INTEGER)
		s->total += reply->integer;
}

static void taken_over(struct redisAsyncContext *context, void *data, void *private)
{
	struct store *s = context->data;
	const redisReply *reply = data;

	(void)private;
	if (!s || s->tearing || !reply || reply->type != REDIS_REPLY_ARRAY)
		return;
	for (size_t i = 0; i < reply->elements; i++) {
		const redisReply *e = reply->element[i];

		if (e->elements == 3)
			redis_entry_take(s, e->element[0], e->element[1], e->element[2]->integer);
	}
	s->more_to_take = reply->elements > 0;
	if (reply->elements)
		pool_log(s->queue.pool, "took over %zu tasks of a pool that has ended", reply->elements);
}

static void abandoned(struct redisAsyncContext *context, void *data, void *private)
{
	struct store *s = context->data;
	const redisReply *reply = data;

	(void)private;
	if (!s || s->tearing || !reply || reply->type != REDIS_REPLY_ARRAY)
		return;
	for (size_t i = 0; i + 1 < reply->elements; i += 2) {
		const redisReply *entry = reply->element[i], *claim = reply->element[i + 1];
		const char *origin = claim->type == REDIS_REPLY_STRING ? strchr(claim->str, '\n') : NULL;
		struct op *op = entry->type == REDIS_REPLY_STRING ? redis_op_new(s, OP_FINISH) : NULL;

		if (op) {
			op->origin = strdup(origin ? origin + 1 : "");
			op->task = task_new("", 0, true, NULL);
			op->result = result_copy(&(struct result){ .state = TASK_LOST, .ended = ev_now(s->queue.pool->loop),
								   .why = "its pool ended while it ran, and it may run once only" });
		}
		if (!op || !op->origin || !op->task || !op->result) {
			if (op) {
				task_free(op->task);
				redis_op_free(op);
			}
			return;
		}
		op->task->id = redis_task_id(entry->str);
		redis_op_send(op);
	}
}

static void beat(struct store *s)
{
	struct pool *pool = s->queue.pool;
	char entries[64][48];
	struct redis_arguments a = { .n = 0 };

	for (size_t i = 0; i < pool->remote.size; i++)
		for (const struct task *t = pool->remote.bucket[i]; t; t = t->hash_next) {
			if (!a.n) {
				redis_arg_script(&a, s, SCRIPT_HEARTBEAT, "1");
				redis_arg(&a, s->place.stream);
				redis_arg(&a, redis_group);
				redis_arg(&a, s->name);
			}
			redis_arg(&a, redis_entry_id(t->id, entries[a.n]));
			if (a.n == (int)ARRAY_LEN(a.text)) {
				(void)redis_send(s, &a, redis_no_answer, NULL);
				a.n = 0;
			}
		}
	if (a.n)
		(void)redis_send(s, &a, redis_no_answer, NULL);
}

static bool may_take_over(const struct pool *pool)
{
	return !pool->paused && !pool->stopping && !pool->fatal && pool->state != POOL_TERMINATING && pool->state != POOL_ENDED;
}

void redis_take_over(struct store *s)
{
	struct pool *pool = s->queue.pool;
	size_t most = (size_t)pool->settings.pool.workers * (size_t)pool->settings.pool.window;
	struct redis_arguments a = { .n = 0 };
	char idle[32], room[32];
	REDIS_KEY(claimed, "%s:claimed", s->place.stream);

	s->more_to_take = false;
	if (!may_take_over(pool))
		return;
	if (pool->ready.n < most) {
		(void)snprintf(idle, sizeof idle, "%lld", (long long)(s->place.takeover * 1000));
		(void)snprintf(room, sizeof room, "%zu", most - pool->ready.n);
		redis_arg_script(&a, s, SCRIPT_TAKEOVER, "1");
		redis_arg(&a, s->place.stream);
		redis_arg(&a, redis_group);
		redis_arg(&a, s->name);
		redis_arg(&a, idle);
		redis_arg(&a, room);
		(void)redis_send(s, &a, taken_over, NULL);
	}
	a.n = 0;
	redis_arg_script(&a, s, SCRIPT_ABANDONED, "2");
	redis_arg(&a, s->place.stream);
	redis_arg(&a, claimed);
	(void)redis_send(s, &a, abandoned, NULL);
}

void redis_heartbeat(struct store *s)
{
	if (s->connection[COMMANDS] && clock_now() - s->heard > 3 * s->place.takeover)
		redis_lose(s, "does not answer");	/* not even while the connections are being set up */
	if (!s->ready)
		return;
	(void)redisAsyncCommand(s->connection[COMMANDS], redis_no_answer, NULL, "SET %s:pool:%s 1 PX %lld", s->place.stream, s->name,
				(long long)(s->place.takeover * 1000));
	beat(s);
	redis_take_over(s);
	(void)redisAsyncCommand(s->connection[COMMANDS], counted, NULL, "XLEN %s", s->place.stream);
	(void)redisAsyncCommand(s->connection[COMMANDS], claimed_counted, NULL, "HLEN %s:claimed", s->place.stream);
	if (s->wanted)
		redis_read_more(s);
}
