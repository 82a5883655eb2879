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

static bool names_group(const char *name)
{
	const char *colon = strchr(name, ':');

	return colon && (!colon[1] || strcmp(colon, ":*") == 0);
}

static void print_result(const struct operation *op, const json_t *result)
{
	static const char *const done[] = { "started", "stopped", "signalled" };
	enum verb verb = op->verb;
	int code = (int)number_of(result, "status");
	const char *name = text_of(result, "namespec");

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

static void partial(json_t *reply, void *data)
{
	struct operation *op = data;

	if (op->ctl->json)
		return;
	print_result(op, json_object_get(reply, "result"));
	(void)fflush(stdout);
}

static void operate(struct ctl *ctl, const char *method, enum verb verb, int argc, char **argv)
{
	struct operation op = { ctl, verb, strcmp(method, "Restart") == 0 };
	int fault;
	char *text;
	json_t *reply = ctl_call(ctl, method, json_pack("{s:o}", "names", ctl_words(argc, argv)), false, partial, &op, &fault, &text);

	if (!reply && fault > 0) {
		(void)printf("error: %s\n", text);
		ctl_fail(ctl, CTL_GENERIC);
	}
	if (reply)
		(void)ctl_json(ctl, reply);
	free(text);
	json_decref(reply);
}

static bool missing(struct ctl *ctl, const char *name, int argc, int needed, int status)
{
	const struct command *c = command_find(name);

	if (argc >= needed)
		return false;
	(void)printf(needed == 2 ? "Error: %s requires a signal name and a process name\n" : "Error: %s requires a process name\n", name);
	(void)printf("%s %s\t\t%s\n", c->name, c->args, c->help);
	ctl_fail(ctl, status);
	return true;
}

void command_start(struct ctl *ctl, int argc, char **argv)
{
	if (!missing(ctl, "start", argc, 1, CTL_USAGE))
		operate(ctl, "Start", VERB_START, argc, argv);
}

void command_stop(struct ctl *ctl, int argc, char **argv)
{
	if (!missing(ctl, "stop", argc, 1, CTL_GENERIC))
		operate(ctl, "Stop", VERB_STOP, argc, argv);
}

void command_restart(struct ctl *ctl, int argc, char **argv)
{
	if (!missing(ctl, "restart", argc, 1, CTL_GENERIC))
		operate(ctl, "Restart", VERB_START, argc, argv);
}

static void send_signal(struct ctl *ctl, const char *signal, bool whole, int argc, char **argv)
{
	struct operation op = { ctl, VERB_SIGNAL, false };
	int fault;
	char *text;
	json_t *result, *reply = ctl_call(ctl, "Signal", json_pack("{s:o, s:s, s:b}", "names", ctl_words(argc, argv), "signal", signal,
								   "whole", (int)whole),
					  false, NULL, NULL, &fault, &text);
	size_t i;

	if (!reply && fault == FAULT_BAD_SIGNAL) {
		for (int k = 0; k < argc; k++)
			(void)printf("%s: ERROR (bad signal name)\n", argv[k]);
		ctl_fail(ctl, CTL_GENERIC);
	} else if (!reply && fault > 0) {
		(void)printf("error: %s\n", text);
		ctl_fail(ctl, CTL_GENERIC);
	}
	if (reply && !ctl_json(ctl, reply))
		json_array_foreach(json_object_get(reply, "results"), i, result)
			print_result(&op, result);
	free(text);
	json_decref(reply);
}

void command_signal(struct ctl *ctl, int argc, char **argv)
{
	if (!missing(ctl, "signal", argc, 2, CTL_GENERIC))
		send_signal(ctl, argv[0], false, argc - 1, argv + 1);
}

void command_kill(struct ctl *ctl, int argc, char **argv)
{
	send_signal(ctl, "KILL", true, argc, argv);
}
