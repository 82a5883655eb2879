/* See redis_parts.h. An op as a command or a script, with all its arguments. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_parts.h"

static void redis_arg_bytes(struct redis_arguments *a, const char *text, size_t length)
{
	if (a->n == (int)ARRAY_LEN(a->text))
		return;
	a->text[a->n] = text;
	a->length[a->n++] = length;
}

void redis_arg(struct redis_arguments *a, const char *text)
{
	redis_arg_bytes(a, text, strlen(text));
}

void redis_arg_script(struct redis_arguments *a, const struct store *s, enum script which, const char *n_keys)
{
	redis_arg(a, "EVALSHA");
	redis_arg(a, s->sha[which]);
	redis_arg(a, n_keys);
}

int redis_send(struct store *s, struct redis_arguments *a, redisCallbackFn *answer, void *data)
{
	return redisAsyncCommandArgv(s->connection[COMMANDS], answer, data, a->n, a->text, a->length) == REDIS_OK ? 0 : -EPIPE;
}

/* The fields of TASK as an entry. NUMBERS is room for those that are numbers. */
static void entry_arguments(struct redis_arguments *a, const struct store *s, const struct task *t, char (*numbers)[32])
{
	(void)snprintf(numbers[0], 32, "%d", t->priority);
	(void)snprintf(numbers[1], 32, "%u", t->retries);
	(void)snprintf(numbers[2], 32, "%.3f", (double)t->timeout);
	(void)snprintf(numbers[3], 32, "%.3f", t->submitted);
	redis_arg(a, "words");
	redis_arg_bytes(a, t->words, t->length);
	redis_arg(a, "from");
	redis_arg(a, s->name);
	redis_arg(a, "submitted");
	redis_arg(a, numbers[3]);
	redis_arg(a, "retries");
	redis_arg(a, numbers[1]);
	if (t->priority) {
		redis_arg(a, "priority");
		redis_arg(a, numbers[0]);
	}
	if (t->timeout > 0) {
		redis_arg(a, "timeout");
		redis_arg(a, numbers[2]);
	}
	if (t->job) {
		redis_arg(a, "job");
		redis_arg(a, "1");
	}
	if (t->bare) {
		redis_arg(a, "bare");
		redis_arg(a, "1");
	}
	if (task_key(t)) {
		redis_arg(a, "key");
		redis_arg(a, task_key(t));
	}
}

static int send_submit(struct op *op)
{
	struct store *s = op->store;
	const char *key = task_key(op->task);
	struct redis_arguments a = { .n = 0 };
	char numbers[4][32];
	REDIS_KEY(unique, "%s:unique:%s", s->place.stream, key ? key : "");

	if (key) {
		redis_arg_script(&a, s, SCRIPT_SUBMIT_UNIQUE, "2");
		redis_arg(&a, s->place.stream);
		redis_arg(&a, unique);
	} else {
		redis_arg(&a, "XADD");
		redis_arg(&a, s->place.stream);
		redis_arg(&a, "*");
	}
	entry_arguments(&a, s, op->task, numbers);
	return redis_send(s, &a, redis_op_answered, op);
}

static int send_claim(struct op *op)
{
	struct store *s = op->store;
	struct redis_arguments a = { .n = 0 };
	_cleanup_(freep) char *value = NULL;
	char entry[48];
	REDIS_KEY(claimed, "%s:claimed", s->place.stream);

	if (asprintf(&value, "%s\n%s", s->name, task_key(op->task)) < 0)
		return -ENOMEM;
	redis_arg_script(&a, s, SCRIPT_CLAIM, "2");
	redis_arg(&a, s->place.stream);
	redis_arg(&a, claimed);
	redis_arg(&a, redis_group);
	redis_arg(&a, redis_entry_id(op->task->id, entry));
	redis_arg(&a, value);
	return redis_send(s, &a, redis_op_answered, op);
}

static char *ttl_text(const struct store *s, char *buffer, size_t size)
{
	double ms = s->queue.pool->settings.pool.keep_time * 1000;

	(void)snprintf(buffer, size, "%lld", ms < 1 ? 1LL : ms > 1e14 ? 100000000000000LL : (long long)ms);
	return buffer;
}

static int send_finish(struct op *op)
{
	struct store *s = op->store;
	const struct task *task = op->task;
	uint64_t id = task->id;
	struct redis_origin origin = redis_origin_read(op->origin ? op->origin : task_key(task));
	struct redis_arguments a = { .n = 0 };
	char entry[48], ttl[32], head[64];
	size_t size = 0;
	_cleanup_(freep) char *packed = redis_pack(task, op->result, &size);
	REDIS_KEY(result_key, "%s:result:%llu", s->place.stream, (unsigned long long)id);
	REDIS_KEY(claimed, "%s:claimed", s->place.stream);
	REDIS_KEY(unique, "%s:unique:%s", s->place.stream, origin.key);
	REDIS_KEY(channel, "%s:done:%s", s->place.stream, origin.from);

	if (!packed)
		return -ENOMEM;
	(void)snprintf(head, sizeof head, "%llu %d\n", (unsigned long long)id, origin.job);
	redis_arg_script(&a, s, SCRIPT_FINISH, "4");
	redis_arg(&a, s->place.stream);
	redis_arg(&a, result_key);
	redis_arg(&a, claimed);
	redis_arg(&a, unique);
	redis_arg(&a, redis_group);
	redis_arg(&a, redis_entry_id(id, entry));
	redis_arg_bytes(&a, packed, size);
	redis_arg(&a, ttl_text(s, ttl, sizeof ttl));
	redis_arg(&a, channel);
	redis_arg(&a, head);
	redis_arg_bytes(&a, op->poison ? task->words : "", op->poison ? task->length : 0);
	return redis_send(s, &a, redis_op_answered, op);
}

static int send_lookup(struct op *op)
{
	struct store *s = op->store;
	struct redis_arguments a = { .n = 0 };
	char entry[48];
	REDIS_KEY(result_key, "%s:result:%llu", s->place.stream, (unsigned long long)op->request->id);
	REDIS_KEY(claimed, "%s:claimed", s->place.stream);

	redis_arg_script(&a, s, SCRIPT_LOOKUP, "3");
	redis_arg(&a, s->place.stream);
	redis_arg(&a, result_key);
	redis_arg(&a, claimed);
	redis_arg(&a, redis_entry_id(op->request->id, entry));
	return redis_send(s, &a, redis_op_answered, op);
}

static int send_list(struct op *op)
{
	struct redis_arguments a = { .n = 0 };
	char limit[24];

	(void)snprintf(limit, sizeof limit, "%zu", op->request->limit);
	redis_arg(&a, "XRANGE");
	redis_arg(&a, op->store->place.stream);
	redis_arg(&a, "-");
	redis_arg(&a, "+");
	redis_arg(&a, "COUNT");
	redis_arg(&a, limit);
	return redis_send(op->store, &a, redis_op_answered, op);
}

static int send_cancel(struct op *op)
{
	struct store *s = op->store;
	struct result result = { .state = TASK_CANCELLED, .ended = ev_now(s->queue.pool->loop) };
	struct redis_arguments a = { .n = 0 };
	char entry[48], ttl[32], id[24];
	_cleanup_(freep) char *packed = NULL;
	size_t size;
	REDIS_KEY(result_key, "%s:result:%llu", s->place.stream, (unsigned long long)op->request->id);

	if (!op->task)			/* it may be sent again */
		op->task = task_new("", 0, true, NULL);
	packed = op->task ? redis_pack(op->task, &result, &size) : NULL;
	if (!packed)
		return -ENOMEM;
	(void)snprintf(id, sizeof id, "%llu", (unsigned long long)op->request->id);
	redis_arg_script(&a, s, SCRIPT_CANCEL, "2");
	redis_arg(&a, s->place.stream);
	redis_arg(&a, result_key);
	redis_arg(&a, redis_group);
	redis_arg(&a, redis_entry_id(op->request->id, entry));
	redis_arg_bytes(&a, packed, size);
	redis_arg(&a, ttl_text(s, ttl, sizeof ttl));
	redis_arg(&a, id);
	return redis_send(s, &a, redis_op_answered, op);
}

static int send_request(struct op *op)
{
	switch (op->request->kind) {
	case REQUEST_LIST:
		return send_list(op);
	case REQUEST_CANCEL:
		return send_cancel(op);
	case REQUEST_RETRY:
		return op->task ? send_submit(op) : send_lookup(op);
	default:
		return send_lookup(op);
	}
}

int redis_command(struct op *op)
{
	switch (op->kind) {
	case OP_SUBMIT:
		return send_submit(op);
	case OP_CLAIM:
		return send_claim(op);
	case OP_FINISH:
		return send_finish(op);
	case OP_REQUEST:
		break;
	}
	return send_request(op);
}
