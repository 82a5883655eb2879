/*
 * The web page and what feeds it, the metrics and the probes: everything under "/" that is not supervisord's. Handlers are rows of
 * routes.c.
 */
#ifndef REEVE_GATEWAY_WEB_H
#define REEVE_GATEWAY_WEB_H

#include "feed.h"
#include "gateway.h"
#include "model.h"

struct web {
	struct gateway *gateway;
	struct model *model;
	struct feed *feed;
	char token[33];			/* what a POST must carry: random, for the life of this gateway */
};

/* CURVES (taken): see curves.h. NULL: out of memory, or no random numbers. */
struct web *web_new(struct gateway *gateway, int curves);
void web_free(struct web *web);		/* accepts NULL */

/* ---- page.c ---- */

/* "/" and the files that it is made of. */
http_handler page_file;
/* Adds the headers that every answer to a browser carries. */
void page_headers(struct request *r);

/* ---- classic.c ---- */

http_handler classic_tail;		/* GET /tail.html?processname=NAME[&limit=BYTES] */
/* If R is one of supervisord's links that act (?action=stop&processname=x): answer it with PAGE and what to use instead. False: it is none. */
bool classic_refuse(struct request *r, const char *page, size_t page_length);

/* ---- api.c ---- */

http_handler api_state;			/* GET /api/state */
http_handler api_events;		/* GET /api/events */
http_handler api_history;		/* GET /api/history?names=A%0AB */
http_handler api_why;			/* GET /api/why/NAME */
http_handler api_plan;			/* GET /api/plan */
http_handler api_log;			/* GET /api/log/NAME?stream=&offset=&length= or ?stream=&follow=BYTES */
http_handler api_act;			/* POST /api/ACTION */

/* ---- access.c ---- */

/*
 * May a page of whatever origin have sent R? Refuses requests whose Host is a name that anybody could point at us, unless a password
 * was given. False: R has been answered.
 */
bool access_read(struct request *r);
/* The same for what programs read too, which know us by any name: asked of browsers only. */
bool access_plain(struct request *r);
/* The same for a request that changes something: same origin, JSON, and the token. */
bool access_write(struct request *r, const char *token);

/* ---- metrics.c, probes.c ---- */

http_handler metrics_run;		/* GET /metrics */
http_handler probe_health;		/* GET /healthz */
http_handler probe_ready;		/* GET /readyz, /readyz?process=NAME */

#endif
