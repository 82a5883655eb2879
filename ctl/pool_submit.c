/* Single tasks: submit, result, tasks, cancel, retry, forget. */
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "pool.h"

static void set(json_t *object, const char *key, json_t *value)
{
	(void)json_object_set_new(object, key, value);
}

/* Words as JSON, or as base64 of the words with NUL between them where JSON cannot carry them. */
static void set_words(json_t *task, int argc, char **argv)
{
	json_t *args = json_array();
	size_t length = 0, n = 0;
	_cleanup_(freep) char *bytes = NULL, *text = NULL;
	bool good = true;

	for (int i = 0; i < argc; i++) {
		length += strlen(argv[i]) + 1;
		good = good && json_array_append_new(args, json_string(argv[i])) == 0;
	}
	if (good) {
		set(task, "args", args);
		return;
	}
	json_decref(args);
	bytes = malloc(length);
	for (int i = 0; bytes && i < argc; n += strlen(argv[i]) + 1, i++)
		memcpy(bytes + n, argv[i], strlen(argv[i]) + 1);
	text = bytes ? base64_encode(bytes, length - 1) : NULL;
	if (text)
		set(task, "data", json_string(text));
}

/* Wait for task ID, print what it printed, exit as it did. */
static void print_result(struct ctl *ctl, struct varlink_client *client, long long id, double timeout, bool keep)
{
	json_t *parameters = json_pack("{s:I, s:b}", "id", (json_int_t)id, "keep", (int)keep);
	json_t *reply, *task;
	int status;

	if (timeout >= 0)
		set(parameters, "timeout", json_real(timeout));
	reply = pool_call(ctl, client, "Result", parameters);
	if (!reply)
		return;
	task = json_object_get(reply, "task");
	if (!ctl_json(ctl, task)) {
		status = pool_print_output(task);
		if (status)
			ctl_fail(ctl, status);
	}
	json_decref(reply);
}

void command_submit(struct ctl *ctl, int argc, char **argv)
{
	const char *unique = NULL;
	long long priority = 0, retries = -1, id;
	double timeout = -1;
	bool wait = false;
	const struct option_row rows[] = {
		{ "--wait", OPTION_FLAG, &wait, NULL, "Wait for its end, print its output and exit as it did." },
		{ "--unique", OPTION_TEXT, &unique, "KEY", "Add nothing while an unfinished task has the same key." },
		{ "--priority", OPTION_NUMBER, &priority, "N", "Before tasks with lower numbers." },
		{ "--retries", OPTION_NUMBER, &retries, "N", "How often it is tried again, instead of the pool's." },
		{ "--timeout", OPTION_SECONDS, &timeout, "S", "How long it may run, instead of the pool's." },
		{ 0 },
	};
	int n = pool_options(ctl, rows, argc, argv);
	struct varlink_client *client;
	json_t *task, *reply;

	if (n < 1) {
		if (n == 0)
			pool_fail(ctl, CTL_USAGE, "submit: which pool?");
		return;
	}
	client = pool_connect(ctl, argv[0]);
	if (!client)
		return;
	task = json_pack("{s:I}", "priority", (json_int_t)priority);
	if (retries >= 0)
		set(task, "retries", json_integer(retries));
	if (timeout >= 0)
		set(task, "timeout", json_real(timeout));
	if (unique)
		set(task, "unique", json_string(unique));
	set_words(task, n - 1, argv + 1);
	reply = pool_call(ctl, client, "Submit", json_pack("{s:[o]}", "tasks", task));
	if (reply) {
		id = json_integer_value(json_array_get(json_object_get(reply, "ids"), 0));
		if (wait)
			print_result(ctl, client, id, -1, false);
		else if (!ctl_json(ctl, reply))
			(void)printf("%s:%lld\n", argv[0], id);
	}
	json_decref(reply);
	varlink_client_free(client);
}

void command_result(struct ctl *ctl, int argc, char **argv)
{
	double timeout = -1;
	bool keep = false;
	const struct option_row rows[] = {
		{ "--timeout", OPTION_SECONDS, &timeout, "S", "Wait no longer; then exit with 124." },
		{ "--keep", OPTION_FLAG, &keep, NULL, "Keep the result: it can be fetched again." },
		{ 0 },
	};
	int n = pool_options(ctl, rows, argc, argv);

	for (int i = 0; i < n; i++) {
		_cleanup_(freep) char *pool = NULL;
		struct varlink_client *client;
		long long id;

		if (pool_task_name(ctl, argv[i], &pool, &id) < 0)
			return;
		client = pool_connect(ctl, pool);
		if (client)
			print_result(ctl, client, id, timeout, keep);
		varlink_client_free(client);
	}
}

void command_tasks(struct ctl *ctl, int argc, char **argv)
{
	json_t *states = json_array();
	long long limit = 1000;
	const struct option_row rows[] = {
		{ "--state", OPTION_LIST, states, "STATE", "Only tasks in this state; may be given several times." },
		{ "--limit", OPTION_NUMBER, &limit, "N", "At most so many (1000)." },
		{ 0 },
	};
	int n = pool_options(ctl, rows, argc, argv);
	struct varlink_client *client = n == 1 ? pool_connect(ctl, argv[0]) : NULL;
	json_t *reply = NULL, *tasks;

	if (n == 0 || n > 1)
		pool_fail(ctl, CTL_USAGE, "tasks: give the name of one pool");
	if (client)
		reply = pool_call(ctl, client, "List", json_pack("{s:O, s:I}", "states", states, "limit", (json_int_t)limit));
	tasks = json_object_get(reply, "tasks");
	if (reply && !ctl_json(ctl, reply)) {
		for (size_t i = 0; i < json_array_size(tasks); i++)
			pool_print_task(argv[0], json_array_get(tasks, i));
		if (json_is_true(json_object_get(reply, "more")))
			(void)puts("...");
	}
	json_decref(reply);
	json_decref(states);
	varlink_client_free(client);
}

/* METHOD for each task, one call each. REFUSED: what to say of those it does not apply to. */
static void for_tasks(struct ctl *ctl, int argc, char **argv, const char *method, const char *refused)
{
	for (int i = 0; i < argc; i++) {
		_cleanup_(freep) char *pool = NULL;
		struct varlink_client *client;
		json_t *reply = NULL;
		long long id;

		if (pool_task_name(ctl, argv[i], &pool, &id) < 0)
			return;
		client = pool_connect(ctl, pool);
		if (client)
			reply = pool_call(ctl, client, method, json_pack("{s:[I]}", "ids", (json_int_t)id));
		if (reply && json_array_size(json_object_get(reply, "unknown")))
			pool_fail(ctl, CTL_GENERIC, "%s: %s", argv[i], refused);
		else if (reply && strcmp(method, "Retry") == 0)
			(void)printf("%s:%lld\n", pool, (long long)json_integer_value(json_array_get(json_object_get(reply, "ids"), 0)));
		json_decref(reply);
		varlink_client_free(client);
	}
}

void command_cancel(struct ctl *ctl, int argc, char **argv)
{
	for_tasks(ctl, argc, argv, "Cancel", "no such task, or it has ended");
}

void command_retry(struct ctl *ctl, int argc, char **argv)
{
	for_tasks(ctl, argc, argv, "Retry", "no such task, or it has not failed");
}

void command_forget(struct ctl *ctl, int argc, char **argv)
{
	for_tasks(ctl, argc, argv, "Forget", "no such task, or it has not ended");
}
