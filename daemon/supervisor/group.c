/* See group.h. */
#include "group.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "generation.h"
#include "listener/pool.h"
#include "listener/ticks.h"
#include "pipes.h"
#include "shared_socket.h"

static bool group_before(const struct group_conf *a, const struct group_conf *b)
{
	return a->priority != b->priority ? a->priority < b->priority : strcmp(a->name, b->name) < 0;
}

static void link_in_order(struct supervisor *s, struct group *group)
{
	struct group **at = &s->groups;

	while (*at && !group_before(group->conf, (*at)->conf))
		at = &(*at)->next;
	group->next = *at;
	*at = group;
}

static void unlink_group(struct group *group)
{
	for (struct group **at = &group->supervisor->groups; *at; at = &(*at)->next)
		if (*at == group) {
			*at = group->next;
			return;
		}
}

/* The record that a predecessor left for NAMESPEC, or NULL. */
static struct state_record *left_record(struct supervisor *s, const char *namespec)
{
	return s->first ? NULL : state_record_find(&s->state, RECORD_PROCESS, namespec);
}

/*
 * What is there before the first start: the socket, so that nobody is refused, and the log files that get a name of our choice, so that
 * they can be read. What fails is tried again at each start.
 */
static void prepare(struct process *p)
{
	bool auto_log = false, named_log = false;
	struct error err;

	if (shared_socket_attach(p, &err) < 0)
		supervisor_log(p->supervisor, LOGLEVEL_ERROR, "%s: %s", p->conf->namespec, err.text);
	for (int c = 0; c < N_CHANNELS; c++) {
		auto_log |= p->conf->channel[c].logfile_kind == LOGFILE_AUTO;
		named_log |= p->conf->channel[c].logfile_kind == LOGFILE_PATH;
	}
	/* A log with a name of its own is made by the first start, and its pipe is the other's neighbour. */
	if (auto_log && !named_log && !p->conf->autostart)
		(void)pipes_make(p);
}

static int add_process(struct group *group, const struct process_conf *conf, struct error *err)
{
	struct process **list = realloc(group->processes, (group->n_processes + 1) * sizeof *list);
	struct state_record *left;
	struct process *p;

	if (!list)
		return error_set(err, ENOMEM, "%s: out of memory", conf->namespec);
	group->processes = list;
	left = left_record(group->supervisor, conf->namespec);
	p = process_new(group->supervisor, group, conf, left, err);
	if (!p)
		return -ENOSPC;
	list[group->n_processes++] = p;
	if (!left)
		prepare(p);
	return 0;
}

/* A pool of listeners exists exactly while the section is an [eventlistener:x]. */
static void listen_or_not(struct group *group)
{
	bool wanted = group->conf->kind == GROUP_EVENTLISTENER;

	if (wanted && !group->listeners)
		group->listeners = listener_pool_new(group);
	else if (!wanted && group->listeners)
		listener_pool_free(TAKE(group->listeners), true);
	ticks_update(group->supervisor);
}

struct group *group_new(struct supervisor *s, struct generation *generation, const struct group_conf *conf,
			struct state_record *record, struct error *err)
{
	struct group *group = calloc(1, sizeof *group);

	if (!group) {
		(void)error_set(err, ENOMEM, "%s: out of memory", conf->name);
		return NULL;
	}
	group->supervisor = s;
	group->generation = generation_use(generation);
	group->conf = conf;
	group->record = record ? record : state_record_new(&s->state, RECORD_GROUP, conf->name, generation->number);
	link_in_order(s, group);
	if (!group->record) {
		(void)error_set(err, ENOSPC, "%s: no room for another group", conf->name);
		group_remove(group);
		return NULL;
	}
	group->record->generation = generation->number;
	listen_or_not(group);
	for (size_t i = 0; i < conf->n_processes; i++)
		if (add_process(group, conf->processes[i], err) < 0) {
			if (record)	/* its processes run: they stay in the state for whoever tries next */
				group_free(group);
			else
				group_remove(group);
			return NULL;
		}
	if (!record)
		event_publish_text(s->events, "PROCESS_GROUP_ADDED", "groupname:%s\n", conf->name);
	return group;
}

void group_free(struct group *group)
{
	unlink_group(group);
	for (size_t i = 0; i < group->n_processes; i++)
		process_free(group->processes[i]);
	listener_pool_free(group->listeners, false);
	generation_release(group->supervisor, group->generation);
	free(group->processes);
	free(group);
}

void group_remove(struct group *group)
{
	for (size_t i = 0; i < group->n_processes; i++)
		process_remove(group->processes[i]);
	group->n_processes = 0;
	listener_pool_free(TAKE(group->listeners), true);
	ticks_update(group->supervisor);
	if (group->record) {
		event_publish_text(group->supervisor->events, "PROCESS_GROUP_REMOVED", "groupname:%s\n", group->conf->name);
		state_record_free(&group->supervisor->state, group->record);
	}
	group_free(group);
}

void group_autostart(struct group *group, const struct cause *cause)
{
	for (size_t i = 0; i < group->n_processes; i++)
		if (group->processes[i]->conf->autostart && !group->processes[i]->now.life.run)
			process_event(group->processes[i], EVENT_START, cause);
}

bool group_stopped(const struct group *group)
{
	for (size_t i = 0; i < group->n_processes; i++)
		if (!process_is_down(group->processes[i]))
			return false;
	return true;
}

struct group *group_find(const struct supervisor *s, const char *name)
{
	for (struct group *g = s->groups; g; g = g->next)
		if (strcmp(g->conf->name, name) == 0)
			return g;
	return NULL;
}

static const struct process_conf *conf_named(const struct group_conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->n_processes; i++)
		if (strcmp(conf->processes[i]->name, name) == 0)
			return conf->processes[i];
	return NULL;
}

static struct process *process_named(const struct group *group, const char *name)
{
	for (size_t i = 0; i < group->n_processes; i++)
		if (strcmp(group->processes[i]->conf->name, name) == 0)
			return group->processes[i];
	return NULL;
}

static void drop_missing(struct group *group, const struct group_conf *conf)
{
	size_t kept = 0;

	for (size_t i = 0; i < group->n_processes; i++) {
		struct process *p = group->processes[i];

		if (conf_named(conf, p->conf->name))
			group->processes[kept++] = p;
		else
			process_remove(p);
	}
	group->n_processes = kept;
}

/* In the order of CONF, whose every process exists now. */
static void put_in_order(struct group *group, const struct group_conf *conf)
{
	struct process **list = calloc(conf->n_processes ? conf->n_processes : 1, sizeof *list);

	if (!list)
		return;
	for (size_t i = 0; i < conf->n_processes; i++)
		list[i] = process_named(group, conf->processes[i]->name);
	free(group->processes);
	group->processes = list;
}

int group_reconfigure(struct group *group, struct generation *generation, const struct group_conf *conf, bool same,
		      struct error *err)
{
	struct generation *old = group->generation;
	int r = 0;

	drop_missing(group, conf);
	group->generation = generation_use(generation);
	group->conf = conf;
	group->record->generation = generation->number;
	listen_or_not(group);
	for (size_t i = 0; i < conf->n_processes; i++) {
		struct process *p = process_named(group, conf->processes[i]->name);

		if (p && same)
			p->conf = conf->processes[i];
		else if (p)
			process_reconfigure(p, conf->processes[i]);
		else if (add_process(group, conf->processes[i], err) < 0)
			r = -ENOSPC;
	}
	if (r == 0)
		put_in_order(group, conf);
	unlink_group(group);
	link_in_order(group->supervisor, group);
	generation_release(group->supervisor, old);
	return r;
}

/* ---- names ---- */

/* The group of "GROUP:..."; *ret_rest: what stands behind the colon. */
static struct group *group_before_colon(const struct supervisor *s, const char *name, const char **ret_rest)
{
	size_t n = strcspn(name, ":");
	struct group *g = name[n] ? s->groups : NULL;

	while (g && (strlen(g->conf->name) != n || strncmp(g->conf->name, name, n) != 0))
		g = g->next;
	*ret_rest = g ? name + n + 1 : NULL;
	return g;
}

/* Those that several names mean, each once. */
struct naming {
	struct supervisor *s;
	void (*see)(struct process *p, bool single, void *data);
	void *data;
};

static void see_once(const struct naming *n, struct process *p, bool single)
{
	if (p->named == n->s->namings)
		return;
	p->named = n->s->namings;
	n->see(p, single, n->data);
}

/* PATTERN NULL: all. */
static bool see_group(const struct naming *n, struct group *g, const char *pattern)
{
	bool found = false;

	for (size_t i = 0; i < g->n_processes; i++) {
		struct process *p = g->processes[i];

		if (pattern && fnmatch(pattern, p->conf->namespec, 0) != 0)
			continue;
		found = true;
		see_once(n, p, false);
	}
	return found;
}

static bool see_matching(const struct naming *n, const char *pattern)
{
	bool found = false;

	for (struct group *g = n->s->groups; g; g = g->next)
		found |= see_group(n, g, pattern);
	return found;
}

/* "g:" and "g:*" of a group that exists mean something even if it has no processes. Only patterns are held against every process. */
static bool see_named(const struct naming *n, const char *name)
{
	struct process *p = process_by_name(n->s, name);
	struct group *g;
	const char *rest;

	if (strcmp(name, "all") == 0) {
		(void)see_matching(n, NULL);
		return true;
	}
	if (p) {
		see_once(n, p, true);
		return true;
	}
	g = group_before_colon(n->s, name, &rest);
	if (g && (!*rest || strcmp(rest, "*") == 0)) {
		(void)see_group(n, g, NULL);
		return true;
	}
	return strpbrk(name, "*?[") && see_matching(n, name);
}

void processes_named(struct supervisor *s, const char *const *names, size_t n_names,
		     void (*see)(struct process *p, bool single, void *data), void (*missing)(const char *name, void *data),
		     void *data)
{
	const struct naming n = { s, see, data };

	s->namings++;
	for (size_t i = 0; i < n_names; i++)
		if (!see_named(&n, names[i]) && missing)
			missing(names[i], data);
}

struct process *process_by_name(struct supervisor *s, const char *name)
{
	struct process *p = process_by_namespec(s, name, strlen(name));
	const char *rest;
	struct group *g;

	if (strcmp(name, "all") == 0)
		return NULL;
	g = p ? NULL : group_before_colon(s, name, &rest);
	return g ? process_named(g, rest) : p;
}
