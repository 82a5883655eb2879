/*
 * reeve-gateway: HTTP on one side, io.reeve.* on the other. Owns the loop, the HTTP server and the way to the daemons; everything
 * that people or programs see under a path is a row in routes.c and a module of its own.
 */
#ifndef REEVE_GATEWAY_H
#define REEVE_GATEWAY_H

#include <ev.h>

#include "backend.h"
#include "http.h"

struct web;

struct gateway {
	struct ev_loop *loop;
	struct backend *backend;
	struct web *web;		/* page, metrics, probes */
	struct http *http;		/* NULL until the settings have come */
};

/* A line for the daemon's own log. LEVEL: "info", "warn" or "error". */
void gateway_log(struct gateway *g, const char *level, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
