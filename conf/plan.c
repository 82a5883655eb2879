/* See plan.h. */
#include "plan.h"

#include <errno.h>
#include <string.h>

#include "keys.h"
#include "strv.h"
#include "memory.h"

const char *plan_action_name(enum plan_action action)
{
	static const char *const names[] = { "unchanged", "live", "restart", "add", "remove", "invalid" };

	return names[action];
}

static int push_key(const char ***keys, const char *name)
{
	size_t n = 0;
	const char **list;

	while (*keys && (*keys)[n])
		if (strcmp((*keys)[n++], name) == 0)
			return 0;
	list = realloc(*keys, (n + 2) * sizeof *list);
	if (!list)
		return -ENOMEM;
	list[n] = name;
	list[n + 1] = NULL;
	*keys = list;
	return 0;
}

static size_t n_keys(const char *const *keys)
{
	size_t n = 0;

	while (keys && keys[n])
		n++;
	return n;
}

static void note(enum plan_action *action, enum plan_action at_least)
{
	if (*action < at_least)
		*action = at_least;
}

static void compare_keys(struct plan_process *p, const struct key *table, const void *old, const void *new)
{
	for (const struct key *k = table; k->name; k++)
		if (!key_equal(k, old, new)) {
			(void)push_key(&p->keys, k->name);
			note(&p->action, k->change == CHANGE_RESTART ? PLAN_RESTART : PLAN_LIVE);
		}
}

/* The keys of a socket that differ; "socket" where only one side has any. */
static void compare_sockets(struct plan_process *p, const struct fcgi_socket_conf *a, const struct fcgi_socket_conf *b)
{
	size_t before = n_keys(p->keys);

	if (!a && !b)
		return;
	if (!a || !b || !same_text(a->url, b->url))
		(void)push_key(&p->keys, "socket");
	if (a && b && !same_text(a->owner, b->owner))
		(void)push_key(&p->keys, "socket_owner");
	if (a && b && a->mode != b->mode)
		(void)push_key(&p->keys, "socket_mode");
	if (a && b && a->backlog != b->backlog)
		(void)push_key(&p->keys, "socket_backlog");
	if (n_keys(p->keys) != before)
		note(&p->action, PLAN_RESTART);
}

static void compare_process(struct plan_process *p)
{
	if (!p->old || !p->new) {
		p->action = p->old ? PLAN_REMOVE : PLAN_ADD;
		return;
	}
	compare_keys(p, program_keys, p->old, p->new);
	compare_sockets(p, p->old->socket, p->new->socket);
	if (p->old->pool && p->new->pool)
		compare_keys(p, pool_keys, p->old->pool, p->new->pool);
}

static const struct process_conf *find_process(const struct group_conf *g, const char *name)
{
	for (size_t i = 0; i < g->n_processes; i++)
		if (strcmp(g->processes[i]->name, name) == 0)
			return g->processes[i];
	return NULL;
}

static void compare_processes(struct plan_group *g)
{
	size_t n_new = g->new ? g->new->n_processes : 0, n_old = g->old ? g->old->n_processes : 0;

	g->processes = calloc(n_new + n_old + 1, sizeof *g->processes);
	if (!g->processes)
		return;
	for (size_t i = 0; i < n_new; i++)
		g->processes[g->n_processes++] = (struct plan_process){
			.new = g->new->processes[i],
			.old = g->old ? find_process(g->old, g->new->processes[i]->name) : NULL,
		};
	for (size_t i = 0; i < n_old; i++)
		if (!g->new || !find_process(g->new, g->old->processes[i]->name))
			g->processes[g->n_processes++] = (struct plan_process){ .old = g->old->processes[i] };
	for (size_t i = 0; i < g->n_processes; i++)
		compare_process(&g->processes[i]);
}

static void group_key_changed(struct plan_group *g, const char *key)
{
	(void)push_key(&g->keys, key);
	note(&g->action, PLAN_RESTART);
}

/* Keys of the group itself: those of a listener or an fcgi program need all its processes again. */
static void compare_group_keys(struct plan_group *g)
{
	static const struct key *const tables[] = { listener_keys, fcgi_keys };

	if (g->old->priority != g->new->priority) {
		(void)push_key(&g->keys, "priority");
		note(&g->action, PLAN_LIVE);
	}
	for (size_t t = 0; t < ARRAY_LEN(tables); t++)
		for (const struct key *k = tables[t]; k->name; k++)
			if (k->type != KEY_OTHER && !key_equal(k, g->old, g->new))
				group_key_changed(g, k->name);
	if (!strv_equal(g->old->events, g->new->events))
		group_key_changed(g, "events");
	if (g->old->socket.mode != g->new->socket.mode)
		group_key_changed(g, "socket_mode");
	if (g->old->socket.backlog != g->new->socket.backlog)
		group_key_changed(g, "socket_backlog");
}

static void compare_group(struct plan_group *g)
{
	if (g->new && g->new->invalid) {
		g->action = PLAN_INVALID;
		return;
	}
	compare_processes(g);
	if (!g->old || !g->new) {
		g->action = g->old ? PLAN_REMOVE : PLAN_ADD;
		return;
	}
	compare_group_keys(g);
	for (size_t i = 0; i < g->n_processes; i++) {
		struct plan_process *p = &g->processes[i];

		if (p->old && p->new && (g->action == PLAN_RESTART || g->old->kind != g->new->kind))
			note(&p->action, PLAN_RESTART);
	}
	for (size_t i = 0; i < g->n_processes; i++) {
		enum plan_action a = g->processes[i].action;

		note(&g->action, a == PLAN_ADD || a == PLAN_REMOVE ? PLAN_RESTART : a);
	}
	g->changed = g->action != PLAN_UNCHANGED;
}

int plan_make(struct group_conf *const *old, size_t n_old, const struct config *new, struct plan **ret)
{
	unsigned failures = memory_failures;
	struct plan *plan = calloc(1, sizeof *plan);

	if (plan)
		plan->groups = calloc(new->n_groups + n_old + 1, sizeof *plan->groups);
	if (!plan || !plan->groups) {
		plan_free(plan);
		return -ENOMEM;
	}
	for (size_t i = 0; i < new->n_groups; i++) {
		struct plan_group *g = &plan->groups[plan->n_groups++];

		g->new = new->groups[i];
		for (size_t k = 0; k < n_old && !g->old; k++)
			if (strcmp(old[k]->name, g->new->name) == 0)
				g->old = old[k];
	}
	for (size_t k = 0; k < n_old; k++)
		if (!config_group(new, old[k]->name))
			plan->groups[plan->n_groups++].old = old[k];
	for (size_t i = 0; i < plan->n_groups; i++)
		compare_group(&plan->groups[i]);
	if (memory_failures != failures) {
		plan_free(plan);
		return -ENOMEM;
	}
	*ret = plan;
	return 0;
}

/* ---- the daemon's own keys ---- */

struct key_list {
	struct plan_key *list;
	size_t n;
};

static void add_key(struct key_list *l, const char *section, const char *key, enum key_change change)
{
	struct plan_key *list = realloc(l->list, (l->n + 1) * sizeof *list);

	if (!list)
		return;
	l->list = list;
	list[l->n++] = (struct plan_key){ section, key, change };
}

static bool same_server_key(const struct key *k, const struct server_conf *a, const struct server_conf *b)
{
	if (k->type != KEY_OTHER)
		return key_equal(k, a, b);
	if (a->is_unix)
		return a->chmod == b->chmod;
	return a->port == b->port && strcmp(a->host, b->host) == 0;
}

static const struct server_conf *find_server(const struct config *c, const char *section)
{
	for (size_t i = 0; i < c->n_servers; i++)
		if (strcmp(c->servers[i].section, section) == 0)
			return &c->servers[i];
	return NULL;
}

static void compare_servers(struct key_list *l, const struct config *old, const struct config *new)
{
	for (size_t i = 0; i < new->n_servers; i++) {
		const struct server_conf *b = &new->servers[i], *a = find_server(old, b->section);

		if (!a)
			add_key(l, b->section, NULL, CHANGE_LIVE);
		for (const struct key *k = b->is_unix ? server_unix_keys : server_inet_keys; a && k->name; k++)
			if (!same_server_key(k, a, b))
				add_key(l, b->section, k->name, k->change);
	}
	for (size_t i = 0; i < old->n_servers; i++)
		if (!find_server(new, old->servers[i].section))
			add_key(l, old->servers[i].section, NULL, CHANGE_LIVE);
}

struct plan_key *plan_daemon(const struct config *old, const struct config *new, size_t *ret_n)
{
	struct key_list l = { 0 };

	for (const struct key *k = supervisord_keys; k->name; k++)
		if (k->type != KEY_OTHER && !key_equal(k, &old->supervisord, &new->supervisord))
			add_key(&l, "supervisord", k->name, k->change);
	compare_servers(&l, old, new);
	*ret_n = l.n;
	return l.list;
}

void plan_free(struct plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->n_groups; i++) {
		for (size_t k = 0; k < plan->groups[i].n_processes; k++)
			free(plan->groups[i].processes[k].keys);
		free(plan->groups[i].processes);
		free(plan->groups[i].keys);
	}
	free(plan->groups);
	free(plan);
}
