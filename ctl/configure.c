/* Commands about the configuration and the daemon: reread, update, plan, add, remove, avail, check, reload, shutdown,
 * version. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl.h"
#include "wire/faults.h"

struct name_line {
	const char *name, *what;
};

static int by_name(const void *a, const void *b)
{
	const struct name_line *x = a, *y = b;

	return strcmp(x->name, y->name);
}

void command_reread(struct ctl *ctl, int argc, char **argv)
{
	static const char *const kinds[][2] = { { "added", "available" },
						{ "changed", "changed" },
						{ "removed", "disappeared" } };
	struct name_line *lines = NULL;
	size_t n = 0, i;
	int fault;
	char *text;
	json_t *name, *reply = ctl_call(ctl, "Reread", NULL, true, NULL, NULL, &fault, &text);

	(void)argc, (void)argv;
	if (!reply && fault > 0) {
		(void)printf("ERROR: %s\n", fault == FAULT_SHUTDOWN_STATE ? "supervisor shutting down" : text);
		ctl_fail(ctl, CTL_GENERIC);
	}
	if (reply && !ctl_json(ctl, reply)) {
		for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
			json_array_foreach(json_object_get(reply, kinds[k][0]), i, name)
			{
				struct name_line *more = realloc(lines, (n + 1) * sizeof *lines);

				if (!more)
					break;
				lines = more;
				lines[n++] = (struct name_line){ json_string_value(name), kinds[k][1] };
			}
		if (n)
			qsort(lines, n, sizeof *lines, by_name);
		for (size_t k = 0; k < n; k++)
			(void)printf("%s: %s\n", lines[k].name, lines[k].what);
		if (!n)
			(void)printf("No config updates to processes\n");
	}
	free(lines);
	free(text);
	json_decref(reply);
}

static void print_change(json_t *reply, void *data)
{
	static const struct {
		const char *action, *format;
		int status;
	} table[] = { { "stopped", "%s: stopped\n", CTL_OK },
		      { "removed", "%s: removed process group\n", CTL_OK },
		      { "updated", "%s: updated process group\n", CTL_OK },
		      { "added", "%s: added process group\n", CTL_OK },
		      { "stuck", "%s: has problems; not removing\n", CTL_GENERIC },
		      { "unknown", "ERROR: no such group: %s\n", CTL_GENERIC } };
	struct ctl *ctl = data;
	const json_t *change = json_object_get(reply, "change");

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (strcmp(table[i].action, text_of(change, "action")) != 0)
			continue;
		if (table[i].status)
			ctl_fail(ctl, table[i].status);
		if (!ctl->json)
			(void)printf(table[i].format, text_of(change, "group"));
	}
	(void)fflush(stdout);
}

static void print_plan(struct ctl *ctl, const json_t *reply)
{
	json_t *change, *key;
	size_t i, k;

	json_array_foreach(json_object_get(reply, "changes"), i, change)
	{
		(void)printf("%-30s %s", text_of(change, "namespec"), text_of(change, "action"));
		json_array_foreach(json_object_get(change, "keys"), k, key)(void)
			printf("%s%s", k ? ", " : " (", json_string_value(key));
		(void)printf("%s%s%s\n", json_array_size(json_object_get(change, "keys")) ? ")" : "",
			     *text_of(change, "message") ? ": " : "", text_of(change, "message"));
	}
	json_array_foreach(json_object_get(reply, "daemon"), i, change)
	{
		char section[80];

		(void)snprintf(section, sizeof section, "[%s]", text_of(change, "section"));
		(void)printf(
			"%-30s %s%s%s%s%s\n", section, text_of(change, "change"), *text_of(change, "key") ? " (" : "",
			text_of(change, "key"), *text_of(change, "key") ? ")" : "",
			strcmp(text_of(change, "change"), "daemon") == 0 ? ": takes effect when the daemon is restarted"
									 : "");
	}
	json_array_foreach(json_object_get(reply, "diagnostics"), i, key)(void)
		fprintf(stderr, "%s\n", json_string_value(key));
	if (json_is_true(json_object_get(reply, "pending")))
		ctl_fail(ctl, CTL_PLAN_CHANGES);
}

/* Groups that exist neither in the daemon nor on disk, as far as the plan for them shows. */
static void tell_unknown(struct ctl *ctl, const json_t *plan, int argc, char **argv)
{
	json_t *change;
	size_t i;

	for (int k = 0; k < argc && !has_all(argc, argv); k++) {
		bool known = false;

		json_array_foreach(json_object_get(plan, "changes"), i, change) known =
			known || strcmp(text_of(change, "group"), argv[k]) == 0;
		if (known)
			continue;
		(void)printf("ERROR: no such group: %s\n", argv[k]);
		ctl_fail(ctl, CTL_GENERIC);
	}
}

static void tell_unknown_groups(struct ctl *ctl, int argc, char **argv)
{
	int fault;
	char *text;
	json_t *reply;

	if (argc == 0 || has_all(argc, argv) || ctl_is_remote(ctl))
		return;
	reply = ctl_call(ctl, "Plan", json_pack("{s:o}", "groups", ctl_words(argc, argv)), true, NULL, NULL, &fault,
			 &text);
	if (reply)
		tell_unknown(ctl, reply, argc, argv);
	free(text);
	json_decref(reply);
}

static void plan(struct ctl *ctl, int argc, char **argv)
{
	int fault;
	char *text;
	json_t *reply = ctl_call(ctl, "Plan", json_pack("{s:o}", "groups", ctl_words(argc, argv)), true, NULL, NULL,
				 &fault, &text);

	if (!reply && fault > 0) {
		(void)printf("ERROR: %s\n", text);
		ctl_fail(ctl, CTL_GENERIC);
	}
	if (reply && ctl_json(ctl, reply)) {
		if (json_is_true(json_object_get(reply, "pending")))
			ctl_fail(ctl, CTL_PLAN_CHANGES);
	} else if (reply) {
		print_plan(ctl, reply);
		tell_unknown(ctl, reply, argc, argv);
	}
	free(text);
	json_decref(reply);
}

void command_plan(struct ctl *ctl, int argc, char **argv)
{
	plan(ctl, argc, argv);
}

void command_update(struct ctl *ctl, int argc, char **argv)
{
	int fault;
	char *text;
	json_t *reply;

	if (argc && strcmp(argv[0], "--dry-run") == 0) {
		plan(ctl, argc - 1, argv + 1);
		return;
	}
	tell_unknown_groups(ctl, argc, argv);
	reply = ctl_call(ctl, "Update", json_pack("{s:o}", "groups", ctl_words(argc, argv)), true, print_change, ctl,
			 &fault, &text);
	if (!reply && fault > 0 && ctl->compatible && fault != FAULT_SHUTDOWN_STATE) {
		ctl_fault(ctl, fault, text);
	} else if (!reply && fault > 0) {
		(void)printf("ERROR: %s\n", fault == FAULT_SHUTDOWN_STATE ? "already shutting down" : text);
		ctl_fail(ctl, CTL_GENERIC);
	}
	if (reply)
		(void)ctl_json(ctl, reply);
	free(text);
	json_decref(reply);
}

static void each_group(struct ctl *ctl, const char *method, const char *done, int argc, char **argv)
{
	for (int i = 0; i < argc && !ctl->given_up; i++) {
		int fault;
		char *text;
		json_t *reply =
			ctl_call(ctl, method, json_pack("{s:s}", "name", argv[i]), false, NULL, NULL, &fault, &text);

		if (reply) {
			(void)printf("%s: %s process group\n", argv[i], done);
		} else if (fault == FAULT_ALREADY_ADDED) {
			(void)printf("ERROR: process group already active\n");
		} else if (fault == FAULT_BAD_NAME || fault == FAULT_STILL_RUNNING) {
			(void)printf("ERROR: %s: %s\n",
				     fault == FAULT_BAD_NAME ? "no such process/group" : "process/group still running",
				     argv[i]);
			ctl_fail(ctl, CTL_GENERIC);
		} else if (fault > 0 &&
			   (fault != FAULT_SHUTDOWN_STATE || (ctl->compatible && strcmp(done, "removed") == 0))) {
			ctl_fault(ctl, fault, text);
		} else if (fault > 0) {
			(void)printf("ERROR: shutting down\n");
			ctl_fail(ctl, CTL_GENERIC);
		}
		free(text);
		json_decref(reply);
	}
}

void command_add(struct ctl *ctl, int argc, char **argv)
{
	each_group(ctl, "AddGroup", "added", argc, argv);
}

void command_remove(struct ctl *ctl, int argc, char **argv)
{
	each_group(ctl, "RemoveGroup", "removed", argc, argv);
}

struct available {
	const json_t *process;
	size_t at;
};

/* By process name; groups stay in their order. */
static int by_process_name(const void *a, const void *b)
{
	const struct available *x = a, *y = b;
	int r = strcmp(text_of(x->process, "name"), text_of(y->process, "name"));

	return r ? r : x->at < y->at ? -1 : 1;
}

static void print_available(const json_t *p)
{
	char name[512];
	bool same = strcmp(text_of(p, "name"), text_of(p, "group")) == 0;

	(void)snprintf(name, sizeof name, "%s%s%s", text_of(p, "group"), same ? "" : ":",
		       same ? "" : text_of(p, "name"));
	(void)printf("%-32s %-9s %-9s %lld:%lld\n", name,
		     json_is_true(json_object_get(p, "inuse")) ? "in use" : "avail",
		     json_is_true(json_object_get(p, "autostart")) ? "auto" : "manual", number_of(p, "group_prio"),
		     number_of(p, "process_prio"));
}

void command_avail(struct ctl *ctl, int argc, char **argv)
{
	int fault;
	char *text;
	json_t *reply = ctl_call(ctl, "GetConfig", NULL, true, NULL, NULL, &fault, &text);
	const json_t *list = json_object_get(reply, "processes");
	size_t n = json_array_size(list);
	struct available *sorted = calloc(n ? n : 1, sizeof *sorted);

	(void)argc, (void)argv;
	if (!reply && fault > 0) {
		(void)printf("ERROR: %s\n", fault == FAULT_SHUTDOWN_STATE ? "supervisor shutting down" : text);
		ctl_fail(ctl, CTL_GENERIC);
	}
	if (reply && sorted && !ctl_json(ctl, reply)) {
		for (size_t i = 0; i < n; i++)
			sorted[i] = (struct available){ json_array_get(list, i), i };
		qsort(sorted, n, sizeof *sorted, by_process_name);
		for (size_t i = 0; i < n; i++)
			print_available(sorted[i].process);
	}
	free(sorted);
	free(text);
	json_decref(reply);
}

/* reeved lies beside us (in a build: next door), or is found by PATH. Returns only if it is nowhere. */
static void exec_check(const char *file)
{
	static const char *const places[] = { "%.*s/reeved", "%.*s/../daemon/reeved" };
	const char *option = file ? "-c" : NULL;
	char self[4000], path[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	self[n > 0 ? n : 0] = '\0';
	for (size_t i = 0; n > 0 && i < ARRAY_LEN(places); i++) {
		(void)snprintf(path, sizeof path, places[i], (int)(strrchr(self, '/') - self), self);
		(void)execl(path, "reeved", "--check", option, file, (char *)NULL);
	}
	(void)execlp("reeved", "reeved", "--check", option, file, (char *)NULL);
}

/* In a child: the shell goes on afterwards. */
void command_check(struct ctl *ctl, int argc, char **argv)
{
	pid_t pid;
	int status;

	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		exec_check(argc ? argv[0] : ctl->configuration);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 127)) {
		(void)printf("error: reeved cannot be run; is it installed?\n");
		ctl_fail(ctl, CTL_GENERIC);
	} else if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		ctl_fail(ctl, WIFEXITED(status) ? WEXITSTATUS(status) : CTL_GENERIC);
	}
}

static void end(struct ctl *ctl, const char *question, const char *method, const char *done, int status_when_ending)
{
	int fault;
	char *text;
	json_t *reply;

	if (ctl->interactive && !shell_confirms(question))
		return;
	reply = ctl_call(ctl, method, NULL, false, NULL, NULL, &fault, &text);
	if (reply) {
		(void)printf("%s\n", done);
	} else if (fault > 0) {
		(void)printf("ERROR: already shutting down\n");
		if (status_when_ending)
			ctl_fail(ctl, status_when_ending);
	}
	free(text);
	json_decref(reply);
}

void command_reload(struct ctl *ctl, int argc, char **argv)
{
	(void)argc, (void)argv;
	end(ctl, "Really restart the remote supervisord process y/N? ", "Reload", "Restarted supervisord", CTL_GENERIC);
}

void command_shutdown(struct ctl *ctl, int argc, char **argv)
{
	(void)argc, (void)argv;
	end(ctl, "Really shut the remote supervisord process down y/N? ", "Shutdown", "Shut down", CTL_OK);
}

void command_open(struct ctl *ctl, int argc, char **argv)
{
	int status = ctl->status;

	if (argc != 1 ||
	    (ctl->compatible && strncmp(argv[0], "unix://", 7) != 0 && strncmp(argv[0], "http://", 7) != 0)) {
		(void)printf(ctl->compatible ? "ERROR: url must be http:// or unix://\n" : "Error: open takes URL\n");
		ctl_fail(ctl, CTL_GENERIC);
		return;
	}
	ctl_open(ctl, argv[0]);
	ctl->reach = REACH_CHECKED;
	command_run(ctl, 1, (char *[]){ (char *)"status", NULL });
	ctl->status = status;
}

void command_version(struct ctl *ctl, int argc, char **argv)
{
	json_t *reply = ctl_call(ctl, "GetStatus", NULL, true, NULL, NULL, NULL, NULL);

	(void)argc, (void)argv;
	if (reply && !ctl_json(ctl, reply))
		(void)printf("%s\n", text_of(reply, ctl->compatible ? "supervisor_version" : "version"));
	json_decref(reply);
}
