/* See run.h. */
#include "run.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../generation.h"
#include "../group.h"
#include "handlers.h"

/* A client that waits for the end of its program. */
struct run_wait {
	struct run_wait *next;		/* supervisor::runs */
	struct supervisor *s;
	struct varlink_call *call;	/* NULL: it has left */
	char *group;			/* owned */
};

/*
 * Words and names come to the reader as variables of its environment: no character of theirs is special there, and the kept copy of the
 * configuration holds them.
 */
#define RUN_COMMAND "REEVE_RUN_COMMAND"
#define RUN_DIRECTORY "REEVE_RUN_DIRECTORY"

/* ---- the configuration ---- */

/* As one word for a POSIX shell. */
static void add_word(FILE *out, const char *word)
{
	if (ftell(out) > 0)
		(void)fputc(' ', out);
	(void)fputc('\'', out);
	for (; *word; word++)
		if (*word == '\'')
			(void)fputs("'\\''", out);
		else
			(void)fputc(*word, out);
	(void)fputc('\'', out);
}

static bool add_environment(FILE *out, json_t *environment)
{
	const char *key;
	json_t *value;

	if (!json_object_size(environment))
		return json_is_object(environment) || json_is_null(environment) || !environment;
	add_word(out, "/usr/bin/env");
	json_object_foreach(environment, key, value) {
		_cleanup_(freep) char *pair = NULL;

		if (!json_is_string(value) || !*key || strchr(key, '=') || *key == '-' ||
		    asprintf(&pair, "%s=%s", key, json_string_value(value)) < 0)
			return false;
		add_word(out, pair);
	}
	return true;
}

/* "REEVE_RUN_COMMAND='...' ..." in *RET (malloc'd); the name of a bad parameter, or NULL. */
static const char *command_variable(json_t *parameters, char **ret)
{
	json_t *command = json_object_get(parameters, "command"), *word;
	const char *bad = NULL;
	char *text = NULL, *words = NULL;
	size_t size, i;
	FILE *out;

	if (!json_array_size(command))
		return "command";
	out = open_memstream(&words, &size);
	if (!out)
		return "command";
	if (!add_environment(out, json_object_get(parameters, "environment")))
		bad = "environment";
	json_array_foreach(command, i, word) {
		if (!json_is_string(word))
			bad = "command";
		else
			add_word(out, json_string_value(word));
	}
	if (fclose(out) != 0 || asprintf(&text, RUN_COMMAND "=%s", words) < 0)
		bad = "command";
	free(words);
	if (bad)
		free(text);
	else
		*ret = text;
	return bad;
}

static bool name_is_plain(const char *name)
{
	for (const char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("._-@", *c))
			return false;
	return *name && strlen(name) < 100;
}

static void free_name(const struct supervisor *s, char *buffer, size_t size)
{
	unsigned n = 0;

	do
		(void)snprintf(buffer, size, "run%u", ++n);
	while (group_find(s, buffer) || config_group(s->loaded->config, buffer));
}

static int make_generation(struct supervisor *s, const char *name, const char *user, const char *directory, char *command,
			   struct generation **ret, struct error *err)
{
	_cleanup_(freep) char *directory_variable = NULL;
	char *variables[3] = { command };
	char text[600];

	if (directory && asprintf(&directory_variable, RUN_DIRECTORY "=%s", directory) < 0)
		return error_set(err, ENOMEM, "out of memory");
	variables[1] = directory_variable;
	(void)snprintf(text, sizeof text,
		       "[supervisord]\n[program:%s]\ncommand = %%(ENV_" RUN_COMMAND ")s\nautostart = false\nautorestart = false\n"
		       "startsecs = 0\nstartretries = 0\nstopasgroup = true\n%s%s%s%s",
		       name, user ? "user = " : "", user ? user : "", user ? "\n" : "",
		       directory ? "directory = %(ENV_" RUN_DIRECTORY ")s\n" : "");
	return generation_from_text(s, text, variables, ret, err);
}

/* ---- waiting ---- */

static void wait_free(struct run_wait *w)
{
	for (struct run_wait **at = &w->s->runs; *at; at = &(*at)->next)
		if (*at == w) {
			*at = w->next;
			break;
		}
	free(w->group);
	free(w);
}

static void client_left(void *data)
{
	((struct run_wait *)data)->call = NULL;
}

/* The answer; where the program was not found or could not be executed it says so. */
static json_t *ended_json(const char *name, const struct process *p)
{
	json_t *j = json_pack("{s:s, s:i}", "namespec", name, "exitcode", exit_status_number(&p->now.life.exit));
	char text[600];

	if (j && p->record->failure.stage != SPAWN_NONE)
		(void)json_object_set_new(j, "spawnerr", text_json(process_spawnerr(p, text, sizeof text)));
	return j;
}

/* True when there is nothing to wait for any more. */
static bool step(struct run_wait *w)
{
	struct group *g = group_find(w->s, w->group);
	const struct lifecycle *life;
	const struct process *p;
	char text[600] = "";
	struct varlink_call *call = w->call;

	if (!call)
		return true;
	if (g && !group_stopped(g))
		return false;
	w->call = NULL;
	if (!g) {
		reply_fault(call, FAULT_BAD_NAME, w->group);
		return true;
	}
	p = g->processes[0];
	life = &p->now.life;
	if (!life->spawned)
		reply_fault(call, FAULT_SPAWN_ERROR, *process_spawnerr(p, text, sizeof text) ? text : w->group);
	else
		(void)varlink_reply(call, ended_json(w->group, p));
	group_remove(g);
	return true;
}

void runs_step(struct supervisor *s)
{
	struct run_wait *next;

	for (struct run_wait *w = s->runs; w; w = next) {
		next = w->next;
		if (step(w))
			wait_free(w);
	}
}

void runs_free(struct supervisor *s)
{
	while (s->runs)
		wait_free(s->runs);
}

static void wait_for(struct supervisor *s, struct varlink_call *call, const char *group)
{
	struct run_wait *w = calloc(1, sizeof *w);

	if (w)
		*w = (struct run_wait){ .next = s->runs, .s = s, .call = call, .group = strdup(group) };
	if (!w || !w->group) {
		free(w);
		reply_fault(call, FAULT_FAILED, "out of memory");
		return;
	}
	s->runs = w;
	varlink_call_on_gone(call, client_left, w);
	if (varlink_call_more(call))
		(void)varlink_reply_more(call, json_pack("{s:s, s:n}", "namespec", group, "exitcode"));
	s->changed = true;
}

/* ---- Run ---- */

static struct group *make_group(struct supervisor *s, const char *name, json_t *parameters, char *command, struct error *err)
{
	struct generation *generation;
	struct group *group;

	if (make_generation(s, name, json_string_value(json_object_get(parameters, "user")),
			    json_string_value(json_object_get(parameters, "directory")), command, &generation, err) < 0)
		return NULL;
	(void)generation_use(generation);
	group = group_new(s, generation, generation->config->groups[0], NULL, err);
	generation_release(s, generation);
	return group;
}

/* It could not even be tried (no such user): the answer says so, and nothing stays of it. */
static bool not_started(struct varlink_call *call, struct group *g, const struct cause *cause)
{
	struct process *p = g->processes[0];
	char text[600] = "";

	if (p->now.life.spawned || !*process_spawnerr(p, text, sizeof text))
		return false;
	process_event(p, EVENT_STOP, cause);
	reply_fault(call, FAULT_SPAWN_ERROR, text);
	group_remove(g);
	return true;
}

void method_run(struct varlink_call *call, json_t *parameters, void *data)
{
	struct supervisor *s = data;
	const char *wanted = json_string_value(json_object_get(parameters, "name"));
	const char *user = json_string_value(json_object_get(parameters, "user"));
	_cleanup_(freep) char *command = NULL;
	struct cause cause = cause_of(call);
	struct error err = { 0 };
	char name[100], taken[300];
	const char *bad;
	struct group *g;

	if (refused(s, call))
		return;
	bad = wanted && !name_is_plain(wanted) ? "name" : user && !name_is_plain(user) ? "user" : command_variable(parameters, &command);
	if (bad) {
		(void)varlink_invalid_parameter(call, bad);
		return;
	}
	if (wanted)
		(void)snprintf(name, sizeof name, "%s", wanted);
	else
		free_name(s, name, sizeof name);
	if (group_find(s, name) || config_group(s->loaded->config, name)) {
		(void)snprintf(taken, sizeof taken, "%s; use another name, or `remove %s` once it has ended", name, name);
		reply_fault(call, FAULT_ALREADY_ADDED, taken);
		return;
	}
	g = make_group(s, name, parameters, command, &err);
	if (!g) {
		reply_fault(call, FAULT_FAILED, err.text);
		return;
	}
	process_event(g->processes[0], EVENT_START, &cause);
	if (json_is_true(json_object_get(parameters, "wait")))
		wait_for(s, call, name);
	else if (!not_started(call, g, &cause))
		(void)varlink_reply(call, json_pack("{s:s, s:n}", "namespec", name, "exitcode"));
}
