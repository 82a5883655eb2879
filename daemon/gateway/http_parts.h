/*
 * Inside of the HTTP server, for http*.c alone. http.c runs MHD on the loop; http_connection.c accepts, keeps the deadlines and makes room;
 * http_request.c turns MHD's callbacks into requests, and checks passwords; http_answer.c makes answers and streams.
 */
#ifndef REEVE_GATEWAY_HTTP_PARTS_H
#define REEVE_GATEWAY_HTTP_PARTS_H

#include <ev.h>
#include <microhttpd.h>
#include <sys/queue.h>

#include "auth.h"
#include "gateway.h"
#include "http.h"
#include "routes.h"

enum phase {				/* of a connection */
	PHASE_NEW,			/* nothing has come */
	PHASE_HEADERS,
	PHASE_BODY,
	PHASE_WORK,			/* the answer is being made */
	PHASE_ANSWER,			/* it is being sent */
	PHASE_IDLE,			/* answered; waits for the next request */
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

/* ---- http_connection.c ---- */

static inline struct http *connection_http(const struct connection *c)
{
	return c->listener->http;
}

/* PHASE begins now. */
void connection_enter(struct connection *c, enum phase phase);
/* MHD leaves it alone until it is resumed. */
void connection_suspend(struct connection *c);
void connection_resume(struct connection *c);
/* Cut it off; MHD notices, and tells us. */
void connection_doom(struct connection *c);
/* The peer's address; BUFFER stays as it is where there is none. */
void connection_peer(const struct connection *c, char *buffer, size_t size);
struct connection *connection_of(struct MHD_Connection *mhd);

/* MHD: a connection begins or has ended. DATA: the server. */
void connection_changed(void *data, struct MHD_Connection *mhd, void **context, enum MHD_ConnectionNotificationCode code);

void connections_init(struct http *h);
/* All are cut off, and MHD has stopped. */
void connections_fini(struct http *h);
/* Cut all off. */
void connections_doom(struct http *h);

/* ---- http_request.c: MHD's callbacks, DATA is the server ---- */

/* The request line has come. */
void *request_line(void *data, const char *uri, struct MHD_Connection *mhd);
/* Once with the headers, then with pieces of the body, then without any; and again after each resumption. */
enum MHD_Result request_came(void *data, struct MHD_Connection *mhd, const char *path, const char *method, const char *version,
			     const char *upload, size_t *upload_length, void **context);
void request_completed(void *data, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode code);

static inline struct exchange *exchange_of(const struct request *r)
{
	return (struct exchange *)r;
}

/* ---- http_answer.c ---- */

/* The exchange ends: what is left of its answer goes, and who writes a stream is told. */
void answer_free(struct exchange *e);

#endif
