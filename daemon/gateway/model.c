/*
 * See model.h. The list is asked for when the event stream opens, then process by process as events tell of changes; a whole list
 * now and then catches what no event tells. A supervisor that was replaced is noticed by its broken
 * stream. The other jobs: model_parts.h.
 */
#include "model_parts.h"

#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "curves.h"

static const double settle_seconds = 0.03;	/* events that come together are one question */
static const double status_seconds = 3, list_seconds = 60, retry_seconds = 0.5;
static const double silence_seconds = 10;	/* without an answer for so long, the supervisor is not up */
enum {
	DIRTY_MAX = 200,			/* beyond it the whole list is cheaper */
	HISTORIES_MAX = 1000,			/* processes: a list of more comes without histories, or it would not fit a reply */
};

/* ---- the supervisor's list ---- */

static void strip(json_t *about)
{
	(void)json_object_del(about, "now");
	(void)json_object_del(about, "uptime");
	(void)json_object_del(about, "transitions");
	if (strcmp(text_of(about, "statename"), "RUNNING") == 0)
		(void)json_object_set_new(about, "description", json_string(""));
}

static void merge_process(struct model *m, const json_t *listed)
{
	const char *namespec = text_of(listed, "namespec");
	bool found;
	size_t place = model_place(m, namespec, &found);
	struct model_process *p = found ? m->list[place] : model_process_add(m, namespec, place);
	json_t *transitions = json_object_get(listed, "transitions"), *about = json_copy((json_t *)listed);

	if (!p || !about) {
		json_decref(about);
		return;
	}
	p->listed = true;
	if (transitions)
		model_process_transitions(m, p, transitions);
	strip(about);
	if (p->about && json_equal(p->about, about)) {
		json_decref(about);
		return;
	}
	json_decref(p->about);
	p->about = about;
	model_tell(m, "process", about);
}

static bool is_listed(const char *namespec, void *data)
{
	return model_find(data, namespec) != NULL;
}

static void merge_all(struct model *m, json_t *processes)
{
	json_t *listed;
	size_t i;

	for (i = 0; i < m->n; i++)
		m->list[i]->listed = false;
	json_array_foreach(processes, i, listed)
		merge_process(m, listed);
	for (i = m->n; i-- > 0;)
		if (!m->list[i]->listed)
			model_process_remove(m, i);
	if (!m->with_history && m->n > 0 && m->n <= HISTORIES_MAX)
		m->all_dirty = true;		/* now that we know how many there are */
	if (!m->current) {
		m->current = true;
		curves_sweep(m->curves, is_listed, m);	/* what was removed while no gateway looked */
		model_measure(m, 0);
		model_ask_pools(m);
	}
}

static void merge_some(struct model *m, json_t *reply)
{
	json_t *j;
	size_t i;

	json_array_foreach(json_object_get(reply, "processes"), i, j)
		merge_process(m, j);
	json_array_foreach(json_object_get(reply, "unknown"), i, j) {
		bool found;
		size_t place = model_place(m, json_string_value(j), &found);

		if (found)
			model_process_remove(m, place);
		else
			m->all_dirty = true;	/* a name that we could not read from the event */
	}
}

static void got_all(void *data, json_t *parameters, const char *error, bool continues)
{
	struct model *m = data;

	(void)continues;
	m->listing = NULL;
	if (!error)
		merge_all(m, json_object_get(parameters, "processes"));
	else
		m->all_dirty = true;
	if (m->all_dirty || json_object_size(m->dirty))
		ev_timer_again(m->loop, &m->settle);
}

static void got_some(void *data, json_t *parameters, const char *error, bool continues)
{
	struct model *m = data;

	(void)continues;
	m->listing = NULL;
	if (!error)
		merge_some(m, parameters);
	else
		m->all_dirty = true;
	if (m->all_dirty || json_object_size(m->dirty))
		ev_timer_again(m->loop, &m->settle);
}

static json_t *dirty_names(const struct model *m)
{
	json_t *names = json_array(), *value;
	const char *name;

	json_object_foreach(m->dirty, name, value)
		(void)json_array_append_new(names, json_string(name));
	return names;
}

static void ask_list(struct model *m)
{
	bool all = m->all_dirty || json_object_size(m->dirty) > DIRTY_MAX;
	json_t *names;

	if (m->listing || !m->streaming)
		return;			/* asked again when it has come */
	names = all ? json_array() : dirty_names(m);
	(void)json_object_clear(m->dirty);
	m->all_dirty = false;
	m->with_history = !all || (m->n > 0 && m->n <= HISTORIES_MAX);
	m->listing = backend_call(m->backend, "io.reeve.Supervisor.List",
				  json_pack("{s:o, s:b}", "names", names, "history", (int)m->with_history), false, all ? got_all : got_some, m);
	if (!m->listing)
		m->all_dirty = true;
}

static void settled(struct ev_loop *loop, ev_timer *w, int events)
{
	struct model *m = w->data;

	(void)events;
	ev_timer_stop(loop, w);
	if (m->all_dirty || json_object_size(m->dirty))
		ask_list(m);
}

static void relist(struct ev_loop *loop, ev_timer *w, int events)
{
	struct model *m = w->data;

	(void)loop;
	(void)events;
	m->all_dirty = true;
	ask_list(m);
}

/* ---- events ---- */

/* The value of KEY in "key:value key:value" or lines of it; a process name holds no blank. */
static bool payload_value(const char *payload, const char *key, char *buffer, size_t size)
{
	const char *at = strstr(payload, key);
	size_t n;

	if (!at)
		return false;
	at += strlen(key);
	n = strcspn(at, " \n");
	return (size_t)snprintf(buffer, size, "%.*s", (int)n, at) < size;
}

static void state_changed(struct model *m, const char *payload)
{
	char process[256], group[256], namespec[520];

	if (!payload_value(payload, "processname:", process, sizeof process) ||
	    !payload_value(payload, "groupname:", group, sizeof group)) {
		m->all_dirty = true;
		return;
	}
	if (strcmp(process, group) == 0)
		(void)snprintf(namespec, sizeof namespec, "%s", process);
	else
		(void)snprintf(namespec, sizeof namespec, "%s:%s", group, process);
	(void)json_object_set_new(m->dirty, namespec, json_true());
}

static void ask_status(struct model *m);

static void note_event(struct model *m, const json_t *event)
{
	const char *type = text_of(event, "type");

	if (strncmp(type, "PROCESS_STATE_", 14) == 0) {
		state_changed(m, text_of(event, "payload"));
	} else if (strncmp(type, "PROCESS_GROUP_", 14) == 0 || strcmp(type, "GAP") == 0) {
		m->all_dirty = true;
		model_ask_plan(m);
	} else if (strncmp(type, "SUPERVISOR_STATE_", 17) == 0) {
		ask_status(m);
		return;
	} else {
		return;
	}
	if (!ev_is_active(&m->settle))
		ev_timer_again(m->loop, &m->settle);
}

static void set_up(struct model *m, bool up)
{
	if (json_is_true(json_object_get(m->daemon, "up")) == up)
		return;
	(void)json_object_set_new(m->daemon, "up", json_boolean(up));
	model_tell(m, "daemon", m->daemon);
}

static void stream_lost(struct model *m)
{
	m->events = NULL;
	m->streaming = false;
	m->current = false;
	set_up(m, false);
	ev_timer_again(m->loop, &m->retry);
}

static void got_event(void *data, json_t *parameters, const char *error, bool continues)
{
	struct model *m = data;
	json_t *event = json_object_get(parameters, "event");

	if (error || !continues) {
		stream_lost(m);
		return;
	}
	if (event) {
		note_event(m, event);
		return;
	}
	/* The first reply: from here on nothing escapes us. What was before, the list tells. */
	m->streaming = true;
	m->all_dirty = true;
	ask_list(m);
	ask_status(m);
}

static void open_stream(struct model *m)
{
	/* No event has so high a number: the stream begins with an empty reply. */
	m->events = backend_call(m->backend, "io.reeve.Supervisor.Events", json_pack("{s:b, s:I}", "follow", 1, "since", (json_int_t)1 << 60),
				 true, got_event, m);
	if (!m->events)
		ev_timer_again(m->loop, &m->retry);
}

static void retry(struct ev_loop *loop, ev_timer *w, int events)
{
	struct model *m = w->data;

	(void)events;
	ev_timer_stop(loop, w);
	if (!m->events)
		open_stream(m);
}

/* ---- the daemon ---- */

/* What changes at every look is no news. */
static bool same_daemon(const json_t *a, const json_t *b)
{
	static const char *const keys[] = { "pid", "supervisor_pid", "logger_pid", "version", "identifier", "statename", "config_file",
					    "generation", "start", "successions", "up" };

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const json_t *x = json_object_get(a, keys[i]), *y = json_object_get(b, keys[i]);

		if (x != y && !(x && y && json_equal(x, y)))
			return false;
	}
	return true;
}

static void got_status(void *data, json_t *parameters, const char *error, bool continues)
{
	struct model *m = data;
	char host[256] = "";
	json_t *daemon;
	bool same;

	(void)continues;
	m->status = NULL;
	if (error)
		return;
	m->answered = clock_now();
	daemon = json_copy(parameters);
	if (!daemon)
		return;
	(void)json_object_set_new(daemon, "up", json_boolean(m->streaming));
	(void)gethostname(host, sizeof host - 1);
	(void)json_object_set_new(daemon, "host", json_string(host));
	(void)json_object_set(daemon, "gateway_start", json_object_get(m->daemon, "gateway_start"));
	same = same_daemon(m->daemon, daemon);
	json_decref(m->daemon);
	m->daemon = daemon;
	if (!same)
		model_tell(m, "daemon", daemon);
}

static void ask_status(struct model *m)
{
	if (!m->status)
		m->status = backend_call(m->backend, "io.reeve.Supervisor.GetStatus", NULL, false, got_status, m);
}

static void poll_status(struct ev_loop *loop, ev_timer *w, int events)
{
	struct model *m = w->data;

	(void)loop;
	(void)events;
	if (m->streaming && !model_up(m))
		set_up(m, false);	/* it hangs */
	ask_status(m);
}

bool model_up(const struct model *m)
{
	return m->streaming && m->current && clock_now() - m->answered < silence_seconds;
}

const json_t *model_daemon(const struct model *m)
{
	return m->daemon;
}

/* ---- the whole ---- */

struct model *model_new(struct ev_loop *loop, struct backend *backend, int curves, model_listener *listener, void *data)
{
	struct model *m = calloc(1, sizeof *m);

	if (!m) {
		closep(&curves);
		return NULL;
	}
	*m = (struct model){ .loop = loop, .backend = backend, .listener = listener, .data = data };
	if (model_usage_start(m, curves) < 0) {
		free(m);
		return NULL;
	}
	m->dirty = json_object();
	m->daemon = json_pack("{s:b, s:f}", "up", 0, "gateway_start", clock_wall());
	ev_timer_init(&m->settle, settled, 0, settle_seconds);
	ev_timer_init(&m->poll, poll_status, status_seconds, status_seconds);
	ev_timer_init(&m->relist, relist, list_seconds, list_seconds);
	ev_timer_init(&m->retry, retry, 0, retry_seconds);
	m->settle.data = m->poll.data = m->relist.data = m->retry.data = m;
	ev_timer_start(loop, &m->poll);
	ev_timer_start(loop, &m->relist);
	model_pools_start(m);
	model_plan_start(m);
	open_stream(m);
	return m;
}

void model_free(struct model *m)
{
	struct ev_timer *timers[] = { &m->settle, &m->poll, &m->relist, &m->retry, &m->pool_timer, &m->plan_timer };
	struct backend_call *calls[] = { NULL, NULL, NULL, NULL };

	if (!m)
		return;
	calls[0] = m->events;
	calls[1] = m->status;
	calls[2] = m->listing;
	calls[3] = m->planning;
	for (size_t i = 0; i < ARRAY_LEN(timers); i++)
		ev_timer_stop(m->loop, timers[i]);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		if (calls[i])
			backend_cancel(calls[i]);
	for (size_t i = 0; i < m->n; i++)
		model_process_free(m->list[i]);
	model_usage_stop(m);
	free(m->list);
	json_decref(m->dirty);
	json_decref(m->daemon);
	json_decref(m->plan);
	free(m);
}
