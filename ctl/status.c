/* What processes are doing: status, list, pid, wait, exitcode, alive. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl.h"
#include "pool.h"
#include "wire/faults.h"

static json_t *list_processes(struct ctl *ctl, int argc, char **argv, bool usage)
{
	return ctl_call(ctl, "List", json_pack("{s:o, s:b}", "names", ctl_words(argc, argv), "usage", (int)usage), true,
			NULL, NULL, NULL, NULL);
}

static void print_unknown(struct ctl *ctl, const char *name)
{
	const char *colon = strchr(name, ':');

	if (colon && (!colon[1] || strcmp(colon, ":*") == 0))
		(void)printf("%.*s: ERROR (no such group)\n", (int)(colon - name), name);
	else
		(void)printf("%s: ERROR (no such process)\n", name);
	ctl_fail(ctl, CTL_REFUSED);
}

static void print_last_exit(const json_t *p)
{
	time_t at = (time_t)json_number_value(json_object_get(p, "last_exit"));
	char when[32];
	struct tm tm;

	if (!json_is_integer(json_object_get(p, "last_exitcode")))
		return;
	(void)localtime_r(&at, &tm);
	(void)strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm);
	(void)printf(", last exit %lld at %s", number_of(p, "last_exitcode"), when);
}

static void print_more(const json_t *p)
{
	const json_t *usage = json_object_get(p, "usage");

	(void)printf("    run %lld, restarts %lld", number_of(p, "run"), number_of(p, "restarts"));
	print_last_exit(p);
	if (*text_of(p, "stage"))
		(void)printf(", failed at %s: %s", text_of(p, "stage"), text_of(p, "errno"));
	if (usage)
		(void)printf(", cpu %.1f s, memory %.1f MB in %lld process%s",
			     json_number_value(json_object_get(usage, "cpu")),
			     (double)number_of(usage, "rss") / 1048576, number_of(usage, "processes"),
			     number_of(usage, "processes") == 1 ? "" : "es");
	(void)putchar('\n');
}

static void print_status(struct ctl *ctl, const json_t *processes, bool more)
{
	size_t width = 30, i;
	json_t *p;

	json_array_foreach(processes, i, p) if (strlen(text_of(p, "namespec")) > width) width =
		strlen(text_of(p, "namespec"));
	json_array_foreach(processes, i, p)
	{
		long long state = number_of(p, "state");

		(void)printf("%-*s   %-9s %s", (int)width, text_of(p, "namespec"), text_of(p, "statename"),
			     text_of(p, "description"));
		if (strcmp(text_of(p, "kind"), "pool") == 0 && number_of(p, "pid"))
			pool_print_gauges(ctl, text_of(p, "name"));
		(void)putchar('\n');
		if (more)
			print_more(p);
		if (state == 0 || state == 100 || state == 200 || state == 1000 || state == -1)
			ctl_fail(ctl, CTL_DOWN);
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(text_of(*(json_t *const *)a, "name"), text_of(*(json_t *const *)b, "name"));
}

/* Append the processes of one group, by name. */
static void append_sorted(json_t *list, const json_t *processes)
{
	size_t n = json_array_size(processes);
	json_t **sorted = calloc(n ? n : 1, sizeof(json_t *));

	for (size_t i = 0; sorted && i < n; i++)
		sorted[i] = json_array_get(processes, i);
	if (sorted)
		qsort(sorted, n, sizeof(json_t *), by_name);
	for (size_t i = 0; sorted && i < n; i++)
		(void)json_array_append(list, sorted[i]);
	free(sorted);
}

/* supervisorctl's way: name by name, so that one that is given twice is shown twice; no patterns. */
static json_t *list_each(struct ctl *ctl, int argc, char **argv)
{
	json_t *ret = json_pack("{s:[], s:[]}", "processes", "unknown");

	for (int i = 0; ret && i < argc; i++) {
		json_t *reply = is_pattern(argv[i]) ? json_pack("{s:[s]}", "unknown", argv[i])
						    : list_processes(ctl, 1, argv + i, false);

		if (!reply) {
			json_decref(ret);
			return NULL;
		}
		append_sorted(json_object_get(ret, "processes"), json_object_get(reply, "processes"));
		(void)json_array_extend(json_object_get(ret, "unknown"), json_object_get(reply, "unknown"));
		json_decref(reply);
	}
	return ret;
}

void command_status(struct ctl *ctl, int argc, char **argv)
{
	bool more = argc && strcmp(argv[0], "-v") == 0 && !ctl->compatible;
	bool each = ctl->compatible && argc && !has_all(argc, argv);
	json_t *reply, *name;
	size_t i;

	if (each)
		reply = list_each(ctl, argc, argv);
	else
		reply = list_processes(ctl, ctl->compatible ? 0 : argc - more, argv + more, more);
	if (!reply) {
		ctl_fail(ctl, CTL_REFUSED);
		return;
	}
	if (!ctl_json(ctl, reply)) {
		json_array_foreach(json_object_get(reply, "unknown"), i, name)
			print_unknown(ctl, json_string_value(name));
		print_status(ctl, json_object_get(reply, "processes"), more);
	}
	json_decref(reply);
}

void command_list(struct ctl *ctl, int argc, char **argv)
{
	json_t *reply = list_processes(ctl, argc, argv, false), *p;
	size_t i;

	if (reply && !ctl_json(ctl, reply)) {
		json_array_foreach(json_object_get(reply, "unknown"), i, p) print_unknown(ctl, json_string_value(p));
		json_array_foreach(json_object_get(reply, "processes"), i, p)(void)
			printf("%s\n", text_of(p, "namespec"));
	}
	json_decref(reply);
}

/* The one process that NAME names (borrowed from *REPLY, which the caller releases), or NULL: told. */
static json_t *one_process(struct ctl *ctl, char *name, json_t **reply)
{
	json_t *list;

	*reply = list_processes(ctl, 1, &name, false);
	list = json_object_get(*reply, "processes");
	if (json_array_size(list) == 1 && !names_group(name))
		return json_array_get(list, 0);
	if (*reply) {
		(void)printf(json_array_size(list) > 1 && !ctl->compatible ? "%s: names several processes\n"
									   : "No such process %s\n",
			     name);
		ctl_fail(ctl, CTL_GENERIC);
	}
	return NULL;
}

static void print_pid(struct ctl *ctl, const json_t *p)
{
	long long pid = number_of(p, "pid");

	(void)printf("%lld\n", pid);
	if (!pid)
		ctl_fail(ctl, CTL_NOT_RUNNING);
}

void command_pid(struct ctl *ctl, int argc, char **argv)
{
	json_t *reply, *p;
	size_t k;

	if (argc == 0) {
		reply = ctl_call(ctl, "GetStatus", NULL, true, NULL, NULL, NULL, NULL);
		if (reply && !ctl_json(ctl, reply))
			(void)printf("%lld\n", number_of(reply, "pid"));
		json_decref(reply);
	} else if (has_all(argc, argv)) {
		reply = list_processes(ctl, 0, argv, false);
		json_array_foreach(json_object_get(reply, "processes"), k, p)(void)
			printf("%lld\n", number_of(p, "pid"));
		json_decref(reply);
	} else {
		for (int i = 0; i < argc; i++) {
			p = one_process(ctl, argv[i], &reply);
			if (p)
				print_pid(ctl, p);
			json_decref(reply);
		}
	}
}

void command_exitcode(struct ctl *ctl, int argc, char **argv)
{
	json_t *reply, *p = one_process(ctl, argv[0], &reply);

	(void)argc;
	if (p && json_is_integer(json_object_get(p, "exitcode")))
		(void)printf("%lld\n", number_of(p, "exitcode"));
	else if (p)
		(void)putchar('\n');
	json_decref(reply);
}

void command_alive(struct ctl *ctl, int argc, char **argv)
{
	json_t *reply, *p = one_process(ctl, argv[0], &reply);

	(void)argc;
	if (p && !number_of(p, "pid"))
		ctl_fail(ctl, CTL_GENERIC);
	json_decref(reply);
}

void command_wait(struct ctl *ctl, int argc, char **argv)
{
	json_t *parameters = json_object(), *reply;
	int fault, at = 0;
	char *text;

	for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
		if (strcmp(argv[at], "--timeout") == 0)
			(void)json_object_set_new(parameters, "timeout", json_real(strtod(argv[at + 1], NULL)));
		else if (strcmp(argv[at], "--until") == 0)
			(void)json_object_set_new(parameters, "until", json_string(argv[at + 1]));
		else
			break;
	}
	if (at == argc || strncmp(argv[at], "--", 2) == 0) {
		(void)printf("Error: wait takes [--timeout S] [--until exited|running|stopped] NAME...\n");
		ctl_fail(ctl, CTL_USAGE);
		json_decref(parameters);
		return;
	}
	(void)json_object_set_new(parameters, "names", ctl_words(argc - at, argv + at));
	reply = ctl_call(ctl, "Wait", parameters, true, NULL, NULL, &fault, &text);
	if (!reply && fault > 0) {
		(void)printf("error: %s\n", text);
		ctl_fail(ctl, CTL_GENERIC);
	}
	if (reply)
		(void)ctl_json(ctl, reply);
	if (json_is_true(json_object_get(reply, "timed_out")))
		ctl_fail(ctl, CTL_TIMEOUT);
	free(text);
	json_decref(reply);
}
