/*
 * The methods that change the configuration: Reread, Plan, Update, AddGroup, RemoveGroup; and the ways of SIGHUP and autoupdate to an update.
 * All that depends on the files is done when they have been read (reading.h); a file that cannot be had ends it in one line.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "../config_watch.h"
#include "../gateway_link.h"
#include "../generation.h"
#include "../group.h"
#include "../reading.h"
#include "../shutdown.h"
#include "conf/plan.h"
#include "handlers.h"
#include "update.h"
#include "wire/keeper.h"

/* ---- the running groups as a list of configurations; no file knows of transient ones ---- */

static struct group_conf **running_confs(const struct supervisor *s, size_t *ret_n)
{
	struct group_conf **list;
	size_t n = 0;

	for (const struct group *g = s->groups; g; g = g->next)
		n++;
	list = calloc(n ? n : 1, sizeof(struct group_conf *));
	*ret_n = 0;
	for (const struct group *g = s->groups; list && g; g = g->next)
		if (!generation_is_transient(g->generation))
			list[(*ret_n)++] = (struct group_conf *)g->conf;
	return list;
}

static struct plan *plan_against(const struct supervisor *s, const struct config *config)
{
	struct plan *plan = NULL;
	size_t n;
	struct group_conf **running = running_confs(s, &n);

	if (running && plan_make(running, n, config, &plan) < 0)
		plan = NULL;
	free(running);
	return plan;
}

static json_t *diagnostics_json(const struct config *config)
{
	json_t *list = json_array();

	for (size_t i = 0; config && i < config->diagnostics.n; i++) {
		char *line = NULL;
		size_t size;
		FILE *f = open_memstream(&line, &size);
		json_t *text;

		if (!f)
			break;
		diagnostic_print(&config->diagnostics.list[i], f);
		(void)fclose(f);
		text = json_string(line);
		(void)json_array_append_new(list, text ? text : json_string("(not valid UTF-8)"));
		free(line);
	}
	return list;
}

/* ---- what waits for the files to be read ---- */

struct question {
	struct supervisor *s;
	struct varlink_call *call;	/* NULL: a signal, or the files themselves */
	json_t *parameters;		/* a use of it */
	struct cause cause;
	int signal;			/* that the keeper is to be told of when it has been acted on; 0: none */
	bool changed_only;		/* nothing is to be done if the files say what is loaded */
};

static void question_free(struct question *q)
{
	json_decref(q->parameters);
	free(q);
}

/* Have the files read, then DONE with a copy of QUESTION, which frees it. False: the call, if there is one, has been answered. */
static bool ask_files(const struct question *question, reading_done *done)
{
	struct question *q = malloc(sizeof *q);
	struct error err;

	if (q) {
		*q = *question;
		json_incref(q->parameters);
		if (reading_ask(q->s, done, q, &err) == 0)
			return true;
		question_free(q);
	}
	if (question->call)
		reply_fault(question->call, FAULT_FAILED, "out of memory");
	return false;
}

/* True if Q ends here: it has been answered, and is freed. */
static bool unanswerable(struct question *q, struct config *config, const struct error *err)
{
	if (config && supervisor_state(q->s) == DAEMON_RUNNING)
		return false;
	if (q->call && !refused(q->s, q->call))
		reply_fault(q->call, FAULT_CANT_REREAD, err->text);
	config_free(config);
	question_free(q);
	return true;
}

/* ---- Reread ---- */

static json_t *reread_json(const struct plan *plan, const struct config *config)
{
	json_t *added = json_array(), *changed = json_array(), *removed = json_array();

	for (size_t i = 0; plan && i < plan->n_groups; i++) {
		const struct plan_group *p = &plan->groups[i];

		if (!p->old)
			(void)json_array_append_new(added, json_string(p->new->name));
		else if (!p->new)
			(void)json_array_append_new(removed, json_string(p->old->name));
		else if (p->changed)
			(void)json_array_append_new(changed, json_string(p->new->name));
	}
	return json_pack("{s:o, s:o, s:o, s:o}", "added", added, "changed", changed, "removed", removed, "warnings",
			 diagnostics_json(config));
}

static void reread(void *data, struct config *config, const struct error *why)
{
	struct question *q = data;
	struct generation *g;
	struct plan *plan;
	struct error err;

	if (unanswerable(q, config, why))
		return;
	if (generation_accept(q->s, config, false, &g, &err) < 0) {
		reply_fault(q->call, FAULT_CANT_REREAD, err.text);
	} else {
		plan = plan_against(q->s, g->config);
		(void)varlink_reply(q->call, reread_json(plan, g->config));
		plan_free(plan);
	}
	question_free(q);
}

void method_reread(struct varlink_call *call, json_t *parameters, void *data)
{
	if (!refused(data, call))
		(void)ask_files(&(struct question){ .s = data, .call = call, .parameters = parameters }, reread);
}

/* ---- Plan ---- */

static bool has_word(json_t *list, const char *word)
{
	json_t *member;
	size_t i;

	json_array_foreach(list, i, member)
		if (strcmp(json_string_value(member), word) == 0)
			return true;
	return false;
}

/* What changed of a process, and of its group. */
static json_t *keys_json(const char **own, const char **of_group)
{
	const char **lists[] = { own, of_group };
	json_t *list = json_array();

	for (size_t l = 0; l < ARRAY_LEN(lists); l++)
		for (size_t i = 0; lists[l] && lists[l][i]; i++)
			if (!has_word(list, lists[l][i]))
				(void)json_array_append_new(list, json_string(lists[l][i]));
	return list;
}

static json_t *daemon_key_json(const struct plan_key *k)
{
	return json_pack("{s:s, s:s?, s:s}", "section", k->section, "key", k->key, "change", key_change_name(k->change));
}

/*
 * The daemon's own keys; *RET_PENDING: some take effect with an update. What waits for a restart of the daemon is named until there has
 * been one, however often it has been loaded since.
 */
static json_t *daemon_json(const struct supervisor *s, const struct config *config, bool *ret_pending)
{
	const struct generation *started = s->started ? s->started : s->loaded;
	json_t *list = json_array();
	size_t n_live, n_waiting;
	struct plan_key *live = plan_daemon(s->loaded->config, config, &n_live);
	struct plan_key *waiting = plan_daemon(started->config, config, &n_waiting);

	for (size_t i = 0; i < n_live; i++) {
		if (live[i].change == CHANGE_DAEMON)
			continue;
		(void)json_array_append_new(list, daemon_key_json(&live[i]));
		*ret_pending |= live[i].change == CHANGE_LIVE;
	}
	for (size_t i = 0; i < n_waiting; i++)
		if (waiting[i].change == CHANGE_DAEMON)
			(void)json_array_append_new(list, daemon_key_json(&waiting[i]));
	free(live);
	free(waiting);
	return list;
}

static json_t *change_json(const struct plan_group *g, const struct plan_process *p)
{
	const struct process_conf *c = p ? (p->new ? p->new : p->old) : NULL;
	const char *name = g->new ? g->new->name : g->old->name;

	return json_pack("{s:s, s:o, s:s, s:s, s:o, s:s}", "group", name, "process", c ? json_string(c->name) : json_null(), "namespec",
			 c ? c->namespec : name, "action", plan_action_name(p ? p->action : g->action), "keys",
			 keys_json(p ? p->keys : NULL, p && (!p->old || !p->new) ? NULL : g->keys), "message",
			 g->new && g->new->invalid ? g->new->invalid : "");
}

static bool is_chosen(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0 || strcmp(names[i], "all") == 0)
			return true;
	return n == 0;
}

static json_t *plan_json(const struct plan *plan, const char *const *names, size_t n, bool *ret_pending)
{
	json_t *changes = json_array();

	for (size_t i = 0; plan && i < plan->n_groups; i++) {
		const struct plan_group *g = &plan->groups[i];

		if (!is_chosen(names, n, g->new ? g->new->name : g->old->name))
			continue;
		*ret_pending |= g->action != PLAN_UNCHANGED;
		if (!g->n_processes)
			(void)json_array_append_new(changes, change_json(g, NULL));
		for (size_t k = 0; k < g->n_processes; k++)
			(void)json_array_append_new(changes, change_json(g, &g->processes[k]));
	}
	return changes;
}

static void give_plan(const struct question *q, struct config *config)
{
	bool pending = false;
	struct plan *plan;
	json_t *changes, *daemon;
	size_t n;
	const char **names = string_list(q->call, q->parameters, "groups", &n);

	if (!names)
		return;
	plan = plan_against(q->s, config);
	changes = plan_json(plan, names, n, &pending);
	daemon = n ? json_array() : daemon_json(q->s, config, &pending);
	(void)varlink_reply(q->call, json_pack("{s:o, s:o, s:o, s:b}", "changes", changes, "daemon", daemon, "diagnostics",
					       diagnostics_json(config), "pending", (int)pending));
	plan_free(plan);
	free(names);
}

static void planned(void *data, struct config *config, const struct error *why)
{
	struct question *q = data;
	struct error err;

	if (!config) {
		reply_fault(q->call, FAULT_CANT_REREAD, why->text);
	} else if (config->diagnostics.n_errors) {	/* what update says */
		(void)generation_first_error(config, &err);
		reply_fault(q->call, FAULT_CANT_REREAD, err.text);
	} else {
		give_plan(q, config);
	}
	config_free(config);
	question_free(q);
}

void method_plan(struct varlink_call *call, json_t *parameters, void *data)
{
	(void)ask_files(&(struct question){ .s = data, .call = call, .parameters = parameters }, planned);
}

/* ---- Update ---- */

/*
 * Updates are done one after the other: each plans against what the one before it has made. What an update wants is kept with the keeper
 * ("update/GENERATION"), what it has stopped in order to start it again is in the records: a successor goes on with it.
 */

/* What is left to do for one group: its processes of STOPPING are stopped first. */
struct item {
	char *group;			/* owned */
	enum plan_action action;
	char **stopping;		/* namespecs, owned */
	char **restart;			/* of these, those that are started again if they run */
	size_t n_stopping, n_restart;
	bool begun, done;
};

struct update {
	struct update *next;		/* supervisor::updates, oldest first */
	struct supervisor *s;
	struct varlink_call *call;	/* NULL: SIGHUP, or the client has left */
	struct generation *generation;	/* a use of it */
	struct cause cause;
	json_t *names;			/* of the groups it is about; empty: all */
	bool planned;
	struct item *items;
	size_t n;
	json_t *changes;
};

/* ---- with the keeper ---- */

static void stored_name(const struct update *u, char name[KEEPER_NAME_SIZE])
{
	(void)snprintf(name, KEEPER_NAME_SIZE, "update/%u", u->generation->number % 100000000);
}

static void update_store(const struct update *u)
{
	char name[KEEPER_NAME_SIZE];
	char *text = json_dumps(u->names, JSON_COMPACT);
	int fd = text ? memfd_create("reeve-update", MFD_CLOEXEC) : -1;

	stored_name(u, name);
	if (fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text))
		supervisor_tell(u->s, KEEPER_STORE, 0, 0, name, fd);
	closep(&fd);
	free(text);
}

static void update_drop(const struct update *u)
{
	char name[KEEPER_NAME_SIZE];

	stored_name(u, name);
	supervisor_tell(u->s, KEEPER_DROP, 0, 0, name, -1);
}

/* ---- one step after the other ---- */

static void update_free(struct update *u)
{
	for (struct update **at = &u->s->updates; *at; at = &(*at)->next)
		if (*at == u) {
			*at = u->next;
			break;
		}
	for (size_t i = 0; i < u->n; i++) {
		free(u->items[i].group);
		for (size_t k = 0; k < u->items[i].n_stopping; k++)
			free(u->items[i].stopping[k]);
		for (size_t k = 0; k < u->items[i].n_restart; k++)
			free(u->items[i].restart[k]);
		free(u->items[i].stopping);
		free(u->items[i].restart);
	}
	free(u->items);
	json_decref(u->names);
	json_decref(u->changes);
	generation_release(u->s, u->generation);
	free(u);
}

static bool push(char ***list, size_t *n, const char *text)
{
	char **grown = realloc(*list, (*n + 1) * sizeof *grown);

	if (!grown)
		return false;
	*list = grown;
	grown[*n] = strdup(text);
	return grown[*n] && ++*n;
}

static void tell_change(struct update *u, const char *group, const char *action)
{
	json_t *change = json_pack("{s:s, s:s}", "group", group, "action", action);

	supervisor_log(u->s, LOGLEVEL_INFO, "update: %s: %s", group, action);
	(void)json_array_append(u->changes, change);
	if (u->call && varlink_call_more(u->call))
		(void)varlink_reply_more(u->call, json_pack("{s:o}", "change", change));
	else
		json_decref(change);
}

static bool plan_item(struct item *item, const struct plan_group *g)
{
	bool all = !g->new || (g->old && g->old->kind != g->new->kind);

	item->group = strdup(g->new ? g->new->name : g->old->name);
	item->action = g->action;
	if (!item->group)
		return false;
	for (size_t i = 0; i < g->n_processes; i++) {
		const struct plan_process *p = &g->processes[i];

		if (!p->old || !(all || p->action == PLAN_RESTART || p->action == PLAN_REMOVE))
			continue;
		if (!push(&item->stopping, &item->n_stopping, p->old->namespec) ||
		    (p->new && !push(&item->restart, &item->n_restart, p->new->namespec)))
			return false;
	}
	return true;
}

/* Only what runs, or would be started with the daemon, is started again. That is written down before the first is stopped. */
static void begin_item(struct update *u, struct item *item)
{
	item->begun = true;
	for (size_t i = 0; i < item->n_restart; i++) {
		struct process *p = process_by_name(u->s, item->restart[i]);

		if (p && (process_state_is_running(process_state(p)) || p->now.start_after_stop || p->conf->autostart))
			process_start_after_update(p, true);
	}
	for (size_t i = 0; i < item->n_stopping; i++) {
		struct process *p = process_by_name(u->s, item->stopping[i]);

		if (p)
			process_event(p, EVENT_STOP, &u->cause);
	}
}

static bool item_stopped(const struct update *u, const struct item *item)
{
	for (size_t i = 0; i < item->n_stopping; i++) {
		struct process *p = process_by_name(u->s, item->stopping[i]);

		if (p && !process_state_is_stopped(process_state(p)))
			return false;
	}
	return true;
}

static void add_group(struct update *u, struct item *item, const struct group_conf *conf)
{
	struct error err;
	struct group *g = group_new(u->s, u->generation, conf, NULL, &err);

	if (!g) {
		supervisor_log(u->s, LOGLEVEL_ERROR, "%s", err.text);
		return;
	}
	group_autostart(g, &u->cause);
	tell_change(u, item->group, "added");
}

static void change_group(struct update *u, struct item *item, struct group *g, const struct group_conf *conf)
{
	struct error err;

	if (group_reconfigure(g, u->generation, conf, item->action == PLAN_UNCHANGED, &err) < 0)
		supervisor_log(u->s, LOGLEVEL_ERROR, "%s", err.text);
	for (size_t i = 0; i < g->n_processes; i++)
		if (g->processes[i]->now.start_after_update) {
			process_event(g->processes[i], EVENT_START, &u->cause);
			process_start_after_update(g->processes[i], false);
		}
	group_autostart(g, &u->cause);
	if (item->action == PLAN_UNCHANGED)
		return;
	if (item->n_stopping)
		tell_change(u, item->group, "stopped");
	tell_change(u, item->group, "updated");
}

static void finish_item(struct update *u, struct item *item)
{
	struct group *g = group_find(u->s, item->group);
	const struct group_conf *conf = config_group(u->generation->config, item->group);

	item->done = true;
	if (!conf) {
		if (g && group_stopped(g)) {
			tell_change(u, item->group, "stopped");
			group_remove(g);
			tell_change(u, item->group, "removed");
		}
	} else if (conf->invalid) {
		return;
	} else if (!g) {
		add_group(u, item, conf);
	} else {
		change_group(u, item, g, conf);
	}
}

/* Removals and changes stop first, all at once; additions come last. */
static bool update_step(struct update *u)
{
	bool done = true, additions_wait = false;

	for (size_t i = 0; i < u->n; i++) {
		struct item *item = &u->items[i];

		if (item->done)
			continue;
		if (!item->begun)
			begin_item(u, item);
		if (item->action == PLAN_ADD && additions_wait) {
			done = false;
			continue;
		}
		if (item_stopped(u, item)) {
			finish_item(u, item);
		} else {
			done = false;
			additions_wait = true;
		}
	}
	return done;
}

static int compare_items(const void *a, const void *b)
{
	static const int rank[] = { [PLAN_UNCHANGED] = 0, [PLAN_REMOVE] = 1, [PLAN_LIVE] = 2, [PLAN_RESTART] = 3, [PLAN_INVALID] = 4,
				    [PLAN_ADD] = 5 };
	const struct item *x = a, *y = b;

	return rank[x->action] - rank[y->action];
}

static void update_end(struct update *u)
{
	struct varlink_call *call = u->call;

	u->call = NULL;
	update_drop(u);
	shutdown_look(u->s);
	if (u->s->ready)		/* else it is still to come */
		supervisor_tell(u->s, KEEPER_NOTIFY, 0, 0, "READY=1", -1);
	if (call)
		(void)varlink_reply(call, json_pack("{s:O, s:o}", "changes", u->changes, "diagnostics",
						    diagnostics_json(u->generation->config)));
	if (json_array_size(u->names) == 0)
		gateway_link_apply(u->s->gateway);
	update_free(u);
}

static bool is_listed(const json_t *names, const char *name)
{
	json_t *one;
	size_t i;

	json_array_foreach(names, i, one)
		if (strcmp(json_string_value(one), name) == 0 || strcmp(json_string_value(one), "all") == 0)
			return true;
	return json_array_size(names) == 0;
}

/* False: out of memory. Of a part of a plan nothing is done: it could stop what it does not start again. */
static bool update_plan(struct update *u)
{
	struct plan *plan = plan_against(u->s, u->generation->config);
	bool complete;

	u->planned = true;
	if (plan)
		u->items = calloc(plan->n_groups ? plan->n_groups : 1, sizeof *u->items);
	complete = plan && u->items && u->changes && u->names;
	for (size_t i = 0; complete && i < plan->n_groups; i++)
		if (is_listed(u->names, plan->groups[i].new ? plan->groups[i].new->name : plan->groups[i].old->name))
			complete = plan_item(&u->items[u->n++], &plan->groups[i]);
	if (u->n)
		qsort(u->items, u->n, sizeof *u->items, compare_items);
	plan_free(plan);
	return complete;
}

static void give_up(struct update *u, enum fault fault, const char *text)
{
	struct varlink_call *call = u->call;

	u->call = NULL;
	update_drop(u);
	if (call)
		reply_fault(call, fault, text);
	update_free(u);
}

void updates_step(struct supervisor *s)
{
	struct update *u;

	while (s->updates && supervisor_state(s) != DAEMON_RUNNING)	/* what comes next is a fresh start, or nothing */
		give_up(s->updates, FAULT_SHUTDOWN_STATE, NULL);
	while ((u = s->updates)) {
		if (!u->planned && !update_plan(u)) {
			supervisor_log(s, LOGLEVEL_ERROR, "the update is not made: out of memory");
			give_up(u, FAULT_FAILED, "out of memory");
			continue;
		}
		if (!update_step(u))
			return;
		update_end(u);
	}
}

void updates_free(struct supervisor *s)
{
	while (s->updates)
		update_free(s->updates);
}

static void client_left(void *data)
{
	((struct update *)data)->call = NULL;
}

/* The last of the list. NAMES is stolen. */
static struct update *update_new(struct supervisor *s, struct generation *g, json_t *names, const struct cause *cause)
{
	struct update *u = calloc(1, sizeof *u), **at = &s->updates;

	if (!u) {
		json_decref(names);
		return NULL;
	}
	*u = (struct update){ .s = s, .generation = generation_use(g), .cause = *cause, .names = names, .changes = json_array() };
	while (*at)
		at = &(*at)->next;
	*at = u;
	s->changed = true;		/* the first step is taken before the loop sleeps */
	return u;
}

static int update_begin(struct supervisor *s, struct varlink_call *call, json_t *names, const struct cause *cause, struct config *config,
			struct error *err)
{
	json_t *list = names ? json_incref(names) : json_array();
	struct generation *g;
	struct update *u;
	int r = generation_accept(s, config, false, &g, err);

	if (r == 0 && !list)
		r = error_set(err, ENOMEM, "out of memory");
	if (r < 0) {
		json_decref(list);
		return r;
	}
	u = update_new(s, g, list, cause);
	if (!u)
		return error_set(err, ENOMEM, "out of memory");
	update_store(u);
	supervisor_tell(s, KEEPER_NOTIFY, 0, 0, "RELOADING=1", -1);
	u->call = call;
	if (call)
		varlink_call_on_gone(call, client_left, u);
	return 0;
}

/* What was stored, as far as it is a list of strings. */
static json_t *read_names(int fd)
{
	char path[40];
	json_t *list, *one;
	size_t i;

	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	list = json_load_file(path, 0, NULL);
	json_array_foreach(list, i, one)
		if (!json_is_string(one)) {
			json_decref(list);
			return NULL;
		}
	return list;
}

bool update_adopt(struct supervisor *s, const char *name, int fd)
{
	static const struct cause cause = { .kind = CAUSE_CONFIG };
	struct generation *g;
	json_t *names;
	unsigned number;

	if (sscanf(name, "update/%u", &number) != 1)
		return false;
	g = generation_find(s, number);
	names = g ? read_names(fd) : NULL;
	(void)close(fd);
	if (!names) {
		supervisor_tell(s, KEEPER_DROP, 0, 0, name, -1);
		return true;
	}
	supervisor_log(s, LOGLEVEL_INFO, "going on with the update that our predecessor had begun");
	(void)update_new(s, g, names, &cause);
	return true;
}

/* CONFIG is taken. */
static int apply(const struct question *q, struct config *config, struct error *err)
{
	json_t *names = json_object_get(q->parameters, "groups");
	struct supervisor *s = q->s;

	config_watch_worked(s);
	if (q->changed_only && sources_equal(config->sources, s->loaded->config->sources)) {
		config_free(config);
		return 0;
	}
	if (q->changed_only)
		supervisor_log(s, LOGLEVEL_INFO, "autoupdate: applying the configuration on disk");
	return update_begin(s, q->call, json_is_array(names) ? names : NULL, &q->cause, config, err);
}

/* What nobody has called for goes to the log. */
static void complain(const struct question *q, bool read, const struct error *err)
{
	if (supervisor_state(q->s) != DAEMON_RUNNING)
		return;
	if (q->changed_only && !read && (err->code == ETIMEDOUT || err->code == EAGAIN) && !config_watch_failed(q->s))
		return;
	if (q->changed_only && !read)
		supervisor_log(q->s, LOGLEVEL_WARN, "autoupdate: %s: the configuration stays as it is", err->text);
	else
		supervisor_log(q->s, LOGLEVEL_ERROR, "the configuration on disk has errors, nothing was changed: %s", err->text);
}

static void files_read(void *data, struct config *config, const struct error *why)
{
	struct question *q = data;
	struct supervisor *s = q->s;
	bool read = config != NULL;
	struct error err = *why;
	int r = -EINVAL;

	if (q->call && unanswerable(q, config, why))
		return;
	if (config && supervisor_state(s) == DAEMON_RUNNING)
		r = apply(q, config, &err);
	else
		config_free(config);
	if (r < 0 && q->call)
		reply_fault(q->call, FAULT_CANT_REREAD, err.text);
	else if (r < 0)
		complain(q, read, &err);
	/* The keeper remembers one of a kind: that of the last is that of all. */
	if (q->signal && --s->signals_waiting == 0)
		supervisor_tell(s, KEEPER_NOTED, q->signal, 0, NULL, -1);
	question_free(q);
}

void method_update(struct varlink_call *call, json_t *parameters, void *data)
{
	struct supervisor *s = data;
	struct question q = { .s = s, .call = call, .parameters = parameters, .cause = cause_of(call) };
	size_t n;
	const char **names;

	if (json_is_true(json_object_get(parameters, "dry_run"))) {
		(void)ask_files(&q, planned);
		return;
	}
	if (refused(s, call))
		return;
	names = string_list(call, parameters, "groups", &n);
	if (!names)
		return;
	free(names);
	q.cause.kind = CAUSE_CONFIG;
	(void)ask_files(&q, files_read);
}

bool control_update(struct supervisor *s, int signal)
{
	struct question q = { .s = s, .cause = { .kind = CAUSE_CONFIG }, .signal = signal };

	if (!ask_files(&q, files_read)) {
		supervisor_log(s, LOGLEVEL_ERROR, "the configuration is not read: out of memory");
		return false;
	}
	s->signals_waiting++;
	return true;
}

void control_update_if_changed(struct supervisor *s)
{
	(void)ask_files(&(struct question){ .s = s, .cause = { .kind = CAUSE_CONFIG }, .changed_only = true }, files_read);
}

/* ---- AddGroup, RemoveGroup ---- */

void method_add_group(struct varlink_call *call, json_t *parameters, void *data)
{
	struct supervisor *s = data;
	const char *name = json_string_value(json_object_get(parameters, "name"));
	const struct group_conf *conf = name ? config_group(s->loaded->config, name) : NULL;
	struct cause cause = cause_of(call);
	struct error err;
	struct group *g;

	if (refused(s, call))
		return;
	if (!conf || conf->invalid) {
		reply_fault(call, FAULT_BAD_NAME, name);
	} else if (group_find(s, name)) {
		reply_fault(call, FAULT_ALREADY_ADDED, name);
	} else if (!(g = group_new(s, s->loaded, conf, NULL, &err))) {
		reply_fault(call, FAULT_FAILED, err.text);
	} else {
		group_autostart(g, &cause);
		(void)varlink_reply(call, NULL);
	}
}

void method_remove_group(struct varlink_call *call, json_t *parameters, void *data)
{
	struct supervisor *s = data;
	const char *name = json_string_value(json_object_get(parameters, "name"));
	struct group *g = name ? group_find(s, name) : NULL;

	if (refused(s, call))
		return;
	if (!g) {
		reply_fault(call, FAULT_BAD_NAME, name);
	} else if (!group_stopped(g)) {
		reply_fault(call, FAULT_STILL_RUNNING, name);
	} else {
		group_remove(g);
		s->changed = true;
		(void)varlink_reply(call, NULL);
	}
}
