/* See events.h. */
#include "events.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

struct event_subscription {
	struct event_subscription *next;
	event_subscriber *see;		/* NULL: gone, freed after the publication under way */
	void *data;
};

struct event_bus {
	uint64_t next;			/* sequence of the next event */
	uint64_t oldest;		/* in the buffer */
	struct event ring[EVENT_REPLAY];
	struct event_subscription *subscriptions;	/* owned */
	unsigned publishing;
	bool sweep;
};

struct event_bus *event_bus_new(uint64_t first)
{
	struct event_bus *bus = calloc(1, sizeof *bus);

	if (bus)
		bus->next = bus->oldest = first;
	return bus;
}

static void sweep(struct event_bus *bus, bool all)
{
	for (struct event_subscription **at = &bus->subscriptions; *at;) {
		struct event_subscription *s = *at;

		if (s->see && !all) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		free(s);
	}
	bus->sweep = false;
}

void event_bus_free(struct event_bus *bus)
{
	if (!bus)
		return;
	sweep(bus, true);
	for (size_t i = 0; i < EVENT_REPLAY; i++)
		free(bus->ring[i].payload);
	free(bus);
}

void event_publish(struct event_bus *bus, const char *type, const void *payload, size_t length)
{
	struct event *e = &bus->ring[bus->next % EVENT_REPLAY];
	char *copy = malloc(length + 1);

	if (!copy)
		return;			/* the number is not used up: no reader sees a gap that was none of its own */
	if (length)
		memcpy(copy, payload, length);
	copy[length] = '\0';
	free(e->payload);
	*e = (struct event){ .sequence = bus->next, .time = clock_wall(), .payload = copy, .length = length };
	(void)snprintf(e->type, sizeof e->type, "%s", type);
	bus->next++;
	if (bus->next - bus->oldest > EVENT_REPLAY)
		bus->oldest = bus->next - EVENT_REPLAY;
	bus->publishing++;
	for (struct event_subscription *s = bus->subscriptions; s; s = s->next)
		if (s->see)
			s->see(e, s->data);
	if (--bus->publishing == 0 && bus->sweep)
		sweep(bus, false);
}

void event_publish_text(struct event_bus *bus, const char *type, const char *format, ...)
{
	char text[1024];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	if (n >= 0)
		event_publish(bus, type, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

struct event_subscription *event_subscribe(struct event_bus *bus, event_subscriber *subscriber, void *data)
{
	struct event_subscription *s = malloc(sizeof *s);

	if (!s)
		return NULL;
	*s = (struct event_subscription){ bus->subscriptions, subscriber, data };
	bus->subscriptions = s;
	return s;
}

void event_unsubscribe(struct event_bus *bus, struct event_subscription *subscription)
{
	if (!subscription)
		return;
	subscription->see = NULL;
	if (bus->publishing)
		bus->sweep = true;
	else
		sweep(bus, false);
}

const struct event *event_after(const struct event_bus *bus, uint64_t sequence)
{
	uint64_t wanted = sequence + 1 > bus->oldest ? sequence + 1 : bus->oldest;

	return wanted < bus->next ? &bus->ring[wanted % EVENT_REPLAY] : NULL;
}

uint64_t event_last(const struct event_bus *bus)
{
	return bus->next - 1;
}
