/*
 * See model.h. The list is asked for when the event stream opens, then process by process as events tell of changes; a whole list
 * now and then catches what no event tells. A supervisor that was replaced is noticed by its broken stream.
 */
#include "model.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base.h"
#include "curves.h"
#include "process/proc.h"

static const double settle_seconds = 0.03;	/* events that come together are one question */
static const double status_seconds = 3, list_seconds = 60, retry_seconds = 0.5;
static const double pool_seconds = 2;		/* while somebody watches; else with every sample */
static const double plan_seconds = 3, plan_stat_seconds = 1;
static const double plan_share = 0.01;	/* of the time, at most, goes into plans that nobody asked for */
static const double silence_seconds = 10;	/* without an answer for so long, the supervisor is not up */
enum {
	DIRTY_MAX = 200,			/* beyond it the whole list is cheaper */
	HISTORIES_MAX = 1000,			/* processes: a list of more comes without histories, or it would not fit a reply */
};

struct model {
	struct ev_loop *loop;
	struct backend *backend;
	model_listener *listener;
	void *data;

	struct model_process **list;		/* sorted by namespec; owned */
	size_t n, size;
	struct curves *curves;			/* owned */
	json_t *daemon;
	bool streaming, current;		/* the event stream is open; the list has come since then */
	double answered;			/* CLOCK_MONOTONIC of the last GetStatus */

	json_t *dirty;				/* {namespec: true}: to be asked for */
	bool all_dirty, with_history;		/* with_history: the list that is being asked for */
	struct backend_call *events, *status, *listing, *planning;
	ev_timer settle, poll, relist, retry;

	ev_timer tick;
	uint64_t newest;			/* tick */
	double newest_time;			/* seconds since the epoch */
	double counted;				/* seconds since the epoch: what was before is in the curves that we found */
	double usage_time;			/* CLOCK_MONOTONIC of the last look at /proc */

	bool watched;
	ev_timer pool_timer;
	double pools_asked;

	json_t *plan;
	bool plan_again;
	ev_timer plan_timer;
	double plan_asked, plan_cost;		/* when, and how long the answer took */
	struct timespec config_time;
};

static void tell(struct model *m, const char *what, const json_t *json)
{
	m->listener(m->data, what, json);
}

static const char *text_of(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

/* ---- the processes ---- */

static size_t place_of(const struct model *m, const char *namespec, bool *ret_found)
{
	size_t from = 0, to = m->n;

	*ret_found = false;
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int r = strcmp(m->list[middle]->namespec, namespec);

		if (r == 0) {
			*ret_found = true;
			return middle;
		}
		if (r < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

const struct model_process *model_process(const struct model *m, size_t i)
{
	return i < m->n ? m->list[i] : NULL;
}

const struct model_process *model_find(const struct model *m, const char *namespec)
{
	bool found;
	size_t i = place_of(m, namespec, &found);

	return found ? m->list[i] : NULL;
}

static void process_free(struct model_process *p)
{
	if (p->asking_pool)
		backend_cancel(p->asking_pool);
	json_decref(p->pool);
	json_decref(p->about);
	json_decref(p->marks);
	json_decref(p->exits);
	json_decref(p->transitions);
	free(p->namespec);
	free(p);
}

static struct model_process *process_add(struct model *m, const char *namespec, size_t place)
{
	struct model_process *p = calloc(1, sizeof *p);

	if (p && m->n == m->size) {
		size_t size = m->size ? 2 * m->size : 64;
		struct model_process **grown = realloc(m->list, size * sizeof *grown);

		if (grown) {
			m->list = grown;
			m->size = size;
		}
	}
	if (!p || m->n == m->size || !(p->namespec = strdup(namespec))) {
		free(p);
		return NULL;
	}
	p->model = m;
	p->samples = curves_find(m->curves, namespec);
	p->marks = json_array();
	p->exits = json_object();
	memmove(m->list + place + 1, m->list + place, (m->n - place) * sizeof *m->list);
	m->list[place] = p;
	m->n++;
	return p;
}

static void process_remove(struct model *m, size_t place)
{
	struct model_process *p = m->list[place];
	json_t *j = json_pack("{s:s}", "namespec", p->namespec);

	memmove(m->list + place, m->list + place + 1, (m->n - place - 1) * sizeof *m->list);
	m->n--;
	curves_remove(m->curves, p->namespec);
	process_free(p);
	tell(m, "removed", j);
	json_decref(j);
}

/* ---- starts and exits ---- */

static void count_exit(struct model_process *p, int exitcode)
{
	char key[16];
	const char *name = exitcode < 0 ? sigabbrev_np(-exitcode) : NULL;
	json_t *before;

	if (name)
		(void)snprintf(key, sizeof key, "SIG%s", name);
	else
		(void)snprintf(key, sizeof key, "%d", exitcode);
	before = json_object_get(p->exits, key);
	(void)json_object_set_new(p->exits, key, json_integer(json_integer_value(before) + 1));
}

static void add_mark(struct model_process *p, json_t *mark)
{
	(void)json_array_append_new(p->marks, mark);
	if (json_array_size(p->marks) > MODEL_MARKS)
		(void)json_array_remove(p->marks, 0);
}

static void count(uint8_t *n)
{
	*n += *n < UINT8_MAX;
}

static void note_transition(const struct model *m, struct model_process *p, const json_t *t)
{
	const json_t *cause = json_object_get(t, "cause"), *exitcode = json_object_get(cause, "exitcode");
	const char *to = text_of(t, "to"), *kind = text_of(cause, "kind");
	double time = json_number_value(json_object_get(t, "time"));
	json_int_t run = json_integer_value(json_object_get(t, "run"));
	bool is_exit = strcmp(kind, "exit") == 0, asked = strcmp(text_of(t, "from"), "STOPPING") == 0;
	bool fine = asked || (strcmp(to, "EXITED") == 0 && json_integer_value(exitcode) == 0);
	bool counts = time >= json_number_value(json_object_get(m->daemon, "gateway_start")), lately = time > m->counted;

	if (is_exit || strcmp(kind, "exec") == 0) {
		add_mark(p, json_pack("{s:f, s:s, s:I, s:s, s:O?, s:s, s:b}", "t", time, "kind", "exit", "run", run, "text",
				      text_of(cause, "text"), "exitcode", exitcode, "to", to, "asked", (int)asked));
		if (is_exit && counts)
			count_exit(p, (int)json_integer_value(exitcode));
		if (lately)
			count(fine ? &p->stops : &p->crashes);
	} else if (strcmp(to, "STARTING") == 0) {
		add_mark(p, json_pack("{s:f, s:s, s:I, s:s}", "t", time, "kind", "start", "run", run, "text", text_of(cause, "text")));
		if (lately)
			count(&p->starts);
	}
}

/* NEW slides over the transitions that are known: its first ones are their last ones. Returns how many those are. */
static size_t overlap(const json_t *known, const json_t *new)
{
	size_t n = json_array_size(known), count = json_array_size(new);

	for (size_t common = n < count ? n : count; common > 0; common--) {
		size_t i = 0;

		while (i < common && json_equal(json_array_get(known, n - common + i), json_array_get(new, i)))
			i++;
		if (i == common)
			return common;
	}
	return 0;
}

static void note_transitions(const struct model *m, struct model_process *p, json_t *new)
{
	for (size_t i = overlap(p->transitions, new); i < json_array_size(new); i++)
		note_transition(m, p, json_array_get(new, i));
	json_decref(p->transitions);
	p->transitions = json_incref(new);
}

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
	size_t place = place_of(m, namespec, &found);
	struct model_process *p = found ? m->list[place] : process_add(m, namespec, place);
	json_t *transitions = json_object_get(listed, "transitions"), *about = json_copy((json_t *)listed);

	if (!p || !about) {
		json_decref(about);
		return;
	}
	p->listed = true;
	if (transitions)
		note_transitions(m, p, transitions);
	strip(about);
	if (p->about && json_equal(p->about, about)) {
		json_decref(about);
		return;
	}
	json_decref(p->about);
	p->about = about;
	tell(m, "process", about);
}

static void ask_pools(struct model *m);

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
			process_remove(m, i);
	if (!m->with_history && m->n > 0 && m->n <= HISTORIES_MAX)
		m->all_dirty = true;		/* now that we know how many there are */
	if (!m->current) {
		m->current = true;
		curves_sweep(m->curves, is_listed, m);	/* what was removed while no gateway looked */
		model_measure(m, 0);
		ask_pools(m);
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
		size_t place = place_of(m, json_string_value(j), &found);

		if (found)
			process_remove(m, place);
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
	tell(m, "daemon", m->daemon);
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
		tell(m, "daemon", daemon);
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

/* ---- cpu and memory ---- */

static pid_t pid_of(const struct model_process *p)
{
	return (pid_t)json_integer_value(json_object_get(p->about, "pid"));
}

/* Without a pid here, or in the list that /proc gave: not running. */
static void note_usage(struct model_process *p, const struct proc_usage *u)
{
	double grown;

	p->memory = u->root ? u->rss : 0;
	p->members = u->root ? u->processes : 0;
	if (!p->members)
		return;
	grown = p->measured == u->root ? u->cpu_time - p->cpu_before : u->cpu_time;
	if (grown > 0)			/* members that nobody waited for take what they used with them */
		p->cpu_seconds += grown;
	p->cpu_before = u->cpu_time;
	p->measured = u->root;
}

void model_measure(struct model *m, double max_age)
{
	_cleanup_(freep) struct proc_usage *usage = NULL;
	double now = clock_now();

	if (m->n == 0 || now - m->usage_time < max_age)
		return;
	usage = calloc(m->n, sizeof *usage);
	if (!usage)
		return;
	for (size_t i = 0; i < m->n; i++)
		usage[i].root = pid_of(m->list[i]);
	if (proc_tree_usage(usage, m->n) < 0)
		return;
	m->usage_time = now;
	for (size_t i = 0; i < m->n; i++)
		note_usage(m->list[i], &usage[i]);
}

static bool has_news(const struct model_process *p)
{
	return p->members || p->starts || p->crashes || p->stops;
}

/* CPU: in cores, since the last tick. */
static void add_sample(struct model *m, struct model_process *p, uint64_t number, double cpu)
{
	if (!p->samples && has_news(p))
		p->samples = curves_add(m->curves, p->namespec);
	if (p->samples && has_news(p))
		samples_put(p->samples, number, (struct sample){ p->members ? (float)cpu : -1, (uint32_t)(p->memory >> 10), p->starts,
								 p->crashes, p->stops });
	p->starts = p->crashes = p->stops = 0;
}

json_t *model_sample(const struct model *m)
{
	json_t *rows = json_object();

	for (size_t i = 0; i < m->n; i++) {
		const struct model_process *p = m->list[i];
		struct sample at = samples_at(p->samples, m->newest);

		if (at.cpu >= 0)
			(void)json_object_set_new(rows, p->namespec,
						  json_pack("[I, I, i]", (json_int_t)lroundf(at.cpu * 1000), (json_int_t)at.memory,
							    (int)p->members));
	}
	return json_pack("{s:f, s:o}", "t", m->newest_time, "rows", rows);
}

static void tick(struct ev_loop *loop, ev_timer *w, int events)
{
	struct model *m = w->data;
	double now = clock_now(), since;
	uint64_t number = (uint64_t)((now - curves_began(m->curves)) / SAMPLE_SECONDS + 0.5);
	_cleanup_(freep) double *before = calloc(m->n ? m->n : 1, sizeof *before);
	json_t *sample;

	(void)loop;
	(void)events;
	if (!before || number <= m->newest)
		return;
	since = now - m->usage_time;
	for (size_t i = 0; i < m->n; i++)
		before[i] = m->list[i]->cpu_seconds;
	model_measure(m, 0);
	for (size_t i = 0; i < m->n; i++) {
		struct model_process *p = m->list[i];

		add_sample(m, p, number, (p->cpu_seconds - before[i]) / (since > 0.1 ? since : SAMPLE_SECONDS));
	}
	m->newest = number;
	m->newest_time = clock_wall();
	curves_set_newest(m->curves, m->newest, m->newest_time);
	sample = model_sample(m);
	tell(m, "sample", sample);
	json_decref(sample);
}

json_t *model_history(const struct model *m, const char *names)
{
	json_t *series = json_object();
	char name[520];

	for (const char *at = names; *at;) {
		size_t n = strcspn(at, "\n");
		const struct model_process *p = NULL;

		if (n < sizeof name) {
			memcpy(name, at, n);
			name[n] = '\0';
			p = model_find(m, name);
		}
		if (p) {
			json_t *one = samples_json(p->samples, m->newest);

			(void)json_object_set(one, "marks", p->marks);
			(void)json_object_set_new(series, name, one);
		}
		at += n + (at[n] == '\n');
	}
	return json_pack("{s:f, s:i, s:i, s:o}", "t", m->newest_time, "step", SAMPLE_SECONDS, "slots", SAMPLES, "series", series);
}

/* ---- pools ---- */

static bool is_pool(const struct model_process *p)
{
	return strcmp(text_of(p->about, "kind"), "pool") == 0;
}

/* STATUS (stolen; NULL: not running) is news unless only its clock went on. */
static void set_pool(struct model_process *p, json_t *status)
{
	json_t *news;

	(void)json_object_del(status, "now");
	(void)json_object_del(status, "slots");
	if (status == p->pool || (status && p->pool && json_equal(status, p->pool))) {
		json_decref(status);
		return;
	}
	json_decref(p->pool);
	p->pool = status;
	news = json_pack("{s:s, s:O?}", "namespec", p->namespec, "status", status);
	tell(p->model, "pool", news);
	json_decref(news);
}

static void got_pool(void *data, json_t *parameters, const char *error, bool continues)
{
	struct model_process *p = data;

	(void)continues;
	p->asking_pool = NULL;
	set_pool(p, error ? NULL : json_copy(json_object_get(parameters, "status")));
}

static void ask_pools(struct model *m)
{
	m->pools_asked = clock_now();
	for (size_t i = 0; i < m->n; i++) {
		struct model_process *p = m->list[i];

		if (p->asking_pool || !is_pool(p))
			continue;
		if (pid_of(p))
			p->asking_pool = backend_call_pool(m->backend, text_of(p->about, "name"), "io.reeve.Pool.GetStatus", NULL, got_pool, p);
		else
			set_pool(p, NULL);
	}
}

static void pools_due(struct ev_loop *loop, ev_timer *w, int events)
{
	struct model *m = w->data;

	(void)loop;
	(void)events;
	if (m->streaming && (m->watched || clock_now() - m->pools_asked > SAMPLE_SECONDS - 1))
		ask_pools(m);
}

/* ---- the plan ---- */

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
		tell(m, "plan", plan);
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
		ask_pools(m);
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

/* ---- the whole ---- */

/* Go on with the curves of the gateway before us, at the ticks that they have. */
static int open_curves(struct model *m, int fd)
{
	double into;

	m->curves = curves_open(fd);
	if (!m->curves)
		return -ENOMEM;
	m->newest = curves_newest(m->curves, &m->newest_time);
	m->counted = m->newest ? m->newest_time : clock_wall();
	into = fmod(clock_now() - curves_began(m->curves), SAMPLE_SECONDS);
	ev_timer_init(&m->tick, tick, SAMPLE_SECONDS - into, SAMPLE_SECONDS);
	return 0;
}

struct model *model_new(struct ev_loop *loop, struct backend *backend, int curves, model_listener *listener, void *data)
{
	struct model *m = calloc(1, sizeof *m);

	if (!m) {
		closep(&curves);
		return NULL;
	}
	*m = (struct model){ .loop = loop, .backend = backend, .listener = listener, .data = data };
	if (open_curves(m, curves) < 0) {
		free(m);
		return NULL;
	}
	m->dirty = json_object();
	m->daemon = json_pack("{s:b, s:f}", "up", 0, "gateway_start", clock_wall());
	ev_timer_init(&m->settle, settled, 0, settle_seconds);
	ev_timer_init(&m->poll, poll_status, status_seconds, status_seconds);
	ev_timer_init(&m->relist, relist, list_seconds, list_seconds);
	ev_timer_init(&m->retry, retry, 0, retry_seconds);
	ev_timer_init(&m->pool_timer, pools_due, pool_seconds, pool_seconds);
	ev_timer_init(&m->plan_timer, plan_look, 0, plan_stat_seconds);
	m->settle.data = m->poll.data = m->relist.data = m->retry.data = m->tick.data = m->pool_timer.data = m->plan_timer.data = m;
	ev_timer_start(loop, &m->poll);
	ev_timer_start(loop, &m->relist);
	ev_timer_start(loop, &m->tick);
	ev_timer_start(loop, &m->pool_timer);
	open_stream(m);
	return m;
}

void model_free(struct model *m)
{
	struct ev_timer *timers[] = { &m->settle, &m->poll, &m->relist, &m->retry, &m->tick, &m->pool_timer, &m->plan_timer };
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
		process_free(m->list[i]);
	curves_close(m->curves);
	free(m->list);
	json_decref(m->dirty);
	json_decref(m->daemon);
	json_decref(m->plan);
	free(m);
}
