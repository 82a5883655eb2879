/* See ticks.h. */
#include "ticks.h"

#include <stdio.h>

#include "../group.h"
#include "subscription.h"

static const int periods[] = { 5, 60, 3600 };

struct ticks {
	ev_periodic watcher[ARRAY_LEN(periods)];
};

static void tick(struct ev_loop *loop, ev_periodic *w, int events)
{
	struct supervisor *s = w->data;
	int period = periods[w - s->ticks->watcher];
	char type[16];

	(void)loop;
	(void)events;
	(void)snprintf(type, sizeof type, "TICK_%d", period);
	event_publish_text(s->events, type, "when:%lld", (long long)clock_wall() / period * period);
}

static bool wanted(const struct supervisor *s, int period)
{
	char type[16];

	(void)snprintf(type, sizeof type, "TICK_%d", period);
	for (const struct group *g = s->groups; g; g = g->next)
		if (g->listeners && subscription_count(g->conf->events, type))
			return true;
	return false;
}

void ticks_update(struct supervisor *s)
{
	if (!s->ticks) {
		s->ticks = calloc(1, sizeof *s->ticks);
		for (size_t i = 0; s->ticks && i < ARRAY_LEN(periods); i++) {
			ev_periodic_init(&s->ticks->watcher[i], tick, 0, periods[i], 0);
			s->ticks->watcher[i].data = s;
		}
	}
	for (size_t i = 0; s->ticks && i < ARRAY_LEN(periods); i++)
		if (!wanted(s, periods[i]))
			ev_periodic_stop(s->loop, &s->ticks->watcher[i]);
		else if (!ev_is_active(&s->ticks->watcher[i]))
			ev_periodic_start(s->loop, &s->ticks->watcher[i]);
}

void ticks_stop(struct supervisor *s)
{
	for (size_t i = 0; s->ticks && i < ARRAY_LEN(periods); i++)
		ev_periodic_stop(s->loop, &s->ticks->watcher[i]);
	free(s->ticks);
	s->ticks = NULL;
}
