/* See web.h: the model, the feed and the token, and how they hang together. */
#include "web.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/base.h"

static void changed(void *data, const char *what, const json_t *json)
{
	feed_tell(((struct web *)data)->feed, what, json);
}

static void watched(void *data, bool anybody)
{
	model_watch(((struct web *)data)->model, anybody);
}

static bool make_token(char *token, size_t size)
{
	unsigned char bytes[16];

	if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
		return false;
	for (size_t i = 0; i < sizeof bytes; i++)
		(void)snprintf(token + 2 * i, size - 2 * i, "%02x", bytes[i]);
	return true;
}

struct web *web_new(struct gateway *g, int curves)
{
	struct web *w = calloc(1, sizeof *w);

	if (!w) {
		closep(&curves);
		return NULL;
	}
	w->gateway = g;
	w->feed = feed_new(g->loop, watched, w);
	if (w->feed)
		w->model = model_new(g->loop, g->backend, curves, changed, w);
	else
		closep(&curves);
	if (!w->model || !make_token(w->token, sizeof w->token)) {
		web_free(w);
		return NULL;
	}
	return w;
}

void web_free(struct web *w)
{
	if (!w)
		return;
	feed_free(w->feed);
	model_free(w->model);
	free(w);
}
