/*
 * See update.h. Updates are done one after the other: each plans against what the one before it has made. What an update wants is kept with
 * the keeper ("update/GENERATION"), what it has stopped in order to start it again is in the records: a successor goes on with it.
 */
#include "update.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "../gateway_link.h"
#include "../generation.h"
#include "../group.h"
#include "../shutdown.h"
#include "handlers.h"
#include "plan.h"
#include "wire/keeper.h"

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

int update_begin(struct supervisor *s, struct varlink_call *call, json_t *names, const struct cause *cause, struct config *config,
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
