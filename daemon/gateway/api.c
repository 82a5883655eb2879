/* See web.h: the JSON behind the page. Most of it is a call of io.reeve.*, waited for and handed on. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "web.h"

static struct web *web_of(const struct request *r)
{
	return r->gateway->web;
}

static void no_store(struct request *r)
{
	http_add_header(r, "Cache-Control", "no-store");
	page_headers(r);
}

/* ---- one call, one answer ---- */

struct forward {
	struct request *request;
	struct backend_call *call;
	struct web *web;
	bool changes_config;		/* afterwards the plan is another */
};

static void answer_fault(struct request *r, const char *error, json_t *parameters)
{
	const char *text = json_string_value(json_object_get(parameters, "text"));
	const char *name = strrchr(error, '.') ? strrchr(error, '.') + 1 : error;
	json_t *path = json_object_get(parameters, "path");
	int status = 409;

	if (strcmp(name, "Disconnected") == 0) {
		status = 503;
		text = "the daemon does not answer";
	} else if (strcmp(name, "NoFile") == 0) {
		status = 404;
		text = "there is no log file";
	} else if (strcmp(name, "BadName") == 0) {
		status = 404;
		text = "there is no such process";
	} else if (strcmp(name, "InvalidParameter") == 0) {
		status = 400;
	}
	http_answer_json(r, status, json_pack("{s:s, s:s, s:O?, s:O?}", "error", text ? text : name, "name", name, "code",
					      json_object_get(parameters, "code"), "path", path));
}

static void forwarded(void *data, json_t *parameters, const char *error, bool continues)
{
	struct forward *f = data;
	struct request *r = f->request;

	(void)continues;
	if (f->changes_config)
		model_ask_plan(f->web->model);
	free(f);
	if (error)
		answer_fault(r, error, parameters);
	else
		http_answer_json(r, 200, json_incref(parameters));
}

static void client_left(void *data)
{
	struct forward *f = data;

	backend_cancel(f->call);
	free(f);
}

static void forward(struct request *r, const char *method, json_t *parameters, bool changes_config)
{
	struct forward *f = calloc(1, sizeof *f);

	no_store(r);
	if (f) {
		*f = (struct forward){ .request = r, .web = web_of(r), .changes_config = changes_config };
		f->call = backend_call(r->gateway->backend, method, parameters, false, forwarded, f);
	} else {
		json_decref(parameters);
	}
	if (!f || !f->call) {
		free(f);
		http_answer_error(r, 503, "out of memory");
		return;
	}
	http_on_gone(r, client_left, f);
}

/* ---- the state ---- */

static json_t *process_list(const struct model *m)
{
	json_t *list = json_array();
	const struct model_process *p;

	for (size_t i = 0; (p = model_process(m, i)); i++)
		(void)json_array_append(list, p->about);
	return list;
}

static json_t *pool_list(const struct model *m)
{
	json_t *pools = json_object();
	const struct model_process *p;

	for (size_t i = 0; (p = model_process(m, i)); i++)
		if (p->pool)
			(void)json_object_set(pools, p->namespec, p->pool);
	return pools;
}

void api_state(struct request *r)
{
	const struct web *w = web_of(r);
	const json_t *plan = model_plan(w->model);

	if (!access_read(r))
		return;
	no_store(r);
	http_answer_json(r, 200, json_pack("{s:I, s:s, s:f, s:i, s:O, s:o, s:o, s:o, s:O?}", "sequence", (json_int_t)feed_last(w->feed), "token",
					   w->token, "now", clock_wall(), "step", SAMPLE_SECONDS, "daemon", model_daemon(w->model),
					   "processes", process_list(w->model), "sample", model_sample(w->model), "pools", pool_list(w->model), "plan", plan));
}

void api_events(struct request *r)
{
	const struct web *w = web_of(r);

	if (!access_read(r))
		return;
	page_headers(r);
	feed_join(w->feed, r, json_pack("{s:f, s:s}", "now", clock_wall(), "version", REEVE_VERSION));
}

void api_history(struct request *r)
{
	const char *names = http_query(r, "names");

	if (!access_read(r))
		return;
	no_store(r);
	http_answer_json(r, 200, model_history(web_of(r)->model, names ? names : ""));
}

/* The NAME of "/NAME". */
static const char *name_of(const struct request *r)
{
	return *r->rest == '/' ? r->rest + 1 : r->rest;
}

void api_why(struct request *r)
{
	if (access_read(r))
		forward(r, "io.reeve.Supervisor.Why", json_pack("{s:s}", "name", name_of(r)), false);
}

void api_plan(struct request *r)
{
	if (access_read(r))
		forward(r, "io.reeve.Supervisor.Plan", NULL, false);
}

/* ---- actions ---- */

enum argument { ARGUMENT_NAMES, ARGUMENT_SIGNAL, ARGUMENT_GROUPS, ARGUMENT_LOGS };

static const struct action {
	const char *path, *method;
	enum argument argument;
} actions[] = {
	{ "/start", "io.reeve.Supervisor.Start", ARGUMENT_NAMES },
	{ "/stop", "io.reeve.Supervisor.Stop", ARGUMENT_NAMES },
	{ "/restart", "io.reeve.Supervisor.Restart", ARGUMENT_NAMES },
	{ "/signal", "io.reeve.Supervisor.Signal", ARGUMENT_SIGNAL },
	{ "/clear", "io.reeve.Log.Clear", ARGUMENT_LOGS },
	{ "/update", "io.reeve.Supervisor.Update", ARGUMENT_GROUPS },
};

static bool are_strings(const json_t *list)
{
	json_t *name;
	size_t i;

	json_array_foreach(list, i, name)
		if (!json_is_string(name))
			return false;
	return json_is_array(list);
}

/* What METHOD wants, from what the page sent; NULL: it is not that. */
static json_t *parameters_of(enum argument argument, json_t *body)
{
	json_t *names = json_object_get(body, argument == ARGUMENT_GROUPS ? "groups" : "names");
	json_t *signal = json_object_get(body, "signal"), *whole = json_object_get(body, "whole");

	if (!are_strings(names) || (argument != ARGUMENT_GROUPS && json_array_size(names) == 0))
		return NULL;		/* an empty list would mean all of them */
	switch (argument) {
	case ARGUMENT_NAMES:
		return json_pack("{s:O, s:b}", "names", names, "wait", 0);
	case ARGUMENT_SIGNAL:
		return json_is_string(signal) ? json_pack("{s:O, s:O, s:b}", "names", names, "signal", signal, "whole",
							  json_is_true(whole))
					      : NULL;
	case ARGUMENT_GROUPS:
		return json_pack("{s:O}", "groups", names);
	case ARGUMENT_LOGS:
		return json_pack("{s:O}", "processes", names);
	}
	return NULL;
}

void api_act(struct request *r)
{
	const struct action *action = NULL;
	json_t *body, *parameters;

	for (size_t i = 0; !action && i < ARRAY_LEN(actions); i++)
		if (strcmp(r->rest, actions[i].path) == 0)
			action = &actions[i];
	if (!action) {
		http_answer_json(r, 404, json_pack("{s:s}", "error", "there is no such action"));
		return;
	}
	if (!access_write(r, web_of(r)->token))
		return;
	body = json_loadb(r->body, r->body_length, 0, NULL);
	parameters = parameters_of(action->argument, body);
	json_decref(body);
	if (parameters)
		forward(r, action->method, parameters, action->argument == ARGUMENT_GROUPS);
	else
		http_answer_json(r, 400, json_pack("{s:s}", "error", "the body is not what this action takes"));
}

/* ---- logs ---- */

enum { LOG_BACKLOG = HTTP_STREAM_MAX / 4 };	/* bytes: beyond it the logger has to wait */
static const long long follow_max = 8 << 20;	/* bytes of the past */

struct follow {
	struct http_stream *stream;
	struct source {
		struct follow *follow;
		const char *channel;
		struct backend_call *call;	/* NULL: ended */
		bool paused;
	} sources[2];
};

static void follow_free(struct follow *f)
{
	for (size_t i = 0; i < ARRAY_LEN(f->sources); i++)
		if (f->sources[i].call)
			backend_cancel(f->sources[i].call);
	free(f);
}

static void follow_gone(void *data)
{
	follow_free(data);
}

static void follow_drained(void *data)
{
	struct follow *f = data;

	for (size_t i = 0; i < ARRAY_LEN(f->sources); i++) {
		struct source *s = &f->sources[i];

		if (s->call && s->paused)
			backend_pause(s->call, s->paused = false);
	}
}

static const struct http_stream_events follow_events = { follow_gone, follow_drained };

static int follow_write(struct follow *f, const char *event, json_t *json)
{
	size_t length = 0;
	char *text = feed_format(0, event, json, &length);
	int r = text ? http_stream_write(f->stream, text, length) : -ENOMEM;

	json_decref(json);
	free(text);
	return r;
}

/* The end of one source. Without any left, the stream ends, and the page asks again. */
static void source_ended(struct source *s, const char *error)
{
	struct follow *f = s->follow;

	s->call = NULL;
	(void)follow_write(f, "end", json_pack("{s:s, s:s?}", "stream", s->channel, "error", strrchr(error, '.') + 1));
	for (size_t i = 0; i < ARRAY_LEN(f->sources); i++)
		if (f->sources[i].call)
			return;
	http_stream_close(f->stream);
	free(f);
}

static void followed(void *data, json_t *parameters, const char *error, bool continues)
{
	const char *bytes = json_string_value(json_object_get(parameters, "data"));
	struct source *s = data;
	struct follow *f = s->follow;

	if (error || !continues) {
		source_ended(s, error ? error : ".Ended");
		return;
	}
	if (bytes && !*bytes && !json_is_string(json_object_get(parameters, "event")))
		return;			/* only where the logger is */
	(void)follow_write(f, "log", json_pack("{s:s, s:O?, s:O?}", "stream", s->channel, "data", json_object_get(parameters, "data"), "event",
					       json_object_get(parameters, "event")));
	if (http_stream_backlog(f->stream) > LOG_BACKLOG && !s->paused)
		backend_pause(s->call, s->paused = true);
}

static void follow(struct request *r, const char *name, const char *channel, long long bytes)
{
	static const char *const channels[] = { "stdout", "stderr" };
	struct backend *backend = r->gateway->backend;
	struct follow *f = calloc(1, sizeof *f);
	bool any = false;

	if (!f) {
		http_answer_error(r, 503, "out of memory");
		return;
	}
	http_add_header(r, "X-Accel-Buffering", "no");
	f->stream = http_stream_open(r, 200, "text/event-stream", &follow_events, f);
	if (!f->stream) {
		free(f);
		return;
	}
	(void)http_stream_write(f->stream, ":\n\n", 3);
	for (size_t i = 0; i < ARRAY_LEN(channels); i++) {
		struct source *s = &f->sources[i];

		*s = (struct source){ .follow = f, .channel = channels[i] };
		if (strcmp(channel, "both") != 0 && strcmp(channel, channels[i]) != 0)
			continue;
		s->call = backend_call(backend, "io.reeve.Log.Follow",
				       json_pack("{s:s, s:s, s:I}", "process", name, "channel", channels[i], "bytes", (json_int_t)bytes), true,
				       followed, s);
		any |= s->call != NULL;
	}
	if (!any) {
		http_stream_close(f->stream);
		free(f);
	}
}

static bool whole_number(const char *text, long long otherwise, long long *ret)
{
	char *end;

	*ret = otherwise;
	if (!text)
		return true;
	errno = 0;
	*ret = strtoll(text, &end, 10);
	return *text && !*end && !errno;
}

void api_log(struct request *r)
{
	const char *channel = http_query(r, "stream"), *follow_bytes = http_query(r, "follow");
	long long offset, length, bytes;

	if (!access_read(r))
		return;
	no_store(r);
	channel = channel ? channel : "stdout";
	if (!whole_number(http_query(r, "offset"), -65536, &offset) || !whole_number(http_query(r, "length"), 0, &length) ||
	    !whole_number(follow_bytes, 0, &bytes) || bytes < 0 ||
	    (strcmp(channel, "stdout") != 0 && strcmp(channel, "stderr") != 0 && !(follow_bytes && strcmp(channel, "both") == 0))) {
		http_answer_json(r, 400, json_pack("{s:s}", "error", "stream is stdout or stderr; offset, length and follow are numbers"));
		return;
	}
	if (follow_bytes)
		follow(r, name_of(r), channel, bytes < follow_max ? bytes : follow_max);
	else
		forward(r, "io.reeve.Log.Read", json_pack("{s:s, s:s, s:I, s:I}", "process", name_of(r), "channel", channel, "offset",
							  (json_int_t)offset, "length", (json_int_t)length), false);
}
