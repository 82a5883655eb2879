/* supervisor.*: processes: what they are, starting, stopping, signals, stdin. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "rpc_methods.h"

/* ---- information ---- */

static json_t *whole(const json_t *p, const char *key)
{
	double value = json_number_value(json_object_get(p, key));

	return json_integer(value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : (json_int_t)value);
}

static json_t *info(const json_t *p)
{
	return json_pack("{s:O, s:O, s:o, s:o, s:o, s:O, s:O, s:O, s:O, s:O, s:O, s:O, s:O, s:O}", "name", json_object_get(p, "name"), "group",
			 json_object_get(p, "group"), "start", whole(p, "start"), "stop", whole(p, "stop"), "now", whole(p, "now"), "state",
			 json_object_get(p, "state"), "statename", json_object_get(p, "statename"), "spawnerr",
			 json_object_get(p, "spawnerr"), "exitstatus", json_object_get(p, "exitstatus"), "logfile",
			 json_object_get(p, "stdout_logfile"), "stdout_logfile", json_object_get(p, "stdout_logfile"), "stderr_logfile",
			 json_object_get(p, "stderr_logfile"), "pid", json_object_get(p, "pid"), "description",
			 json_object_get(p, "description"));
}

static void one_found(struct rpc *c, json_t *reply)
{
	(void)reply;
	if (rpc_one(c))
		rpc_return(c, info(json_array_get(c->found, 0)));
}

void rpc_get_process_info(struct rpc *c)
{
	rpc_find(c, one_found);
}

static void all_known(struct rpc *c, json_t *reply)
{
	const json_t *list = json_object_get(reply, "processes");
	json_t *infos = json_array(), *p;
	size_t i;

	json_array_foreach(list, i, p)
		(void)json_array_append_new(infos, info(p));
	rpc_return(c, infos);
}

void rpc_get_all_process_info(struct rpc *c)
{
	rpc_ask_safe(c, "io.reeve.Supervisor.List", NULL, all_known);
}

/* ---- results of commands ---- */

static json_t *statuses(const json_t *reply)
{
	const json_t *results = json_object_get(reply, "results");
	json_t *list = json_array(), *r;
	size_t i;

	json_array_foreach(results, i, r)
		(void)json_array_append_new(list, rpc_status(rpc_text_of(r, "name"), rpc_text_of(r, "group"),
							     (int)rpc_number_of(r, "status"), rpc_text_of(r, "description")));
	return list;
}

static void many_done(struct rpc *c, json_t *reply)
{
	rpc_return(c, statuses(reply));
}

/* The fault of a process that was named: with the name as it was written, unless the text says more. */
static void one_done(struct rpc *c, json_t *reply)
{
	const json_t *result = json_array_get(json_object_get(reply, "results"), 0);
	int code = (int)rpc_number_of(result, "status");

	if (code == FAULT_SUCCESS)
		rpc_true(c);
	else if (code == FAULT_NO_FILE || code == FAULT_NOT_EXECUTABLE)
		rpc_fault_text(c, code, rpc_text_of(result, "description"));
	else if (!result)
		rpc_fault(c, FAULT_BAD_NAME, c->given);
	else
		rpc_fault(c, (enum fault)code, c->given);
}

static void operate(struct rpc *c, const char *method, json_t *names, json_t *wait, rpc_step *then)
{
	rpc_ask(c, method, json_pack("{s:o, s:o}", "names", names, "wait", wait), then);
}

static json_t *all(void)
{
	return json_pack("[s]", "all");
}

/* ---- start, stop ---- */

static void start_found(struct rpc *c, json_t *reply)
{
	(void)reply;
	operate(c, "io.reeve.Supervisor.Start", rpc_names(c), json_boolean(rpc_truth(c, 1, true)), c->process ? one_done : many_done);
}

static void stop_found(struct rpc *c, json_t *reply)
{
	(void)reply;
	operate(c, "io.reeve.Supervisor.Stop", rpc_names(c), json_boolean(rpc_truth(c, 1, true)), c->process ? one_done : many_done);
}

void rpc_start_process(struct rpc *c)
{
	rpc_find(c, start_found);
}

void rpc_start_group(struct rpc *c)
{
	rpc_find_group(c, start_found);
}

void rpc_start_all(struct rpc *c)
{
	operate(c, "io.reeve.Supervisor.Start", all(), json_boolean(rpc_truth(c, 0, true)), many_done);
}

void rpc_stop_process(struct rpc *c)
{
	rpc_find(c, stop_found);
}

void rpc_stop_group(struct rpc *c)
{
	rpc_find_group(c, stop_found);
}

void rpc_stop_all(struct rpc *c)
{
	operate(c, "io.reeve.Supervisor.Stop", all(), json_boolean(rpc_truth(c, 0, true)), many_done);
}

/* ---- signals ---- */

/* A number will do, too. NULL: neither. */
static json_t *signal_text(const struct rpc *c, size_t i)
{
	const json_t *value = json_array_get(c->params, i);

	if (json_is_integer(value))
		return json_sprintf("%lld", (long long)json_integer_value(value));
	return json_is_string(value) ? json_copy((json_t *)value) : NULL;
}

/* supervisord finds out for each process by itself that a signal does not exist. */
static bool is_bad_for_each(struct rpc *c, const char *error, json_t *reply)
{
	json_t *list, *p;
	size_t i;

	if (strcmp(error, "io.reeve.Supervisor.Fault") != 0 || rpc_number_of(reply, "code") != FAULT_BAD_SIGNAL)
		return false;
	list = json_array();
	json_array_foreach(c->found, i, p) {
		long long state = rpc_number_of(p, "state");

		if (state == 10 || state == 20 || state == 40)
			(void)json_array_append_new(list, rpc_status(rpc_text_of(p, "name"), rpc_text_of(p, "group"), FAULT_BAD_SIGNAL,
								     rpc_text_of(reply, "text")));
	}
	rpc_return(c, list);
	return true;
}

static void send_signal(struct rpc *c, json_t *names, size_t argument, rpc_step *then)
{
	json_t *text = signal_text(c, argument);

	if (!text) {
		json_decref(names);
		rpc_wrong(c);
		return;
	}
	if (then == many_done)
		c->on_error = is_bad_for_each;
	rpc_ask(c, "io.reeve.Supervisor.Signal", json_pack("{s:o, s:o}", "names", names, "signal", text), then);
}

static void signal_found(struct rpc *c, json_t *reply)
{
	(void)reply;
	send_signal(c, rpc_names(c), 1, c->process ? one_done : many_done);
}

void rpc_signal(struct rpc *c)
{
	rpc_find(c, signal_found);
}

void rpc_signal_group(struct rpc *c)
{
	rpc_find_group(c, signal_found);
}

static void signal_everybody(struct rpc *c, json_t *reply)
{
	c->found = json_incref(json_object_get(reply, "processes"));
	send_signal(c, all(), 0, many_done);
}

void rpc_signal_all(struct rpc *c)
{
	rpc_ask_safe(c, "io.reeve.Supervisor.List", NULL, signal_everybody);
}

/* ---- stdin ---- */

static void sent(struct rpc *c, json_t *reply)
{
	(void)reply;
	rpc_true(c);
}

static void stdin_found(struct rpc *c, json_t *reply)
{
	(void)reply;
	if (rpc_one(c))
		rpc_ask(c, "io.reeve.Supervisor.SendStdin",
			json_pack("{s:s+++, s:O}", "name", c->group, ":", c->process, "", "data", json_array_get(c->params, 1)), sent);
}

void rpc_send_stdin(struct rpc *c)
{
	const json_t *chars = json_array_get(c->params, 1);
	char text[64] = "";

	if (json_is_string(chars)) {
		rpc_find(c, stdin_found);
		return;
	}
	if (json_is_integer(chars))
		(void)snprintf(text, sizeof text, "%lld", (long long)json_integer_value(chars));
	rpc_fault(c, FAULT_INCORRECT_PARAMETERS, *text ? text : NULL);
}
