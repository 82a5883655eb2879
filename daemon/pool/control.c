/* See control.h. */
#include "control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "job.h"
#include "questions.h"
#include "queue.h"
#include "slots.h"
#include "status.h"
#include "unique.h"
#include "base/base64.h"
#include "conf/value.h"
#include "varlink/interfaces.h"
#include "varlink/varlink.h"
#include "wait.h"

#define INTERFACE "io.reeve.Pool"

enum { LIST_DEFAULT = 1000, PRIORITY_MAX = 30000, RETRIES_MAX = 10000 };

enum access { ACCESS_READ, ACCESS_OPERATE, ACCESS_ADMIN };

static const char *const access_names[] = { [ACCESS_READ] = "read", [ACCESS_OPERATE] = "operate", [ACCESS_ADMIN] = "admin" };

struct control {
	struct pool *pool;
	struct varlink_server *server;
	struct varlink_service service;
	struct waits *waits;
	int listen_fd;
};

/* ---- replies ---- */

void control_error(struct varlink_call *call, const char *name, const char *text)
{
	char full[64];

	(void)snprintf(full, sizeof full, INTERFACE ".%s", name);
	(void)varlink_error(call, full, json_pack("{s:s}", "text", text));
}

/* ---- parameters ---- */

/* An optional number. False: PARAMETERS has something else there, which has been answered. */
static bool get_number(struct varlink_call *call, const json_t *parameters, const char *name, double least, double most,
		       double *ret)
{
	const json_t *value = json_object_get(parameters, name);

	if (!value || json_is_null(value))
		return true;
	if (!json_is_number(value) || !(json_number_value(value) >= least && json_number_value(value) <= most)) {
		(void)varlink_invalid_parameter(call, name);
		return false;
	}
	*ret = json_number_value(value);
	return true;
}

/* The array `ids`; n <= the message's size. NULL: answered. free() it. */
static uint64_t *get_ids(struct varlink_call *call, const json_t *parameters, size_t *ret_n)
{
	const json_t *array = json_object_get(parameters, "ids");
	size_t n = json_array_size(array);
	uint64_t *ids = json_is_array(array) ? malloc((n + 1) * sizeof *ids) : NULL;

	for (size_t i = 0; ids && i < n; i++) {
		const json_t *id = json_array_get(array, i);

		if (!json_is_integer(id)) {
			free(ids);
			ids = NULL;
			break;
		}
		ids[i] = (uint64_t)json_integer_value(id);
	}
	if (!ids)
		(void)varlink_invalid_parameter(call, "ids");
	*ret_n = n;
	return ids;
}

static bool refuses(struct pool *pool, struct varlink_call *call)
{
	struct error err;

	if (pool_accepts(pool, &err) == 0)
		return false;
	control_error(call, "Closed", err.text);
	return true;
}

/* ---- Submit ---- */

struct submission {
	struct varlink_call *call;
	uint64_t *ids;			/* owned */
	size_t n, waiting;
	char refused[256];
};

static void submission_end(struct submission *s)
{
	json_t *ids;

	if (--s->waiting)
		return;
	if (s->refused[0]) {
		control_error(s->call, "Unavailable", s->refused);
	} else {
		ids = json_array();
		for (size_t i = 0; i < s->n; i++)
			(void)json_array_append_new(ids, json_integer((json_int_t)s->ids[i]));
		(void)varlink_reply(s->call, json_pack("{s:o}", "ids", ids));
	}
	free(s->ids);
	free(s);
}

void submission_accepted(struct submission *s, uint64_t index, uint64_t id, const char *refused)
{
	s->ids[index] = id;
	if (refused)
		(void)snprintf(s->refused, sizeof s->refused, "%s", refused);
	submission_end(s);
}

/* The words of a Submission as the task holds them: NUL between them. NULL with ERR. */
static char *get_words(const json_t *one, size_t *ret_length, bool *ret_bare, struct error *err)
{
	const json_t *args = json_object_get(one, "args");
	const char *data = json_string_value(json_object_get(one, "data"));
	size_t n = json_array_size(args), length = 0, at = 0;
	char *words;

	*ret_bare = false;
	if (data) {
		words = base64_decode(data, ret_length);
		if (!words)
			(void)error_set(err, EINVAL, "data: is no base64");
		return words;
	}
	*ret_bare = n == 0;
	for (size_t i = 0; i < n; i++) {
		if (!json_is_string(json_array_get(args, i))) {
			(void)error_set(err, EINVAL, "args: must be strings");
			return NULL;
		}
		length += json_string_length(json_array_get(args, i)) + 1;
	}
	words = malloc(length + 1);
	for (size_t i = 0; words && i < n; i++) {
		const json_t *word = json_array_get(args, i);

		memcpy(words + at, json_string_value(word), json_string_length(word));
		at += json_string_length(word);
		words[at++] = '\0';
	}
	*ret_length = at ? at - 1 : 0;
	return words;
}

static bool get_options(struct varlink_call *call, const struct pool *pool, const json_t *from, struct job_options *ret)
{
	double priority = 0, retries = (double)pool->settings.pool.retries, timeout = pool->settings.pool.timeout;

	if (!get_number(call, from, "priority", -PRIORITY_MAX, PRIORITY_MAX, &priority) ||
	    !get_number(call, from, "retries", 0, RETRIES_MAX, &retries) ||
	    !get_number(call, from, "timeout", 0, 1e9, &timeout))
		return false;
	ret->priority = (int)priority;
	ret->retries = (unsigned)retries;
	ret->timeout = timeout;
	return true;
}

/* One checked task of a Submission, or NULL after an answer. */
static struct task *read_submission(struct varlink_call *call, struct pool *pool, const json_t *one)
{
	const char *key = json_string_value(json_object_get(one, "unique"));
	struct job_options options = { 0 };
	struct error err = { 0 };
	struct task *task = NULL;
	size_t length = 0;
	bool bare;
	char *words;

	if (!json_is_object(one)) {
		(void)varlink_invalid_parameter(call, "tasks");
		return NULL;
	}
	if (!get_options(call, pool, one, &options))
		return NULL;
	words = get_words(one, &length, &bare, &err);
	if (words && pool_check(pool, words, length, &err) == 0)
		task = task_new(words, length, bare, key);
	free(words);
	if (!task) {
		control_error(call, err.code == EMSGSIZE ? "TooLarge" : "BadTask", err.code ? err.text : "out of memory");
		return NULL;
	}
	task->priority = (int16_t)options.priority;
	task->retries = (uint16_t)options.retries;
	task->timeout = (float)options.timeout;
	return task;
}

static void submit_all(struct pool *pool, struct submission *s, struct task **tasks)
{
	for (size_t i = 0; i < s->n; i++) {
		const char *key = task_key(tasks[i]);
		uint64_t id = key && !pool->queue->ops->shared ? unique_find(pool->uniques, key) : 0;

		tasks[i]->index = i;
		if (!id) {
			pool_submit(pool, tasks[i], s);
			continue;
		}
		task_free(tasks[i]);
		submission_accepted(s, i, id, id == UINT64_MAX ? "a task with this key is being submitted just now" : NULL);
	}
}

static void method_submit(struct varlink_call *call, json_t *parameters, void *data)
{
	struct pool *pool = ((struct control *)data)->pool;
	const json_t *list = json_object_get(parameters, "tasks");
	size_t n = json_array_size(list), read = 0;
	struct submission *s;
	struct task **tasks;

	if (refuses(pool, call))
		return;
	if (!json_is_array(list)) {
		(void)varlink_invalid_parameter(call, "tasks");
		return;
	}
	tasks = calloc(n + 1, sizeof(struct task *));
	s = calloc(1, sizeof *s);
	if (s)
		s->ids = calloc(n + 1, sizeof *s->ids);
	while (tasks && s && s->ids && read < n && (tasks[read] = read_submission(call, pool, json_array_get(list, read))))
		read++;
	if (!tasks || !s || !s->ids || read < n) {
		for (size_t i = 0; i < read; i++)
			task_free(tasks[i]);
		if (!tasks || !s || !s->ids)
			control_error(call, "Unavailable", "out of memory");
		if (s)
			free(s->ids);
		free(s);
		free(tasks);
		return;
	}
	s->call = call;
	s->n = n;
	s->waiting = n + 1;	/* one for ourselves: not to end before all are submitted */
	submit_all(pool, s, tasks);
	free(tasks);
	submission_end(s);
}

/* ---- Map ---- */

static void method_map(struct varlink_call *call, json_t *parameters, void *data)
{
	struct pool *pool = ((struct control *)data)->pool;
	size_t least = 4 * (size_t)pool->settings.pool.workers * (size_t)pool->settings.pool.window;
	double chunk = 0, inflight = least > 1024 ? (double)least : 1024;
	struct job_options options = { .detach = json_is_true(json_object_get(parameters, "detach")) };
	struct varlink_upgraded connection;
	json_t *reply;

	if (refuses(pool, call))
		return;
	if (pool->fatal) {
		control_error(call, "Fatal", pool->trouble);
		return;
	}
	if (!varlink_call_upgrade(call)) {
		control_error(call, "BadTask", "Map must be called with \"upgrade\"");
		return;
	}
	if (!get_options(call, pool, parameters, &options) || !get_number(call, parameters, "chunk", 0, 1e9, &chunk) ||
	    !get_number(call, parameters, "inflight", 1, 1e6, &inflight))
		return;
	options.chunk = (uint32_t)chunk;
	options.inflight = (size_t)inflight;
	reply = json_pack("{s:s, s:s, s:I, s:I, s:I}", "name", pool->settings.name, "mode", pool_mode_name(pool->settings.pool.mode),
			  "workers", (json_int_t)pool->settings.pool.workers, "inflight", (json_int_t)options.inflight, "job",
			  (json_int_t)++pool->last_job);
	if (varlink_reply_upgrade(call, reply, &connection) == 0)
		(void)job_new(pool, &options, &connection);
}

/* ---- results ---- */

static void method_result(struct varlink_call *call, json_t *parameters, void *data)
{
	struct control *c = data;
	const json_t *id = json_object_get(parameters, "id");
	double timeout = -1;
	uint64_t number;

	if (!json_is_integer(id)) {
		(void)varlink_invalid_parameter(call, "id");
		return;
	}
	if (!get_number(call, parameters, "timeout", 0, 1e9, &timeout))
		return;
	number = (uint64_t)json_integer_value(id);
	waits_add(c->waits, call, &number, 1, timeout,
		  json_is_true(json_object_get(parameters, "keep")) ? WAIT_RESULT_KEEP : WAIT_RESULT);
}

static void method_wait(struct varlink_call *call, json_t *parameters, void *data)
{
	struct control *c = data;
	double timeout = -1;
	size_t n;
	uint64_t *ids = get_ids(call, parameters, &n);

	if (!ids)
		return;
	if (get_number(call, parameters, "timeout", 0, 1e9, &timeout))
		waits_add(c->waits, call, ids, n, timeout, WAIT_ALL);
	free(ids);
}

bool control_ended(struct control *c, const struct task *task, const struct result *result)
{
	return waits_ended(c->waits, task, result);
}

/* ---- by ids ---- */

static void for_ids(struct varlink_call *call, json_t *parameters, struct control *c,
		    void (*ask)(struct pool *pool, struct waits *waits, struct varlink_call *call, const uint64_t *ids, size_t n))
{
	size_t n;
	uint64_t *ids = get_ids(call, parameters, &n);

	if (ids)
		ask(c->pool, c->waits, call, ids, n);
	free(ids);
}

static void method_cancel(struct varlink_call *call, json_t *parameters, void *data)
{
	for_ids(call, parameters, data, question_cancel);
}

static void method_retry(struct varlink_call *call, json_t *parameters, void *data)
{
	if (!refuses(((struct control *)data)->pool, call))
		for_ids(call, parameters, data, question_retry);
}

static void method_forget(struct varlink_call *call, json_t *parameters, void *data)
{
	for_ids(call, parameters, data, question_forget);
}

static void method_list(struct varlink_call *call, json_t *parameters, void *data)
{
	struct control *c = data;
	double limit = LIST_DEFAULT;

	if (get_number(call, parameters, "limit", 0, LIST_MAX, &limit))
		question_list(c->pool, c->waits, call, json_object_get(parameters, "states"), (size_t)limit);
}

/* ---- the pool as a whole ---- */

static void method_pause(struct varlink_call *call, json_t *parameters, void *data)
{
	(void)parameters;
	pool_pause(((struct control *)data)->pool, true);
	(void)varlink_reply(call, NULL);
}

static void method_resume(struct varlink_call *call, json_t *parameters, void *data)
{
	(void)parameters;
	pool_pause(((struct control *)data)->pool, false);
	(void)varlink_reply(call, NULL);
}

static void method_close(struct varlink_call *call, json_t *parameters, void *data)
{
	(void)parameters;
	pool_close(((struct control *)data)->pool);
	(void)varlink_reply(call, NULL);
}

static void method_open(struct varlink_call *call, json_t *parameters, void *data)
{
	struct pool *pool = ((struct control *)data)->pool;

	(void)parameters;
	if (pool->state == POOL_TERMINATING) {
		control_error(call, "StillRunning", "the pool is being terminated");
		return;
	}
	pool_open(pool);
	(void)varlink_reply(call, NULL);
}

static void wait_for_pool(struct varlink_call *call, json_t *parameters, struct control *c, enum pool_wait kind, size_t count)
{
	double timeout = -1;

	if (get_number(call, parameters, "timeout", 0, 1e9, &timeout))
		waits_pool(c->waits, call, kind, timeout, count);
}

static void method_drain(struct varlink_call *call, json_t *parameters, void *data)
{
	wait_for_pool(call, parameters, data, WAIT_DRAINED, 0);
}

static void method_join(struct varlink_call *call, json_t *parameters, void *data)
{
	struct control *c = data;
	char text[256];

	if (c->pool->state == POOL_RUN) {
		(void)snprintf(text, sizeof text, "pool %s is still running; close it first", c->pool->settings.name);
		control_error(call, "StillRunning", text);
		return;
	}
	wait_for_pool(call, parameters, c, WAIT_JOINED, 0);
}

static void method_terminate(struct varlink_call *call, json_t *parameters, void *data)
{
	struct control *c = data;

	wait_for_pool(call, parameters, c, WAIT_TERMINATED, pool_terminate(c->pool));
}

static void method_resize(struct varlink_call *call, json_t *parameters, void *data)
{
	struct pool *pool = ((struct control *)data)->pool;
	double workers = -1;

	if (!get_number(call, parameters, "workers", 0, 10000, &workers))
		return;
	if (workers < 0) {
		(void)varlink_invalid_parameter(call, "workers");
		return;
	}
	pool_resize(pool, (size_t)workers);
	(void)varlink_reply(call, NULL);
}

static void method_status(struct varlink_call *call, json_t *parameters, void *data)
{
	(void)parameters;
	(void)varlink_reply(call, json_pack("{s:o}", "status", pool_status(((struct control *)data)->pool)));
}

static const struct varlink_method methods[] = {
	{ "Submit", method_submit, ACCESS_OPERATE },
	{ "Map", method_map, ACCESS_OPERATE },
	{ "Result", method_result, ACCESS_OPERATE },
	{ "Wait", method_wait, ACCESS_READ },
	{ "List", method_list, ACCESS_READ },
	{ "Cancel", method_cancel, ACCESS_OPERATE },
	{ "Retry", method_retry, ACCESS_OPERATE },
	{ "Forget", method_forget, ACCESS_OPERATE },
	{ "Pause", method_pause, ACCESS_OPERATE },
	{ "Resume", method_resume, ACCESS_OPERATE },
	{ "Drain", method_drain, ACCESS_READ },
	{ "Close", method_close, ACCESS_OPERATE },
	{ "Open", method_open, ACCESS_OPERATE },
	{ "Join", method_join, ACCESS_READ },
	{ "Terminate", method_terminate, ACCESS_OPERATE },
	{ "Resize", method_resize, ACCESS_OPERATE },
	{ "GetStatus", method_status, ACCESS_READ },
	{ 0 },
};

static const struct varlink_interface interface = { INTERFACE, varlink_io_reeve_pool, methods };
static const struct varlink_interface *const interfaces[] = { &interface, NULL };

/* ---- access ---- */

static bool in_group(const struct varlink_peer *peer, gid_t group)
{
	for (size_t i = 0; i < peer->n_groups; i++)
		if (peer->groups[i] == group)
			return true;
	return peer->gid == group;
}

static bool authorise(const struct varlink_peer *peer, const struct varlink_method *method, void *data, const char **ret_error,
		      json_t **ret_parameters)
{
	const struct settings *s = &((struct control *)data)->pool->settings;
	unsigned granted = ACCESS_READ;

	if (peer->uid == 0 || peer->uid == geteuid())
		return true;
	for (unsigned i = 0; i < ARRAY_LEN(access_names); i++)
		if (strcmp(s->access, access_names[i]) == 0)
			granted = i;
	if (s->access_group >= 0 && in_group(peer, (gid_t)s->access_group) && method->access <= granted)
		return true;
	*ret_error = INTERFACE ".PermissionDenied";
	*ret_parameters = json_pack("{s:s, s:s}", "needed", access_names[method->access], "text",
				    "ask as root, as the pool's user, or as a member of control_group");
	return false;
}

/* ---- life ---- */

void control_check(struct control *c)
{
	waits_check(c->waits);
}

void control_look(struct control *c)
{
	waits_look(c->waits);
}

int control_add(struct control *c, int fd)
{
	return varlink_server_add(c->server, fd);
}

size_t control_connections(const struct control *c)
{
	return c && c->server ? varlink_server_connections(c->server) : 0;
}

int control_open(struct pool *pool, int listen_fd, int connection, struct control **ret, struct error *err)
{
	struct control *c = calloc(1, sizeof *c);

	if (!c)
		return error_set(err, ENOMEM, "out of memory");
	c->pool = pool;
	c->listen_fd = listen_fd;
	c->service = (struct varlink_service){ .vendor = "Reeve", .product = "reeve-pool", .version = REEVE_VERSION,
					       .url = "https://varlink.org", .interfaces = interfaces, .authorise = authorise,
					       .data = c };
	c->waits = waits_new(pool);
	c->server = varlink_server_new(pool->loop, listen_fd, &c->service);
	if (!c->waits || !c->server || (connection >= 0 && control_add(c, connection) < 0)) {
		control_free(c);
		return error_set(err, ENOMEM, "out of memory");
	}
	*ret = c;
	return 0;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	varlink_server_free(c->server);
	waits_free(c->waits);
	closep(&c->listen_fd);
	free(c);
}
