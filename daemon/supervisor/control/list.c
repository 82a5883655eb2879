/* The methods that only tell: GetStatus, List, GetConfig. */
#include <errno.h>
#include <time.h>
#include <stdio.h>
#include <string.h>

#include "../generation.h"
#include "../gateway_link.h"
#include "../group.h"
#include "../listener/pool.h"
#include "../logger_link.h"
#include "../names.h"
#include "../tree.h"
#include "handlers.h"
#include "process/proc.h"

/* ---- one process ---- */

/* As the logger opened it, or as it is written; "": none. */
static const char *logfile_of(const struct process *p, int channel)
{
	if (p->logfile[channel])
		return p->logfile[channel];
	if (p->conf->channel[channel].logfile_kind == LOGFILE_PATH && !(channel == CHANNEL_STDERR && p->conf->redirect_stderr))
		return p->conf->channel[channel].logfile;
	return "";
}

static json_t *exitcode_of(const struct lifecycle *life)
{
	return life->ended ? json_integer(exit_status_number(&life->exit)) : json_null();
}

/* supervisord's: none while running, never run, or exited too quickly; -1 for a signal. */
static int exitstatus_of(const struct lifecycle *life)
{
	if (!life->ended || life->state == STATE_BACKOFF || life->state == STATE_FATAL)
		return 0;
	return life->exit.signal ? -1 : life->exit.code;
}

static const char *const kind_names[] = { "program", "eventlistener", "fcgi-program", "pool" };

json_t *text_json(const char *text)
{
	json_t *s = json_string(text);

	return s ? s : json_string("(not valid UTF-8)");
}

/* Of this run or, while it runs, of the one before. */
static void add_last_exit(json_t *j, const struct process *p)
{
	const struct transition *t;

	for (unsigned i = 0; (t = history_get(&p->record->history, i)); i++)
		if (t->cause.kind == CAUSE_EXIT) {
			(void)json_object_set_new(j, "last_exitcode", json_integer(exit_status_number(&t->cause.exit)));
			(void)json_object_set_new(j, "last_exit", json_real(t->time));
			return;
		}
}

static json_t *leftovers_json(const struct process *p)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < p->left.n && i < ARRAY_LEN(p->left.pids); i++)
		(void)json_array_append_new(list, json_integer(p->left.pids[i]));
	return list;
}

json_t *process_json(const struct process *p)
{
	const struct lifecycle *life = &p->now.life;
	double now = clock_now();
	char description[600], spawnerr[600];
	json_t *j;

	process_description(p, now, description, sizeof description);
	process_spawnerr(p, spawnerr, sizeof spawnerr);
	j = json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:i, s:I, s:f, s:f, s:f, s:f, s:i, s:o, s:I, s:I}", "name", p->conf->name,
		      "group", p->conf->group, "namespec", p->conf->namespec, "kind", kind_names[p->conf->kind], "state",
		      (int)process_state(p), "statename", process_state_name(process_state(p)), "pid", (int)process_pid(p), "run",
		      (json_int_t)life->run, "start", p->now.start_time, "stop", p->now.stop_time, "now", clock_wall(), "uptime",
		      process_pid(p) ? now - life->started : 0.0, "exitstatus", exitstatus_of(life), "exitcode", exitcode_of(life),
		      "restarts", (json_int_t)life->restarts, "backoff", (json_int_t)life->backoff);
	if (!j)
		return json_null();
	(void)json_object_set_new(j, "description", text_json(description));
	(void)json_object_set_new(j, "spawnerr", text_json(spawnerr));
	(void)json_object_set_new(j, "stdout_logfile", text_json(logfile_of(p, CHANNEL_STDOUT)));
	(void)json_object_set_new(j, "stderr_logfile", text_json(logfile_of(p, CHANNEL_STDERR)));
	if (p->group->listeners)
		(void)json_object_set_new(j, "listener", listener_json(p));
	(void)json_object_set_new(j, "ready", json_string("unknown"));
	(void)json_object_set_new(j, "waiting_for", json_string(""));
	(void)json_object_set_new(j, "leftovers", leftovers_json(p));
	add_last_exit(j, p);
	if (p->record->failure.stage != SPAWN_NONE) {
		(void)json_object_set_new(j, "stage", json_string(spawn_stage_name(p->record->failure.stage)));
		(void)json_object_set_new(j, "errno", json_string(errno_name(p->record->failure.error)));
	}
	return j;
}

json_t *invalid_json(const struct group_conf *g)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:i, s:i, s:i, s:i, s:f, s:i, s:s, s:i, s:n, s:i, s:i, s:s, s:s, s:s, s:s, "
			 "s:[]}",
			 "name", g->name, "group", g->name, "namespec", g->name, "kind", kind_names[g->kind], "state", -1, "statename",
			 "INVALID", "description", g->invalid, "pid", 0, "run", 0, "start", 0, "stop", 0, "now", clock_wall(), "uptime",
			 0, "spawnerr", g->invalid, "exitstatus", 0, "exitcode", "restarts", 0, "backoff", 0, "stdout_logfile", "",
			 "stderr_logfile", "", "ready", "unknown", "waiting_for", "", "leftovers");
}

/* ---- List ---- */

struct listing {
	json_t *processes, *unknown;
	struct supervisor *s;
	bool history;
};

static void list_one(struct process *p, bool single, void *data)
{
	struct listing *l = data;
	json_t *j = process_json(p);

	(void)single;
	if (l->history)
		(void)json_object_set_new(j, "transitions", transitions_json(p));
	(void)json_array_append_new(l->processes, j);
}

static bool list_invalid(struct listing *l, const char *name)
{
	const struct group_conf *g = config_group(l->s->loaded->config, name);

	if (!g || !g->invalid || group_find(l->s, name))
		return false;
	(void)json_array_append_new(l->processes, invalid_json(g));
	return true;
}

static void list_missing(const char *name, void *data)
{
	struct listing *l = data;

	if (!list_invalid(l, name))
		(void)json_array_append_new(l->unknown, json_string(name));
}

static const char *sort_key(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

static int lexical(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	int r = strcmp(sort_key(x, "group"), sort_key(y, "group"));

	return r ? r : strcmp(sort_key(x, "name"), sort_key(y, "name"));
}

/* supervisord's order: by group and name. */
static json_t *sorted(json_t *array)
{
	size_t n = json_array_size(array);
	json_t **list = malloc((n ? n : 1) * sizeof(json_t *)), *ret = json_array();

	for (size_t i = 0; list && i < n; i++)
		list[i] = json_array_get(array, i);
	if (list) {
		qsort(list, n, sizeof *list, lexical);
		for (size_t i = 0; i < n; i++)
			(void)json_array_append(ret, list[i]);
	}
	free(list);
	json_decref(array);
	return ret;
}

static void add_usage(json_t *processes)
{
	size_t n = json_array_size(processes);
	struct proc_usage *usage = calloc(n ? n : 1, sizeof *usage);

	for (size_t i = 0; usage && i < n; i++)
		usage[i].root = (pid_t)json_integer_value(json_object_get(json_array_get(processes, i), "pid"));
	if (usage && proc_tree_usage(usage, n) == 0)
		for (size_t i = 0; i < n; i++)
			if (usage[i].root)
				(void)json_object_set_new(json_array_get(processes, i), "usage",
							  json_pack("{s:f, s:I, s:i}", "cpu", usage[i].cpu_time, "rss",
								    (json_int_t)usage[i].rss, "processes", (int)usage[i].processes));
	free(usage);
}

void method_list(struct varlink_call *call, json_t *parameters, void *data)
{
	struct supervisor *s = data;
	static const char *const all[] = { "all" };
	struct listing l = { .s = s, .history = json_is_true(json_object_get(parameters, "history")) };
	const char **names;
	size_t n;

	names = string_list(call, parameters, "names", &n);
	if (!names)
		return;
	l.processes = json_array();
	l.unknown = json_array();
	if (n == 0 || (n == 1 && strcmp(names[0], "all") == 0)) {
		processes_named(s, all, 1, list_one, NULL, &l);
		for (size_t i = 0; i < s->loaded->config->n_groups; i++)
			(void)list_invalid(&l, s->loaded->config->groups[i]->name);
		l.processes = sorted(l.processes);
	} else {
		processes_named(s, names, n, list_one, list_missing, &l);
	}
	free(names);
	if (json_is_true(json_object_get(parameters, "usage")))
		add_usage(l.processes);
	(void)varlink_reply(call, json_pack("{s:o, s:o}", "processes", l.processes, "unknown", l.unknown));
}

/* ---- GetStatus ---- */

void method_get_status(struct varlink_call *call, json_t *parameters, void *data)
{
	struct supervisor *s = data;
	const struct supervisord_conf *c = &s->loaded->config->supervisord;
	enum daemon_state state = supervisor_state(s);
	json_t *upgrade = s->upgraded ? json_pack("{s:s, s:s}", "outcome", s->upgraded, "text", s->upgrade_text) : json_null();

	(void)parameters;
	(void)varlink_reply(
		call,
		json_pack("{s:i, s:i, s:i, s:i, s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:i, s:s, s:f, s:f, s:i, s:f, s:s, s:b, s:i, s:o}", "pid",
			  (int)s->keeper_pid, "supervisor_pid", (int)getpid(), "logger_pid", (int)logger_link_process(s->logger),
			  "gateway_pid", (int)gateway_link_process(s->gateway), "version", REEVE_VERSION, "api_version", "3.0", "supervisor_version", "4.2.5", "identifier", c->identifier,
			  "statecode", (int)state, "statename",
			  state == DAEMON_RUNNING ? "RUNNING" : state == DAEMON_RESTARTING ? "RESTARTING" : "SHUTDOWN", "config_file",
			  s->config_path, "generation", (int)s->loaded->number, "rundir", s->rundir, "start", s->state.header->start_time,
			  "now", clock_wall(), "successions", (int)s->state.header->supervisors - 1, "loop_latency", latency_worst(&s->latency), "logfile",
			  c->logfile, "main_log_stdout", (int)(c->nodaemon && !c->silent), "state_layout", (int)s->state.header->version, "upgrade",
			  upgrade));
}

/* ---- GetConfig ---- */

static json_t *or_none(const char *text)
{
	return text_json(text ? text : "none");
}

static void config_channel(json_t *j, const struct process_conf *c, const char *prefix, int channel)
{
	const struct channel_conf *k = &c->channel[channel];
	char key[64];

#define PUT(suffix, value)                                                                                             \
	do {                                                                                                           \
		(void)snprintf(key, sizeof key, "%s_%s", prefix, suffix);                                              \
		(void)json_object_set_new(j, key, value);                                                              \
	} while (0)
	PUT("logfile", k->logfile_kind == LOGFILE_PATH ? text_json(k->logfile)
						       : json_string(k->logfile_kind == LOGFILE_AUTO ? "auto" : "none"));
	PUT("logfile_backups", json_integer(k->logfile_backups));
	PUT("logfile_maxbytes", json_integer(k->logfile_maxbytes));
	PUT("capture_maxbytes", json_integer(k->capture_maxbytes));
	PUT("events_enabled", json_boolean(k->events_enabled));
	PUT("syslog", json_boolean(k->syslog));
#undef PUT
}

/* As far as it is known. */
static json_t *uid_json(const struct supervisor *s, const char *user)
{
	struct identity identity;

	if (!user)
		return json_string("none");
	return names_known_user(s, user, &identity) == 0 ? json_integer((json_int_t)identity.uid) : text_json(user);
}

static json_t *config_json(const struct supervisor *s, const struct group_conf *g, const struct process_conf *c)
{
	static const char *const restart[] = { "false", "true", "unexpected" };
	json_t *codes = json_array();
	json_t *j = json_pack("{s:s, s:s, s:b, s:b, s:b, s:I, s:I, s:I, s:I, s:i, s:I, s:b, s:b, s:s}", "name", c->name, "group", g->name,
			      "autostart", (int)c->autostart, "killasgroup", (int)c->killasgroup, "stopasgroup", (int)c->stopasgroup,
			      "group_prio", (json_int_t)g->priority, "process_prio", (json_int_t)c->priority, "startretries",
			      (json_int_t)c->startretries, "startsecs", (json_int_t)c->startsecs, "stopsignal", c->stopsignal,
			      "stopwaitsecs", (json_int_t)c->stopwaitsecs, "redirect_stderr", (int)c->redirect_stderr, "inuse",
			      group_find(s, g->name) != NULL, "autorestart", restart[c->autorestart]);

	if (!j)
		return json_null();
	for (size_t i = 0; i < c->n_exitcodes; i++)
		(void)json_array_append_new(codes, json_integer(c->exitcodes[i]));
	(void)json_object_set_new(j, "exitcodes", codes);
	(void)json_object_set_new(j, "command", text_json(c->command));
	(void)json_object_set_new(j, "directory", or_none(c->directory));
	(void)json_object_set_new(j, "serverurl", or_none(c->serverurl));
	(void)json_object_set_new(j, "uid", uid_json(s, c->user));
	config_channel(j, c, "stdout", CHANNEL_STDOUT);
	config_channel(j, c, "stderr", CHANNEL_STDERR);
	return j;
}

void method_get_config(struct varlink_call *call, json_t *parameters, void *data)
{
	struct supervisor *s = data;
	const struct config *c = s->loaded->config;
	json_t *list = json_array();

	(void)parameters;
	for (size_t i = 0; i < c->n_groups; i++)
		for (size_t k = 0; k < c->groups[i]->n_processes; k++)
			(void)json_array_append_new(list, config_json(s, c->groups[i], c->groups[i]->processes[k]));
	(void)varlink_reply(call, json_pack("{s:o}", "processes", list));
}
