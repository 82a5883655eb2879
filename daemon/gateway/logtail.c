/*
 * See logtail.h. First it is asked whether there is such a log (404 otherwise), then it is followed. A reader that is slow stops the
 * logger's replies, not the reader.
 */
#include "logtail.h"

#include <string.h>

#include "base/base.h"
#include "base/base64.h"
#include "gateway.h"
#include "web.h"

enum { PAUSE_AT = 64 << 10 };		/* bytes that wait for the reader when the logger is told to */

static const char truncated[] = "==> File truncated <==\n";

struct tail {
	struct gateway *gateway;
	struct request *request;	/* until the stream is open */
	struct http_stream *stream;
	struct backend_call *call;
	char *process;			/* namespec; "" for the daemon's own log. Owned */
	const char *channel;
	char *at;			/* where we are in the log, as the logger says it; NULL: not known. Owned */
	bool paused;
};

static void tail_free(struct tail *t)
{
	if (t->call)
		backend_cancel(t->call);
	free(t->process);
	free(t->at);
	free(t);
}

static void gone(void *data)
{
	tail_free(data);
}

static void refuse(struct tail *t, int status)
{
	struct request *r = TAKE(t->request);

	http_on_gone(r, NULL, NULL);
	http_answer_error(r, status, NULL);
	tail_free(t);
}

/* ---- following ---- */

static void drained(void *data)
{
	struct tail *t = data;

	if (t->paused && t->call) {
		t->paused = false;
		backend_pause(t->call, false);
	}
}

static const struct http_stream_events events = { gone, drained };

static void write_data(struct tail *t, const json_t *reply)
{
	const char *at = json_string_value(json_object_get(reply, "at"));
	const char *base64 = json_string_value(json_object_get(reply, "data")), *event = json_string_value(json_object_get(reply, "event"));
	size_t n = 0;
	_cleanup_(freep) char *bytes = base64 ? base64_decode(base64, &n) : NULL;

	if (event && strcmp(event, "truncated") == 0)
		(void)http_stream_write(t->stream, truncated, sizeof truncated - 1);
	if (bytes && n)
		(void)http_stream_write(t->stream, bytes, n);
	free(t->at);
	t->at = at ? strdup(at) : NULL;
	if (t->call && !t->paused && http_stream_backlog(t->stream) > PAUSE_AT) {
		t->paused = true;
		backend_pause(t->call, true);
	}
}

static void follow(struct tail *t, int bytes);

/* When the logger has been replaced, its successor is followed from the same place on; a log that is no more ends the stream. */
static void followed(void *data, json_t *reply, const char *error, bool continues)
{
	struct tail *t = data;

	if (!continues)
		t->call = NULL;
	if (!error)
		write_data(t, reply);
	if (continues)
		return;
	if (error && strcmp(error, "io.reeve.Disconnected") == 0) {
		t->paused = false;
		follow(t, 0);
	}
	if (!t->call) {
		http_stream_close(t->stream);
		tail_free(t);
	}
}

static void follow(struct tail *t, int bytes)
{
	t->call = backend_call(t->gateway->backend, "io.reeve.Log.Follow",
			       json_pack("{s:s, s:s, s:i, s:s?}", "process", t->process, "channel", t->channel, "bytes", bytes, "after", t->at),
		       true, followed, t);
}

/* There is such a log. */
static void log_exists(void *data, json_t *reply, const char *error, bool continues)
{
	struct tail *t = data;
	struct request *r = t->request;

	(void)reply;
	(void)continues;
	t->call = NULL;
	if (error) {
		refuse(t, strcmp(error, "io.reeve.Disconnected") == 0 ? 503 : 404);
		return;
	}
	http_on_gone(r, NULL, NULL);
	http_add_header(r, "X-Accel-Buffering", "no");
	http_add_header(r, "Cache-Control", "no-cache");
	t->request = NULL;
	t->stream = http_stream_open(r, 200, "text/plain;charset=utf-8", &events, t);
	if (t->stream)
		follow(t, 1024);
	if (t->stream && !t->call)
		http_stream_close(t->stream);
	if (!t->stream || !t->call)
		tail_free(t);
}

static void look(struct tail *t)
{
	t->call = backend_call(t->gateway->backend, "io.reeve.Log.Read",
			       json_pack("{s:s, s:s, s:i, s:i}", "process", t->process, "channel", t->channel, "offset", 0, "length", 1),
			       false, log_exists, t);
	if (!t->call)
		refuse(t, 503);
}

/* ---- requests ---- */

/* PROCESS is stolen. NULL: an answered request. */
static struct tail *tail_new(struct request *r, char *process, const char *channel)
{
	struct tail *t = process ? calloc(1, sizeof *t) : NULL;

	if (!t) {
		free(process);
		http_answer_error(r, 503, NULL);
		return NULL;
	}
	*t = (struct tail){ .gateway = r->gateway, .request = r, .process = process, .channel = channel };
	http_on_gone(r, gone, t);
	return t;
}

/* Is there exactly this process? The supervisor's names may be patterns. */
static void process_known(void *data, json_t *reply, const char *error, bool continues)
{
	struct tail *t = data;
	const json_t *list = json_object_get(reply, "processes"), *p = json_array_get(list, 0);
	const char *colon = strchr(t->process, ':');
	const char *group = json_string_value(json_object_get(p, "group")), *name = json_string_value(json_object_get(p, "name"));

	(void)continues;
	t->call = NULL;
	if (error && strcmp(error, "io.reeve.Disconnected") == 0)
		refuse(t, 503);
	else if (error || json_array_size(list) != 1 || !group || !name || !colon || strcmp(name, colon + 1) != 0 ||
		 strlen(group) != (size_t)(colon - t->process) || strncmp(group, t->process, strlen(group)) != 0)
		refuse(t, 404);
	else
		look(t);
}

static char *namespec_of(const char *name, size_t length)
{
	char *text = NULL;

	if (memchr(name, ':', length))
		return strndup(name, length);
	return asprintf(&text, "%.*s:%.*s", (int)length, name, (int)length, name) < 0 ? NULL : text;
}

void logtail_handle(struct request *r)
{
	const char *name = r->rest + (*r->rest == '/'), *slash = strchr(name, '/');
	const char *channel = slash ? slash + 1 : "stdout";
	struct tail *t;

	if (strcmp(r->method, "GET") != 0) {
		http_answer_error(r, 400, NULL);
		return;
	}
	if (!*name || (strcmp(channel, "stdout") != 0 && strcmp(channel, "stderr") != 0)) {
		http_answer_error(r, 404, NULL);
		return;
	}
	if (!access_plain(r))
		return;
	t = tail_new(r, namespec_of(name, slash ? (size_t)(slash - name) : strlen(name)),
		     strcmp(channel, "stderr") == 0 ? "stderr" : "stdout");
	if (!t)
		return;
	t->call = backend_call(r->gateway->backend, "io.reeve.Supervisor.List", json_pack("{s:[s]}", "names", t->process), false,
			       process_known, t);
	if (!t->call)
		refuse(t, 503);
}

void mainlogtail_handle(struct request *r)
{
	struct tail *t;

	if (strcmp(r->method, "GET") != 0) {
		http_answer_error(r, 400, NULL);
		return;
	}
	t = access_plain(r) ? tail_new(r, strdup(""), "stdout") : NULL;
	if (t)
		look(t);
}
