/* See feed.h. */
#include "feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/base.h"

static const double heartbeat_seconds = 15;	/* proxies close what is silent for long */
enum { FEED_BACKLOG = HTTP_STREAM_MAX / 2 };	/* bytes that may wait before a client is told to start over */

struct client {
	LIST_ENTRY(client) all;
	struct feed *feed;
	struct http_stream *stream;
	bool stale;			/* something was left out; told when its queue has drained */
};

struct feed {
	struct ev_loop *loop;
	LIST_HEAD(, client) clients;
	size_t n;
	uint64_t last;
	ev_timer heartbeat;		/* active while there are clients */
	void (*watched)(void *data, bool anybody);
	void *data;
};

char *feed_format(uint64_t number, const char *event, const json_t *json, size_t *ret_length)
{
	_cleanup_(freep) char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
	char *whole;
	int n = text ? asprintf(&whole, "id: %llu\nevent: %s\ndata: %s\n\n", (unsigned long long)number, event, text) : -1;

	if (n < 0)
		return NULL;
	*ret_length = (size_t)n;
	return whole;
}

static void client_free(struct client *c)
{
	struct feed *feed = c->feed;

	LIST_REMOVE(c, all);
	free(c);
	if (--feed->n == 0) {
		ev_timer_stop(feed->loop, &feed->heartbeat);
		feed->watched(feed->data, false);
	}
}

static void gone(void *data)
{
	client_free(data);
}

static void drained(void *data)
{
	struct client *c = data;
	static const char stale[] = "event: stale\ndata: {}\n\n";

	if (!c->stale)
		return;
	c->stale = false;
	(void)http_stream_write(c->stream, stale, sizeof stale - 1);
}

static const struct http_stream_events stream_events = { gone, drained };

static void write_to(struct client *c, const char *text, size_t length)
{
	if (c->stale || http_stream_backlog(c->stream) + length > FEED_BACKLOG)
		c->stale = true;
	else
		(void)http_stream_write(c->stream, text, length);
	if (c->stale && http_stream_backlog(c->stream) == 0)
		drained(c);		/* one event that is too large by itself */
}

static void beat(struct ev_loop *loop, ev_timer *w, int events)
{
	struct feed *feed = w->data;
	struct client *c;

	(void)loop;
	(void)events;
	LIST_FOREACH(c, &feed->clients, all)
		write_to(c, ":\n\n", 3);
}

struct feed *feed_new(struct ev_loop *loop, void (*watched)(void *data, bool anybody), void *data)
{
	struct feed *feed = calloc(1, sizeof *feed);

	if (!feed)
		return NULL;
	feed->loop = loop;
	feed->watched = watched;
	feed->data = data;
	LIST_INIT(&feed->clients);
	ev_timer_init(&feed->heartbeat, beat, heartbeat_seconds, heartbeat_seconds);
	feed->heartbeat.data = feed;
	return feed;
}

void feed_free(struct feed *feed)
{
	struct client *c;

	if (!feed)
		return;
	ev_timer_stop(feed->loop, &feed->heartbeat);
	while ((c = LIST_FIRST(&feed->clients))) {
		LIST_REMOVE(c, all);
		http_stream_close(c->stream);
		free(c);
	}
	free(feed);
}

void feed_join(struct feed *feed, struct request *r, json_t *hello)
{
	struct client *c = feed->n < FEED_CLIENTS ? calloc(1, sizeof *c) : NULL;
	_cleanup_(freep) char *text = NULL;
	size_t length;

	if (!c) {
		json_decref(hello);
		http_answer_error(r, 503, "too many pages are open");
		return;
	}
	http_add_header(r, "Cache-Control", "no-store");
	http_add_header(r, "X-Accel-Buffering", "no");
	c->feed = feed;
	c->stream = http_stream_open(r, 200, "text/event-stream", &stream_events, c);
	if (!c->stream) {
		free(c);
		json_decref(hello);
		return;
	}
	LIST_INSERT_HEAD(&feed->clients, c, all);
	if (feed->n++ == 0) {
		ev_timer_again(feed->loop, &feed->heartbeat);
		feed->watched(feed->data, true);
	}
	text = feed_format(feed->last, "hello", hello, &length);
	json_decref(hello);
	if (text)
		(void)http_stream_write(c->stream, text, length);
}

void feed_tell(struct feed *feed, const char *event, const json_t *json)
{
	_cleanup_(freep) char *text = NULL;
	struct client *c;
	size_t length;

	feed->last++;
	if (LIST_EMPTY(&feed->clients))
		return;
	text = feed_format(feed->last, event, json, &length);
	if (!text)
		return;
	LIST_FOREACH(c, &feed->clients, all)
		write_to(c, text, length);
}

uint64_t feed_last(const struct feed *feed)
{
	return feed->last;
}
