/*
 * See http_parts.h. Who may connect, and for how long: listening sockets, the room for connections, and the deadline of each phase.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/base.h"
#include "http_parts.h"

enum { ACCEPT_TURN = 16 };		/* connections taken per turn of the loop */

/* Seconds that a phase may last; 0: no limit here. */
static const int phase_seconds[] = {
	[PHASE_NEW] = HTTP_HEADER_SECONDS, [PHASE_HEADERS] = HTTP_HEADER_SECONDS, [PHASE_BODY] = HTTP_BODY_SECONDS,
	[PHASE_WORK] = 0, [PHASE_ANSWER] = 0, [PHASE_IDLE] = HTTP_IDLE_SECONDS,
};

/* ---- one connection ---- */

void connection_enter(struct connection *c, enum phase phase)
{
	struct http *h = connection_http(c);

	c->phase = phase;
	c->since = clock_now();
	TAILQ_REMOVE(&h->connections, c, next);
	TAILQ_INSERT_TAIL(&h->connections, c, next);
}

void connection_resume(struct connection *c)
{
	if (c->suspended) {
		c->suspended = false;
		MHD_resume_connection(c->mhd);
		connection_http(c)->kick = true;
	}
}

void connection_suspend(struct connection *c)
{
	c->suspended = true;
	MHD_suspend_connection(c->mhd);
}

void connection_doom(struct connection *c)
{
	c->doomed = true;
	(void)shutdown(c->fd, SHUT_RDWR);
	connection_resume(c);
	connection_http(c)->kick = true;
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
			connection_doom(c);
			return true;
		}
		if (!reader && c->exchange && c->exchange->stream)
			reader = c;
	}
	if (reader)
		connection_doom(reader);
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

void connection_peer(const struct connection *c, char *buffer, size_t size)
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

void connection_changed(void *data, struct MHD_Connection *mhd, void **context, enum MHD_ConnectionNotificationCode code)
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

struct connection *connection_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

/* ---- accepting ---- */

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

/* ---- deadlines ---- */

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
		connection_doom(c);
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
			connection_doom(c);
	}
	if (h->finish_by > 0)
		finish_step(h);
	else if (!h->n_connections)
		ev_timer_stop(loop, w);
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

void connections_init(struct http *h)
{
	LIST_INIT(&h->listeners);
	TAILQ_INIT(&h->connections);
	ev_timer_init(&h->sweep, swept, 1, 1);
	ev_timer_init(&h->rest, rested, 1, 0);
	h->sweep.data = h->rest.data = h;
}

void connections_doom(struct http *h)
{
	struct connection *c;

	TAILQ_FOREACH(c, &h->connections, next)
	connection_doom(c);
}

void connections_fini(struct http *h)
{
	struct listener *l;

	while ((l = LIST_FIRST(&h->listeners))) {
		LIST_REMOVE(l, next);
		listener_free(l);
	}
	ev_timer_stop(h->loop, &h->sweep);
	ev_timer_stop(h->loop, &h->rest);
}
