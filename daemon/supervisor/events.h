/*
 * The event bus: supervisord's event types, published by whoever makes them, kept in a bounded replay buffer, handed to
 * subscribers (event listeners, streams of clients).
 */
#ifndef REEVE_EVENTS_H
#define REEVE_EVENTS_H

#include <stdint.h>
#include <stddef.h>

struct event_bus;

struct event {
	uint64_t sequence;		/* counts all events of this daemon's life, from 1 */
	double time;			/* seconds since the epoch */
	char type[40];			/* "PROCESS_STATE_RUNNING" */
	char *payload;			/* as an event listener gets it; bytes; owned by the bus */
	size_t length;
};

enum {
	EVENT_REPLAY = 512,		/* events that are kept for those who come late */
	EVENT_REPLAY_BYTES = 4 << 20,	/* or fewer, if their payloads have more bytes */
};

/*
 * FIRST: sequence number of the first event to come. STORE(fd, DATA) is called with the descriptor of the journal in which the kept events
 * lie whenever that is a new one: somebody has to keep a copy for event_bus_adopt(). NULL: out of memory.
 */
struct event_bus *event_bus_new(uint64_t first, void (*store)(int fd, void *data), void *data);
/* The journal (descriptor stolen) of a bus before us, whose events are then kept here. */
void event_bus_adopt(struct event_bus *bus, int journal);
void event_bus_free(struct event_bus *bus);

/* PAYLOAD is copied. The event is borrowed by subscribers during their call. */
void event_publish(struct event_bus *bus, const char *type, const void *payload, size_t length);
void event_publish_text(struct event_bus *bus, const char *type, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

typedef void event_subscriber(const struct event *event, void *data);
/* Returns a handle for event_unsubscribe, or NULL. */
struct event_subscription *event_subscribe(struct event_bus *bus, event_subscriber *subscriber, void *data);
void event_unsubscribe(struct event_bus *bus, struct event_subscription *subscription);

/* The first event after SEQUENCE that is still in the buffer, or NULL. */
const struct event *event_after(const struct event_bus *bus, uint64_t sequence);
uint64_t event_last(const struct event_bus *bus);

#endif
