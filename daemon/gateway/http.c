/*
 * See http.h. libmicrohttpd parses and writes; this file accepts, keeps deadlines, and turns MHD's callbacks into requests and streams.
 * MHD runs on our loop through its epoll descriptor; a connection whose answer is to come is suspended.
 */
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "auth.h"
#include "base/base.h"
#include "gateway.h"
#include "routes.h"

enum {
	ACCEPT_TURN = 16,		/* connections taken per turn of the loop */
	STREAM_BLOCK = 16 << 10,	/* bytes per chunk of a stream */
};

/* Seconds before a wrong password is answered, and between two such answers, whoever asks. */
static const double refusal_delay = 1, refusal_gap = 0.1, refusal_max = 10;
static const double report_gap = 10;	/* seconds between two lines in the log about it */

enum phase {				/* of a connection */
	PHASE_NEW,			/* nothing has come */
	PHASE_HEADERS,
	PHASE_BODY,
	PHASE_WORK,			/* the answer is being made */
	PHASE_ANSWER,			/* it is being sent */
	PHASE_IDLE,			/* answered; waits for the next request */
};

/* Seconds that a phase may last; 0: no limit here. */
static const int phase_seconds[] = {
	[PHASE_NEW] = HTTP_HEADER_SECONDS, [PHASE_HEADERS] = HTTP_HEADER_SECONDS, [PHASE_BODY] = HTTP_BODY_SECONDS,
	[PHASE_WORK] = 0, [PHASE_ANSWER] = 0, [PHASE_IDLE] = HTTP_IDLE_SECONDS,
};

struct listener {
	LIST_ENTRY(listener) next;
	struct http *http;
	int fd;
	ev_io watcher;
	char *username, *password;	/* NULL: none asked for */
	char section[80];		/* for messages */
};

struct connection {
	TAILQ_ENTRY(connection) next;	/* in the order of `since`, the longest first */
	struct listener *listener;
	struct MHD_Connection *mhd;
	struct exchange *exchange;
	int fd;
	enum phase phase;
	double since;			/* when the phase began */
	bool suspended, local;
	bool doomed;			/* its socket has been shut down by us */
};

struct extra_header {
	struct extra_header *next;
	char *value;
	char name[];
};

struct http_stream {
	struct exchange *exchange;
	const struct http_stream_events *events;
	void *data;
	char *bytes;
	size_t start, end, size;	/* what waits: [start, end) */
	bool ending;			/* no more will be written */
};

struct exchange {			/* a request and its answer */
	struct request request;		/* first: a struct request is one of these */
	struct connection *connection;
	const struct route *route;	/* NULL: refused */
	enum auth_verdict verdict;
	int refusal;			/* status, or 0 */
	ev_timer delay;			/* of a refusal */
	char *body;
	struct MHD_Response *response;	/* until MHD has it */
	int status;
	struct extra_header *headers;
	bool head;			/* it asks for the headers alone */
	bool answered;			/* also when MHD has taken it */
	struct http_stream *stream;
	void (*gone)(void *data);
	void *gone_data;
};

struct http {
	struct gateway *gateway;
	struct ev_loop *loop;
	struct MHD_Daemon *daemon;
	ev_io watcher;			/* MHD's epoll */
	ev_timer timer;			/* MHD's time-outs, and what it wants to do at once */
	ev_timer sweep;			/* our deadlines, once a second while there are connections */
	ev_timer rest;			/* out of descriptors: accept again after a while */
	ev_prepare prepare;
	bool kick;			/* MHD has something to do */
	LIST_HEAD(, listener) listeners;
	TAILQ_HEAD(, connection) connections;
	size_t n_connections;
	struct connection *accepting;	/* while MHD_add_connection() runs */
	double next_refusal, next_report;
	unsigned unreported;		/* wrong passwords since the last line */
	double finish_by;		/* 0: not finishing */
	void (*done)(void *data);
	void *done_data;
};

/* ---- connections ---- */

static struct http *http_of(const struct connection *c)
{
	return c->listener->http;
}

static void enter(struct connection *c, enum phase phase)
{
	struct http *h = http_of(c);

	c->phase = phase;
	c->since = clock_now();
	TAILQ_REMOVE(&h->connections, c, next);
	TAILQ_INSERT_TAIL(&h->connections, c, next);
}

static void resume(struct connection *c)
{
	if (c->suspended) {
		c->suspended = false;
		MHD_resume_connection(c->mhd);
		http_of(c)->kick = true;
	}
}

static void suspend(struct connection *c)
{
	c->suspended = true;
	MHD_suspend_connection(c->mhd);
}

/* Cut it off; MHD notices, and tells us. */
static void doom(struct connection *c)
{
	c->doomed = true;
	(void)shutdown(c->fd, SHUT_RDWR);
	resume(c);
	http_of(c)->kick = true;
}

/* Does it wait for nothing that anybody works on? Also who guessed a password and is kept waiting for that. */
static bool is_expendable(const struct connection *c)
{
	return (c->phase != PHASE_WORK && c->phase != PHASE_ANSWER) || (c->exchange && ev_is_active(&c->exchange->delay));
}

/* Room for one more: the longest idle one goes, else the longest reader of a stream. Who waits for an answer stays. */
static bool make_room(struct http *h)
{
	struct connection *c, *reader = NULL;

	if (h->n_connections < HTTP_CONNECTIONS)
		return true;
	TAILQ_FOREACH(c, &h->connections, next)
	{
		if (c->doomed)
			continue;
		if (is_expendable(c)) {
			doom(c);
			return true;
		}
		if (!reader && c->exchange && c->exchange->stream)
			reader = c;
	}
	if (reader)
		doom(reader);
	return reader != NULL;
}

static bool is_local(const struct sockaddr_storage *address)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;

	if (address->ss_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	if (address->ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
	return address->ss_family == AF_UNIX;
}

static void describe_peer(const struct connection *c, char *buffer, size_t size)
{
	struct sockaddr_storage address = { 0 };
	socklen_t length = sizeof address;

	if (getpeername(c->fd, (struct sockaddr *)&address, &length) < 0)
		return;
	if (address.ss_family == AF_INET)
		(void)inet_ntop(AF_INET, &((struct sockaddr_in *)&address)->sin_addr, buffer, (socklen_t)size);
	else if (address.ss_family == AF_INET6)
		(void)inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&address)->sin6_addr, buffer, (socklen_t)size);
}

static void add_connection(struct listener *l, int fd, const struct sockaddr_storage *address, socklen_t length)
{
	struct http *h = l->http;
	struct connection *c = make_room(h) ? calloc(1, sizeof *c) : NULL;
	int on = 1;

	if (!c) {
		(void)close(fd);
		return;
	}
	*c = (struct connection){ .listener = l, .fd = fd, .since = clock_now(), .local = is_local(address) };
	if (address->ss_family != AF_UNIX) {
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	}
	h->accepting = c;
	if (MHD_add_connection(h->daemon, fd, (const struct sockaddr *)address, length) != MHD_YES && h->accepting)
		free(c);		/* MHD has closed the socket */
	h->accepting = NULL;
	h->kick = true;
}

static void stop_accepting(struct http *h)
{
	struct listener *l;

	LIST_FOREACH(l, &h->listeners, next)
	ev_io_stop(h->loop, &l->watcher);
	ev_timer_set(&h->rest, 1, 0);
	ev_timer_start(h->loop, &h->rest);
}

static void rested(struct ev_loop *loop, ev_timer *w, int events)
{
	struct http *h = w->data;
	struct listener *l;

	(void)events;
	LIST_FOREACH(l, &h->listeners, next)
	ev_io_start(loop, &l->watcher);
}

static void acceptable(struct ev_loop *loop, ev_io *w, int events)
{
	struct listener *l = w->data;

	(void)loop;
	(void)events;
	for (int i = 0; i < ACCEPT_TURN; i++) {
		struct sockaddr_storage address = { 0 };
		socklen_t length = sizeof address;
		int fd = accept4(l->fd, (struct sockaddr *)&address, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
			stop_accepting(l->http);
		if (fd < 0)
			return;
		add_connection(l, fd, &address, length);
	}
}

/* MHD: a connection begins or has ended. */
static void on_connection(void *data, struct MHD_Connection *mhd, void **context, enum MHD_ConnectionNotificationCode code)
{
	struct http *h = data;
	struct connection *c = *context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		c = h->accepting;
		h->accepting = NULL;
		c->mhd = mhd;
		*context = c;
		TAILQ_INSERT_TAIL(&h->connections, c, next);
		h->n_connections++;
		if (!ev_is_active(&h->sweep))
			ev_timer_again(h->loop, &h->sweep);
	} else if (c) {
		TAILQ_REMOVE(&h->connections, c, next);
		h->n_connections--;
		*context = NULL;
		free(c);
	}
}

static struct connection *connection_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

/* Has the peer of a suspended connection left? MHD does not look. */
static bool peer_has_left(const struct connection *c)
{
	/* One that only shuts its sending half may still want its answer; nobody follows a stream that way. */
	short gone = c->exchange && c->exchange->stream ? POLLRDHUP | POLLHUP | POLLERR : POLLHUP | POLLERR;
	struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };

	return c->suspended && poll(&p, 1, 0) > 0 && (p.revents & gone);
}

/* Ours no more: connections that wait for nothing are cut off. */
static void finish_step(struct http *h)
{
	struct connection *c;
	bool over = clock_now() >= h->finish_by;
	void (*done)(void *data) = h->done;

	TAILQ_FOREACH(c, &h->connections, next)
	if (!c->doomed && (over || c->phase == PHASE_IDLE || (c->exchange && c->exchange->stream)))
		doom(c);
	if (h->n_connections && !over)
		return;
	h->done = NULL;
	if (done)
		done(h->done_data);
}

static void swept(struct ev_loop *loop, ev_timer *w, int events)
{
	struct http *h = w->data;
	struct connection *c, *next;
	double now = clock_now();

	(void)events;
	for (c = TAILQ_FIRST(&h->connections); c; c = next) {
		int limit = phase_seconds[c->phase];

		next = TAILQ_NEXT(c, next);
		if (!c->doomed && ((limit && now - c->since > limit) || peer_has_left(c)))
			doom(c);
	}
	if (h->finish_by > 0)
		finish_step(h);
	else if (!h->n_connections)
		ev_timer_stop(loop, w);
}

/* ---- the request as handlers see it ---- */

static struct exchange *exchange_of(const struct request *r)
{
	return (struct exchange *)r;
}

const char *http_header(const struct request *r, const char *name)
{
	return MHD_lookup_connection_value(exchange_of(r)->connection->mhd, MHD_HEADER_KIND, name);
}

const char *http_query(const struct request *r, const char *name)
{
	return MHD_lookup_connection_value(exchange_of(r)->connection->mhd, MHD_GET_ARGUMENT_KIND, name);
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* TEXT[0..LENGTH) without its + and %XX; malloc'd. */
static char *form_decode(const char *text, size_t length)
{
	char *decoded = malloc(length + 1);
	size_t n = 0;

	for (size_t i = 0; decoded && i < length; i++) {
		bool escape = text[i] == '%' && i + 2 < length && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0;

		if (escape) {
			decoded[n++] = (char)(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
			i += 2;
		} else {
			decoded[n++] = text[i] == '+' ? ' ' : text[i];
		}
	}
	if (decoded)
		decoded[n] = '\0';
	return decoded;
}

char *http_form(const struct request *r, const char *name)
{
	const char *p = r->body;

	while (*p) {
		size_t length = strcspn(p, "&"), key = strcspn(p, "=&");
		_cleanup_(freep) char *decoded = form_decode(p, key);

		if (decoded && strcmp(decoded, name) == 0)
			return key < length ? form_decode(p + key + 1, length - key - 1) : strdup("");
		p += length + (p[length] == '&');
	}
	return NULL;
}

void http_on_gone(struct request *r, void (*gone)(void *data), void *data)
{
	exchange_of(r)->gone = gone;
	exchange_of(r)->gone_data = data;
}

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
	resume(e->connection);
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
	return s->end - s->start;
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
		suspend(s->exchange->connection);
		return 0;
	}
	if (n > max)
		n = max;
	memcpy(buffer, s->bytes + s->start, n);
	s->start += n;
	if (s->start == s->end) {
		free(TAKE(s->bytes));
		s->start = s->end = s->size = 0;
	}
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

static int stream_reserve(struct http_stream *s, size_t more)
{
	size_t waiting = http_stream_backlog(s), size = s->size ? s->size : 1024;
	char *bytes;

	if (s->size - s->end >= more)
		return 0;
	if (s->start) {
		memmove(s->bytes, s->bytes + s->start, waiting);
		s->start = 0;
		s->end = waiting;
	}
	while (size - waiting < more)
		size *= 2;
	bytes = size > s->size ? realloc(s->bytes, size) : s->bytes;
	if (!bytes)
		return -ENOMEM;
	s->bytes = bytes;
	s->size = size;
	return 0;
}

int http_stream_write(struct http_stream *s, const char *bytes, size_t length)
{
	struct connection *c = s->exchange->connection;

	if (c->doomed)
		return -ENOBUFS;
	if (http_stream_backlog(s) + length > HTTP_STREAM_MAX || stream_reserve(s, length) < 0) {
		doom(c);
		return -ENOBUFS;
	}
	memcpy(s->bytes + s->end, bytes, length);
	s->end += length;
	resume(c);
	return 0;
}

void http_stream_close(struct http_stream *s)
{
	static const struct http_stream_events nobody;

	s->ending = true;
	s->events = &nobody;
	resume(s->exchange->connection);
}

/* ---- from MHD's callbacks to a request ---- */

static void exchange_free(struct exchange *e)
{
	struct http_stream *s = e->stream;

	ev_timer_stop(http_of(e->connection)->loop, &e->delay);
	if (e->gone)
		e->gone(e->gone_data);
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
		free(s->bytes);
	free(s);
	free(e->body);
	free(e);
}

/* The length that the headers promise: 0 or more, -1: not a number, -2: more than one, or in chunks. */
struct promise {
	long length;
	bool seen;
};

static enum MHD_Result look_at_header(void *data, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct promise *p = data;

	(void)kind;
	if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0)
		p->length = -2;
	if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) != 0 || p->length < 0)
		return MHD_YES;
	if (p->seen)
		p->length = -2;
	else if (!value || !*value || strspn(value, "0123456789") != strlen(value))
		p->length = -1;
	else
		p->length = strlen(value) > 9 ? 999999999 : atol(value);
	p->seen = true;
	return MHD_YES;
}

/* What can be said without the body; 0: go on. */
static int early_refusal(struct exchange *e, bool known_other)
{
	struct promise p = { 0 };
	bool post = strcmp(e->request.method, "POST") == 0;

	(void)MHD_get_connection_values(e->connection->mhd, MHD_HEADER_KIND, look_at_header, &p);
	if (p.length == -1)
		return 400;
	if (p.length == -2 || (post && !p.seen))
		return 411;
	if (p.length > HTTP_BODY_MAX)
		return 413;
	if (e->verdict == AUTH_RIGHT && !e->route)
		return known_other ? 405 : 404;
	return 0;
}

static void check_password(struct exchange *e)
{
	const struct listener *l = e->connection->listener;

	e->verdict = AUTH_RIGHT;
	if (!l->password || (e->route && e->route->access == ROUTE_OPEN))
		return;
	e->verdict = auth_check(http_header(&e->request, MHD_HTTP_HEADER_AUTHORIZATION), l->username, l->password);
	e->request.authenticated = e->verdict == AUTH_RIGHT;
}

static struct exchange *exchange_new(struct connection *c, const char *path, const char *method)
{
	struct http *h = http_of(c);
	struct exchange *e = calloc(1, sizeof *e);
	bool other;

	if (!e)
		return NULL;
	e->connection = c;
	e->head = strcmp(method, "HEAD") == 0;
	e->request = (struct request){ .gateway = h->gateway, .method = e->head ? "GET" : method, .path = path,
				       .rest = "", .body = "", .local = c->local };
	e->route = route_find(e->request.method, path, &other);
	if (e->route)
		e->request.rest = path + strlen(e->route->path);
	check_password(e);
	e->refusal = early_refusal(e, other);
	return e;
}

static int add_body(struct exchange *e, const char *data, size_t length)
{
	struct request *r = &e->request;
	char *grown;

	if (e->verdict != AUTH_RIGHT)
		return 0;		/* nothing is kept for strangers */
	if (r->body_length + length > HTTP_BODY_MAX)
		return -EMSGSIZE;
	grown = realloc(e->body, r->body_length + length + 1);
	if (!grown)
		return -ENOMEM;
	memcpy(grown + r->body_length, data, length);
	r->body_length += length;
	grown[r->body_length] = '\0';
	r->body = e->body = grown;
	return 0;
}

static void refuse_stranger(struct exchange *e)
{
	if (e->verdict == AUTH_MALFORMED) {
		http_answer_error(&e->request, 400, "The Authorization header cannot be read.");
		return;
	}
	http_add_header(&e->request, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Basic realm=\"default\"");
	http_answer_error(&e->request, 401, NULL);
}

static void refusal_due(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	refuse_stranger(w->data);
}

/* A line for those who watch the log, not one per guess. */
static void log_refusal(struct exchange *e, double now)
{
	struct http *h = http_of(e->connection);
	char from[INET6_ADDRSTRLEN + 8] = "a unix socket";

	if (now < h->next_report) {
		h->unreported++;
		return;
	}
	describe_peer(e->connection, from, sizeof from);
	gateway_log(h->gateway, "warn", "[%s]: wrong user name or password from %s (%u before it were not reported)",
		    e->connection->listener->section, from, h->unreported);
	h->next_report = now + report_gap;
	h->unreported = 0;
}

/* A wrong guess costs time, and all guesses together come one by one. */
static void refuse_later(struct exchange *e)
{
	struct http *h = http_of(e->connection);
	double now = clock_now(), delay;

	if (h->next_refusal < now + refusal_delay)
		h->next_refusal = now + refusal_delay;
	log_refusal(e, now);
	delay = h->next_refusal - now;
	h->next_refusal += refusal_gap;
	ev_timer_init(&e->delay, refusal_due, delay < refusal_max ? delay : refusal_max, 0);
	e->delay.data = e;
	ev_timer_start(h->loop, &e->delay);
}

static void dispatch(struct exchange *e)
{
	enter(e->connection, PHASE_WORK);
	if (e->verdict == AUTH_WRONG)
		refuse_later(e);
	else if (e->verdict != AUTH_RIGHT)
		refuse_stranger(e);
	else if (e->refusal)
		http_answer_error(&e->request, e->refusal, NULL);
	else
		e->route->run(&e->request);
}

static enum MHD_Result hand_over(struct exchange *e)
{
	struct MHD_Response *response = TAKE(e->response);
	enum MHD_Result r;

	enter(e->connection, PHASE_ANSWER);
	if (!response)
		return MHD_NO;
	(void)MHD_set_connection_option(e->connection->mhd, MHD_CONNECTION_OPTION_TIMEOUT, (unsigned)HTTP_STALL_SECONDS);
	r = MHD_queue_response(e->connection->mhd, (unsigned)e->status, response);
	MHD_destroy_response(response);
	return r;
}

/* MHD: once with the headers, then with pieces of the body, then without any; and again after each resumption. */
static enum MHD_Result on_request(void *data, struct MHD_Connection *mhd, const char *path, const char *method, const char *version,
				  const char *upload, size_t *upload_length, void **context)
{
	struct exchange *e = *context;
	struct connection *c = connection_of(mhd);

	(void)data;
	(void)version;
	if (!c || c->doomed)
		return MHD_NO;
	if (!e) {
		*context = c->exchange = e = exchange_new(c, path, method);
		if (!e)
			return MHD_NO;
		enter(c, PHASE_BODY);
		if (e->refusal == 400 || e->refusal == 411 || e->refusal == 413) {
			http_answer_error(&e->request, e->refusal, NULL);
			return hand_over(e);
		}
		return MHD_YES;
	}
	if (*upload_length) {
		int r = add_body(e, upload, *upload_length);

		*upload_length = 0;
		return r < 0 ? MHD_NO : MHD_YES;
	}
	if (c->phase == PHASE_BODY)
		dispatch(e);
	if (e->answered)
		return hand_over(e);
	suspend(c);
	return MHD_YES;
}

static void on_completed(void *data, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode code)
{
	struct exchange *e = *context;

	(void)data;
	(void)mhd;
	(void)code;
	if (!e)
		return;
	*context = NULL;
	e->connection->exchange = NULL;
	(void)MHD_set_connection_option(e->connection->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 0U);
	enter(e->connection, PHASE_IDLE);
	exchange_free(e);
}

/* MHD: the request line has come. */
static void *on_line(void *data, const char *uri, struct MHD_Connection *mhd)
{
	struct connection *c = connection_of(mhd);

	(void)data;
	(void)uri;
	if (c)
		enter(c, PHASE_HEADERS);
	return NULL;
}

/* ---- the loop ---- */

static void run(struct http *h)
{
	MHD_UNSIGNED_LONG_LONG milliseconds;

	h->kick = false;
	(void)MHD_run(h->daemon);
	ev_timer_stop(h->loop, &h->timer);
	if (MHD_get_timeout(h->daemon, &milliseconds) == MHD_YES || h->kick) {
		ev_timer_set(&h->timer, h->kick ? 0.0 : (double)milliseconds / 1000, 0);
		ev_timer_start(h->loop, &h->timer);
	}
}

static void on_epoll(struct ev_loop *loop, ev_io *w, int events)
{
	(void)loop;
	(void)events;
	run(w->data);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	run(w->data);
}

static void on_prepare(struct ev_loop *loop, ev_prepare *w, int events)
{
	struct http *h = w->data;

	(void)loop;
	(void)events;
	if (h->kick)
		run(h);
}

static void be_silent(void *data, const char *format, va_list ap)
{
	(void)data;
	(void)format;
	(void)ap;
}

static struct MHD_Daemon *start_daemon(struct http *h)
{
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, h,
				MHD_OPTION_EXTERNAL_LOGGER, be_silent, NULL,
				MHD_OPTION_NOTIFY_CONNECTION, on_connection, h,
				MHD_OPTION_NOTIFY_COMPLETED, on_completed, h,
				MHD_OPTION_URI_LOG_CALLBACK, on_line, h,
				MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_HEADER_MAX,
				MHD_OPTION_CONNECTION_LIMIT, (unsigned)(HTTP_CONNECTIONS + 2 * ACCEPT_TURN),
				MHD_OPTION_CONNECTION_TIMEOUT, 0U, MHD_OPTION_END);
}

struct http *http_new(struct gateway *gateway)
{
	const union MHD_DaemonInfo *info;
	struct http *h = calloc(1, sizeof *h);

	if (!h)
		return NULL;
	h->gateway = gateway;
	h->loop = gateway->loop;
	LIST_INIT(&h->listeners);
	TAILQ_INIT(&h->connections);
	h->daemon = start_daemon(h);
	info = h->daemon ? MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info) {
		if (h->daemon)
			MHD_stop_daemon(h->daemon);
		free(h);
		return NULL;
	}
	ev_io_init(&h->watcher, on_epoll, info->epoll_fd, EV_READ);
	ev_timer_init(&h->timer, on_timer, 0, 0);
	ev_timer_init(&h->sweep, swept, 1, 1);
	ev_timer_init(&h->rest, rested, 1, 0);
	ev_prepare_init(&h->prepare, on_prepare);
	h->watcher.data = h->timer.data = h->sweep.data = h->rest.data = h->prepare.data = h;
	ev_io_start(h->loop, &h->watcher);
	ev_prepare_start(h->loop, &h->prepare);
	return h;
}

static void listener_free(struct listener *l)
{
	ev_io_stop(l->http->loop, &l->watcher);
	closep(&l->fd);
	free(l->username);
	free(l->password);
	free(l);
}

int http_listen(struct http *h, const struct http_listener_conf *conf)
{
	struct listener *l = calloc(1, sizeof *l);

	if (!l) {
		(void)close(conf->fd);
		return -ENOMEM;
	}
	*l = (struct listener){ .http = h, .fd = conf->fd };
	(void)snprintf(l->section, sizeof l->section, "%s", conf->section ? conf->section : "?");
	ev_io_init(&l->watcher, acceptable, l->fd, EV_READ);
	l->watcher.data = l;
	if (conf->username && conf->password) {
		l->username = strdup(conf->username);
		l->password = strdup(conf->password);
		if (!l->username || !l->password) {
			listener_free(l);
			return -ENOMEM;
		}
	}
	(void)fcntl(l->fd, F_SETFL, fcntl(l->fd, F_GETFL) | O_NONBLOCK);
	LIST_INSERT_HEAD(&h->listeners, l, next);
	ev_io_start(h->loop, &l->watcher);
	return 0;
}

void http_finish(struct http *h, void (*done)(void *data), void *data)
{
	struct listener *l;

	h->finish_by = clock_now() + HTTP_FINISH_SECONDS;
	h->done = done;
	h->done_data = data;
	ev_timer_stop(h->loop, &h->rest);
	LIST_FOREACH(l, &h->listeners, next)
	{
		ev_io_stop(h->loop, &l->watcher);
		closep(&l->fd);
		l->fd = -1;
	}
	ev_timer_stop(h->loop, &h->sweep);
	ev_timer_set(&h->sweep, 0, 0.05);
	ev_timer_start(h->loop, &h->sweep);
}

size_t http_connections(const struct http *h)
{
	return h->n_connections;
}

void http_free(struct http *h)
{
	struct listener *l;
	struct connection *c;

	if (!h)
		return;
	TAILQ_FOREACH(c, &h->connections, next)
	doom(c);
	(void)MHD_run(h->daemon);
	MHD_stop_daemon(h->daemon);
	while ((l = LIST_FIRST(&h->listeners))) {
		LIST_REMOVE(l, next);
		listener_free(l);
	}
	ev_io_stop(h->loop, &h->watcher);
	ev_timer_stop(h->loop, &h->timer);
	ev_timer_stop(h->loop, &h->sweep);
	ev_timer_stop(h->loop, &h->rest);
	ev_prepare_stop(h->loop, &h->prepare);
	free(h);
}
