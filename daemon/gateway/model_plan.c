/*
 * See model_parts.h. What an update would change, while somebody watches: asked of the supervisor when the main file has changed, and from
 * time to time for the included ones.
 */
#include <string.h>
#include <sys/stat.h>

#include "base/base.h"
#include "model_parts.h"

static const double plan_seconds = 3, plan_stat_seconds = 1;
static const double plan_share = 0.01;	/* of the time, at most, goes into plans that nobody asked for */

static json_t *only_changes(const json_t *reply)
{
	json_t *changes = json_array(), *change;
	size_t i;

	json_array_foreach(json_object_get(reply, "changes"), i, change)
		if (strcmp(text_of(change, "action"), "unchanged") != 0)
			(void)json_array_append(changes, change);
	return json_pack("{s:o, s:O?, s:O?}", "changes", changes, "diagnostics", json_object_get(reply, "diagnostics"), "pending",
			 json_object_get(reply, "pending"));
}

static void got_plan(void *data, json_t *parameters, const char *error, bool continues)
{
	struct model *m = data;
	json_t *plan;

	(void)continues;
	m->planning = NULL;
	m->plan_cost = clock_now() - m->plan_asked;
	plan = error ? json_pack("{s:[], s:[], s:b, s:s}", "changes", "diagnostics", "pending", 0, "error",
				 *text_of(parameters, "text") ? text_of(parameters, "text") : error)
		     : only_changes(parameters);
	if (error && strcmp(error, "io.reeve.Disconnected") == 0) {
		json_decref(plan);
		plan = NULL;
	}
	if (plan && !(m->plan && json_equal(m->plan, plan))) {
		json_decref(m->plan);
		m->plan = json_incref(plan);
		model_tell(m, "plan", plan);
	}
	json_decref(plan);
	if (m->plan_again) {
		m->plan_again = false;
		model_ask_plan(m);
	}
}

void model_ask_plan(struct model *m)
{
	if (!m->watched)
		return;
	if (m->planning) {
		m->plan_again = true;
		return;
	}
	m->plan_asked = clock_now();
	m->planning = backend_call(m->backend, "io.reeve.Supervisor.Plan", NULL, false, got_plan, m);
}

/* The main file is looked at often, where we may; included files only by asking the supervisor. */
static void plan_look(struct ev_loop *loop, ev_timer *w, int events)
{
	struct model *m = w->data;
	struct stat st;
	double pause = m->plan_cost / plan_share > plan_seconds ? m->plan_cost / plan_share : plan_seconds;
	bool changed = false;

	(void)loop;
	(void)events;
	if (stat(text_of(m->daemon, "config_file"), &st) == 0) {
		changed = memcmp(&st.st_mtim, &m->config_time, sizeof m->config_time) != 0;
		m->config_time = st.st_mtim;
	}
	if (changed || clock_now() - m->plan_asked > pause)
		model_ask_plan(m);
}

void model_watch(struct model *m, bool watched)
{
	if (m->watched == watched)
		return;
	m->watched = watched;
	if (watched) {
		model_ask_pools(m);
		ev_timer_again(m->loop, &m->plan_timer);
		model_ask_plan(m);
	} else {
		ev_timer_stop(m->loop, &m->plan_timer);
	}
}

const json_t *model_plan(const struct model *m)
{
	return m->plan;
}

/* It runs while somebody watches. */
void model_plan_start(struct model *m)
{
	ev_timer_init(&m->plan_timer, plan_look, 0, plan_stat_seconds);
	m->plan_timer.data = m;
}
