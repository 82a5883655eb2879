/*
 * See web.h: the addresses of supervisord's own page, for bookmarks and checks. The end of a log is shown; actions are not done by a GET,
 * which any page could have sent, but are answered with the page and a word about what to use instead.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/base64.h"
#include "page.h"
#include "web.h"
#include "xmlrpc.h"

static void put_html(FILE *out, const char *text)
{
	for (; *text; text++) {
		const char *entity = *text == '&' ? "&amp;" : *text == '<' ? "&lt;" : *text == '>' ? "&gt;" : *text == '"' ? "&quot;" : NULL;

		if (entity)
			(void)fputs(entity, out);
		else
			(void)fputc(*text, out);
	}
}

static void put_url(FILE *out, const char *text)
{
	for (; *text; text++)
		if (strchr("-._~", *text) || (*text >= '0' && *text <= '9') || ((*text | 32) >= 'a' && (*text | 32) <= 'z'))
			(void)fputc(*text, out);
		else
			(void)fprintf(out, "%%%02X", (unsigned char)*text);
}

static void answer_html(struct request *r, int status, FILE *out, char **text, size_t *length)
{
	page_headers(r);
	http_add_header(r, "Cache-Control", "no-store");
	if (fclose(out) == 0 && *text)
		http_answer_taken(r, status, "text/html;charset=utf-8", TAKE(*text), *length);
	else
		http_answer_error(r, 503, "out of memory");
}

/* ---- the end of a log ---- */

enum { LEAST = 1024, MOST = 512 << 10 };	/* bytes; the logger gives no more at once */

struct tail_page {
	struct request *request;
	struct backend_call *call;
	char *name;			/* as it was asked for; owned */
	long limit;
};

/* TEXT for NAME (NULL: none was given). */
static void answer_tail(struct request *r, const char *name, long limit, const char *text)
{
	char *page = NULL;
	size_t length;
	FILE *out = open_memstream(&page, &length);

	if (!out) {
		http_answer_error(r, 503, "out of memory");
		return;
	}
	(void)fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light dark\">"
		    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Supervisor tail of process ", out);
	put_html(out, name ? name : "");
	(void)fputs("</title></head>\n<body>\n<pre>", out);
	put_html(out, text);
	(void)fputs("</pre>\n", out);
	if (name) {
		(void)fputs("<p><a href=\"tail.html?processname=", out);
		put_url(out, name);
		(void)fprintf(out, "&amp;limit=%ld\">Refresh</a> <a href=\"./#/", limit);
		put_url(out, name);
		(void)fputs("/log\">Follow</a></p>\n", out);
	}
	(void)fputs("</body></html>\n", out);
	answer_html(r, 200, out, &page, &length);
}

static void tail_free(struct tail_page *t)
{
	free(t->name);
	free(t);
}

/* The bytes of BASE64 as text. malloc'd; NULL: out of memory, or malformed. */
static char *text_of_log(const char *base64)
{
	size_t n;
	_cleanup_(freep) char *bytes = base64_decode(base64, &n);
	json_t *text = bytes ? xmlrpc_text(bytes, n) : NULL;
	char *copy = text ? strdup(json_string_value(text)) : NULL;

	json_decref(text);
	return copy;
}

static void tail_read(void *data, json_t *reply, const char *error, bool continues)
{
	struct tail_page *t = data;
	struct request *r = t->request;
	const char *base64 = json_string_value(json_object_get(reply, "data"));
	_cleanup_(freep) char *text = NULL;

	(void)continues;
	http_on_gone(r, NULL, NULL);
	if (error && strcmp(error, "io.reeve.Disconnected") == 0) {
		http_answer_error(r, 503, "the daemon does not answer");
	} else if (error) {
		if (asprintf(&text, "No file for %s", t->name) < 0)
			text = NULL;
		answer_tail(r, t->name, t->limit, text ? text : "No file");
	} else {
		text = text_of_log(base64 ? base64 : "");
		answer_tail(r, t->name, t->limit, text ? text : "");
	}
	tail_free(t);
}

static void client_left(void *data)
{
	struct tail_page *t = data;

	backend_cancel(t->call);
	tail_free(t);
}

/* supervisord takes "web:web" for the "web" of the list. */
static const struct model_process *find(const struct model *m, const char *name)
{
	const struct model_process *p = model_find(m, name);
	const char *colon = strchr(name, ':');
	size_t n = colon ? (size_t)(colon - name) : 0;

	if (p || !colon || strncmp(name, colon + 1, n) != 0 || colon[1 + n])
		return p;
	return model_find(m, colon + 1);
}

static long limit_of(const struct request *r)
{
	const char *text = http_query(r, "limit");
	long limit = text && *text && !text[strspn(text, "0123456789")] ? strtol(text, NULL, 10) : LEAST;

	return limit < LEAST ? LEAST : limit > MOST ? MOST : limit;
}

static void read_tail(struct request *r, const char *namespec, const char *name)
{
	struct tail_page *t = calloc(1, sizeof *t);

	if (t) {
		*t = (struct tail_page){ .request = r, .name = strdup(name), .limit = limit_of(r) };
		t->call = t->name ? backend_call(r->gateway->backend, "io.reeve.Log.Read",
						 json_pack("{s:s, s:s, s:I, s:i}", "process", namespec, "channel", "stdout", "offset",
							   (json_int_t)-t->limit, "length", 0),
						 false, tail_read, t)
				  : NULL;
	}
	if (t && t->call) {
		http_on_gone(r, client_left, t);
		return;
	}
	if (t)
		tail_free(t);
	http_answer_error(r, 503, "out of memory");
}

void classic_tail(struct request *r)
{
	const struct model *m = r->gateway->web->model;
	const char *name = http_query(r, "processname");
	const struct model_process *p = name ? find(m, name) : NULL;
	_cleanup_(freep) char *text = NULL;

	if (!access_read(r))
		return;
	if (p) {
		read_tail(r, p->namespec, name);
	} else if (!name || !*name) {
		answer_tail(r, NULL, LEAST, "No process name found");
	} else if (!model_up(m)) {
		http_answer_error(r, 503, "the daemon does not answer");
	} else {
		if (asprintf(&text, "ERROR: unexpected rpc fault [10] BAD_NAME: %s", name) < 0)
			text = NULL;
		answer_tail(r, name, limit_of(r), text ? text : "ERROR");
	}
}

/* ---- actions ---- */

static const struct action {
	const char *name, *command, *method;
	bool one;			/* of one process */
} actions[] = {
	{ "start", "start", "supervisor.startProcess", true },
	{ "stop", "stop", "supervisor.stopProcess", true },
	{ "restart", "restart", "supervisor.stopProcess and supervisor.startProcess", true },
	{ "clearlog", "clear", "supervisor.clearProcessLogs", true },
	{ "stopall", "stop all", "supervisor.stopAllProcesses", false },
	{ "restartall", "restart all", "supervisor.stopAllProcesses and supervisor.startAllProcesses", false },
};

static void put_refusal(FILE *out, const struct action *action, const char *name)
{
	(void)fputs("<p class=\"refusal\" role=\"alert\">Nothing was done: an action that comes as a link could come from any page that a browser "
		    "shows. ", out);
	if (!action) {
		(void)fputs("Use the buttons of this page, <code>reevectl</code>, or XML-RPC.</p>\n", out);
		return;
	}
	(void)fprintf(out, "Use the buttons of this page, <code>reevectl %s", action->command);
	if (action->one) {
		(void)fputc(' ', out);
		put_html(out, name && *name ? name : "NAME");
	}
	(void)fprintf(out, "</code>, or XML-RPC: <code>%s</code>.</p>\n", action->method);
}

bool classic_refuse(struct request *r, const char *page, size_t page_length)
{
	static const char place[] = "<main ";
	const char *given = http_query(r, "action"), *at;
	const struct action *action = NULL;
	char *text = NULL;
	size_t length;
	FILE *out;

	if (!given || !*given || strcmp(given, "refresh") == 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (strcmp(given, actions[i].name) == 0)
			action = &actions[i];
	at = memmem(page, page_length, place, sizeof place - 1);
	at = at ? at : page;
	out = open_memstream(&text, &length);
	if (!out) {
		http_answer_error(r, 503, "out of memory");
		return true;
	}
	(void)fwrite(page, 1, (size_t)(at - page), out);
	put_refusal(out, action, http_query(r, "processname"));
	(void)fwrite(at, 1, page_length - (size_t)(at - page), out);
	answer_html(r, 403, out, &text, &length);
	return true;
}
