/* See plan.h. */
#include "plan.h"

#include <stdio.h>
#include <string.h>

#include "../generation.h"
#include "../group.h"
#include "handlers.h"

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

struct plan *plan_against(const struct supervisor *s, const struct config *config)
{
	struct plan *plan = NULL;
	size_t n;
	struct group_conf **running = running_confs(s, &n);

	if (running && plan_make(running, n, config, &plan) < 0)
		plan = NULL;
	free(running);
	return plan;
}

json_t *diagnostics_json(const struct config *config)
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

json_t *reread_json(const struct plan *plan, const struct config *config)
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
json_t *plan_daemon_json(const struct supervisor *s, const struct config *config, bool *ret_pending)
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

json_t *plan_json(const struct plan *plan, const char *const *names, size_t n, bool *ret_pending)
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
