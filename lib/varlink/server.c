/* The server of varlink.h. One connection has at most one open call; further calls wait in its input buffer. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "message.h"
#include "varlink.h"

static const double half_message = 30;	/* seconds that a message may take to arrive */
static const double accept_pause = 0.5;	/* seconds without descriptors before the next try to accept */
enum {
	GROUPS_MAX = 1024,
	ACCEPTS_PER_TURN = 64,
	BACKLOG = 256 << 10,	/* bytes that a client has not taken; beyond it none of its further calls is looked at */
};

struct connection {
	TAILQ_ENTRY(connection) link;	/* server's, longest idle first */
	struct varlink_server *server;
	int fd;
	ev_io reader, writer;
	ev_timer deadline;		/* of a half message */
	struct bytes in, out;
	struct varlink_call *call;	/* the open one, or NULL */
	struct varlink_peer peer;	/* groups: owned */
	bool closing;			/* when `out` is written */
	bool busy;			/* in the middle of its messages: not to be freed */
	bool dead;			/* to be freed when no longer busy */
};

struct varlink_call {
	struct connection *connection;	/* NULL: the client has left */
	json_t *request;		/* owned */
	char *method;			/* owned */
	bool more, oneway;
	unsigned failures;		/* json_failures when its work, or the last reply of its stream, was done */
	void (*gone)(void *data);
	void *gone_data;
	void (*drained)(void *data);
	void *drained_data;
};

struct varlink_server {
	struct ev_loop *loop;
	const struct varlink_service *service;
	ev_io acceptor;
	ev_timer again;
	TAILQ_HEAD(connections, connection) connections;
	size_t n;
};

static void connection_close(struct connection *c);
static void connection_free(struct connection *c);

/* ---- memory ---- */

/* A reply in which something is missing because memory ran out must not pass for a whole one: such failures are counted. */
static unsigned json_failures;
static const char starved_reply[] = "{\"error\":\"io.reeve.OutOfMemory\",\"parameters\":{}}";

static void *json_memory(size_t size)
{
	void *memory = malloc(size);

	json_failures += !memory;
	return memory;
}

/* ---- calls ---- */

static void call_free(struct varlink_call *call)
{
	json_decref(call->request);
	free(call->method);
	free(call);
}

bool varlink_peer_is_member(const struct varlink_peer *peer, gid_t gid)
{
	bool member = gid != (gid_t)-1 && peer->gid == gid;

	for (size_t i = 0; i < peer->n_groups && !member; i++)
		member = gid != (gid_t)-1 && peer->groups[i] == gid;
	return member;
}

const struct varlink_peer *varlink_call_peer(const struct varlink_call *call)
{
	static const struct varlink_peer nobody = { .uid = (uid_t)-1, .gid = (gid_t)-1 };

	return call->connection ? &call->connection->peer : &nobody;
}

const char *varlink_call_method(const struct varlink_call *call)
{
	return call->method;
}

bool varlink_call_more(const struct varlink_call *call)
{
	return call->more;
}

size_t varlink_call_backlog(const struct varlink_call *call)
{
	return call->connection ? bytes_length(&call->connection->out) : 0;
}

void varlink_call_on_gone(struct varlink_call *call, void (*gone)(void *data), void *data)
{
	call->gone = gone;
	call->gone_data = data;
}

void varlink_call_on_drain(struct varlink_call *call, void (*drained)(void *data), void *data)
{
	call->drained = drained;
	call->drained_data = data;
}

/* A message was appended to the queue, or was not (R). */
static int queued(struct connection *c, int r)
{
	if (r == 0)
		ev_io_start(c->server->loop, &c->writer);
	else
		connection_close(c);
	return r;
}

static int send_message(struct connection *c, json_t *message)
{
	return queued(c, message_put(&c->out, message, VARLINK_QUEUE_MAX));
}

static json_t *reply_json(json_t *parameters, const char *error, bool continues)
{
	json_t *message = json_object();

	(void)json_object_set_new(message, "parameters", parameters ? parameters : json_object());
	if (error)
		(void)json_object_set_new(message, "error", json_string(error));
	if (continues)
		(void)json_object_set_new(message, "continues", json_true());
	return message;
}

/*
 * The last message of CALL: it is freed, and the connection goes on with what waits. Not now but from the loop: the call that waits may
 * take away what the one who replies is holding.
 */
static int call_end(struct varlink_call *call, json_t *parameters, const char *error)
{
	struct connection *c = call->connection;
	json_t *message = call->oneway || !c ? NULL : reply_json(parameters, error, false);
	bool oneway = call->oneway, starved = json_failures != call->failures, busy;
	int r = 0;

	call_free(call);
	if (!c) {
		json_decref(parameters);
		return -ECONNRESET;
	}
	c->call = NULL;
	busy = c->busy;
	c->busy = true;			/* a reply that finds no room closes the connection: we still need it */
	if (oneway)
		json_decref(parameters);
	if (starved)
		json_decref(message);
	if (starved && !oneway)
		r = queued(c, message_put_text(&c->out, starved_reply, VARLINK_QUEUE_MAX));
	else if (!oneway)
		r = send_message(c, message);
	c->busy = busy;
	if (!busy && c->dead)
		connection_free(c);
	else if (!busy)
		ev_feed_event(c->server->loop, &c->reader, EV_CUSTOM);
	return r;
}

int varlink_reply(struct varlink_call *call, json_t *parameters)
{
	return call_end(call, parameters, NULL);
}

int varlink_error(struct varlink_call *call, const char *name, json_t *parameters)
{
	return call_end(call, parameters, name);
}

int varlink_reply_more(struct varlink_call *call, json_t *parameters)
{
	json_t *message;

	if (!call->connection || call->oneway) {
		json_decref(parameters);
		return call->connection ? 0 : -ECONNRESET;
	}
	message = reply_json(parameters, NULL, true);
	if (json_failures != call->failures) {	/* a gap in a stream: the end of the connection is plainer */
		json_decref(message);
		connection_close(call->connection);
		return -ENOMEM;
	}
	return send_message(call->connection, message);
}

bool varlink_call_upgrade(const struct varlink_call *call)
{
	return json_is_true(json_object_get(call->request, "upgrade"));
}

int varlink_reply_upgrade(struct varlink_call *call, json_t *parameters, struct varlink_upgraded *ret)
{
	struct connection *c = call->connection;
	int fd = c ? fcntl(c->fd, F_DUPFD_CLOEXEC, 3) : -1;

	if (fd < 0 || message_put(&c->out, reply_json(parameters, NULL, false), VARLINK_QUEUE_MAX) < 0) {
		if (fd < 0)
			json_decref(parameters);
		closep(&fd);
		call_free(call);
		if (c) {
			c->call = NULL;
			connection_close(c);
		}
		return -ECONNRESET;
	}
	(void)message_write(c->fd, &c->out);
	ret->fd = fd;
	ret->received = c->in;
	ret->unsent = c->out;
	c->in = c->out = (struct bytes){ 0 };
	c->call = NULL;
	call_free(call);
	connection_close(c);	/* our duplicate keeps it connected */
	return 0;
}

int varlink_invalid_parameter(struct varlink_call *call, const char *parameter)
{
	return varlink_error(call, "org.varlink.service.InvalidParameter", json_pack("{s:s}", "parameter", parameter));
}

/* ---- org.varlink.service ---- */

static const char service_name[] = "org.varlink.service";
static const char service_description[] =
	"# What every Varlink service answers.\n"
	"interface org.varlink.service\n"
	"method GetInfo() -> (vendor: string, product: string, version: string, url: string, interfaces: []string)\n"
	"method GetInterfaceDescription(interface: string) -> (description: string)\n"
	"error InterfaceNotFound (interface: string)\n"
	"error MethodNotFound (method: string)\n"
	"error MethodNotImplemented (method: string)\n"
	"error InvalidParameter (parameter: string)\n";

static void get_info(struct varlink_call *call, const struct varlink_service *s)
{
	json_t *names = json_array();

	(void)json_array_append_new(names, json_string(service_name));
	for (size_t i = 0; s->interfaces[i]; i++)
		(void)json_array_append_new(names, json_string(s->interfaces[i]->name));
	(void)varlink_reply(call, json_pack("{s:s, s:s, s:s, s:s, s:o}", "vendor", s->vendor, "product", s->product, "version",
					    s->version, "url", s->url, "interfaces", names));
}

static void get_description(struct varlink_call *call, const struct varlink_service *s, json_t *parameters)
{
	const char *wanted = json_string_value(json_object_get(parameters, "interface"));
	const char *text = wanted && strcmp(wanted, service_name) == 0 ? service_description : NULL;

	if (!wanted) {
		(void)varlink_invalid_parameter(call, "interface");
		return;
	}
	for (size_t i = 0; !text && s->interfaces[i]; i++)
		if (strcmp(s->interfaces[i]->name, wanted) == 0)
			text = s->interfaces[i]->description;
	if (text)
		(void)varlink_reply(call, json_pack("{s:s}", "description", text));
	else
		(void)varlink_error(call, "org.varlink.service.InterfaceNotFound", json_pack("{s:s}", "interface", wanted));
}

/* ---- dispatch ---- */

static void run_method(struct varlink_call *call, const struct varlink_service *s, const struct varlink_method *m,
		       json_t *parameters)
{
	const char *error = NULL;
	json_t *detail = NULL;

	if (s->authorise && !s->authorise(&call->connection->peer, m, s->data, &error, &detail))
		(void)varlink_error(call, error, detail);
	else
		m->run(call, parameters, s->data);
}

static void dispatch(struct varlink_call *call, json_t *parameters)
{
	const struct varlink_service *s = call->connection->server->service;
	char *dot = strrchr(call->method, '.');
	size_t n = dot ? (size_t)(dot - call->method) : 0;

	if (n == sizeof service_name - 1 && strncmp(call->method, service_name, n) == 0) {
		if (strcmp(dot + 1, "GetInfo") == 0)
			get_info(call, s);
		else if (strcmp(dot + 1, "GetInterfaceDescription") == 0)
			get_description(call, s, parameters);
		else
			(void)varlink_error(call, "org.varlink.service.MethodNotFound", json_pack("{s:s}", "method", call->method));
		return;
	}
	for (size_t i = 0; dot && s->interfaces[i]; i++) {
		const struct varlink_interface *interface = s->interfaces[i];

		if (strlen(interface->name) != n || strncmp(interface->name, call->method, n) != 0)
			continue;
		for (const struct varlink_method *m = interface->methods; m->name; m++)
			if (strcmp(m->name, dot + 1) == 0) {
				run_method(call, s, m, parameters);
				return;
			}
		(void)varlink_error(call, "org.varlink.service.MethodNotFound", json_pack("{s:s}", "method", call->method));
		return;
	}
	(void)varlink_error(call, "org.varlink.service.InterfaceNotFound", json_pack("{s:s}", "interface", call->method));
}

/* One message. -EPROTO: it is no call. */
static int take_message(struct connection *c, const char *text, size_t length)
{
	static json_t *empty;
	json_t *request = json_loadb(text, length, 0, NULL);
	const char *method = json_string_value(json_object_get(request, "method"));
	json_t *parameters = json_object_get(request, "parameters");
	struct varlink_call *call;

	if (!method || (parameters && !json_is_object(parameters))) {
		json_decref(request);
		return -EPROTO;
	}
	call = calloc(1, sizeof *call);
	if (call)
		call->method = strdup(method);
	if (!call || !call->method) {
		free(call);
		json_decref(request);
		return -ENOMEM;
	}
	call->connection = c;
	call->failures = json_failures;
	call->request = request;
	call->more = json_is_true(json_object_get(request, "more"));
	call->oneway = json_is_true(json_object_get(request, "oneway"));
	c->call = call;
	if (!parameters) {
		if (!empty)
			empty = json_object();
		parameters = empty;
	}
	/* The handler may end the call, and with it REQUEST. */
	json_incref(parameters);
	dispatch(call, parameters);
	json_decref(parameters);
	return 0;
}

/* ---- connections ---- */

static void connection_free(struct connection *c)
{
	bytes_free(&c->in);
	bytes_free(&c->out);
	free((void *)c->peer.groups);
	free(c);
}

static void connection_close(struct connection *c)
{
	struct varlink_server *s = c->server;
	struct varlink_call *call = c->call;

	if (c->dead)
		return;
	c->dead = true;
	ev_io_stop(s->loop, &c->reader);
	ev_io_stop(s->loop, &c->writer);
	ev_timer_stop(s->loop, &c->deadline);
	(void)close(c->fd);
	TAILQ_REMOVE(&s->connections, c, link);
	s->n--;
	c->call = NULL;
	if (call) {
		call->connection = NULL;
		if (call->gone) {
			call->gone(call->gone_data);
			call_free(call);
		}
	}
	if (!c->busy)
		connection_free(c);
}

static void half_message_late(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	connection_close(w->data);
}

/* Its next call has to wait: for the end of the open one, or for the client to take what it has asked for. */
static bool is_blocked(const struct connection *c)
{
	return c->call || bytes_length(&c->out) > BACKLOG;
}

/* Answer what has arrived, one call at a time. */
static void connection_work(struct connection *c)
{
	struct ev_loop *loop = c->server->loop;

	c->busy = true;
	while (!c->dead && !c->closing && !is_blocked(c)) {
		size_t length;
		char *text = message_next(&c->in, &length);

		if (!text)
			break;
		TAILQ_REMOVE(&c->server->connections, c, link);
		TAILQ_INSERT_TAIL(&c->server->connections, c, link);
		if (take_message(c, text, length) < 0)
			connection_close(c);
	}
	c->busy = false;
	if (c->dead) {
		connection_free(c);
		return;
	}
	if (is_blocked(c) && bytes_length(&c->in) > VARLINK_MESSAGE_MAX)
		ev_io_stop(loop, &c->reader);
	else if (!c->closing)
		ev_io_start(loop, &c->reader);
	if (bytes_length(&c->in) && !is_blocked(c)) {
		if (!ev_is_active(&c->deadline)) {
			ev_timer_set(&c->deadline, half_message, 0);
			ev_timer_start(loop, &c->deadline);
		}
	} else {
		ev_timer_stop(loop, &c->deadline);
	}
}

static void connection_readable(struct ev_loop *loop, ev_io *w, int events)
{
	struct connection *c = w->data;
	long n;

	(void)loop;
	if (events & EV_CUSTOM) {	/* a call has ended */
		connection_work(c);
		return;
	}
	n = message_read(c->fd, &c->in);
	if (n == -EAGAIN)
		return;
	if (n == -EMSGSIZE) {
		c->closing = true;
		(void)send_message(c, reply_json(json_pack("{s:s}", "parameter", "a message longer than 1 MiB"),
						 "org.varlink.service.InvalidParameter", false));
		ev_io_stop(c->server->loop, &c->reader);
		return;
	}
	if (n <= 0)
		connection_close(c);
	else
		connection_work(c);
}

static void connection_writable(struct ev_loop *loop, ev_io *w, int events)
{
	struct connection *c = w->data;
	int r = message_write(c->fd, &c->out);

	(void)events;
	if (r == -EAGAIN)
		return;
	if (r < 0 || c->closing) {
		connection_close(c);
		return;
	}
	ev_io_stop(loop, w);
	if (!c->call)
		connection_work(c);
	else if (c->call->drained)
		c->call->drained(c->call->drained_data);
}

static void read_peer(int fd, struct varlink_peer *peer)
{
	struct ucred cred = { .uid = (uid_t)-1, .gid = (gid_t)-1 };
	socklen_t size = sizeof cred;
	gid_t groups[GROUPS_MAX];

	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size);
	*peer = (struct varlink_peer){ .pid = cred.pid, .uid = cred.uid, .gid = cred.gid };
	size = sizeof groups;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0 && size > 0) {
		gid_t *copy = malloc(size);

		if (copy) {
			peer->groups = memcpy(copy, groups, size);
			peer->n_groups = size / sizeof *groups;
		}
	}
}

/* The longest idle connection without a call makes room. */
static void make_room(struct varlink_server *s)
{
	struct connection *c;

	TAILQ_FOREACH(c, &s->connections, link)
		if (!c->call && !c->busy) {
			connection_close(c);
			return;
		}
}

int varlink_server_add(struct varlink_server *s, int fd)
{
	struct connection *c = calloc(1, sizeof *c);

	if (!c) {
		(void)close(fd);
		return -ENOMEM;
	}
	if (s->n >= VARLINK_CONNECTIONS_MAX)
		make_room(s);
	c->server = s;
	c->fd = fd;
	read_peer(fd, &c->peer);
	ev_io_init(&c->reader, connection_readable, fd, EV_READ);
	ev_io_init(&c->writer, connection_writable, fd, EV_WRITE);
	ev_timer_init(&c->deadline, half_message_late, 0, 0);
	c->reader.data = c->writer.data = c->deadline.data = c;
	TAILQ_INSERT_TAIL(&s->connections, c, link);
	s->n++;
	ev_io_start(s->loop, &c->reader);
	return 0;
}

static void accept_again(struct ev_loop *loop, ev_timer *w, int events)
{
	struct varlink_server *s = w->data;

	(void)events;
	ev_io_start(loop, &s->acceptor);
}

static void acceptable(struct ev_loop *loop, ev_io *w, int events)
{
	struct varlink_server *s = w->data;

	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			(void)varlink_server_add(s, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			/* The connection stays readable: without a pause this would spin. */
			make_room(s);
			ev_io_stop(loop, w);
			ev_timer_set(&s->again, accept_pause, 0);
			ev_timer_start(loop, &s->again);
		}
		return;
	}
}

struct varlink_server *varlink_server_new(struct ev_loop *loop, int listen_fd, const struct varlink_service *service)
{
	struct varlink_server *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	json_set_alloc_funcs(json_memory, free);
	s->loop = loop;
	s->service = service;
	TAILQ_INIT(&s->connections);
	ev_io_init(&s->acceptor, acceptable, listen_fd, EV_READ);
	ev_timer_init(&s->again, accept_again, 0, 0);
	s->acceptor.data = s->again.data = s;
	if (listen_fd >= 0)
		ev_io_start(loop, &s->acceptor);
	return s;
}

void varlink_server_free(struct varlink_server *s)
{
	struct connection *c;

	if (!s)
		return;
	ev_io_stop(s->loop, &s->acceptor);
	ev_timer_stop(s->loop, &s->again);
	while ((c = TAILQ_FIRST(&s->connections))) {
		(void)message_write(c->fd, &c->out);	/* what the peer takes at once */
		connection_close(c);
	}
	free(s);
}

size_t varlink_server_connections(const struct varlink_server *s)
{
	return s->n;
}
