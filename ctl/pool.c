/* The commands on pools as a whole, and what all pool commands share. */
#include "pool.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define INTERFACE "io.reeve.Pool."

static const double patience = 2;	/* seconds for a pool that was not asked for by name */

void pool_fail(struct ctl *ctl, int status, const char *format, ...)
{
	va_list ap;

	(void)fflush(stdout);
	(void)fprintf(stderr, "%s: ", "reevectl");
	va_start(ap, format);
	(void)vfprintf(stderr, format, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	ctl_fail(ctl, status);
}

/* ---- options ---- */

static int set_option(struct ctl *ctl, const struct option_row *row, const char *value)
{
	char *end;

	switch (row->kind) {
	case OPTION_FLAG:
		*(bool *)row->value = true;
		return 0;
	case OPTION_TEXT:
		*(const char **)row->value = value;
		return 0;
	case OPTION_LIST:
		(void)json_array_append_new(row->value, json_string(value));
		return 0;
	case OPTION_NUMBER:
		*(long long *)row->value = strtoll(value, &end, 10);
		break;
	case OPTION_SECONDS:
		*(double *)row->value = strtod(value, &end);
		break;
	}
	if (end != value && !*end)
		return 0;
	pool_fail(ctl, CTL_USAGE, "%s %s: not a number", row->name, value);
	return -1;
}

/* The row of WORD, and the value behind a "=" in it. */
static const struct option_row *option_find(const struct option_row *rows, const char *word, const char **ret_value)
{
	size_t n = strcspn(word, "=");

	for (; rows->name; rows++)
		if (strlen(rows->name) == n && strncmp(rows->name, word, n) == 0) {
			*ret_value = word[n] ? word + n + 1 : NULL;
			return rows;
		}
	return NULL;
}

static void print_options(const struct option_row *rows)
{
	(void)printf("Options:\n");
	for (; rows->name; rows++) {
		char left[48];

		(void)snprintf(left, sizeof left, "%s%s%s", rows->name, rows->argument ? " " : "", rows->argument ? rows->argument : "");
		(void)printf("  %-28s %s\n", left, rows->help);
	}
}

int pool_options(struct ctl *ctl, const struct option_row *rows, int argc, char **argv)
{
	int n = 0, i;

	for (i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
		const char *value = NULL;
		const struct option_row *row;

		if (argv[i][0] != '-' || !argv[i][1]) {
			argv[n++] = argv[i];
			continue;
		}
		row = option_find(rows, argv[i], &value);
		if (!row && strcmp(argv[i], "--help") == 0) {
			print_options(rows);
			return -1;
		}
		if (!row) {
			pool_fail(ctl, CTL_USAGE, "%s: no such option", argv[i]);
			return -1;
		}
		if (row->kind != OPTION_FLAG && !value && !(value = argv[++i])) {
			pool_fail(ctl, CTL_USAGE, "%s: a value is missing", row->name);
			return -1;
		}
		if (set_option(ctl, row, value) < 0)
			return -1;
	}
	for (i++; i < argc; i++)
		argv[n++] = argv[i];
	return n;
}

/* ---- talking ---- */

static char *socket_path(struct ctl *ctl, const char *name)
{
	const char *rundir = ctl_rundir(ctl);
	char *path;

	return rundir && asprintf(&path, "%s/pool/%s.sock", rundir, name) >= 0 ? path : NULL;
}

struct varlink_client *pool_connect(struct ctl *ctl, const char *name)
{
	_cleanup_(freep) char *path = socket_path(ctl, name);
	struct varlink_client *client = NULL;
	struct error err = { 0 };

	if (!path)
		return NULL;
	if (strchr(name, '/') || varlink_client_connect(path, &client, &err) < 0) {
		if (err.code == ENOENT)
			pool_fail(ctl, CTL_POOL, "%s: no such pool (%s); `reevectl pool` lists them", name, path);
		else if (err.code == ECONNREFUSED)
			pool_fail(ctl, CTL_POOL, "%s: the pool does not run; `reevectl status %s` says more", name, name);
		else
			pool_fail(ctl, CTL_POOL, "%s: %s", name, err.code ? err.text : "no name of a pool");
		return NULL;
	}
	return client;
}

void pool_error(struct ctl *ctl, const char *error, const json_t *detail)
{
	const char *text = text_of(detail, "text");
	const char *name = strrchr(error, '.') ? strrchr(error, '.') + 1 : error;

	if (strcmp(name, "TimedOut") == 0)
		pool_fail(ctl, CTL_TIMEOUT, "timed out");
	else if (strcmp(name, "NoSuchTask") == 0)
		pool_fail(ctl, CTL_POOL, "there is no task %lld, or its result has been fetched", number_of(detail, "id"));
	else if (strcmp(name, "InvalidParameter") == 0)
		pool_fail(ctl, CTL_USAGE, "%s: not a possible value", text_of(detail, "parameter"));
	else
		pool_fail(ctl, CTL_POOL, "%s", *text ? text : error);
}

json_t *pool_call(struct ctl *ctl, struct varlink_client *client, const char *method, json_t *parameters)
{
	json_t *reply = NULL;
	const char *error = NULL;
	char full[64];
	int r;

	(void)snprintf(full, sizeof full, INTERFACE "%s", method);
	r = varlink_client_call(client, full, parameters, -1, &reply, &error);
	if (r < 0) {
		pool_fail(ctl, CTL_POOL, "the pool has ended, or does not answer: %s", errno_name(-r));
		return NULL;
	}
	if (error) {
		pool_error(ctl, error, reply);
		json_decref(reply);
		return NULL;
	}
	return reply;
}

int pool_task_name(struct ctl *ctl, const char *text, char **ret_pool, long long *ret_id)
{
	const char *colon = strrchr(text, ':');
	char *end;

	if (colon && colon != text && colon[1]) {
		*ret_id = strtoll(colon + 1, &end, 10);
		if (!*end && *ret_id > 0) {
			*ret_pool = strndup(text, (size_t)(colon - text));
			return *ret_pool ? 0 : -1;
		}
	}
	pool_fail(ctl, CTL_USAGE, "%s: not the name of a task; write POOL:NUMBER, as submit prints it", text);
	return -1;
}

/* ---- simple commands ---- */

/* METHOD for each pool named. SEE gets each reply. */
static void for_pools(struct ctl *ctl, int n, char **names, const char *method, double timeout,
		      void (*see)(struct ctl *ctl, const char *name, const json_t *reply))
{
	for (int i = 0; i < n; i++) {
		struct varlink_client *client = pool_connect(ctl, names[i]);
		json_t *reply = NULL;

		if (client)
			reply = pool_call(ctl, client, method, timeout >= 0 ? json_pack("{s:f}", "timeout", timeout) : NULL);
		if (reply && !ctl_json(ctl, reply) && see)
			see(ctl, names[i], reply);
		json_decref(reply);
		varlink_client_free(client);
	}
}

#define SIMPLE(name, method)                                                                                           \
	void name(struct ctl *ctl, int argc, char **argv)                                                              \
	{                                                                                                              \
		for_pools(ctl, argc, argv, method, -1, NULL);                                                          \
	}
SIMPLE(command_pause, "Pause")
SIMPLE(command_resume, "Resume")
SIMPLE(command_close, "Close")
SIMPLE(command_reopen, "Open")
#undef SIMPLE

static void see_timeout(struct ctl *ctl, const char *name, const json_t *reply)
{
	if (json_is_true(json_object_get(reply, "timed_out")))
		pool_fail(ctl, CTL_TIMEOUT, "%s: timed out", name);
}

static void see_join(struct ctl *ctl, const char *name, const json_t *reply)
{
	see_timeout(ctl, name, reply);
	if (!json_is_true(json_object_get(reply, "timed_out")) && number_of(reply, "failed"))
		pool_fail(ctl, CTL_GENERIC, "%s: %lld tasks did not succeed", name, number_of(reply, "failed"));
}

static void see_terminated(struct ctl *ctl, const char *name, const json_t *reply)
{
	(void)ctl;
	(void)printf("%s: %lld tasks cancelled\n", name, number_of(reply, "cancelled"));
}

static void waiting(struct ctl *ctl, int argc, char **argv, const char *method,
		    void (*see)(struct ctl *ctl, const char *name, const json_t *reply))
{
	double timeout = -1;
	const struct option_row rows[] = { { "--timeout", OPTION_SECONDS, &timeout, "S", "Wait no longer; then exit with 124." }, { 0 } };
	int n = pool_options(ctl, rows, argc, argv);

	if (n > 0)
		for_pools(ctl, n, argv, method, timeout, see);
}

void command_drain(struct ctl *ctl, int argc, char **argv)
{
	waiting(ctl, argc, argv, "Drain", see_timeout);
}

void command_join(struct ctl *ctl, int argc, char **argv)
{
	waiting(ctl, argc, argv, "Join", see_join);
}

void command_terminate(struct ctl *ctl, int argc, char **argv)
{
	waiting(ctl, argc, argv, "Terminate", see_terminated);
}

void command_resize(struct ctl *ctl, int argc, char **argv)
{
	struct varlink_client *client;
	char *end;
	long long workers = strtoll(argv[1], &end, 10);

	(void)argc;
	if (*end || end == argv[1] || workers < 0) {
		pool_fail(ctl, CTL_USAGE, "%s: not a number of workers", argv[1]);
		return;
	}
	client = pool_connect(ctl, argv[0]);
	if (client)
		json_decref(pool_call(ctl, client, "Resize", json_pack("{s:I}", "workers", (json_int_t)workers)));
	varlink_client_free(client);
}

/* ---- overview ---- */

static int is_socket(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return n > 5 && strcmp(entry->d_name + n - 5, ".sock") == 0;
}

/* The names of all pools, as an array. */
static json_t *pool_names(struct ctl *ctl)
{
	const char *rundir = ctl_rundir(ctl);
	json_t *names = json_array();
	struct dirent **list = NULL;
	char path[4200];
	int n;

	if (!rundir)
		return names;
	(void)snprintf(path, sizeof path, "%s/pool", rundir);
	n = scandir(path, &list, is_socket, alphasort);
	for (int i = 0; i < n; i++) {
		(void)json_array_append_new(names, json_stringn(list[i]->d_name, strlen(list[i]->d_name) - 5));
		free(list[i]);
	}
	free(list);
	return names;
}

/* Its gauges without a word about what fails: NULL. */
static json_t *peek_status(struct ctl *ctl, const char *name)
{
	_cleanup_(freep) char *path = socket_path(ctl, name);
	struct varlink_client *client = NULL;
	json_t *reply = NULL, *status;
	const char *error = NULL;

	if (!path || varlink_client_connect(path, &client, NULL) < 0)
		return NULL;
	if (varlink_client_call(client, INTERFACE "GetStatus", NULL, patience, &reply, &error) < 0)
		reply = NULL;
	status = json_incref(json_object_get(reply, "status"));
	json_decref(reply);
	varlink_client_free(client);
	return status;
}

void pool_print_gauges(struct ctl *ctl, const char *name)
{
	json_t *s = peek_status(ctl, name);

	if (s)
		(void)printf("; %s, %lld of %lld workers busy, %lld queued, %lld done, %lld failed%s%s", text_of(s, "state"),
			     number_of(s, "busy"), number_of(s, "workers"), number_of(s, "queued"), number_of(s, "done"),
			     pool_unsuccessful(s), *text_of(s, "trouble") ? "; " : "", text_of(s, "trouble"));
	json_decref(s);
}

void pool_print_trouble(struct ctl *ctl, const char *name)
{
	json_t *s = peek_status(ctl, name);

	if (s)
		(void)printf("The pool: %s, %lld queued, %lld running%s%s\n", text_of(s, "state"), number_of(s, "queued"),
			     number_of(s, "running"), *text_of(s, "trouble") ? "; " : "", text_of(s, "trouble"));
	else
		(void)printf("The pool does not answer.\n");
	json_decref(s);
}

static json_t *ask_status(struct ctl *ctl, const char *name)
{
	struct varlink_client *client = pool_connect(ctl, name);
	json_t *reply = client ? pool_call(ctl, client, "GetStatus", NULL) : NULL;
	json_t *status = json_incref(json_object_get(reply, "status"));

	json_decref(reply);
	varlink_client_free(client);
	return status;
}

static void print_pools(struct ctl *ctl, const json_t *names, const json_t *all, bool details)
{
	if (json_array_size(names))
		pool_print_overview_head();
	for (size_t i = 0; i < json_array_size(names); i++) {
		const json_t *status = json_array_get(all, i);

		if (json_is_null(status))
			pool_print_down(json_string_value(json_array_get(names, i)));
		else
			pool_print_overview(ctl, status);
	}
	for (size_t i = 0; details && i < json_array_size(all); i++)
		if (!json_is_null(json_array_get(all, i)))
			pool_print_details(json_array_get(all, i));
}

void command_pool(struct ctl *ctl, int argc, char **argv)
{
	json_t *names, *all;

	if (argc && (strcmp(argv[0], "run") == 0 || strcmp(argv[0], "--help") == 0)) {
		pool_run(ctl, argc - (*argv[0] != '-'), argv + (*argv[0] != '-'));
		return;
	}
	names = argc ? ctl_words(argc, argv) : pool_names(ctl);
	all = json_array();
	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));
		json_t *status = argc ? ask_status(ctl, name) : peek_status(ctl, name);

		(void)json_array_append_new(all, status ? status : json_null());
	}
	if (!ctl_json(ctl, all))
		print_pools(ctl, names, all, argc > 0);
	json_decref(names);
	json_decref(all);
}
