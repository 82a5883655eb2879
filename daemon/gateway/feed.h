/*
 * GET /api/events: server-sent events of everything that changes. Each client has a bounded queue; one that falls behind is told to
 * fetch the state again instead of being sent what it has missed.
 */
#ifndef REEVE_GATEWAY_FEED_H
#define REEVE_GATEWAY_FEED_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http.h"

enum { FEED_CLIENTS = 128 };		/* further ones get status 503 */

struct feed;

/* WATCHED is called when the first client comes and when the last one leaves. NULL: out of memory. */
struct feed *feed_new(struct ev_loop *loop, void (*watched)(void *data, bool anybody), void *data);
void feed_free(struct feed *feed);	/* accepts NULL */

/* Answer R with the stream; its first event is "hello" with HELLO (stolen). */
void feed_join(struct feed *feed, struct request *r, json_t *hello);
/* Tell everybody. JSON is borrowed. */
void feed_tell(struct feed *feed, const char *event, const json_t *json);
/* The number of the last event: what a state that is made now includes. */
uint64_t feed_last(const struct feed *feed);

/* One event in the stream's format (malloc'd), or NULL. */
char *feed_format(uint64_t number, const char *event, const json_t *json, size_t *ret_length);

#endif
