/*
 * See http_parts.h. What handlers answer: a whole body at once, or a stream whose bytes wait here until MHD asks for them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/bytes.h"
#include "http_parts.h"

enum { STREAM_BLOCK = 16 << 10 };	/* bytes per chunk of a stream */

struct http_stream {
	struct exchange *exchange;
	const struct http_stream_events *events;
	void *data;
	struct bytes waiting;
	bool ending;			/* no more will be written */
};

/* ---- answers ---- */

void http_add_header(struct request *r, const char *name, const char *value)
{
	struct exchange *e = exchange_of(r);
	size_t n = strlen(name) + 1, length = strlen(value) + 1;
	struct extra_header *header = malloc(sizeof *header + n + length);

	if (!header)
		return;
	header->next = e->headers;
	header->value = header->name + n;
	memcpy(header->name, name, n);
	memcpy(header->value, value, length);
	e->headers = header;
}

static void add_headers(struct exchange *e, const char *content_type)
{
	if (content_type)
		(void)MHD_add_response_header(e->response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
	(void)MHD_add_response_header(e->response, MHD_HTTP_HEADER_SERVER, "Reeve/" REEVE_VERSION);
	for (const struct extra_header *h = e->headers; h; h = h->next)
		(void)MHD_add_response_header(e->response, h->name, h->value);
}

/* RESPONSE (NULL: out of memory, the connection ends) goes out when MHD asks for it next. */
static void respond(struct exchange *e, int status, const char *content_type, struct MHD_Response *response)
{
	e->answered = true;
	e->gone = NULL;
	e->response = response;
	e->status = status;
	if (response)
		add_headers(e, content_type);
	else
		e->connection->doomed = true;
	connection_resume(e->connection);
}

void http_answer(struct request *r, int status, const char *content_type, const char *body, size_t length)
{
	respond(exchange_of(r), status, content_type,
		MHD_create_response_from_buffer(length, (void *)body, MHD_RESPMEM_MUST_COPY));
}

void http_answer_taken(struct request *r, int status, const char *content_type, char *body, size_t length)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(length, body, MHD_RESPMEM_MUST_FREE);

	if (!response)
		free(body);
	respond(exchange_of(r), status, content_type, response);
}

void http_answer_static(struct request *r, int status, const char *content_type, const char *body, size_t length)
{
	respond(exchange_of(r), status, content_type,
		MHD_create_response_from_buffer(length, (void *)body, MHD_RESPMEM_PERSISTENT));
}

void http_answer_json(struct request *r, int status, json_t *json)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

	json_decref(json);
	if (text)
		http_answer_taken(r, status, "application/json", text, strlen(text));
	else
		http_answer_error(r, 500, NULL);
}

static const char *reason_of(int status)
{
	static const struct {
		int status;
		const char *text;
	} table[] = { { 400, "Bad Request" },	   { 401, "Unauthorized" },    { 403, "Forbidden" },
		      { 404, "Not Found" },	   { 405, "Method Not Allowed" }, { 411, "Length Required" },
		      { 413, "Content Too Large" }, { 500, "Internal Server Error" }, { 503, "Service Unavailable" } };

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (table[i].status == status)
			return table[i].text;
	return "Error";
}

void http_answer_error(struct request *r, int status, const char *reason)
{
	char page[512];
	int n = snprintf(page, sizeof page,
			 "<!DOCTYPE html>\n<html><head><title>Error %d</title></head>\n<body><h1>%s</h1>\n<p>Error code %d.</p>\n"
			 "<p>%.200s</p></body></html>\n",
			 status, reason_of(status), status, reason ? reason : "");

	http_answer(r, status, "text/html;charset=utf-8", page, (size_t)n);
}

/* ---- streams ---- */

size_t http_stream_backlog(const struct http_stream *s)
{
	return bytes_length(&s->waiting);
}

/* MHD: what comes next? */
static ssize_t read_stream(void *data, uint64_t position, char *buffer, size_t max)
{
	struct http_stream *s = data;
	size_t n = http_stream_backlog(s);

	(void)position;
	if (s->exchange->connection->doomed)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (!n && !s->ending && s->events->drained) {
		s->events->drained(s->data);
		n = http_stream_backlog(s);
	}
	if (!n && s->ending)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (!n) {
		connection_suspend(s->exchange->connection);
		return 0;
	}
	if (n > max)
		n = max;
	memcpy(buffer, bytes_at(&s->waiting), n);
	bytes_drop(&s->waiting, n);
	if (!bytes_length(&s->waiting))
		bytes_free(&s->waiting);	/* hundreds may be open, with little to say */
	return (ssize_t)n;
}

struct http_stream *http_stream_open(struct request *r, int status, const char *content_type, const struct http_stream_events *events,
				     void *data)
{
	struct exchange *e = exchange_of(r);
	struct http_stream *s = NULL;
	struct MHD_Response *response = NULL;

	if (e->head) {			/* there is no body to follow; a stream's end would be taken for the next answer */
		http_answer(r, status, content_type, "", 0);
		return NULL;
	}
	s = calloc(1, sizeof *s);
	if (s)
		response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream, s, NULL);
	if (!response) {
		free(s);
		http_answer_error(r, 503, NULL);
		return NULL;
	}
	*s = (struct http_stream){ .exchange = e, .events = events, .data = data };
	e->stream = s;
	respond(e, status, content_type, response);
	return s;
}

int http_stream_write(struct http_stream *s, const char *bytes, size_t length)
{
	struct connection *c = s->exchange->connection;

	if (c->doomed)
		return -ENOBUFS;
	if (http_stream_backlog(s) + length > HTTP_STREAM_MAX || bytes_add(&s->waiting, bytes, length) < 0) {
		connection_doom(c);
		return -ENOBUFS;
	}
	connection_resume(c);
	return 0;
}

void http_stream_close(struct http_stream *s)
{
	static const struct http_stream_events nobody;

	s->ending = true;
	s->events = &nobody;
	connection_resume(s->exchange->connection);
}

void answer_free(struct exchange *e)
{
	struct http_stream *s = e->stream;

	if (s && s->events->gone)
		s->events->gone(s->data);
	if (e->response)
		MHD_destroy_response(e->response);
	while (e->headers) {
		struct extra_header *h = e->headers;

		e->headers = h->next;
		free(h);
	}
	if (s)
		bytes_free(&s->waiting);
	free(s);
}
