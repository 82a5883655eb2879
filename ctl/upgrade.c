/* upgrade: the rehearsal's answer, then the wait for what became of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl.h"

static const double patience = 90;	/* seconds for the new supervisor, and, should it fail, for the old one's return */

struct request {
	bool check;
	int timeout;			/* 0: the daemon's own */
	char *binary;			/* absolute, owned; NULL: none given */
};

/* The daemon has another working directory. */
static bool take_arguments(struct ctl *ctl, struct request *r, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--check") == 0) {
			r->check = true;
		} else if (strcmp(argv[i], "--timeout") == 0 && i + 1 < argc && atoi(argv[i + 1]) > 0) {
			r->timeout = atoi(argv[++i]);
		} else if (argv[i][0] == '-' || r->binary) {
			(void)printf("Error: upgrade takes %s\n", command_find("upgrade")->args);
			ctl_fail(ctl, CTL_USAGE);
			return false;
		} else {
			r->binary = realpath(argv[i], NULL);
			if (!r->binary) {
				(void)printf("error: %s: no such file\n", argv[i]);
				ctl_fail(ctl, CTL_GENERIC);
				return false;
			}
		}
	}
	return true;
}

static void print_rehearsal(const json_t *reply)
{
	json_t *message;
	size_t i;

	json_array_foreach(json_object_get(reply, "messages"), i, message)
		(void)printf("%s\n", json_string_value(message));
	(void)printf("%s can take over %lld/%lld processes\n", text_of(reply, "binary"), number_of(reply, "able"),
		     number_of(reply, "processes"));
	(void)fflush(stdout);
}

/* The status of a successor to the supervisor with pid OLD; NULL: none came. */
static json_t *await_successor(struct ctl *ctl, long long old)
{
	double deadline = clock_now() + patience;

	while (clock_now() < deadline) {
		struct timespec pause = { 0, 20000000 };
		json_t *status = ctl_call(ctl, "GetStatus", NULL, true, NULL, NULL, NULL, NULL);

		if (status && number_of(status, "supervisor_pid") != old)
			return status;
		json_decref(status);
		(void)nanosleep(&pause, NULL);
	}
	return NULL;
}

static void report_outcome(struct ctl *ctl, long long old)
{
	json_t *status = await_successor(ctl, old);
	json_t *upgrade = json_object_get(status, "upgrade");

	if (!status) {
		(void)printf("error: no supervisor has answered since; the daemon's log says why\n");
		ctl_fail(ctl, CTL_GENERIC);
	} else if (!ctl_json(ctl, status)) {
		(void)printf("%s\n", *text_of(upgrade, "text") ? text_of(upgrade, "text") : "the supervisor was replaced, but not by an upgrade");
	}
	if (status && strcmp(text_of(upgrade, "outcome"), "done") != 0)
		ctl_fail(ctl, CTL_GENERIC);
	json_decref(status);
}

void command_upgrade(struct ctl *ctl, int argc, char **argv)
{
	struct request r = { 0 };
	json_t *status = NULL, *reply = NULL;
	char *text = NULL;
	int fault = 0;

	if (take_arguments(ctl, &r, argc, argv))
		status = ctl_call(ctl, "GetStatus", NULL, true, NULL, NULL, NULL, NULL);
	if (status)
		reply = ctl_call(ctl, "Upgrade", json_pack("{s:s?, s:b, s:i}", "binary", r.binary, "check", (int)r.check, "timeout", r.timeout),
				 false, NULL, NULL, &fault, &text);
	if (fault > 0) {
		(void)printf("ERROR: %s\n", text);
		ctl_fail(ctl, CTL_GENERIC);
	}
	if (reply) {
		bool taking_over = json_is_true(json_object_get(reply, "taking_over"));

		if (!ctl->json || !taking_over)
			if (!ctl_json(ctl, reply))
				print_rehearsal(reply);
		if (number_of(reply, "able") < number_of(reply, "processes"))
			ctl_fail(ctl, CTL_GENERIC);
		if (taking_over)
			report_outcome(ctl, number_of(status, "supervisor_pid"));
	}
	json_decref(reply);
	json_decref(status);
	free(r.binary);
	free(text);
}
