/* Commands that act on processes: start, stop, restart, signal, kill. supervisorctl's words and exit statuses. */
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "wire/faults.h"

enum verb { VERB_START, VERB_STOP, VERB_SIGNAL };

struct operation {
	struct ctl *ctl;
	enum verb verb;
	bool both;			/* restart: a result says which phase it is of */
	json_t *told;			/* keys "PHASE NAMESPEC": what has been printed; owned */
};

static const struct {
	int code;
	const char *words;
	int status[3];			/* by verb */
} outcomes[] = {
	{ FAULT_BAD_NAME, "no such process", { CTL_GENERIC, CTL_GENERIC, CTL_GENERIC } },
	{ FAULT_BAD_SIGNAL, "bad signal name", { CTL_GENERIC, CTL_GENERIC, CTL_GENERIC } },
	{ FAULT_NO_FILE, "no such file", { CTL_GENERIC, CTL_GENERIC, CTL_GENERIC } },
	{ FAULT_NOT_EXECUTABLE, "file is not executable", { CTL_GENERIC, CTL_GENERIC, CTL_GENERIC } },
	{ FAULT_ABNORMAL_TERMINATION, "abnormal termination", { CTL_NOT_RUNNING, CTL_NOT_RUNNING, CTL_NOT_RUNNING } },
	{ FAULT_SPAWN_ERROR, "spawn error", { CTL_NOT_RUNNING, CTL_NOT_RUNNING, CTL_NOT_RUNNING } },
	{ FAULT_ALREADY_STARTED, "already started", { CTL_OK, CTL_OK, CTL_OK } },
	{ FAULT_NOT_RUNNING, "not running", { CTL_OK, CTL_OK, CTL_NOT_RUNNING } },
};

static void print_result(const struct operation *op, const json_t *result)
{
	static const char *const done[] = { "started", "stopped", "signalled" };
	enum verb verb = op->verb;
	int code = (int)number_of(result, "status");
	char shown[512];
	const char *name = namespec_shown(text_of(result, "namespec"), shown, sizeof shown);

	if (op->both)
		verb = strcmp(text_of(result, "phase"), "stop") == 0 ? VERB_STOP : VERB_START;
	if (code == FAULT_SUCCESS) {
		(void)printf("%s: %s\n", name, done[verb]);
		return;
	}
	if (code == FAULT_BAD_NAME && names_group(name)) {
		(void)printf("%.*s: ERROR (no such group)\n", (int)strcspn(name, ":"), name);
		ctl_fail(op->ctl, verb == VERB_START ? CTL_USAGE : CTL_GENERIC);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++)
		if (outcomes[i].code == code) {
			(void)printf("%s: ERROR (%s)\n", name, outcomes[i].words);
			if (outcomes[i].status[verb])
				ctl_fail(op->ctl, outcomes[i].status[verb]);
			return;
		}
	(void)printf("%s\n", text_of(result, "description"));
	ctl_fail(op->ctl, CTL_GENERIC);
}

static bool is_told(struct operation *op, const json_t *result)
{
	char key[600];

	(void)snprintf(key, sizeof key, "%s %s", text_of(result, "phase"), text_of(result, "namespec"));
	if (json_object_get(op->told, key))
		return true;
	(void)json_object_set_new(op->told, key, json_true());
	return false;
}

static void partial(json_t *reply, void *data)
{
	struct operation *op = data;
	const json_t *result = json_object_get(reply, "result");

	if (op->ctl->json || is_told(op, result))
		return;
	print_result(op, result);
	(void)fflush(stdout);
}

/* The reply is the caller's; NULL: it failed, and that was told. */
static json_t *operate(struct ctl *ctl, const char *method, enum verb verb, int argc, char **argv)
{
	/* Should the supervisor die over it, its successor is asked the same: it knows by the time what has been done. */
	struct operation op = { .ctl = ctl, .verb = verb, .both = strcmp(method, "Restart") == 0, .told = json_object() };
	int fault;
	char *text;
	json_t *reply = ctl_call(ctl, method, json_pack("{s:o, s:f}", "names", ctl_words(argc, argv), "since", clock_wall()), true, partial,
				 &op, &fault, &text);

	if (!reply && fault > 0)
		ctl_fault(ctl, fault, text);
	if (reply)
		(void)ctl_json(ctl, reply);
	free(text);
	json_decref(op.told);
	return reply;
}

/* A name that supervisorctl would not find, although we would. */
static void no_such_process(struct ctl *ctl, const char *name)
{
	(void)printf("%s: ERROR (no such process)\n", name);
	ctl_fail(ctl, CTL_GENERIC);
}

/* supervisorctl goes through the names one after another, and knows no patterns; reevectl asks for all at once. */
static void each_name(struct ctl *ctl, int argc, char **argv, void (*run)(struct ctl *ctl, int argc, char **argv, const void *data),
		      const void *data)
{
	if (!ctl->compatible) {
		run(ctl, argc, argv, data);
	} else if (has_all(argc, argv)) {
		run(ctl, 1, (char *[]){ (char *)"all", NULL }, data);
	} else {
		for (int i = 0; i < argc && !ctl->given_up; i++)
			if (is_pattern(argv[i]))
				no_such_process(ctl, argv[i]);
			else
				run(ctl, 1, argv + i, data);
	}
}

static void start_names(struct ctl *ctl, int argc, char **argv, const void *data)
{
	(void)data;
	json_decref(operate(ctl, "Start", VERB_START, argc, argv));
}

static void stop_names(struct ctl *ctl, int argc, char **argv, const void *data)
{
	(void)data;
	json_decref(operate(ctl, "Stop", VERB_STOP, argc, argv));
}

static bool missing(struct ctl *ctl, const char *name, int argc, int needed, int status)
{
	if (argc >= needed)
		return false;
	(void)printf(needed == 2 ? "Error: %s requires a signal name and a process name\n" : "Error: %s requires a process name\n", name);
	command_usage(ctl, name);
	ctl_fail(ctl, status);
	return true;
}

void command_start(struct ctl *ctl, int argc, char **argv)
{
	if (!missing(ctl, "start", argc, 1, CTL_USAGE))
		each_name(ctl, argc, argv, start_names, NULL);
}

void command_stop(struct ctl *ctl, int argc, char **argv)
{
	if (!missing(ctl, "stop", argc, 1, CTL_GENERIC))
		each_name(ctl, argc, argv, stop_names, NULL);
}

static bool was_restarted(const json_t *results, const char *namespec)
{
	json_t *r;
	size_t i;

	json_array_foreach(results, i, r)
		if (strcmp(text_of(r, "namespec"), namespec) == 0 && number_of(r, "status") != FAULT_BAD_NAME)
			return true;
	return false;
}

/* A restart runs what was read last. Where the files say something else by now the user should know; quiet if they cannot be read. */
static void tell_pending(struct ctl *ctl, const json_t *results)
{
	int fault;
	char *text;
	json_t *change, *key, *reply;
	size_t i, k;

	(void)fflush(stdout);		/* before what may take its time: the files may lie on a dead disk */
	reply = ctl_call(ctl, "Plan", json_pack("{s:[]}", "groups"), true, NULL, NULL, &fault, &text);
	json_array_foreach(json_object_get(reply, "changes"), i, change) {
		const char *action = text_of(change, "action"), *name = text_of(change, "namespec");

		if (strcmp(action, "unchanged") == 0 || strcmp(action, "add") == 0 || !was_restarted(results, name))
			continue;
		(void)fprintf(stderr, "note: %s: the configuration on disk differs (%s", name, action);
		json_array_foreach(json_object_get(change, "keys"), k, key)
			(void)fprintf(stderr, "%s%s", k ? ", " : ": ", json_string_value(key));
		(void)fprintf(stderr, "); restart does not apply it, update does\n");
	}
	if (!reply && fault > 0)
		(void)fprintf(stderr, "note: the configuration on disk has errors: %s\n",
			      text + (strncmp(text, "CANT_REREAD: ", 13) == 0 ? 13 : 0));
	free(text);
	json_decref(reply);
}

void command_restart(struct ctl *ctl, int argc, char **argv)
{
	if (missing(ctl, "restart", argc, 1, CTL_GENERIC))
		return;
	if (ctl->compatible) {
		each_name(ctl, argc, argv, stop_names, NULL);
		if (!ctl->given_up)
			each_name(ctl, argc, argv, start_names, NULL);
	} else {
		json_t *reply = operate(ctl, "Restart", VERB_START, argc, argv);

		if (reply && !ctl_is_remote(ctl))
			tell_pending(ctl, json_object_get(reply, "results"));
		json_decref(reply);
	}
}

struct signalled {
	const char *signal;
	bool whole;
};

/* Each process of a group is told about a bad name, as by supervisord; a single one under the name that was given. */
static void bad_signal(struct ctl *ctl, int argc, char **argv)
{
	json_t *reply = ctl_call(ctl, "List", json_pack("{s:o}", "names", ctl_words(argc, argv)), true, NULL, NULL, NULL, NULL), *p;
	size_t i;

	json_array_foreach(json_object_get(reply, "processes"), i, p)
		(void)printf("%s: ERROR (bad signal name)\n", text_of(p, "namespec"));
	json_array_foreach(json_object_get(reply, "unknown"), i, p)
		if (names_group(json_string_value(p)))
			(void)printf("%.*s: ERROR (no such group)\n", (int)strcspn(json_string_value(p), ":"), json_string_value(p));
		else
			(void)printf("%s: ERROR (no such process)\n", json_string_value(p));
	json_decref(reply);
	ctl_fail(ctl, CTL_GENERIC);
}

static void send_signal(struct ctl *ctl, int argc, char **argv, const void *data)
{
	struct operation op = { ctl, VERB_SIGNAL, false };
	const struct signalled *s = data;
	int fault;
	char *text;
	json_t *result, *reply = ctl_call(ctl, "Signal", json_pack("{s:o, s:s, s:b}", "names", ctl_words(argc, argv), "signal", s->signal,
								   "whole", (int)s->whole),
					  false, NULL, NULL, &fault, &text);
	size_t i;

	if (!reply && fault == FAULT_BAD_SIGNAL)
		bad_signal(ctl, argc, argv);
	else if (!reply && fault > 0)
		ctl_fault(ctl, fault, text);
	if (reply && !ctl_json(ctl, reply))
		json_array_foreach(json_object_get(reply, "results"), i, result)
			print_result(&op, result);
	free(text);
	json_decref(reply);
}

void command_signal(struct ctl *ctl, int argc, char **argv)
{
	if (!missing(ctl, "signal", argc, 2, CTL_GENERIC))
		each_name(ctl, argc - 1, argv + 1, send_signal, &(struct signalled){ argv[0], false });
}

void command_kill(struct ctl *ctl, int argc, char **argv)
{
	send_signal(ctl, argc, argv, &(struct signalled){ "KILL", true });
}
