/*
 * The inside of a listener pool, for pool.c and record.c alone: the events that wait, the listeners, and how each change is written
 * to the journal.
 */
#ifndef REEVE_LISTENER_POOL_PARTS_H
#define REEVE_LISTENER_POOL_PARTS_H

#include <sys/queue.h>

#include "../journal.h"
#include "pool.h"
#include "protocol.h"
#include "wire/keeper.h"

struct waiting {
	TAILQ_ENTRY(waiting) link;
	uint64_t serial, poolserial;
	char type[40];
	size_t length;
	char payload[];
};

/* One process of the pool. */
struct listener {
	struct listener *next;
	struct listener_pool *pool;
	struct process *process;	/* NULL: known from the journal only, and not met again yet */
	uint32_t index;			/* of its state record */
	struct talk talk;
	pid_t pid;			/* of the run that `talk` is about */
	bool ending;			/* that run has ended, but its last words may still be in the pipe */
	struct waiting *held;		/* the event it works on; owned */
	bool sent;			/* all of which is in its stdin */
	int fd;				/* write end of its stdin, nonblocking; -1 */
	ev_io writer;
	char *message;			/* of the event; owned */
	size_t message_length, message_done;
	uint64_t delivered, rejected;
};

struct listener_pool {
	struct group *group;
	struct event_subscription *subscription;
	TAILQ_HEAD(, waiting) queue;	/* oldest first */
	long long n;
	uint64_t next_poolserial, dropped;
	uint64_t sequence;		/* of the logger's last message that counted here */
	struct listener *listeners;	/* owned */
	struct journal journal;
	size_t compact_at;		/* bytes of journal */
};

/* What became of the event that a listener held. */
enum outcome { OUTCOME_NONE, OUTCOME_DONE, OUTCOME_BACK };

/* pool.c */
struct waiting *waiting_new(const char *type, const char *payload, size_t length);	/* NULL: out of memory */
struct listener *listener_by_index(struct listener_pool *pool, uint32_t index);		/* of its state record; NULL: none */
struct listener *listener_add(struct listener_pool *pool, uint32_t index);		/* NULL: out of memory */

/* record.c: write down that an event was queued, that one was dropped, how a listener is now. */
void record_event(struct listener_pool *pool, const struct waiting *e);
void record_drop(struct listener_pool *pool, const struct waiting *e);
void record_listener(const struct listener *l, enum outcome outcome);
/* Write the journal anew when most of it is history. */
void record_compact(struct listener_pool *pool);
/* The name under which the keeper holds the journal. */
void record_name(const struct listener_pool *pool, char name[KEEPER_NAME_SIZE]);

#endif
