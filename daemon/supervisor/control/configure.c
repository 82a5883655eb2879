/*
 * The methods about the configuration: Reread, Plan, Update, AddGroup, RemoveGroup; and the ways of SIGHUP and autoupdate to an update.
 * All that depends on the files is done when they have been read (reading.h); a file that cannot be had ends it in one line.
 */
#include <errno.h>
#include <stdlib.h>

#include "../config_watch.h"
#include "../generation.h"
#include "../group.h"
#include "../reading.h"
#include "handlers.h"
#include "plan.h"
#include "update.h"
#include "wire/keeper.h"

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
	daemon = n ? json_array() : plan_daemon_json(q->s, config, &pending);
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
