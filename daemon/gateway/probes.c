/*
 * See web.h: what a container's probes ask. Both answer from what the model knows; both are open to everybody and therefore name
 * no process.
 */
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "web.h"

static void answer(struct request *r, int status, const char *text)
{
	http_add_header(r, "Cache-Control", "no-store");
	http_answer(r, status, "text/plain;charset=utf-8", text, strlen(text));
}

void probe_health(struct request *r)
{
	if (model_up(r->gateway->web->model))
		answer(r, 200, "ok\n");
	else
		answer(r, 503, "the supervisor does not answer\n");
}

static const char *state_of(const struct model_process *p)
{
	const char *state = p ? json_string_value(json_object_get(p->about, "statename")) : NULL;

	return state ? state : "";
}

/* What was stopped by somebody, or has done its work, keeps nobody waiting. */
static bool is_settled(const struct model_process *p)
{
	static const char *const settled[] = { "RUNNING", "STOPPED", "EXITED" };

	for (size_t i = 0; i < ARRAY_LEN(settled); i++)
		if (strcmp(state_of(p), settled[i]) == 0)
			return true;
	return false;
}

void probe_ready(struct request *r)
{
	const struct model *m = r->gateway->web->model;
	const char *name = http_query(r, "process"), *state = json_string_value(json_object_get(model_daemon(m), "statename"));
	const struct model_process *p;
	size_t n = 0, unsettled = 0;
	char text[120];

	for (size_t i = 0; (p = model_process(m, i)); i++, n++)
		unsettled += !is_settled(p);
	if (!model_up(m)) {
		answer(r, 503, "the supervisor does not answer\n");
	} else if (!state || strcmp(state, "RUNNING") != 0) {
		answer(r, 503, "the daemon is stopping\n");
	} else if (name) {
		if (strcmp(state_of(model_find(m, name)), "RUNNING") == 0)
			answer(r, 200, "ok\n");
		else
			answer(r, 503, "it is not running\n");
	} else if (unsettled) {
		(void)snprintf(text, sizeof text, "%zu of %zu processes are not up\n", unsettled, n);
		answer(r, 503, text);
	} else {
		answer(r, 200, "ok\n");
	}
}
