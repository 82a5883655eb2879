/* Connections to the daemons, and calls that survive the daemon's replacement. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl.h"
#include "remote.h"

volatile sig_atomic_t ctl_interrupted;

static const double reconnect_for = 10; /* seconds that a supervisor's successor may take */

void ctl_fail(struct ctl *ctl, int status)
{
	ctl->status = status;
}

const char *text_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

long long number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

bool ctl_json(const struct ctl *ctl, const json_t *reply)
{
	if (!ctl->json)
		return false;
	(void)json_dumpf(reply, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
	(void)putchar('\n');
	return true;
}

json_t *ctl_words(int argc, char **argv)
{
	json_t *list = json_array();

	for (int i = 0; i < argc; i++)
		(void)json_array_append_new(list, json_string(argv[i]));
	return list;
}

/* ---- connections ---- */

static struct varlink_client *open_socket(struct ctl *ctl, const char *name, struct error *err)
{
	const char *rundir = ctl_rundir(ctl);
	struct varlink_client *client = NULL;
	char path[4200];

	if (!rundir) {
		err->code = 0;
		return NULL;
	}
	(void)snprintf(path, sizeof path, "%s/%s", rundir, name);
	if (varlink_client_connect(path, &client, err) < 0)
		return NULL;
	return client;
}

static struct varlink_client *connected(struct ctl *ctl, struct varlink_client **where, const char *name)
{
	struct error err = { 0 };

	if (*where)
		return *where;
	*where = open_socket(ctl, name, &err);
	if (!*where && err.code && ctl->compatible) {
		supervisorctl_unreachable(ctl, err.code);
	} else if (!*where && err.code) {
		(void)printf("error: %s\n", err.text);
		ctl_fail(ctl, err.code == ENOENT ? CTL_NOT_RUNNING : CTL_REFUSED);
	}
	return *where;
}

struct varlink_client *ctl_control(struct ctl *ctl)
{
	return connected(ctl, &ctl->control, "control.sock");
}

struct varlink_client *ctl_log(struct ctl *ctl)
{
	return connected(ctl, &ctl->log, "log.sock");
}

void ctl_disconnect(struct ctl *ctl)
{
	varlink_client_free(ctl->control);
	varlink_client_free(ctl->log);
	ctl->control = ctl->log = NULL;
}

static bool connect_again(struct ctl *ctl, struct varlink_client **where, const char *name)
{
	double deadline = clock_now() + reconnect_for;

	varlink_client_free(*where);
	*where = NULL;
	while (clock_now() < deadline && !ctl_interrupted) {
		struct error err;
		struct timespec pause = { 0, 20000000 };

		*where = open_socket(ctl, name, &err);
		if (*where)
			return true;
		(void)nanosleep(&pause, NULL);
	}
	return false;
}

bool ctl_again(struct ctl *ctl)
{
	return connect_again(ctl, &ctl->control, "control.sock");
}

bool ctl_log_again(struct ctl *ctl)
{
	return connect_again(ctl, &ctl->log, "log.sock");
}

/* ---- calls ---- */

static void on_interrupt(int signal)
{
	(void)signal;
	ctl_interrupted = 1;
}

void ctl_catch_interrupts(void)
{
	struct sigaction action = { .sa_handler = on_interrupt }; /* no SA_RESTART: waits end */

	(void)sigaction(SIGINT, &action, NULL);
}

static int exchange(struct ctl *ctl, const char *method, json_t *parameters, void (*partial)(json_t *, void *),
		    void *data, json_t **ret, const char **ret_error)
{
	char full[80];
	bool continues = true;
	int r;

	(void)snprintf(full, sizeof full, "io.reeve.Supervisor.%s", method);
	r = varlink_client_send(ctl->control, full, json_incref(parameters), partial != NULL);
	while (r == 0 && continues) {
		/* The limit is for an interrupt that came just before the wait. */
		r = ctl_interrupted ? -EINTR : varlink_client_receive(ctl->control, 1, ret, ret_error, &continues);
		if (r == -ETIMEDOUT || (r == -EINTR && !ctl_interrupted)) {
			r = 0;
			continue;
		}
		if (r == 0 && continues) {
			partial(*ret, data);
			json_decref(*ret);
		}
	}
	return r;
}

static void report(struct ctl *ctl, const char *error, const json_t *detail, int *ret_fault, char **ret_text)
{
	const char *text = text_of(detail, "text");

	if (!ret_fault && strcmp(error, "io.reeve.Supervisor.Fault") == 0) {
		ctl_fault(ctl, (int)number_of(detail, "code"), text);
		return;
	}
	if (ret_fault) {
		*ret_fault = strcmp(error, "io.reeve.Supervisor.Fault") == 0 ? (int)number_of(detail, "code") : -1;
		if (ret_text)
			*ret_text = strdup(*text ? text : error);
		if (*ret_fault > 0)
			return;
	}
	(void)printf("error: %s%s%s\n", error, *text ? ": " : "", text);
	ctl_fail(ctl, strstr(error, "PermissionDenied") ? CTL_REFUSED : CTL_GENERIC);
}

json_t *ctl_stream(struct ctl *ctl, const char *method, json_t *parameters, void (*partial)(json_t *reply, void *data),
		   void *data)
{
	json_t *reply = NULL;
	const char *error = NULL;
	int r = ctl_control(ctl) ? exchange(ctl, method, parameters, partial, data, &reply, &error) : -ECONNREFUSED;

	json_decref(parameters);
	if (r == 0 && error)
		report(ctl, error, reply, NULL, NULL);
	return r == 0 ? reply : NULL;
}

void ctl_fault(struct ctl *ctl, int code, const char *text)
{
	if (ctl->compatible) {
		supervisorctl_fault(ctl, code, text);
		return;
	}
	(void)printf("error: %s\n", text);
	ctl_fail(ctl, CTL_GENERIC);
}

bool ctl_reachable(struct ctl *ctl)
{
	return ctl_is_remote(ctl) ? remote_check(ctl) : ctl_control(ctl) != NULL;
}

json_t *ctl_call(struct ctl *ctl, const char *method, json_t *parameters, bool again,
		 void (*partial)(json_t *reply, void *data), void *data, int *ret_fault, char **ret_text)
{
	json_t *reply = NULL;
	const char *error = NULL;
	int r = -ECONNREFUSED;

	if (ret_fault)
		*ret_fault = 0;
	if (ret_text)
		*ret_text = NULL;
	if (!parameters)
		parameters = json_object();
	if (ctl_is_remote(ctl)) {
		reply = remote_call(ctl, method, parameters, partial, data, ret_fault, ret_text);
		json_decref(parameters);
		return reply;
	}
	if (ctl_control(ctl)) {
		do
			r = exchange(ctl, method, parameters, partial, data, &reply, &error);
		while ((r == -ECONNRESET || r == -EPIPE) && again && ctl_again(ctl));
		if (r == -EINTR) {
			(void)printf("\n%s: no longer waited for; the daemon goes on with it\n", method);
			ctl_disconnect(ctl);
			ctl_fail(ctl, CTL_GENERIC);
		} else if (r < 0) {
			(void)printf("error: %s was interrupted: the daemon's supervisor was replaced or has ended; "
				     "ask for status\n",
				     method);
			ctl_fail(ctl, CTL_GENERIC);
		}
	}
	if (r == 0 && error) {
		report(ctl, error, reply, ret_fault, ret_text);
		json_decref(reply);
		reply = NULL;
	}
	json_decref(parameters);
	return r == 0 ? reply : NULL;
}
