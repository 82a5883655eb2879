/* See questions.h. */
#include "questions.h"

#include <string.h>

#include "queue.h"
#include "task_json.h"
#include "unique.h"

struct question {
	struct varlink_call *call;
	struct pool *pool;
	struct waits *waits;
	json_t *good, *unknown;		/* arrays; List: tasks in good */
	json_t *states;			/* List: those wanted; owned, or NULL */
	size_t limit;
	size_t waiting;
	bool more;
	const char *reply_name;		/* of good in the reply */
};

static struct question *question_new(struct pool *pool, struct waits *waits, struct varlink_call *call, const char *reply_name)
{
	struct question *q = calloc(1, sizeof *q);

	if (!q) {
		control_error(call, "Unavailable", "out of memory");
		return NULL;
	}
	q->call = call;
	q->pool = pool;
	q->waits = waits;
	q->good = json_array();
	q->unknown = json_array();
	q->waiting = 1;
	q->reply_name = reply_name;
	return q;
}

static void question_end(struct question *q)
{
	json_t *reply;

	if (--q->waiting)
		return;
	if (strcmp(q->reply_name, "tasks") == 0) {
		json_decref(q->unknown);
		reply = json_pack("{s:o, s:b}", "tasks", q->good, "more", q->more);
	} else if (!*q->reply_name) {
		json_decref(q->good);
		reply = json_pack("{s:o}", "unknown", q->unknown);
	} else {
		reply = json_pack("{s:o, s:o}", q->reply_name, q->good, "unknown", q->unknown);
	}
	(void)varlink_reply(q->call, reply);
	json_decref(q->states);
	free(q);
}

static void by_id_answered(struct queue_request *request)
{
	struct question *q = request->data;

	(void)json_array_append_new(request->error ? q->unknown : q->good, json_integer((json_int_t)request->id));
	/* It has ended without ever being in memory: tell those who wait for it. */
	if (request->kind == REQUEST_CANCEL && !request->error)
		for (size_t i = 0; i < request->n_tasks; i++) {
			const char *key = task_key(request->tasks[i]);

			if (key)
				unique_drop(q->pool->uniques, key);
			if (request->tasks[i]->result)
				(void)waits_ended(q->waits, request->tasks[i], request->tasks[i]->result);
		}
	queue_request_free(request);
	question_end(q);
}

static void ask(struct question *q, enum request_kind kind, uint64_t id, size_t limit,
		void (*done)(struct queue_request *request))
{
	struct queue_request *request = calloc(1, sizeof *request);
	struct queue *queue = q->pool->queue;

	if (!request)
		return;
	*request = (struct queue_request){ .kind = kind, .id = id, .limit = limit, .done = done, .data = q };
	q->waiting++;
	queue->ops->ask(queue, request);
}

static void note(json_t *array, uint64_t id)
{
	(void)json_array_append_new(array, json_integer((json_int_t)id));
}

static void cancel_one(struct question *q, uint64_t id)
{
	switch (pool_cancel(q->pool, id)) {
	case CANCEL_DONE:
		note(q->good, id);
		break;
	case CANCEL_ENDED:
		note(q->unknown, id);
		break;
	case CANCEL_UNKNOWN:
		ask(q, REQUEST_CANCEL, id, 0, by_id_answered);
		break;
	}
}

static void retry_one(struct question *q, uint64_t id)
{
	struct task *task = task_table_find(&q->pool->tasks, id);

	if (!task) {
		ask(q, REQUEST_RETRY, id, 0, by_id_answered);
	} else if (task_ended(task) && task->state != TASK_DONE) {
		pool_retry(q->pool, task);
		note(q->good, id);
	} else {
		note(q->unknown, id);
	}
}

static void forget_one(struct question *q, uint64_t id)
{
	struct task *task = task_table_find(&q->pool->tasks, id);

	if (!task)
		ask(q, REQUEST_FORGET, id, 0, by_id_answered);
	else if (task_ended(task))
		pool_forget(q->pool, task);
	else
		note(q->unknown, id);
}

static void for_ids(struct question *q, const uint64_t *ids, size_t n, void (*one)(struct question *q, uint64_t id))
{
	for (size_t i = 0; q && i < n; i++)
		one(q, ids[i]);
	if (q)
		question_end(q);
}

void question_cancel(struct pool *pool, struct waits *waits, struct varlink_call *call, const uint64_t *ids, size_t n)
{
	for_ids(question_new(pool, waits, call, "cancelled"), ids, n, cancel_one);
}

void question_retry(struct pool *pool, struct waits *waits, struct varlink_call *call, const uint64_t *ids, size_t n)
{
	for_ids(question_new(pool, waits, call, "ids"), ids, n, retry_one);
}

void question_forget(struct pool *pool, struct waits *waits, struct varlink_call *call, const uint64_t *ids, size_t n)
{
	for_ids(question_new(pool, waits, call, ""), ids, n, forget_one);
}

/* ---- List ---- */

static bool state_wanted(const json_t *states, unsigned state)
{
	size_t n = json_array_size(states);

	for (size_t i = 0; i < n; i++) {
		const char *name = json_string_value(json_array_get(states, i));

		if (name && strcmp(name, task_state_name(state)) == 0)
			return true;
	}
	return n == 0;
}

static int by_id(const void *a, const void *b)
{
	const struct task *x = *(struct task *const *)a, *y = *(struct task *const *)b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static void list_answered(struct queue_request *request)
{
	struct question *q = request->data;

	for (size_t i = 0; i < request->n_tasks; i++) {
		const struct task *task = request->tasks[i];

		if (task_table_find(&q->pool->tasks, task->id) || !state_wanted(q->states, task->state))
			continue;
		if (json_array_size(q->good) < q->limit)
			(void)json_array_append_new(q->good, task_json(task, task->result, false));
		else
			q->more = true;
	}
	q->more = q->more || request->more;
	queue_request_free(request);
	question_end(q);
}

static void list_memory(struct question *q, const json_t *states, size_t limit)
{
	struct pool *pool = q->pool;
	struct task **list = malloc((pool->tasks.n + 1) * sizeof(struct task *));
	size_t n = 0;

	for (size_t i = 0; list && i < pool->tasks.size; i++)
		for (struct task *t = pool->tasks.bucket[i]; t; t = t->hash_next)
			if (state_wanted(states, t->state))
				list[n++] = t;
	if (list)
		qsort(list, n, sizeof(struct task *), by_id);
	for (size_t i = 0; i < n && i < limit; i++)
		(void)json_array_append_new(q->good, task_json(list[i], list[i]->result, false));
	q->more = n > limit;
	free(list);
}

void question_list(struct pool *pool, struct waits *waits, struct varlink_call *call, json_t *states, size_t limit)
{
	struct question *q = question_new(pool, waits, call, "tasks");

	if (!q)
		return;
	q->states = json_incref(states);
	q->limit = limit;
	list_memory(q, states, limit);
	if (json_array_size(q->good) < limit)
		ask(q, REQUEST_LIST, 0, json_array_size(states) ? LIST_MAX : limit, list_answered);
	question_end(q);
}
