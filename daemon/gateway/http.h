/*
 * The HTTP server: libmicrohttpd on the gateway's libev loop. It accepts (never more than HTTP_CONNECTIONS, the longest idle one makes
 * room), reads requests within limits and deadlines, checks passwords, finds the route, and calls its handler on the loop.
 *
 * A handler gets a struct request and answers it once, at once or later:
 *   http_answer()       the whole body in one piece
 *   http_stream_open()  a body that is written bit by bit (a followed log, server-sent events)
 * A request lives until it is answered or its client leaves; http_on_gone() tells of the latter.
 */
#ifndef REEVE_GATEWAY_HTTP_H
#define REEVE_GATEWAY_HTTP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct gateway;

enum {
	HTTP_CONNECTIONS = 512,
	HTTP_HEADER_MAX = 32 << 10,	/* bytes: request line, headers, and what the answer's need */
	HTTP_BODY_MAX = 1 << 20,	/* bytes */
	HTTP_HEADER_SECONDS = 10,	/* from accept, or the first byte after an answer, to the end of the headers */
	HTTP_BODY_SECONDS = 30,		/* from the headers to the end of the body */
	HTTP_IDLE_SECONDS = 86400,	/* a kept connection without a request: clients of supervisord may be silent for long */
	HTTP_STALL_SECONDS = 60,	/* a reader that takes nothing of what waits for it */
	HTTP_FINISH_SECONDS = 2,
	HTTP_STREAM_MAX = 256 << 10,	/* bytes that may wait for the reader of a stream */
};

/* ---- requests ---- */

struct request {
	struct gateway *gateway;
	const char *method;		/* "GET", "POST", ...; a HEAD arrives as the GET it stands for */
	const char *path;		/* percent-decoded, without the query */
	const char *rest;		/* what follows the route's path: "" or, of "/logtail", "/name/stderr" */
	const char *body;		/* NUL-terminated; "" where there is none */
	size_t body_length;
	bool authenticated;		/* a password was asked for, and it was right */
	bool local;			/* came over a Unix socket or from a loopback address */
	void *data;			/* the handler's own */
};

typedef void http_handler(struct request *r);

/* A header, or a parameter of the query, or NULL. Valid as long as the request. */
const char *http_header(const struct request *r, const char *name);
const char *http_query(const struct request *r, const char *name);

/* Call GONE(data) if the client leaves before the answer; the request is freed when it returns. NULL: forget. */
void http_on_gone(struct request *r, void (*gone)(void *data), void *data);

/* ---- answers; each ends the request ---- */

/* Add a header to the answer to come. Both are copied. Content-Type and Content-Length are not yours to add. */
void http_add_header(struct request *r, const char *name, const char *value);
/* BODY is copied. */
void http_answer(struct request *r, int status, const char *content_type, const char *body, size_t length);
/* BODY is malloc'd and taken. */
void http_answer_taken(struct request *r, int status, const char *content_type, char *body, size_t length);
/* BODY lives as long as the program. */
void http_answer_static(struct request *r, int status, const char *content_type, const char *body, size_t length);
/* JSON is stolen; NULL (out of memory) becomes status 500. */
void http_answer_json(struct request *r, int status, json_t *json);
/* A small HTML page that names the error, and REASON (may be NULL). */
void http_answer_error(struct request *r, int status, const char *reason);

/* ---- streams ---- */

struct http_stream;

struct http_stream_events {
	void (*gone)(void *data);	/* the reader has left, or took nothing for too long; the stream is freed. Never called from
					   within http_stream_write() or after http_stream_close() */
	void (*drained)(void *data);	/* all that was written has been taken; may be NULL */
};

/*
 * Begin an answer of unknown length (chunked). EVENTS is borrowed for good (a static table). NULL when out of memory, or when only
 * the headers were asked for (HEAD); the request is answered in any case.
 */
struct http_stream *http_stream_open(struct request *r, int status, const char *content_type, const struct http_stream_events *events,
				     void *data);
/* Bytes are copied. 0, or -ENOBUFS: more than HTTP_STREAM_MAX would wait; nothing is written, the reader is dropped (gone follows). */
int http_stream_write(struct http_stream *stream, const char *bytes, size_t length);
/* Bytes that wait for the reader: for producers that would rather wait than drop. */
size_t http_stream_backlog(const struct http_stream *stream);
/* The end, after what still waits; STREAM is not to be used again. */
void http_stream_close(struct http_stream *stream);

/* ---- the server ---- */

struct http_listener_conf {
	int fd;				/* listening socket; taken */
	const char *section;		/* of the configuration, for messages. Copied */
	const char *username, *password;	/* NULL: none asked for. Copied */
};

struct http *http_new(struct gateway *gateway);
int http_listen(struct http *http, const struct http_listener_conf *conf);
/*
 * Accept no more, and let what has begun be finished; streams and connections that wait end now. DONE(data) is called from the loop when
 * the last one has gone, after HTTP_FINISH_SECONDS at the latest.
 */
void http_finish(struct http *http, void (*done)(void *data), void *data);
void http_free(struct http *http);	/* accepts NULL */

/* For /metrics. */
size_t http_connections(const struct http *http);

#endif
