/* See events.h. */
#include "events.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "journal.h"

struct event_subscription {
	struct event_subscription *next;
	event_subscriber *see;		/* NULL: gone, freed after the publication under way */
	void *data;
};

struct event_bus {
	uint64_t next;			/* sequence of the next event */
	uint64_t oldest;		/* in the buffer */
	struct event ring[EVENT_REPLAY];
	size_t bytes;			/* of the payloads in it */
	struct journal journal;
	void (*store)(int fd, void *data);
	void *store_data;
	struct event_subscription *subscriptions;	/* owned */
	unsigned publishing;
	bool sweep;
};

/* One event in the journal, before its payload. */
struct kept {
	uint64_t sequence;
	double time;
	char type[sizeof((struct event *)0)->type];
};

enum { ENTRY_EVENT = 1, JOURNAL_MAX = 4 * EVENT_REPLAY_BYTES };

struct event_bus *event_bus_new(uint64_t first, void (*store)(int fd, void *data), void *data)
{
	struct event_bus *bus = calloc(1, sizeof *bus);

	if (!bus)
		return NULL;
	bus->next = bus->oldest = first;
	bus->journal.fd = -1;
	bus->store = store;
	bus->store_data = data;
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
	journal_close(&bus->journal);
	free(bus);
}

/* ---- what is kept ---- */

static void drop_oldest(struct event_bus *bus)
{
	struct event *e = &bus->ring[bus->oldest++ % EVENT_REPLAY];

	bus->bytes -= e->length;
	free(TAKE(e->payload));
	e->length = 0;
}

/* Keep the event, whose payload is stolen, as the newest. */
static const struct event *keep(struct event_bus *bus, double time, const char *type, char *payload, size_t length)
{
	struct event *e = &bus->ring[bus->next % EVENT_REPLAY];

	while (bus->oldest < bus->next && (bus->next - bus->oldest == EVENT_REPLAY || bus->bytes + length > EVENT_REPLAY_BYTES))
		drop_oldest(bus);
	*e = (struct event){ .sequence = bus->next++, .time = time, .payload = payload, .length = length };
	(void)snprintf(e->type, sizeof e->type, "%s", type);
	bus->bytes += length;
	return e;
}

static void write_down(struct event_bus *bus, const struct event *e)
{
	struct kept head = { .sequence = e->sequence, .time = e->time };
	struct iovec parts[2] = { { &head, sizeof head }, { e->payload, e->length } };

	memcpy(head.type, e->type, sizeof head.type);
	(void)journal_append(&bus->journal, ENTRY_EVENT, parts, 2);
}

/* A new journal with what is kept now. */
static void begin_journal(struct event_bus *bus)
{
	struct journal old = bus->journal;

	if (journal_new(&bus->journal) < 0) {
		bus->journal = old;
		return;
	}
	for (uint64_t i = bus->oldest; i < bus->next; i++)
		write_down(bus, &bus->ring[i % EVENT_REPLAY]);
	bus->store(bus->journal.fd, bus->store_data);
	journal_close(&old);
}

static void note(struct event_bus *bus, const struct event *e)
{
	if (bus->journal.fd < 0 || bus->journal.size > JOURNAL_MAX)
		begin_journal(bus);
	else
		write_down(bus, e);
}

static void replay(uint32_t kind, const char *entry, size_t length, void *data)
{
	struct event_bus *bus = data;
	struct kept head;
	char *payload;

	if (kind != ENTRY_EVENT || length < sizeof head)
		return;
	memcpy(&head, entry, sizeof head);
	head.type[sizeof head.type - 1] = '\0';
	length -= sizeof head;
	payload = malloc(length + 1);
	if (!payload)
		return;
	memcpy(payload, entry + sizeof head, length);
	payload[length] = '\0';
	while (bus->oldest < bus->next && head.sequence != bus->next)
		drop_oldest(bus);	/* a gap: what lies before it is of no use */
	if (bus->oldest == bus->next)
		bus->oldest = bus->next = head.sequence;
	(void)keep(bus, head.time, head.type, payload, length);
}

void event_bus_adopt(struct event_bus *bus, int journal)
{
	uint64_t first = bus->next;

	(void)journal_replay(&bus->journal, journal, replay, bus);
	if (bus->next < first) {	/* numbers are never given twice */
		while (bus->oldest < bus->next)
			drop_oldest(bus);
		bus->oldest = bus->next = first;
	}
}

/* ---- publishing ---- */

void event_publish(struct event_bus *bus, const char *type, const void *payload, size_t length)
{
	char *copy = malloc(length + 1);
	const struct event *e;

	if (!copy)
		return;			/* the number is not used up: no reader sees a gap that was none of its own */
	if (length)
		memcpy(copy, payload, length);
	copy[length] = '\0';
	e = keep(bus, clock_wall(), type, copy, length);
	note(bus, e);
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
