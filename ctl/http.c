/* See http.h. */
#include "http.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { HEAD_MAX = 16384, BODY_MAX = 64 << 20 };

struct http_stream {
	int fd;
	char buffer[HEAD_MAX]; /* what has been received and not been given out: START..END */
	size_t start, end;
	bool chunked, over;
	int status;	/* 0: the head has not been read */
	long long left; /* of the body, or of the present chunk; -1: until the connection ends */
};

/* ---- where ---- */

static void copy(char *to, size_t size, const char *from, size_t length)
{
	(void)snprintf(to, size, "%.*s", (int)length, from);
}

bool http_place_parse(const char *url, struct http_place *ret)
{
	const char *at, *end, *colon;

	*ret = (struct http_place){ .port = "80" };
	if (strncmp(url, "unix://", 7) == 0) {
		ret->is_unix = true;
		(void)snprintf(ret->path, sizeof ret->path, "%s", url + 7);
		return strlen(url + 7) < sizeof ret->path && url[7];
	}
	if (strncmp(url, "http://", 7) != 0)
		return false;
	url += 7;
	end = url + strcspn(url, "/");
	at = memchr(url, '@', (size_t)(end - url));
	if (at) {
		colon = memchr(url, ':', (size_t)(at - url));
		copy(ret->username, sizeof ret->username, url, (size_t)((colon ? colon : at) - url));
		if (colon)
			copy(ret->password, sizeof ret->password, colon + 1, (size_t)(at - colon - 1));
		url = at + 1;
	}
	at = *url == '[' ? memchr(url, ']', (size_t)(end - url)) : url;
	colon = at ? memchr(at, ':', (size_t)(end - at)) : NULL;
	if (*url == '[' && at)
		copy(ret->host, sizeof ret->host, url + 1, (size_t)(at - url - 1));
	else
		copy(ret->host, sizeof ret->host, url, (size_t)((colon ? colon : end) - url));
	if (colon)
		copy(ret->port, sizeof ret->port, colon + 1, (size_t)(end - colon - 1));
	return *ret->host;
}

/* ---- the connection ---- */

static int connect_unix(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
		int r = -errno;

		(void)close(fd);
		return r;
	}
	return fd < 0 ? -errno : fd;
}

static int connect_tcp(const struct http_place *place, struct error *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	int r = getaddrinfo(place->host, place->port, &hints, &list), fd = -1;

	if (r)
		return error_set(err, EHOSTUNREACH, "%s: %s", place->host, gai_strerror(r));
	r = -EHOSTUNREACH;
	for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
			r = -errno;
			(void)close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(list);
	return fd >= 0 ? fd : r;
}

static int send_all(int fd, const char *data, size_t length)
{
	while (length) {
		ssize_t n = send(fd, data, length, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		length -= (size_t)n;
	}
	return 0;
}

static void base64(const char *text, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t length = strlen(text);

	for (size_t i = 0; i < length; i += 3) {
		unsigned a = (unsigned char)text[i], b = i + 1 < length ? (unsigned char)text[i + 1] : 0;
		unsigned c = i + 2 < length ? (unsigned char)text[i + 2] : 0, bits = a << 16 | b << 8 | c;

		*out++ = digits[bits >> 18];
		*out++ = digits[bits >> 12 & 63];
		*out++ = i + 1 < length ? digits[bits >> 6 & 63] : '=';
		*out++ = i + 2 < length ? digits[bits & 63] : '=';
	}
	*out = '\0';
}

static int send_request(int fd, const struct http_place *place, const char *path, const char *body)
{
	char pair[260], secret[400] = "", *head = NULL;
	int n, r;

	if (*place->username) {
		(void)snprintf(pair, sizeof pair, "%s:%s", place->username, place->password);
		base64(pair, secret);
	}
	/* RPC in 1.0: no chunks come back. A stream needs 1.1: older servers withhold it otherwise. */
	n = asprintf(&head, "%s %s HTTP/1.%d\r\nHost: %s\r\nUser-Agent: reevectl\r\nAccept: */*\r\n%s%s%s%s",
		     body ? "POST" : "GET", path, body ? 0 : 1, place->is_unix ? "localhost" : place->host,
		     *secret ? "Authorization: Basic " : "", secret, *secret ? "\r\n" : "",
		     body ? "Content-Type: text/xml\r\nContent-Length: " : "\r\n");
	if (n < 0)
		return -ENOMEM;
	r = send_all(fd, head, (size_t)n);
	free(head);
	if (r == 0 && body) {
		char length[40];

		n = snprintf(length, sizeof length, "%zu\r\n\r\n", strlen(body));
		r = send_all(fd, length, (size_t)n);
		if (r == 0)
			r = send_all(fd, body, strlen(body));
	}
	return r;
}

/* ---- the answer ---- */

/* More bytes into the buffer. 0: the end. */
static long receive(struct http_stream *s, double seconds)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	ssize_t n;
	int r;

	if (s->start == s->end)
		s->start = s->end = 0;
	if (s->end == sizeof s->buffer)
		return -EPROTO;
	r = poll(&p, 1, seconds < 0 ? -1 : (int)(seconds * 1000));
	if (r <= 0)
		return r < 0 ? -errno : -ETIMEDOUT;
	n = recv(s->fd, s->buffer + s->end, sizeof s->buffer - s->end, 0);
	if (n > 0)
		s->end += (size_t)n;
	return n < 0 ? -errno : n;
}

/* A header line's value, or NULL. */
static const char *header(const char *line, const char *name)
{
	size_t n = strlen(name);

	if (strncasecmp(line, name, n) != 0 || line[n] != ':')
		return NULL;
	line += n + 1;
	return line + strspn(line, " \t");
}

static int parse_head(struct http_stream *s, char *head)
{
	char *rest = NULL, *line = strtok_r(head, "\r\n", &rest);
	int status = 0;

	if (!line || sscanf(line, "HTTP/%*d.%*d %d", &status) != 1)
		return -EPROTO;
	s->left = -1;
	while ((line = strtok_r(NULL, "\r\n", &rest))) {
		const char *value;

		if ((value = header(line, "Content-Length")))
			s->left = atoll(value);
		else if ((value = header(line, "Transfer-Encoding")))
			s->chunked = strncasecmp(value, "chunked", 7) == 0;
	}
	if (s->chunked)
		s->left = 0;
	return status;
}

/* The head, if all of it has come. */
static int take_head(struct http_stream *s)
{
	const char *end = memmem(s->buffer, s->end, "\r\n\r\n", 4);
	char head[HEAD_MAX + 1];
	size_t length;
	int r;

	if (!end)
		return 0;
	length = (size_t)(end - s->buffer) + 4;
	memcpy(head, s->buffer, length);
	head[length] = '\0';
	s->start = length;
	r = parse_head(s, head);
	s->status = r > 0 ? r : 0;
	return r < 0 ? r : 0;
}

static int read_head(struct http_stream *s, double seconds)
{
	int r = 0;

	while (r == 0 && !s->status) {
		long n = receive(s, seconds);

		r = n > 0 ? take_head(s) : n < 0 ? (int)n : -ECONNRESET;
	}
	return r;
}

/* The line that says how long the next chunk is. 0: read, -EAGAIN: more is needed. */
static int next_chunk(struct http_stream *s)
{
	char *line = s->buffer + s->start, *end;

	while (s->end - s->start >= 2 && memcmp(line, "\r\n", 2) == 0) { /* behind the chunk before */
		s->start += 2;
		line += 2;
	}
	end = memmem(line, s->end - s->start, "\r\n", 2);
	if (!end) {
		memmove(s->buffer, line, s->end - s->start);
		s->end -= s->start;
		s->start = 0;
		return -EAGAIN;
	}
	s->left = strtoll(line, NULL, 16);
	s->start += (size_t)(end - line) + 2;
	s->over = s->left <= 0;
	return 0;
}

static long read_body(struct http_stream *s, char *buffer, size_t size, double seconds)
{
	int head = s->status ? 0 : read_head(s, seconds);

	if (head < 0)
		return head;
	while (!s->over) {
		size_t n = s->end - s->start;
		long r;

		if (s->chunked && s->left == 0 && n && next_chunk(s) == 0)
			continue;
		if (s->left == 0 && !s->chunked)
			break;
		if (n && s->left) {
			if (s->left > 0 && (long long)n > s->left)
				n = (size_t)s->left;
			n = n < size ? n : size;
			memcpy(buffer, s->buffer + s->start, n);
			s->start += n;
			s->left -= s->left > 0 ? (long long)n : 0;
			return (long)n;
		}
		r = receive(s, seconds);
		if (r < 0)
			return r;
		s->over = r == 0;
	}
	return 0;
}

/* ---- requests ---- */

static int begin(const struct http_place *place, const char *path, const char *body, struct http_stream **ret,
		 struct error *err)
{
	struct http_stream *s = calloc(1, sizeof *s);
	int r;

	if (!s)
		return error_set(err, ENOMEM, "out of memory");
	err->code = 0;
	s->fd = place->is_unix ? connect_unix(place->path) : connect_tcp(place, err);
	r = s->fd < 0 ? s->fd : send_request(s->fd, place, path, body);
	if (r < 0) {
		http_stream_free(s);
		return err->code ? r : error_set(err, -r, "%s", strerror(-r));
	}
	*ret = s;
	return 0;
}

/* The whole body, NUL-terminated; -errno. */
static long read_all(struct http_stream *s, double seconds, char **ret)
{
	char part[8192], *text = calloc(1, 1);
	size_t length = 0;
	long n = 0;

	while (text && length < BODY_MAX && (n = read_body(s, part, sizeof part, seconds)) > 0) {
		char *grown = realloc(text, length + (size_t)n + 1);

		if (!grown) {
			n = -ENOMEM;
			break;
		}
		text = grown;
		memcpy(text + length, part, (size_t)n);
		length += (size_t)n;
		text[length] = '\0';
	}
	if (!text)
		return -ENOMEM;
	if (n < 0) {
		free(text);
		return n;
	}
	*ret = text;
	return (long)length;
}

int http_request(const struct http_place *place, const char *path, const char *body, double seconds, int *ret_status,
		 char **ret_body, struct error *err)
{
	struct http_stream *s;
	int r = begin(place, path, body, &s, err);
	long n;

	if (r < 0)
		return r;
	n = read_all(s, seconds, ret_body);
	*ret_status = s->status;
	http_stream_free(s);
	return n < 0 ? error_set(err, (int)-n, "%s", n == -EPROTO ? "no HTTP answer" : strerror((int)-n)) : 0;
}

int http_stream_open(const struct http_place *place, const char *path, struct http_stream **ret, struct error *err)
{
	return begin(place, path, NULL, ret, err);
}

int http_stream_status(const struct http_stream *s)
{
	return s->status;
}

void http_stream_free(struct http_stream *s)
{
	if (!s)
		return;
	closep(&s->fd);
	free(s);
}

int http_stream_fd(const struct http_stream *s)
{
	return s->fd;
}

long http_stream_read(struct http_stream *s, char *buffer, size_t size)
{
	long n = read_body(s, buffer, size, -1);

	return n > 0 && s->status != 200 ? 0 : n;
}

long http_stream_read_now(struct http_stream *s, char *buffer, size_t size)
{
	long n = read_body(s, buffer, size, 0);

	return n > 0 && s->status != 200 ? 0 : n;
}
