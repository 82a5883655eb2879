/*
 * The way to the daemons: asynchronous calls of io.reeve.Supervisor and io.reeve.Log. Connections come from the supervisor over the
 * channel (lib/wire/gateway.h), so the gateway needs no right to any socket file; each call has a connection to itself, because a peer
 * answers one call at a time and some calls are long.
 */
#ifndef REEVE_GATEWAY_BACKEND_H
#define REEVE_GATEWAY_BACKEND_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>

struct backend;
struct backend_call;

/*
 * ERROR NULL: success. PARAMETERS are borrowed. CONTINUES: more replies follow (a call with MORE). "io.reeve.Disconnected", always with
 * CONTINUES false: the daemon was not there for BACKEND_PATIENCE seconds, or went away in the middle; calling again is up to the caller.
 */
typedef void backend_receiver(void *data, json_t *parameters, const char *error, bool continues);

enum {
	BACKEND_PATIENCE = 10,		/* seconds that a call waits for a connection (a daemon is replaced in far less) */
	BACKEND_CONNECTIONS = 384,	/* at most; further calls wait */
	BACKEND_SPARE = 4,		/* idle connections that are kept, of each kind */
};

/*
 * Call METHOD, a full name ("io.reeve.Supervisor.List"). PARAMETERS (may be NULL) are stolen. RECEIVE is never called from within this
 * function. The handle is good until RECEIVE has been called with CONTINUES false; NULL when out of memory (then RECEIVE is not called).
 */
struct backend_call *backend_call(struct backend *b, const char *method, json_t *parameters, bool more, backend_receiver *receive,
				  void *data);
/* The same with a method of io.reeve.Pool and one reply, by the pool NAME. */
struct backend_call *backend_call_pool(struct backend *b, const char *name, const char *method, json_t *parameters,
				       backend_receiver *receive, void *data);
/* Nobody wants the answer any more. What the call has begun goes on, a stream ends. Not from within its RECEIVE unless CONTINUES. */
void backend_cancel(struct backend_call *call);
/* Stop and go on reading the replies of a stream: a slow reader then costs the daemon its usual bounded queue and nothing here. */
void backend_pause(struct backend_call *call, bool paused);

/*
 * CHANNEL (taken) is the gateway's end. SETTINGS is called with each message of settings and the descriptor beside it (its own now; or -1), LOST once when the supervisor's side has
 * gone for good.
 */
struct backend *backend_new(struct ev_loop *loop, int channel, void (*settings)(void *data, const json_t *settings, int fd),
			    void (*lost)(void *data), void *data);
void backend_free(struct backend *b);	/* pending receivers are not called. Accepts NULL */
/* A line for the daemon's own log. */
void backend_log(struct backend *b, const char *level, const char *text);

#endif
