/* supervisor.*: the daemon itself, its configuration, and events. */
#include <string.h>

#include "base/base.h"
#include "rpc_methods.h"

void rpc_get_api_version(struct rpc *c)
{
	rpc_return(c, json_string(rpc_text_of(c->status, "api_version")));
}

void rpc_get_supervisor_version(struct rpc *c)
{
	rpc_return(c, json_string(rpc_text_of(c->status, "supervisor_version")));
}

void rpc_get_identification(struct rpc *c)
{
	rpc_return(c, json_string(rpc_text_of(c->status, "identifier")));
}

void rpc_get_pid(struct rpc *c)
{
	rpc_return(c, json_integer(rpc_number_of(c->status, "pid")));
}

void rpc_get_state(struct rpc *c)
{
	rpc_return(c, json_pack("{s:I, s:s}", "statecode", (json_int_t)rpc_number_of(c->status, "statecode"), "statename",
				rpc_text_of(c->status, "statename")));
}

static void done(struct rpc *c, json_t *reply)
{
	(void)reply;
	rpc_true(c);
}

void rpc_shutdown(struct rpc *c)
{
	rpc_ask(c, "io.reeve.Supervisor.Shutdown", NULL, done);
}

void rpc_restart(struct rpc *c)
{
	rpc_ask(c, "io.reeve.Supervisor.Reload", NULL, done);
}

/* ---- configuration ---- */

static void reread(struct rpc *c, json_t *reply)
{
	rpc_return(c, json_pack("[[O, O, O]]", json_object_get(reply, "added"), json_object_get(reply, "changed"),
				json_object_get(reply, "removed")));
}

void rpc_reload_config(struct rpc *c)
{
	rpc_ask_safe(c, "io.reeve.Supervisor.Reread", NULL, reread);
}

static void change_group(struct rpc *c, const char *method)
{
	const char *given = rpc_string(c, 0);

	if (!given)
		return;
	c->given = given;
	rpc_ask(c, method, json_pack("{s:s}", "name", given), done);
}

void rpc_add_group(struct rpc *c)
{
	change_group(c, "io.reeve.Supervisor.AddGroup");
}

void rpc_remove_group(struct rpc *c)
{
	change_group(c, "io.reeve.Supervisor.RemoveGroup");
}

/* An AUTO log has its path where the process is active. */
static void name_logs(json_t *config, const json_t *active)
{
	static const char *const keys[] = { "stdout_logfile", "stderr_logfile" };

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (strcmp(rpc_text_of(config, keys[i]), "auto") == 0 && *rpc_text_of(active, keys[i]))
			(void)json_object_set(config, keys[i], json_object_get(active, keys[i]));
}

static json_t *by_namespec(const json_t *processes)
{
	json_t *map = json_object(), *p;
	char key[600];
	size_t i;

	json_array_foreach(processes, i, p) {
		(void)snprintf(key, sizeof key, "%s:%s", rpc_text_of(p, "group"), rpc_text_of(p, "name"));
		(void)json_object_set(map, key, p);
	}
	return map;
}

struct place {
	json_t *config;
	size_t i;
};

static int by_name(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int r = strcmp(rpc_text_of(x->config, "name"), rpc_text_of(y->config, "name"));

	return r ? r : x->i < y->i ? -1 : 1;
}

/* supervisord's order: by the name of the process alone. */
static json_t *sorted(const json_t *configs)
{
	size_t n = json_array_size(configs);
	_cleanup_(freep) struct place *places = calloc(n ? n : 1, sizeof *places);
	json_t *list = json_array();

	for (size_t i = 0; places && i < n; i++)
		places[i] = (struct place){ json_array_get(configs, i), i };
	if (!places)
		return list;
	qsort(places, n, sizeof *places, by_name);
	for (size_t i = 0; i < n; i++)
		(void)json_array_append(list, places[i].config);
	return list;
}

static void active_known(struct rpc *c, json_t *reply)
{
	json_t *map = by_namespec(json_object_get(reply, "processes")), *config;
	char key[600];
	size_t i;

	json_array_foreach(c->kept, i, config) {
		(void)snprintf(key, sizeof key, "%s:%s", rpc_text_of(config, "group"), rpc_text_of(config, "name"));
		name_logs(config, json_object_get(map, key));
	}
	json_decref(map);
	rpc_return(c, sorted(c->kept));
}

static void config_known(struct rpc *c, json_t *reply)
{
	static const char *const ours[] = { "stopasgroup", "autorestart" };	/* supervisord does not tell these */
	json_t *config;
	size_t i;

	c->kept = json_incref(json_object_get(reply, "processes"));
	json_array_foreach(c->kept, i, config)
		for (size_t k = 0; k < ARRAY_LEN(ours); k++)
			(void)json_object_del(config, ours[k]);
	rpc_ask_safe(c, "io.reeve.Supervisor.List", NULL, active_known);
}

void rpc_get_all_config_info(struct rpc *c)
{
	rpc_ask_safe(c, "io.reeve.Supervisor.GetConfig", NULL, config_known);
}

/* ---- events ---- */

/* Python's str() of what may come here. */
static json_t *as_text(const json_t *value)
{
	if (json_is_integer(value))
		return json_sprintf("%lld", (long long)json_integer_value(value));
	return json_is_string(value) ? json_copy((json_t *)value) : NULL;
}

void rpc_send_event(struct rpc *c)
{
	json_t *type = as_text(json_array_get(c->params, 0)), *data = as_text(json_array_get(c->params, 1));

	if (type && data) {
		rpc_ask(c, "io.reeve.Supervisor.SendRemoteCommEvent", json_pack("{s:o, s:o}", "type", type, "data", data), done);
		return;
	}
	json_decref(type);
	json_decref(data);
	rpc_wrong(c);
}
