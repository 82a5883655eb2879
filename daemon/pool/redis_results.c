/* See redis_parts.h. The channel that tells of the ends of tasks that this pool has submitted, and what it may have missed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_parts.h"

enum { EARLY_MAX = 10000 };		/* results kept that came before the answer to their submission */

/* A result whose submission has not been answered yet. */
struct early {
	STAILQ_ENTRY(early) next;
	uint64_t id;
	struct result *result;		/* owned */
};

struct result *redis_early_take(struct store *s, uint64_t id)
{
	struct result *result;
	struct early *e;

	STAILQ_FOREACH(e, &s->early, next)
		if (e->id == id)
			break;
	if (!e)
		return NULL;
	STAILQ_REMOVE(&s->early, e, early, next);
	s->n_early--;
	result = e->result;
	free(e);
	return result;
}

void redis_early_free(struct store *s)
{
	while (!STAILQ_EMPTY(&s->early))
		free(redis_early_take(s, STAILQ_FIRST(&s->early)->id));
}

static void keep_early(struct store *s, uint64_t id, const struct result *result)
{
	struct early *e = calloc(1, sizeof *e);

	if (e)
		e->result = result_copy(result);
	if (!e || !e->result) {
		free(e);
		return;
	}
	e->id = id;
	STAILQ_INSERT_TAIL(&s->early, e, next);
	if (++s->n_early > EARLY_MAX)
		free(redis_early_take(s, STAILQ_FIRST(&s->early)->id));
}

/* "ID JOB\n" and a packed result. */
static void result_heard(struct store *s, const char *text, size_t size)
{
	struct pool *pool = s->queue.pool;
	const char *line = memchr(text, '\n', size);
	unsigned long long id;
	struct task *task, *told;
	int job;

	if (!line || sscanf(text, "%llu %d", &id, &job) != 2)
		return;
	told = redis_unpack(line + 1, size - (size_t)(line + 1 - text));
	if (!told || !told->result) {
		task_free(told);
		return;
	}
	told->id = id;
	task = task_table_find(&pool->tasks, id);
	if (task)
		pool_delivered(pool, task, told->result);
	else if (job)
		keep_early(s, id, told->result);
	else
		pool_heard(pool, told);
	task_free(told);
}

static void recheck_done(struct queue_request *request)
{
	struct pool *pool = request->data;
	struct task *task = task_table_find(&pool->tasks, request->id);

	if (task && request->n_tasks && request->tasks[0]->result)
		pool_delivered(pool, task, request->tasks[0]->result);
	queue_request_free(request);
}

void redis_recheck(struct store *s)
{
	struct pool *pool = s->queue.pool;

	for (size_t i = 0; i < pool->tasks.size; i++)
		for (struct task *t = pool->tasks.bucket[i]; t; t = t->hash_next) {
			struct queue_request *request = task_ended(t) ? NULL : calloc(1, sizeof *request);

			if (!request)
				continue;
			*request = (struct queue_request){ .kind = REQUEST_LOOKUP, .id = t->id, .done = recheck_done, .data = pool };
			s->queue.ops->ask(&s->queue, request);
		}
}

void redis_message_heard(struct redisAsyncContext *context, void *data, void *private)
{
	struct store *s = context->data;
	const redisReply *reply = data;

	(void)private;
	if (!s || s->tearing || !reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
		return;
	s->heard = clock_now();
	if (strcmp(reply->element[0]->str, "subscribe") == 0) {
		s->subscribed = true;
		if (s->ready)
			redis_recheck(s);
	} else if (reply->element[2]->type == REDIS_REPLY_STRING) {
		result_heard(s, reply->element[2]->str, (size_t)reply->element[2]->len);
	}
}
