/*
 * The little of HTTP that a client of supervisord's interface needs: one request per connection, over TCP or a Unix socket, and a body
 * that is read whole or as it comes.
 */
#ifndef REEVE_CTL_HTTP_H
#define REEVE_CTL_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/base.h"

struct http_place {
	bool is_unix;
	char path[108];			/* unix: the socket */
	char host[256], port[8];	/* else */
	char username[128], password[128];	/* "": none */
};

/* "unix:///SOCKET" or "http://[user:password@]host[:port]". False: neither. */
bool http_place_parse(const char *url, struct http_place *ret);

/*
 * Send a request with BODY (NULL: a GET) for PATH. Returns 0 and the answer's status and body (malloc'd, ended by a NUL), whatever the
 * status; or -errno with ERR: no connection (-ECONNREFUSED, -ENOENT, ...), or an answer that is none (-EPROTO). SECONDS: without any byte.
 */
int http_request(const struct http_place *place, const char *path, const char *body, double seconds, int *ret_status, char **ret_body,
		 struct error *err);

/* A body that is read as it comes. */
struct http_stream;
/* GET PATH. The answer's head comes with the first byte of the body: supervisord sends none for a log that is empty. */
int http_stream_open(const struct http_place *place, const char *path, struct http_stream **ret, struct error *err);
/* 0: not known yet. With another status than 200 a read gives 0, the end. */
int http_stream_status(const struct http_stream *stream);
void http_stream_free(struct http_stream *stream);	/* accepts NULL */
int http_stream_fd(const struct http_stream *stream);
/* What has come (at least one byte, waiting for it), at most SIZE bytes; 0: the end; -EINTR, or another -errno. */
long http_stream_read(struct http_stream *stream, char *buffer, size_t size);
/* The same without waiting: -ETIMEDOUT when there is nothing. */
long http_stream_read_now(struct http_stream *stream, char *buffer, size_t size);

#endif
