/* See dump.h. Values come out of the key tables. */
#include "dump.h"

#include <string.h>

#include "keys.h"
#include "strv.h"
#include "value.h"
#include "memory.h"

static json_t *text(const char *s)
{
	json_t *j = s ? json_string(s) : json_null();

	return j ? j : json_string("(not valid UTF-8)");
}

static json_t *mode(int value)
{
	char octal[16];

	if (value == -1)
		return json_null();
	(void)snprintf(octal, sizeof octal, "%04o", (unsigned)value);
	return json_string(octal);
}

static json_t *variables(char *const *list)
{
	json_t *j = json_object();

	for (size_t i = 0; list && list[i]; i++) {
		size_t n = strcspn(list[i], "=");
		char *name = strndup(list[i], n);

		if (name)
			(void)json_object_set_new(j, name, text(list[i] + n + 1));
		free(name);
	}
	return j;
}

static json_t *strings(char *const *list)
{
	json_t *j = json_array();

	for (size_t i = 0; list && list[i]; i++)
		(void)json_array_append_new(j, text(list[i]));
	return j;
}

static json_t *value_json(const struct key *k, const void *base)
{
	const void *field = (const char *)base + k->field;
	const struct channel_conf *channel = field;
	const struct process_conf *process = base;
	json_t *list;

	switch (k->type) {
	case KEY_STRING:
		return text(*(char *const *)field);
	case KEY_INTEGER:
	case KEY_BYTES:
		return json_integer(*(const long long *)field);
	case KEY_SECONDS:
		return json_real(*(const double *)field);
	case KEY_POOL_MODE:
		return text(pool_mode_name(*(const enum pool_mode *)field));
	case KEY_BOOLEAN:
		return json_boolean(*(const bool *)field);
	case KEY_OCTAL:
		return mode(*(const int *)field);
	case KEY_SIGNAL:
		return text(signal_name(*(const int *)field) ? signal_name(*(const int *)field) + 3 : NULL);
	case KEY_LOGLEVEL:
		return text(loglevel_name(*(const enum loglevel *)field));
	case KEY_AUTORESTART:
		return text(autorestart_name(*(const enum autorestart *)field));
	case KEY_WORD:
		return text(k->words[*(const int *)field]);
	case KEY_ENVIRONMENT:
		return variables(*(char **const *)field);
	case KEY_LOGFILE:
		return channel->logfile_kind == LOGFILE_PATH ? text(channel->logfile)
		       : channel->logfile_kind == LOGFILE_AUTO ? json_string("AUTO")
								: json_null();
	case KEY_EXITCODES:
		list = json_array();
		for (size_t i = 0; i < process->n_exitcodes; i++)
			(void)json_array_append_new(list, json_integer(process->exitcodes[i]));
		return list;
	case KEY_OTHER:
		break;
	}
	return json_null();
}

void dump_table(json_t *j, const struct key *table, const void *base)
{
	for (const struct key *k = table; k->name; k++)
		if (k->type != KEY_OTHER)
			(void)json_object_set_new(j, k->name, value_json(k, base));
}

static json_t *process_json(const struct process_conf *c)
{
	json_t *j = json_object();

	(void)json_object_set_new(j, "name", text(c->name));
	(void)json_object_set_new(j, "group", text(c->group));
	(void)json_object_set_new(j, "namespec", text(c->namespec));
	dump_table(j, program_keys, c);
	if (c->pool)
		dump_table(j, pool_keys, c->pool);
	(void)json_object_set_new(j, "stopsignal_number", json_integer(c->stopsignal));
	return j;
}

/* "user[:group]" as [user, group]. */
static json_t *owner_json(const char *owner)
{
	const char *colon = owner ? strchr(owner, ':') : NULL;
	json_t *list = json_array();
	char *user = owner ? strndup(owner, colon ? (size_t)(colon - owner) : strlen(owner)) : NULL;

	(void)json_array_append_new(list, text(user));
	(void)json_array_append_new(list, text(colon ? colon + 1 : NULL));
	free(user);
	return list;
}

static json_t *group_json(const struct group_conf *g)
{
	static const char *const kinds[] = { "program", "eventlistener", "fcgi-program", "pool" };
	json_t *processes = json_array(), *j = json_object();

	for (size_t i = 0; i < g->n_processes; i++)
		(void)json_array_append_new(processes, process_json(g->processes[i]));
	(void)json_object_set_new(j, "name", text(g->name));
	(void)json_object_set_new(j, "priority", json_integer(g->priority));
	(void)json_object_set_new(j, "kind", text(kinds[g->kind]));
	if (g->invalid)
		(void)json_object_set_new(j, "invalid", text(g->invalid));
	if (g->kind == GROUP_EVENTLISTENER) {
		(void)json_object_set_new(j, "buffer_size", json_integer(g->buffer_size));
		(void)json_object_set_new(j, "events", strings(g->events));
		(void)json_object_set_new(j, "result_handler", text(g->result_handler));
	}
	if (g->kind == GROUP_FCGI)
		(void)json_object_set_new(j, "socket",
					  json_pack("{s:o, s:o, s:o, s:o}", "url", text(g->socket.url), "mode", mode(g->socket.mode),
						    "owner", g->socket.owner ? owner_json(g->socket.owner) : json_null(), "backlog",
						    g->socket.backlog ? json_integer(g->socket.backlog) : json_null()));
	(void)json_object_set_new(j, "processes", processes);
	return j;
}

static json_t *server_json(const struct server_conf *v)
{
	json_t *j = json_object();

	(void)json_object_set_new(j, "section", text(v->section));
	(void)json_object_set_new(j, "username", text(v->username));
	(void)json_object_set_new(j, "password", text(v->password));
	(void)json_object_set_new(j, "kind", text(v->is_unix ? "unix" : "inet"));
	if (v->is_unix) {
		(void)json_object_set_new(j, "file", text(v->file));
		(void)json_object_set_new(j, "chmod", mode(v->chmod));
		(void)json_object_set_new(j, "chown", owner_json(v->chown));
	} else {
		(void)json_object_set_new(j, "host", text(v->host));
		(void)json_object_set_new(j, "port", json_integer(v->port));
	}
	return j;
}

static json_t *whole(const struct config *c)
{
	json_t *j = json_object(), *daemon = json_object(), *servers = json_array(), *groups = json_array(), *names = json_array();
	json_t *rpcs = json_array();

	dump_table(daemon, supervisord_keys, &c->supervisord);
	for (size_t i = 0; i < c->n_servers; i++)
		(void)json_array_append_new(servers, server_json(&c->servers[i]));
	for (size_t i = 0; i < c->n_rpcinterfaces; i++)
		(void)json_array_append_new(rpcs, json_pack("{s:o, s:o, s:o}", "name", text(c->rpcinterfaces[i].name), "factory",
							    text(c->rpcinterfaces[i].factory), "settings",
							    variables(c->rpcinterfaces[i].settings)));
	for (size_t i = 0; i < c->n_groups; i++) {
		(void)json_array_append_new(groups, group_json(c->groups[i]));
		for (size_t k = 0; k < c->groups[i]->n_processes; k++)
			(void)json_array_append_new(names, text(c->groups[i]->processes[k]->namespec));
	}
	(void)json_object_set_new(j, "supervisord", daemon);
	(void)json_object_set_new(j, "servers", servers);
	(void)json_object_set_new(j, "serverurl", text(c->serverurl));
	(void)json_object_set_new(j, "rpcinterfaces", rpcs);
	(void)json_object_set_new(j, "groups", groups);
	(void)json_object_set_new(j, "process_list", names);
	return j;
}

/* For jansson: what it leaves out for want of memory is noticed. */
static void *counted_malloc(size_t size)
{
	return malloc(size);
}

json_t *config_dump(const struct config *c)
{
	unsigned failures = memory_failures;
	json_t *j;

	json_set_alloc_funcs(counted_malloc, free);
	j = whole(c);
	if (memory_failures == failures)
		return j;
	json_decref(j);
	return NULL;
}
