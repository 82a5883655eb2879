/*
 * The queue in a Redis stream, which any number of pools on any number of machines share: one consumer group, each pool a consumer. The
 * truth is in Redis; what this pool has fetched stays its own by heartbeats, and what a dead pool had is taken over after `takeover`
 * seconds. The first acknowledgement of a task writes its result (redis_scripts.h) and tells the pool that submitted it.
 *
 * A task has up to two lives here: the submitter's (in pool::tasks while a map waits for it) and that of the pool that runs it (in
 * pool::remote, marked `remote`; its key holds who submitted it). They may be the same process, and still meet through Redis only.
 *
 * Three connections: commands, a reader that waits for entries, and a listener for results. If one breaks all are made anew; what had no
 * answer is sent again where that does no harm.
 */
#include <errno.h>
#include <hiredis/adapters/libev.h>
#include <hiredis/async.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "pool.h"
#include "queue.h"
#include "redis_scripts.h"
#include "redis_text.h"
#include "slots.h"

enum {
	EARLY_MAX = 10000,		/* results kept that came before the answer to their submission */
	READ_WAIT = 2000,		/* ms that a read waits in Redis */
};

static const double first_pause = 0.1, longest_pause = 5;	/* seconds between attempts to connect */
static const double closing_time = 2;				/* seconds to say goodbye */
static const char group[] = "reeve";

#define X(name, text) SCRIPT_##name,
enum script { SCRIPTS(X) N_SCRIPTS };
#undef X

enum connection { COMMANDS, READER, LISTENER, N_CONNECTIONS };

enum op_kind { OP_SUBMIT, OP_CLAIM, OP_FINISH, OP_REQUEST };

/* Something that must be answered. Sent again after a new connection, unless that could do it twice. */
struct op {
	TAILQ_ENTRY(op) link;		/* store::waiting or store::sent */
	struct store *store;
	enum op_kind kind;
	bool sent;
	struct task *task;
	struct result *result;		/* FINISH: owned */
	bool poison;
	struct queue_request *request;
	uint64_t id;			/* FINISH of a task that is not here */
	char *origin;			/* of that one: owned */
};

TAILQ_HEAD(op_list, op);

/* A result whose submission has not been answered yet. */
struct early {
	STAILQ_ENTRY(early) next;
	uint64_t id;
	struct result *result;		/* owned */
};

struct store {
	struct queue queue;
	struct redis_place place;	/* where the stream is */
	char name[128];			/* of this consumer */
	redisAsyncContext *connection[N_CONNECTIONS];
	bool ready;			/* commands may be sent */
	bool subscribed;		/* results are heard */
	bool closing;
	bool tearing;			/* connections are being freed */
	char sha[N_SCRIPTS][41];
	struct op_list waiting, sent;
	STAILQ_HEAD(, early) early;
	size_t n_early;
	size_t wanted;			/* by the pool; 0: the reader rests */
	bool reading;
	bool more_to_take;		/* the last takeover found something */
	long long total;		/* unfinished tasks in Redis, as last heard */
	double pause;
	double heard;			/* monotonic: last answer */
	ev_timer again, tick;
};

static struct store *store_of(struct queue *queue)
{
	return (struct store *)queue;
}

static void op_send(struct op *op);
static void connect_all(struct store *s);

/* ---- entries ---- */

static bool is_field(const redisReply *name, const char *wanted)
{
	return name->type == REDIS_REPLY_STRING && strcmp(name->str, wanted) == 0;
}

/* The task that an entry's fields describe; anybody may have written them. NULL: no memory, or no words. */
static struct task *read_entry(const struct store *s, const redisReply *fields)
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

/* ---- sending ---- */

/* Arguments of a command, collected one by one. */
struct arguments {
	const char *text[64];
	size_t length[64];
	int n;
};

static void arg_bytes(struct arguments *a, const char *text, size_t length)
{
	if (a->n == (int)ARRAY_LEN(a->text))
		return;
	a->text[a->n] = text;
	a->length[a->n++] = length;
}

static void arg(struct arguments *a, const char *text)
{
	arg_bytes(a, text, strlen(text));
}

static void script(struct arguments *a, const struct store *s, enum script which, const char *n_keys)
{
	arg(a, "EVALSHA");
	arg(a, s->sha[which]);
	arg(a, n_keys);
}

static int send_arguments(struct store *s, struct arguments *a, redisCallbackFn *answer, void *data)
{
	return redisAsyncCommandArgv(s->connection[COMMANDS], answer, data, a->n, a->text, a->length) == REDIS_OK ? 0 : -EPIPE;
}

/* S and a suffix in a buffer of its own. */
#define KEY(name, ...)                                                                                                 \
	char name[600];                                                                                                \
	(void)snprintf(name, sizeof name, __VA_ARGS__)

/* The fields of TASK as an entry. NUMBERS is room for those that are numbers. */
static void entry_arguments(struct arguments *a, const struct store *s, const struct task *t, char (*numbers)[32])
{
	(void)snprintf(numbers[0], 32, "%d", t->priority);
	(void)snprintf(numbers[1], 32, "%u", t->retries);
	(void)snprintf(numbers[2], 32, "%.3f", (double)t->timeout);
	(void)snprintf(numbers[3], 32, "%.3f", t->submitted);
	arg(a, "words");
	arg_bytes(a, t->words, t->length);
	arg(a, "from");
	arg(a, s->name);
	arg(a, "submitted");
	arg(a, numbers[3]);
	arg(a, "retries");
	arg(a, numbers[1]);
	if (t->priority) {
		arg(a, "priority");
		arg(a, numbers[0]);
	}
	if (t->timeout > 0) {
		arg(a, "timeout");
		arg(a, numbers[2]);
	}
	if (t->job) {
		arg(a, "job");
		arg(a, "1");
	}
	if (t->bare) {
		arg(a, "bare");
		arg(a, "1");
	}
	if (task_key(t)) {
		arg(a, "key");
		arg(a, task_key(t));
	}
}

static int send_submit(struct op *op, redisCallbackFn *answer)
{
	struct store *s = op->store;
	const char *key = task_key(op->task);
	struct arguments a = { .n = 0 };
	char numbers[4][32];
	KEY(unique, "%s:unique:%s", s->place.stream, key ? key : "");

	if (key) {
		script(&a, s, SCRIPT_SUBMIT_UNIQUE, "2");
		arg(&a, s->place.stream);
		arg(&a, unique);
	} else {
		arg(&a, "XADD");
		arg(&a, s->place.stream);
		arg(&a, "*");
	}
	entry_arguments(&a, s, op->task, numbers);
	return send_arguments(s, &a, answer, op);
}

static int send_claim(struct op *op, redisCallbackFn *answer)
{
	struct store *s = op->store;
	struct arguments a = { .n = 0 };
	_cleanup_(freep) char *value = NULL;
	char entry[48];
	KEY(claimed, "%s:claimed", s->place.stream);

	if (asprintf(&value, "%s\n%s", s->name, task_key(op->task)) < 0)
		return -ENOMEM;
	script(&a, s, SCRIPT_CLAIM, "2");
	arg(&a, s->place.stream);
	arg(&a, claimed);
	arg(&a, group);
	arg(&a, redis_entry_id(op->task->id, entry));
	arg(&a, value);
	return send_arguments(s, &a, answer, op);
}

static char *ttl_text(const struct store *s, char *buffer, size_t size)
{
	double ms = s->queue.pool->settings.pool.keep_time * 1000;

	(void)snprintf(buffer, size, "%lld", ms < 1 ? 1LL : ms > 1e14 ? 100000000000000LL : (long long)ms);
	return buffer;
}

static int send_finish(struct op *op, redisCallbackFn *answer)
{
	struct store *s = op->store;
	const struct task *task = op->task;
	uint64_t id = task->id;
	struct redis_origin origin = redis_origin_read(op->origin ? op->origin : task_key(task));
	struct arguments a = { .n = 0 };
	char entry[48], ttl[32], head[64];
	size_t size = 0;
	_cleanup_(freep) char *packed = redis_pack(task, op->result, &size);
	KEY(result_key, "%s:result:%llu", s->place.stream, (unsigned long long)id);
	KEY(claimed, "%s:claimed", s->place.stream);
	KEY(unique, "%s:unique:%s", s->place.stream, origin.key);
	KEY(channel, "%s:done:%s", s->place.stream, origin.from);

	if (!packed)
		return -ENOMEM;
	(void)snprintf(head, sizeof head, "%llu %d\n", (unsigned long long)id, origin.job);
	script(&a, s, SCRIPT_FINISH, "4");
	arg(&a, s->place.stream);
	arg(&a, result_key);
	arg(&a, claimed);
	arg(&a, unique);
	arg(&a, group);
	arg(&a, redis_entry_id(id, entry));
	arg_bytes(&a, packed, size);
	arg(&a, ttl_text(s, ttl, sizeof ttl));
	arg(&a, channel);
	arg(&a, head);
	arg_bytes(&a, op->poison ? task->words : "", op->poison ? task->length : 0);
	return send_arguments(s, &a, answer, op);
}

static int send_lookup(struct op *op, redisCallbackFn *answer)
{
	struct store *s = op->store;
	struct arguments a = { .n = 0 };
	char entry[48];
	KEY(result_key, "%s:result:%llu", s->place.stream, (unsigned long long)op->request->id);
	KEY(claimed, "%s:claimed", s->place.stream);

	script(&a, s, SCRIPT_LOOKUP, "3");
	arg(&a, s->place.stream);
	arg(&a, result_key);
	arg(&a, claimed);
	arg(&a, redis_entry_id(op->request->id, entry));
	return send_arguments(s, &a, answer, op);
}

static int send_list(struct op *op, redisCallbackFn *answer)
{
	struct arguments a = { .n = 0 };
	char limit[24];

	(void)snprintf(limit, sizeof limit, "%zu", op->request->limit);
	arg(&a, "XRANGE");
	arg(&a, op->store->place.stream);
	arg(&a, "-");
	arg(&a, "+");
	arg(&a, "COUNT");
	arg(&a, limit);
	return send_arguments(op->store, &a, answer, op);
}

/* ---- ops ---- */

static struct op *op_new(struct store *s, enum op_kind kind)
{
	struct op *op = calloc(1, sizeof *op);

	if (!op)
		return NULL;
	op->store = s;
	op->kind = kind;
	TAILQ_INSERT_TAIL(&s->waiting, op, link);
	return op;
}

static void op_free(struct op *op)
{
	TAILQ_REMOVE(op->sent ? &op->store->sent : &op->store->waiting, op, link);
	free(op->result);
	free(op->origin);
	free(op);
}

static void no_answer(struct redisAsyncContext *context, void *reply, void *data)
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
	op_free(op);
	pool_accepted(s->queue.pool, task, EIO, "Redis cannot be reached; the task may have been accepted nevertheless");
}

static void request_failed(struct op *op, int error)
{
	struct queue_request *request = op->request;

	op_free(op);
	request->error = error;
	request->done(request);
}

/* The connection went before the answer came. */
static void op_lost(struct op *op)
{
	struct store *s = op->store;

	TAILQ_REMOVE(&s->sent, op, link);
	TAILQ_INSERT_TAIL(&s->waiting, op, link);
	op->sent = false;
	if (op->kind == OP_SUBMIT)
		submit_lost(op);
	else if (op->kind == OP_REQUEST)
		request_failed(op, -EIO);
}

static void answered_submit(struct op *op, const redisReply *reply)
{
	struct store *s = op->store;
	struct pool *pool = s->queue.pool;
	struct task *task = op->task;
	struct early *e;
	uint64_t id;

	op_free(op);
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
	STAILQ_FOREACH(e, &s->early, next)
		if (e->id == id)
			break;
	if (e) {
		STAILQ_REMOVE(&s->early, e, early, next);
		s->n_early--;
		pool_delivered(pool, task, e->result);
		free(e->result);
		free(e);
		return;
	}
	pool_unload(pool, task);
}

static void answered_claim(struct op *op, const redisReply *reply)
{
	struct pool *pool = op->store->queue.pool;
	struct task *task = op->task;

	op_free(op);
	pool_claimed(pool, task, reply->type == REDIS_REPLY_INTEGER && reply->integer == 1);
}

static void answered_finish(struct op *op, const redisReply *reply)
{
	struct store *s = op->store;
	struct task *task = op->task;
	struct result *result = TAKE(op->result);
	bool first = reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
	bool known = !op->origin;

	op_free(op);
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
	op_send(op);
}

static void forget_result(struct store *s, uint64_t id)
{
	if (s->ready)
		(void)redisAsyncCommand(s->connection[COMMANDS], no_answer, NULL, "DEL %s:result:%llu", s->place.stream,
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
			    reply->type == REDIS_REPLY_ARRAY  ? read_entry(s, reply) :
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
		forget_result(s, request->id);
		retry_ended(op, task);
		return;
	}
	if ((request->kind == REQUEST_FETCH || request->kind == REQUEST_FORGET) && task_ended(task))
		forget_result(s, request->id);
	if (request->kind == REQUEST_RETRY || (request->kind == REQUEST_FORGET && !task_ended(task)))
		request->error = -EBUSY;
	give_one(request, task);
	op_free(op);
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
	op_free(op);
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
		struct task *task = entry->elements == 2 ? read_entry(s, entry->element[1]) : NULL;

		if (!task)
			continue;
		task->id = redis_task_id(entry->element[0]->str);
		if (task_table_find(&s->queue.pool->remote, task->id))
			task->state = task_table_find(&s->queue.pool->remote, task->id)->state;
		request->tasks[request->n_tasks++] = task;
	}
	request->more = n == request->limit;
	op_free(op);
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
	op_free(op);
	/* Those who wait hear of it through the channel, or when they look again. */
	request->error = good ? 0 : -EBUSY;
	request->done(request);
}

static void op_answered(struct redisAsyncContext *context, void *data, void *private)
{
	const redisReply *reply = data;
	struct op *op = private;
	struct store *s = op->store;

	(void)context;
	if (!reply || s->tearing) {
		op_lost(op);
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

static int send_cancel(struct op *op)
{
	struct store *s = op->store;
	struct result result = { .state = TASK_CANCELLED, .ended = ev_now(s->queue.pool->loop) };
	struct arguments a = { .n = 0 };
	char entry[48], ttl[32], id[24];
	_cleanup_(freep) char *packed = NULL;
	size_t size;
	KEY(result_key, "%s:result:%llu", s->place.stream, (unsigned long long)op->request->id);

	op->task = task_new("", 0, true, NULL);
	packed = op->task ? redis_pack(op->task, &result, &size) : NULL;
	if (!packed)
		return -ENOMEM;
	(void)snprintf(id, sizeof id, "%llu", (unsigned long long)op->request->id);
	script(&a, s, SCRIPT_CANCEL, "2");
	arg(&a, s->place.stream);
	arg(&a, result_key);
	arg(&a, group);
	arg(&a, redis_entry_id(op->request->id, entry));
	arg_bytes(&a, packed, size);
	arg(&a, ttl_text(s, ttl, sizeof ttl));
	arg(&a, id);
	return send_arguments(s, &a, op_answered, op);
}

static int send_request(struct op *op)
{
	switch (op->request->kind) {
	case REQUEST_LIST:
		return send_list(op, op_answered);
	case REQUEST_CANCEL:
		return send_cancel(op);
	case REQUEST_RETRY:
		return op->task ? send_submit(op, op_answered) : send_lookup(op, op_answered);
	default:
		return send_lookup(op, op_answered);
	}
}

/* OP is in `waiting`. */
static void op_send(struct op *op)
{
	struct store *s = op->store;
	int r = 0;

	if (!s->ready)
		return;
	TAILQ_REMOVE(&s->waiting, op, link);
	TAILQ_INSERT_TAIL(&s->sent, op, link);
	op->sent = true;
	switch (op->kind) {
	case OP_SUBMIT:
		r = send_submit(op, op_answered);
		break;
	case OP_CLAIM:
		r = send_claim(op, op_answered);
		break;
	case OP_FINISH:
		r = send_finish(op, op_answered);
		break;
	case OP_REQUEST:
		r = send_request(op);
		break;
	}
	if (r < 0) {
		/* The context is on its way down and has not said so yet. */
		TAILQ_REMOVE(&s->sent, op, link);
		TAILQ_INSERT_TAIL(&s->waiting, op, link);
		op->sent = false;
	}
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
	op = op_new(s, OP_SUBMIT);
	if (!op) {
		pool_accepted(queue->pool, task, ENOMEM, NULL);
		return;
	}
	op->task = task;
	op_send(op);
}

static void store_claim(struct queue *queue, struct task *task)
{
	struct op *op = op_new(store_of(queue), OP_CLAIM);

	if (!op) {
		pool_claimed(queue->pool, task, false);
		return;
	}
	op->task = task;
	op_send(op);
}

static void store_finish(struct queue *queue, struct task *task, const struct result *result)
{
	struct op *op = op_new(store_of(queue), OP_FINISH);

	if (op)
		op->result = result_copy(result);
	if (!op || !op->result) {
		/* Another pool will do it again. */
		if (op)
			op_free(op);
		pool_recorded(queue->pool, task, result, false);
		return;
	}
	op->task = task;
	op_send(op);
}

static void store_release(struct queue *queue, struct task *task)
{
	struct store *s = store_of(queue);
	char entry[48];

	/* Nobody's, and idle for a day: the next pool that looks takes it. That it was here does not count as a delivery. */
	if (task->remote && s->ready && !queue->pool->settings.pool.claim)
		(void)redisAsyncCommand(s->connection[COMMANDS], no_answer, NULL,
					"XCLAIM %s %s %s 0 %s IDLE 86400000 RETRYCOUNT %u JUSTID", s->place.stream, group, s->name,
					redis_entry_id(task->id, entry), (unsigned)task->attempts);
}

static void store_forget(struct queue *queue, uint64_t id)
{
	forget_result(store_of(queue), id);
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
	op = s->ready || is_connecting(s) ? op_new(s, OP_REQUEST) : NULL;
	if (!op) {
		request->error = -EIO;
		request->done(request);
		return;
	}
	op->request = request;
	op_send(op);
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

/* ---- reading entries ---- */

static void take_entry(struct store *s, const redisReply *id, const redisReply *fields, long long deliveries)
{
	struct pool *pool = s->queue.pool;
	struct task *task;
	struct op *op;

	if (id->type != REDIS_REPLY_STRING || fields->type != REDIS_REPLY_ARRAY ||
	    task_table_find(&pool->remote, redis_task_id(id->str)))
		return;
	task = read_entry(s, fields);
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
	op = op_new(s, OP_FINISH);
	if (op)
		op->result = result_copy(&(struct result){ .state = TASK_LOST, .attempts = (unsigned)deliveries - 1,
							   .ended = ev_now(pool->loop),
							   .why = "given up: the pools that ran it died" });
	if (!op || !op->result || !(op->origin = strdup(task_key(task)))) {
		task_free(task);
		return;
	}
	op->task = task;
	op->poison = true;
	op_send(op);
}

static void read_more(struct store *s);
static void take_over(struct store *s);

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
				take_entry(s, entries->element[i]->element[0], entries->element[i]->element[1], 1);
	}
	pool_wake(s->queue.pool);
}

static void read_more(struct store *s)
{
	if (!s->ready || s->reading || !s->wanted || !s->connection[READER])
		return;
	s->reading = redisAsyncCommand(s->connection[READER], entries_read, NULL,
				       "XREADGROUP GROUP %s %s COUNT %lld BLOCK %d STREAMS %s >", group, s->name, (long long)s->wanted,
				       READ_WAIT, s->place.stream) == REDIS_OK;
}

static void store_want(struct queue *queue, size_t n)
{
	struct store *s = store_of(queue);

	s->wanted = n;
	if (s->more_to_take && s->ready)
		take_over(s);
	read_more(s);
	queue->pool->wanting = s->reading;
}

/* ---- results for what we submitted ---- */

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
	if (++s->n_early <= EARLY_MAX)
		return;
	e = STAILQ_FIRST(&s->early);
	STAILQ_REMOVE_HEAD(&s->early, next);
	s->n_early--;
	free(e->result);
	free(e);
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

/* One of our tasks may have ended while nobody listened. For this both connections must be there, whichever comes last. */
static void recheck_done(struct queue_request *request)
{
	struct pool *pool = request->data;
	struct task *task = task_table_find(&pool->tasks, request->id);

	if (task && request->n_tasks && request->tasks[0]->result)
		pool_delivered(pool, task, request->tasks[0]->result);
	queue_request_free(request);
}

static void recheck(struct store *s)
{
	struct pool *pool = s->queue.pool;

	for (size_t i = 0; i < pool->tasks.size; i++)
		for (struct task *t = pool->tasks.bucket[i]; t; t = t->hash_next) {
			struct queue_request *request = task_ended(t) ? NULL : calloc(1, sizeof *request);

			if (!request)
				continue;
			*request = (struct queue_request){ .kind = REQUEST_LOOKUP, .id = t->id, .done = recheck_done, .data = pool };
			store_ask(&s->queue, request);
		}
}

static void message_heard(struct redisAsyncContext *context, void *data, void *private)
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
			recheck(s);
	} else if (strcmp(reply->element[0]->str, "message") == 0) {
		result_heard(s, reply->element[2]->str, (size_t)reply->element[2]->len);
	}
}

/* ---- heartbeat and takeover ---- */

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
			take_entry(s, e->element[0], e->element[1], e->element[2]->integer);
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
		const char *origin = strchr(reply->element[i + 1]->str, '\n');
		struct op *op = op_new(s, OP_FINISH);

		if (op) {
			op->origin = strdup(origin ? origin + 1 : "");
			op->task = task_new("", 0, true, NULL);
			op->result = result_copy(&(struct result){ .state = TASK_LOST, .ended = ev_now(s->queue.pool->loop),
								   .why = "its pool ended while it ran, and it may run once only" });
		}
		if (!op || !op->origin || !op->task || !op->result) {
			if (op) {
				task_free(op->task);
				op_free(op);
			}
			return;
		}
		op->task->id = redis_task_id(reply->element[i]->str);
		op_send(op);
	}
}

static void beat(struct store *s)
{
	struct pool *pool = s->queue.pool;
	char entries[64][48];
	struct arguments a = { .n = 0 };

	for (size_t i = 0; i < pool->remote.size; i++)
		for (const struct task *t = pool->remote.bucket[i]; t; t = t->hash_next) {
			if (!a.n) {
				script(&a, s, SCRIPT_HEARTBEAT, "1");
				arg(&a, s->place.stream);
				arg(&a, group);
				arg(&a, s->name);
			}
			arg(&a, redis_entry_id(t->id, entries[a.n]));
			if (a.n == (int)ARRAY_LEN(a.text)) {
				(void)send_arguments(s, &a, no_answer, NULL);
				a.n = 0;
			}
		}
	if (a.n)
		(void)send_arguments(s, &a, no_answer, NULL);
}

static bool may_take_over(const struct pool *pool)
{
	return !pool->paused && !pool->stopping && !pool->fatal && pool->state != POOL_TERMINATING && pool->state != POOL_ENDED;
}

static void take_over(struct store *s)
{
	struct pool *pool = s->queue.pool;
	size_t most = (size_t)pool->settings.pool.workers * (size_t)pool->settings.pool.window;
	struct arguments a = { .n = 0 };
	char idle[32], room[32];
	KEY(claimed, "%s:claimed", s->place.stream);

	s->more_to_take = false;
	if (!may_take_over(pool))
		return;
	if (pool->ready.n < most) {
		(void)snprintf(idle, sizeof idle, "%lld", (long long)(s->place.takeover * 1000));
		(void)snprintf(room, sizeof room, "%zu", most - pool->ready.n);
		script(&a, s, SCRIPT_TAKEOVER, "1");
		arg(&a, s->place.stream);
		arg(&a, group);
		arg(&a, s->name);
		arg(&a, idle);
		arg(&a, room);
		(void)send_arguments(s, &a, taken_over, NULL);
	}
	a.n = 0;
	script(&a, s, SCRIPT_ABANDONED, "2");
	arg(&a, s->place.stream);
	arg(&a, claimed);
	(void)send_arguments(s, &a, abandoned, NULL);
}

static void lose_all(struct store *s, const char *why);

static void ticked(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct store *s = timer->data;

	(void)loop;
	(void)events;
	if (!s->ready)
		return;
	if (clock_now() - s->heard > 3 * s->place.takeover) {
		lose_all(s, "does not answer");
		return;
	}
	(void)redisAsyncCommand(s->connection[COMMANDS], no_answer, NULL, "SET %s:pool:%s 1 PX %lld", s->place.stream, s->name,
				(long long)(s->place.takeover * 1000));
	beat(s);
	take_over(s);
	(void)redisAsyncCommand(s->connection[COMMANDS], counted, NULL, "XLEN %s", s->place.stream);
	(void)redisAsyncCommand(s->connection[COMMANDS], claimed_counted, NULL, "HLEN %s:claimed", s->place.stream);
	if (s->wanted)
		read_more(s);
}

/* ---- connections ---- */

static void tear_down(struct store *s)
{
	struct op *op;

	s->ready = s->subscribed = s->reading = false;
	s->queue.pool->wanting = false;
	s->tearing = true;
	for (int i = 0; i < N_CONNECTIONS; i++) {
		redisAsyncContext *context = s->connection[i];

		s->connection[i] = NULL;
		if (context) {
			redisAsyncFree(context);	/* answers what is open with NULL */
		}
	}
	s->tearing = false;
	/* Should a context have forgotten one. */
	while ((op = TAILQ_FIRST(&s->sent)))
		op_lost(op);
}

/* What somebody waits for is not held back until Redis returns. */
static void fail_waiting(struct store *s)
{
	struct op *op, *next;

	for (op = TAILQ_FIRST(&s->waiting); op; op = next) {
		next = TAILQ_NEXT(op, link);
		if (op->kind == OP_SUBMIT)
			submit_lost(op);
		else if (op->kind == OP_REQUEST)
			request_failed(op, -EIO);
	}
}

static void lose_all(struct store *s, const char *why)
{
	char text[400];

	if (s->tearing)
		return;
	(void)snprintf(text, sizeof text, "queue %s: %s; trying again", s->place.path ? s->place.path : s->place.host, why);
	tear_down(s);
	if (s->closing)
		return;
	fail_waiting(s);
	pool_trouble(s->queue.pool, text);
	s->pause = s->pause > 0 ? fmin(s->pause * 2, longest_pause) : first_pause;
	ev_timer_stop(s->queue.pool->loop, &s->again);
	ev_timer_set(&s->again, s->pause, 0);
	ev_timer_start(s->queue.pool->loop, &s->again);
}

static void connection_gone(const redisAsyncContext *context, int status)
{
	struct store *s = context->data;

	if (!s || s->tearing)
		return;
	/* hiredis frees this one itself when we return. */
	for (int i = 0; i < N_CONNECTIONS; i++)
		if (s->connection[i] == context)
			s->connection[i] = NULL;
	lose_all(s, status == REDIS_OK || !context->errstr ? "connection closed" : context->errstr);
}

static void connection_made(const redisAsyncContext *context, int status)
{
	struct store *s = context->data;

	if (status != REDIS_OK && s)
		connection_gone(context, status);
}

/* Everything is set up: what has been waiting goes out. */
static void commands_ready(struct store *s)
{
	struct op *op, *next;

	s->ready = true;
	s->pause = 0;
	pool_trouble(s->queue.pool, NULL);
	for (op = TAILQ_FIRST(&s->waiting); op; op = next) {
		next = TAILQ_NEXT(op, link);
		op_send(op);
	}
	if (s->subscribed)
		recheck(s);
	ticked(s->queue.pool->loop, &s->tick, 0);
	read_more(s);
	pool_wake(s->queue.pool);
}

static void script_loaded(struct redisAsyncContext *context, void *data, void *private)
{
	struct store *s = context->data;
	const redisReply *reply = data;
	size_t which = (size_t)private;

	if (!reply || !s || s->tearing)
		return;
	if (reply->type != REDIS_REPLY_STRING || reply->len != 40) {
		lose_all(s, reply->type == REDIS_REPLY_ERROR ? reply->str : "a script could not be loaded");
		return;
	}
	memcpy(s->sha[which], reply->str, 41);
}

static void group_made(struct redisAsyncContext *context, void *data, void *private)
{
	struct store *s = context->data;
	const redisReply *reply = data;

	(void)private;
	if (!reply || !s || s->tearing)
		return;
	if (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "BUSYGROUP", 9) != 0) {
		lose_all(s, reply->str);
		return;
	}
	s->heard = clock_now();
	commands_ready(s);
}

static void logged_in(struct redisAsyncContext *context, void *data, void *private)
{
	struct store *s = context->data;
	const redisReply *reply = data;

	(void)private;
	if (reply && s && !s->tearing && reply->type == REDIS_REPLY_ERROR)
		lose_all(s, reply->str);
}

/* NULL: WHY says why not, in SIZE bytes. */
static redisAsyncContext *connect_one(struct store *s, char *why, size_t size)
{
	redisAsyncContext *context = s->place.path ? redisAsyncConnectUnix(s->place.path) : redisAsyncConnect(s->place.host, s->place.port);

	(void)snprintf(why, size, "cannot connect: %s", context ? context->errstr : "out of memory");
	if (!context)
		return NULL;
	context->data = s;
	if (context->err) {
		redisAsyncFree(context);
		return NULL;
	}
	(void)redisLibevAttach(s->queue.pool->loop, context);
	(void)redisAsyncSetConnectCallback(context, connection_made);
	(void)redisAsyncSetDisconnectCallback(context, connection_gone);
	if (s->place.password && *s->place.user)
		(void)redisAsyncCommand(context, logged_in, NULL, "AUTH %s %s", s->place.user, s->place.password);
	else if (s->place.password)
		(void)redisAsyncCommand(context, logged_in, NULL, "AUTH %s", s->place.password);
	if (s->place.database)
		(void)redisAsyncCommand(context, logged_in, NULL, "SELECT %d", s->place.database);
	return context;
}

static void connect_all(struct store *s)
{
#define X(name, text) text,
	static const char *const texts[] = { SCRIPTS(X) };
#undef X

	char why[200];

	for (int i = 0; i < N_CONNECTIONS; i++) {
		s->connection[i] = connect_one(s, why, sizeof why);
		if (!s->connection[i]) {
			lose_all(s, why);
			return;
		}
	}
	(void)redisAsyncCommand(s->connection[LISTENER], message_heard, NULL, "SUBSCRIBE %s:done:%s", s->place.stream, s->name);
	for (size_t i = 0; i < N_SCRIPTS; i++)
		(void)redisAsyncCommand(s->connection[COMMANDS], script_loaded, (void *)i, "SCRIPT LOAD %s", texts[i]);
	(void)redisAsyncCommand(s->connection[COMMANDS], group_made, NULL, "XGROUP CREATE %s %s 0 MKSTREAM", s->place.stream, group);
}

static void try_again(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	connect_all(timer->data);
}

/* ---- open and close ---- */

static void store_free(struct store *s)
{
	struct early *e;

	while ((e = STAILQ_FIRST(&s->early))) {
		STAILQ_REMOVE_HEAD(&s->early, next);
		free(e->result);
		free(e);
	}
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
	connect_all(s);
	return 0;
}

static void drop_op(struct op *op)
{
	if (op->kind == OP_SUBMIT || op->origin || (op->kind == OP_REQUEST && op->task))
		task_free(op->task);
	if (op->request)
		queue_request_free(op->request);
	op_free(op);
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
		(void)redisAsyncCommand(s->connection[COMMANDS], no_answer, NULL, "DEL %s:pool:%s", s->place.stream, s->name);
		redisAsyncDisconnect(s->connection[COMMANDS]);	/* when all is answered */
	}
	while (s->connection[COMMANDS] && s->ready && clock_now() < deadline) {
		ev_timer wake;

		ev_timer_init(&wake, closing_wake, 0.1, 0);
		ev_timer_start(loop, &wake);
		ev_run(loop, EVRUN_ONCE);
		ev_timer_stop(loop, &wake);
	}
	tear_down(s);
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
