/*
 * Varlink (https://varlink.org) over Unix stream sockets: NUL-terminated JSON messages. A server on a libev loop, a
 * blocking client for tools, and an asynchronous client for daemons.
 *
 * Ownership of JSON follows one rule everywhere: a `json_t *` that is passed to a function here is stolen (the function
 * releases it, also on failure); one that is handed to a callback is borrowed for the duration of the callback.
 */
#ifndef REEVE_VARLINK_H
#define REEVE_VARLINK_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/base.h"
#include "base/bytes.h"

enum {
	VARLINK_MESSAGE_MAX = 1 << 20,	/* bytes of one message; a longer one ends the connection with one error reply */
	VARLINK_QUEUE_MAX = 4 << 20,	/* bytes waiting for a slow reader; beyond it the connection is closed */
	VARLINK_CONNECTIONS_MAX = 1024,	/* per server; the longest idle one makes room for a new one */
};

/* ---- server ---- */

struct varlink_server;
struct varlink_call;			/* one method call that has not had its last reply */

struct varlink_peer {			/* as of connect(2): SO_PEERCRED and SO_PEERGROUPS */
	pid_t pid;
	uid_t uid;
	gid_t gid;
	const gid_t *groups;		/* supplementary groups */
	size_t n_groups;
};

/* Is GID its group or one of its supplementary groups? (gid_t)-1 is nobody's. */
bool varlink_peer_is_member(const struct varlink_peer *peer, gid_t gid);

/*
 * Called once per method call, on the loop. Must end in varlink_reply() or varlink_error(), at once or later; until
 * then the call stays open, and the connection answers no further call (replies are in order of calls).
 */
typedef void varlink_handler(struct varlink_call *call, json_t *parameters, void *data);

struct varlink_method {
	const char *name;		/* within its interface: "List" */
	varlink_handler *run;
	unsigned access;		/* meaning is the server owner's; passed to its authorise() */
};

struct varlink_interface {
	const char *name;		/* "io.reeve.Supervisor" */
	const char *description;	/* the text of the .varlink file */
	const struct varlink_method *methods;	/* ends with a NULL name */
};

struct varlink_service {		/* org.varlink.service.GetInfo */
	const char *vendor, *product, *version, *url;
	const struct varlink_interface *const *interfaces;	/* NULL-terminated; org.varlink.service is built in */
	/*
	 * May PEER call METHOD? NULL: everybody may. When it says no it fills *ret_error (a full error name) and *ret_parameters
	 * (owned by the caller), which become the reply.
	 */
	bool (*authorise)(const struct varlink_peer *peer, const struct varlink_method *method, void *data,
			  const char **ret_error, json_t **ret_parameters);
	void *data;			/* passed to handlers and authorise() */
};

/*
 * Serve LISTEN_FD (owned by the caller; kept open by varlink_server_free) on LOOP. SERVICE must outlive the server. NULL
 * when out of memory. A garbage message closes its connection; a half message waits at most 30 s. A call for whose reply memory is
 * short gets the error io.reeve.OutOfMemory.
 */
struct varlink_server *varlink_server_new(struct ev_loop *loop, int listen_fd, const struct varlink_service *service);
/* Close all connections; open calls are told through their gone() callback. Accepts NULL. */
void varlink_server_free(struct varlink_server *server);
/* Serve one connected socket (owned from here on), for instance one end of a socketpair. */
int varlink_server_add(struct varlink_server *server, int fd);
size_t varlink_server_connections(const struct varlink_server *server);

const struct varlink_peer *varlink_call_peer(const struct varlink_call *call);
const char *varlink_call_method(const struct varlink_call *call);	/* "io.reeve.Supervisor.List" */
bool varlink_call_more(const struct varlink_call *call);		/* the caller asked for a stream */
/* Bytes queued for this call's connection and not yet taken by the peer: for streams that would rather skip than queue. */
size_t varlink_call_backlog(const struct varlink_call *call);

/*
 * GONE(data) is called when the client has left before the last reply; the call is freed after it returns and must not be
 * used. Set NULL to forget. Without a callback the server remembers for the owner: replies to a call whose client has
 * left are dropped silently, and the last one frees it.
 */
void varlink_call_on_gone(struct varlink_call *call, void (*gone)(void *data), void *data);
/* Called whenever the queue of a call that asked for `more` has drained. */
void varlink_call_on_drain(struct varlink_call *call, void (*drained)(void *data), void *data);

int varlink_reply(struct varlink_call *call, json_t *parameters);	/* the last reply; frees the call */
int varlink_reply_more(struct varlink_call *call, json_t *parameters);	/* "continues": true; -ENOBUFS: queue full, the
									   connection is about to be closed */
int varlink_error(struct varlink_call *call, const char *name, json_t *parameters);	/* frees the call */
/* The caller sent "upgrade": after the reply it wants to speak another protocol on this connection. */
bool varlink_call_upgrade(const struct varlink_call *call);
/* A connection that has left the server. All of it is the new owner's. */
struct varlink_upgraded {
	int fd;				/* non-blocking */
	struct bytes received;		/* what came behind the call */
	struct bytes unsent;		/* the reply, as far as the socket has not taken it: to be written first */
};
/* Reply and hand the connection over; frees the call. -ECONNRESET: the client has left (nothing is handed over). */
int varlink_reply_upgrade(struct varlink_call *call, json_t *parameters, struct varlink_upgraded *ret);
/* org.varlink.service.InvalidParameter. */
int varlink_invalid_parameter(struct varlink_call *call, const char *parameter);

/*
 * Make a listening socket at PATH, never open wider than MODE, replacing a stale one without a gap (bind beside it,
 * rename over it). OWNER/GROUP -1: unchanged. Paths beyond 107 bytes work. Returns the descriptor or -errno with ERR filled.
 * Does not ask whether the old one is live: the caller holds a lock.
 */
int varlink_listen(const char *path, mode_t mode, uid_t owner, gid_t group, struct error *err);
/* Another mode and owner for such a socket, and for nothing else that may lie at PATH. 0 or -errno. */
int varlink_socket_give(const char *path, mode_t mode, uid_t owner, gid_t group);

/* ---- blocking client (tools) ---- */

struct varlink_client;

/* Connect to PATH (any length). ERR says what is wrong and what to do: not running, stale socket, no permission. */
int varlink_client_connect(const char *path, struct varlink_client **ret, struct error *err);
void varlink_client_free(struct varlink_client *client);
int varlink_client_fd(const struct varlink_client *client);		/* to poll beside other descriptors */

/*
 * Send a call, then read replies one by one with varlink_client_receive(). PARAMETERS may be NULL.
 * receive: *ret_parameters is the caller's; *ret_error is NULL, or the error's name (valid until the next receive);
 * *ret_continues: more replies follow. TIMEOUT in seconds, negative: for ever; -ETIMEDOUT. -ECONNRESET when the
 * daemon went away (its successor can be had by connecting again).
 */
int varlink_client_send(struct varlink_client *client, const char *method, json_t *parameters, bool more);
int varlink_client_receive(struct varlink_client *client, double timeout, json_t **ret_parameters,
			   const char **ret_error, bool *ret_continues);
/* Both for the simple case. Returns 0 also for an error reply (then *ret_error is set). */
int varlink_client_call(struct varlink_client *client, const char *method, json_t *parameters, double timeout,
			json_t **ret_parameters, const char **ret_error);

/*
 * Call with "upgrade". Returns 0 with either *ret_error set (then the client goes on as before) or *ret_fd: a blocking socket, the
 * caller's, on which the other protocol begins; *client is freed then. The peer must not send before it is spoken to.
 */
int varlink_client_upgrade(struct varlink_client **client, const char *method, json_t *parameters, double timeout, int *ret_fd,
			   json_t **ret_parameters, const char **ret_error);
/* A client on a connected socket (owned from here on, also on failure). */
int varlink_client_on(int fd, struct varlink_client **ret);

/* ---- asynchronous client (daemons) ---- */

struct varlink_link;

/* ERROR NULL: success. A closed connection is the error "io.reeve.Disconnected" with CONTINUES false. */
typedef void varlink_receiver(void *data, json_t *parameters, const char *error, bool continues);

/* Talk over a connected, non-blocking socket (owned from here on, also on failure). CLOSED (may be NULL) is called once when the peer goes
   away. 0 or -ENOMEM. */
int varlink_link_on(struct ev_loop *loop, int fd, void (*closed)(void *data), void *data, struct varlink_link **ret);
/* Read no further for now: the peer's queue fills instead of ours. What has arrived is still delivered. */
void varlink_link_pause(struct varlink_link *link, bool paused);
/* Pipelined: answers come in the order of calls. */
int varlink_link_call(struct varlink_link *link, const char *method, json_t *parameters, bool more,
		      varlink_receiver *receive, void *data);
void varlink_link_free(struct varlink_link *link);	/* pending receivers are not called. Accepts NULL. */

#endif
