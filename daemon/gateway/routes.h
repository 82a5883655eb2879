/* Which handler answers which path. A new page is a row in routes.c. */
#ifndef REEVE_GATEWAY_ROUTES_H
#define REEVE_GATEWAY_ROUTES_H

#include "http.h"

enum route_match {
	ROUTE_EXACT,
	ROUTE_PREFIX,			/* any path that begins so, as supervisord has it: "/RPC2xyz" is "/RPC2" */
	ROUTE_BELOW,			/* the path itself and what is below it: "/logtail", "/logtail/x", not "/logtails" */
};

enum route_access {
	ROUTE_PASSWORD,			/* the password of the server section, if it has one */
	ROUTE_OPEN,			/* nothing asked (probes) */
};

struct route {
	const char *method;		/* NULL: any, the handler looks; "GET" includes HEAD */
	const char *path;
	enum route_match match;
	enum route_access access;
	http_handler *run;
};

/* The first row for METHOD and PATH. NULL: none; *ret_other says whether there is one for another method (405, not 404). */
const struct route *route_find(const char *method, const char *path, bool *ret_other);

#endif
