/* See backend.h. A connection is idle or has exactly one call; a call without one waits in its kind's queue. */
#include "backend.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "base/base.h"
#include "varlink/varlink.h"
#include "wire/gateway.h"

enum kind { KIND_SUPERVISOR, KIND_LOG, KIND_POOL, N_KINDS };

static const struct {
	const char *op, *interface;
} kinds[N_KINDS] = {
	[KIND_SUPERVISOR] = { "supervisor", "io.reeve.Supervisor." },
	[KIND_LOG] = { "log", "io.reeve.Log." },
	[KIND_POOL] = { "pool", "io.reeve.Pool." },	/* connections are to one of them each, and are not kept */
};

static const char disconnected[] = "io.reeve.Disconnected";

struct peer;

struct connection {
	TAILQ_ENTRY(connection) next;	/* idle ones: peer::idle */
	struct peer *peer;
	struct varlink_link *link;
	struct backend_call *call;	/* NULL: idle */
	bool dead;			/* its end has been seen; being freed */
};

struct backend_call {
	TAILQ_ENTRY(backend_call) next;
	struct calls *list;		/* peer::waiting, busy or doomed */
	struct peer *peer;
	struct connection *connection;	/* NULL: waiting */
	char *method, *pool;		/* pool: "pool:NAME", or NULL */
	json_t *parameters;
	bool more, paused;
	bool wanted;			/* of a pool: a connection has been asked for */
	double deadline;		/* while waiting */
	backend_receiver *receive;
	void *data;
};

TAILQ_HEAD(calls, backend_call);

struct peer {				/* one daemon */
	struct backend *backend;
	enum kind kind;
	TAILQ_HEAD(, connection) idle;
	struct calls waiting, busy;
	struct calls doomed;		/* could not even be sent; told so at the next tick */
	unsigned n_idle, n_connections, n_waiting, n_wanted;
};

struct backend {
	struct ev_loop *loop;
	int channel;
	ev_io reader;
	ev_timer tick;			/* runs while calls wait */
	struct peer peers[N_KINDS];
	void (*settings)(void *data, const json_t *settings, int fd);
	void (*lost)(void *data);
	void *data;
};

static void enlist(struct backend_call *call, struct calls *list)
{
	TAILQ_INSERT_TAIL(list, call, next);
	call->list = list;
	call->peer->n_waiting += list == &call->peer->waiting;
}

static void delist(struct backend_call *call)
{
	TAILQ_REMOVE(call->list, call, next);
	call->peer->n_waiting -= call->list == &call->peer->waiting;
}

/* ---- the channel ---- */

static void tell(struct backend *b, json_t *message)
{
	char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;

	json_decref(message);
	if (text)
		(void)send(b->channel, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
	free(text);
}

void backend_log(struct backend *b, const char *level, const char *text)
{
	tell(b, json_pack("{s:s, s:s, s:s}", "event", "log", "level", level, "text", text));
}

static void want_pools(struct peer *p)
{
	struct backend_call *call;

	TAILQ_FOREACH(call, &p->waiting, next)
		if (!call->wanted) {
			call->wanted = true;
			tell(p->backend, json_pack("{s:s, s:s}", "event", "want", "what", call->pool));
		}
}

/* Ask for as many connections as calls are waiting for. */
static void want(struct peer *p)
{
	if (p->kind == KIND_POOL)
		want_pools(p);
	while (p->kind != KIND_POOL && p->n_wanted < p->n_waiting && p->n_connections + p->n_wanted < BACKEND_CONNECTIONS) {
		p->n_wanted++;
		tell(p->backend, json_pack("{s:s, s:s}", "event", "want", "what", kinds[p->kind].op));
	}
	if ((p->n_waiting || !TAILQ_EMPTY(&p->doomed)) && !ev_is_active(&p->backend->tick))
		ev_timer_again(p->backend->loop, &p->backend->tick);
}

/* ---- connections and calls ---- */

static void call_free(struct backend_call *call)
{
	json_decref(call->parameters);
	free(call->method);
	free(call->pool);
	free(call);
}

static void connection_free(struct connection *c)
{
	c->peer->n_connections--;
	varlink_link_free(c->link);
	free(c);
}

static void make_idle(struct connection *c)
{
	struct peer *p = c->peer;

	c->call = NULL;
	if (p->n_idle >= BACKEND_SPARE) {
		connection_free(c);
		return;
	}
	TAILQ_INSERT_HEAD(&p->idle, c, next);
	p->n_idle++;
}

/* The last word on CALL. */
static void finish(struct backend_call *call, json_t *parameters, const char *error)
{
	backend_receiver *receive = call->receive;
	void *data = call->data;

	call_free(call);
	receive(data, parameters, error, false);
}

/* One connection has lost its daemon, so all have: a call shall not be tried on each of them. */
static void drop_idle(struct peer *p)
{
	struct connection *c;

	while ((c = TAILQ_FIRST(&p->idle))) {
		TAILQ_REMOVE(&p->idle, c, next);
		p->n_idle--;
		connection_free(c);
	}
}

static void assign(struct connection *c, struct backend_call *call);

/* A connection has become free: the longest waiting call gets it. */
static void offer(struct connection *c)
{
	struct peer *p = c->peer;
	struct backend_call *call = TAILQ_FIRST(&p->waiting);

	if (!call) {
		make_idle(c);
		return;
	}
	delist(call);
	assign(c, call);
}

static void replied(void *data, json_t *parameters, const char *error, bool continues)
{
	struct backend_call *call = data;
	struct connection *c = call->connection;

	if (continues) {
		call->receive(call->data, parameters, error, true);
		return;
	}
	delist(call);
	c->call = NULL;
	c->dead = error && strcmp(error, disconnected) == 0;
	if (c->dead) {
		drop_idle(c->peer);
	} else if (c->peer->kind == KIND_POOL) {
		connection_free(c);
	} else {
		varlink_link_pause(c->link, false);
		offer(c);
	}
	finish(call, parameters, error);
}

static void assign(struct connection *c, struct backend_call *call)
{
	c->call = call;
	call->connection = c;
	enlist(call, &call->peer->busy);
	varlink_link_pause(c->link, call->paused);
	if (varlink_link_call(c->link, call->method, TAKE(call->parameters), call->more, replied, call) == 0)
		return;
	delist(call);
	call->connection = NULL;
	connection_free(c);
	enlist(call, &call->peer->doomed);
	want(call->peer);
}

/* The daemon has gone, or was there too briefly. Its call, if any, has been told by now. */
static void closed(void *data)
{
	struct connection *c = data;

	if (!c->dead && !c->call) {
		TAILQ_REMOVE(&c->peer->idle, c, next);
		c->peer->n_idle--;
	}
	connection_free(c);
}

static struct peer *peer_of(struct backend *b, const char *method)
{
	for (int i = 0; i < N_KINDS; i++)
		if (strncmp(method, kinds[i].interface, strlen(kinds[i].interface)) == 0)
			return &b->peers[i];
	return NULL;
}

static struct backend_call *call_new(struct peer *p, const char *method, json_t *parameters, bool more, backend_receiver *receive,
				     void *data)
{
	struct backend_call *call = calloc(1, sizeof *call);

	if (call)
		*call = (struct backend_call){ .peer = p, .method = strdup(method), .parameters = parameters, .more = more,
					       .deadline = clock_now() + BACKEND_PATIENCE, .receive = receive, .data = data };
	if (!call || !call->method) {
		json_decref(parameters);
		free(call);
		return NULL;
	}
	return call;
}

struct backend_call *backend_call(struct backend *b, const char *method, json_t *parameters, bool more, backend_receiver *receive,
				  void *data)
{
	struct peer *p = peer_of(b, method);
	struct backend_call *call;
	struct connection *c;

	if (!p || p->kind == KIND_POOL) {
		json_decref(parameters);
		return NULL;
	}
	call = call_new(p, method, parameters, more, receive, data);
	if (!call)
		return NULL;
	c = TAILQ_FIRST(&p->idle);
	if (c) {
		TAILQ_REMOVE(&p->idle, c, next);
		p->n_idle--;
		assign(c, call);
		return call;
	}
	enlist(call, &p->waiting);
	want(p);
	return call;
}

struct backend_call *backend_call_pool(struct backend *b, const char *name, const char *method, json_t *parameters,
				       backend_receiver *receive, void *data)
{
	struct peer *p = &b->peers[KIND_POOL];
	struct backend_call *call = call_new(p, method, parameters, false, receive, data);

	if (!call)
		return NULL;
	if (asprintf(&call->pool, "pool:%s", name) < 0) {
		call->pool = NULL;
		call_free(call);
		return NULL;
	}
	enlist(call, &p->waiting);
	want(p);
	return call;
}

void backend_cancel(struct backend_call *call)
{
	struct peer *p = call->peer;

	delist(call);
	if (call->connection) {
		connection_free(call->connection);
		want(p);
	}
	call_free(call);
}

void backend_pause(struct backend_call *call, bool paused)
{
	call->paused = paused;
	if (call->connection)
		varlink_link_pause(call->connection->link, paused);
}

/* ---- what the supervisor says ---- */

static void connected(struct peer *p, const char *what, int fd)
{
	struct connection *c = calloc(1, sizeof *c);
	struct backend_call *call = NULL;

	if (p->n_wanted)
		p->n_wanted--;
	if (!c || fd < 0) {
		closep(&fd);
		free(c);
		return;
	}
	c->peer = p;
	if (varlink_link_on(p->backend->loop, fd, closed, c, &c->link) < 0) {
		free(c);
		return;
	}
	p->n_connections++;
	if (p->kind != KIND_POOL) {
		offer(c);
		return;
	}
	TAILQ_FOREACH(call, &p->waiting, next)
		if (strcmp(call->pool, what) == 0)
			break;
	if (!call) {
		connection_free(c);
		return;
	}
	delist(call);
	assign(c, call);
}

static bool is_kind(const char *op, enum kind kind)
{
	size_t n = strlen(kinds[kind].op);

	return strncmp(op, kinds[kind].op, n) == 0 && op[n] == (kind == KIND_POOL ? ':' : '\0');
}

static void take(struct backend *b, const char *packet, size_t length, int fd)
{
	json_t *message = json_loadb(packet, length, 0, NULL);
	const char *op = json_string_value(json_object_get(message, "op"));

	for (int i = 0; op && i < N_KINDS; i++)
		if (is_kind(op, (enum kind)i)) {
			connected(&b->peers[i], op, fd);
			fd = -1;
		}
	if (op && strcmp(op, "settings") == 0)
		b->settings(b->data, message, fd);
	else
		closep(&fd);
	json_decref(message);
}

static int descriptor_of(struct msghdr *packet)
{
	int fd = -1;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(packet); c; c = CMSG_NXTHDR(packet, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			memcpy(&fd, CMSG_DATA(c), sizeof fd);
	return fd;
}

static void readable(struct ev_loop *loop, ev_io *w, int events)
{
	static char bytes[GATEWAY_PACKET_MAX];
	struct backend *b = w->data;
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = { .iov_base = bytes, .iov_len = sizeof bytes };
	struct msghdr packet = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	ssize_t n = recvmsg(b->channel, &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		ev_io_stop(loop, w);
		b->lost(b->data);
		return;
	}
	take(b, bytes, (size_t)n, descriptor_of(&packet));
}

static void fail_first(struct calls *list)
{
	struct backend_call *call = TAILQ_FIRST(list);

	delist(call);
	finish(call, NULL, disconnected);
}

/* Once a second while calls wait: what has waited too long fails, and what was asked for is asked for again. */
static void ticked(struct ev_loop *loop, ev_timer *w, int events)
{
	struct backend *b = w->data;
	double now = clock_now();
	bool waiting = false;

	(void)events;
	for (int i = 0; i < N_KINDS; i++) {
		struct peer *p = &b->peers[i];
		struct backend_call *call;

		while ((call = TAILQ_FIRST(&p->waiting)) && call->deadline <= now)
			fail_first(&p->waiting);
		while (!TAILQ_EMPTY(&p->doomed))
			fail_first(&p->doomed);
		p->n_wanted = 0;
		TAILQ_FOREACH(call, &p->waiting, next)
			call->wanted = false;
		want(p);
		waiting |= p->n_waiting > 0;
	}
	if (!waiting)
		ev_timer_stop(loop, w);
}

struct backend *backend_new(struct ev_loop *loop, int channel, void (*settings)(void *data, const json_t *settings, int fd),
			    void (*lost)(void *data), void *data)
{
	struct backend *b = calloc(1, sizeof *b);

	if (!b)
		return NULL;
	*b = (struct backend){ .loop = loop, .channel = channel, .settings = settings, .lost = lost, .data = data };
	for (int i = 0; i < N_KINDS; i++) {
		struct peer *p = &b->peers[i];

		p->backend = b;
		p->kind = (enum kind)i;
		TAILQ_INIT(&p->idle);
		TAILQ_INIT(&p->waiting);
		TAILQ_INIT(&p->busy);
		TAILQ_INIT(&p->doomed);
	}
	ev_io_init(&b->reader, readable, channel, EV_READ);
	ev_timer_init(&b->tick, ticked, 1, 1);
	b->reader.data = b->tick.data = b;
	ev_io_start(loop, &b->reader);
	return b;
}

void backend_free(struct backend *b)
{
	struct backend_call *call;

	if (!b)
		return;
	for (int i = 0; i < N_KINDS; i++) {
		struct peer *p = &b->peers[i];

		while ((call = TAILQ_FIRST(&p->waiting)) || (call = TAILQ_FIRST(&p->doomed)) || (call = TAILQ_FIRST(&p->busy)))
			backend_cancel(call);
		drop_idle(p);
	}
	ev_io_stop(b->loop, &b->reader);
	ev_timer_stop(b->loop, &b->tick);
	(void)close(b->channel);
	free(b);
}
