/* The journal's entries: written by a pool as it changes, read back by a successor of the supervisor. */
#include <stdio.h>
#include <string.h>

#include "../logger_link.h"
#include "pool_parts.h"
#include "wire/keeper.h"

/* ---- what each entry is ---- */

enum entry_kind { ENTRY_POOL = 1, ENTRY_EVENT, ENTRY_DROP, ENTRY_LISTENER };

struct entry_pool {
	uint64_t next_poolserial, dropped, sequence;
};

struct entry_event {			/* + the payload */
	uint64_t serial, poolserial, sequence;
	char type[40];
};

struct entry_drop {
	uint64_t poolserial;
};

struct entry_listener {			/* + what it said and was not understood yet */
	uint32_t index, state;
	int32_t pid;
	uint8_t ending, holds, sent, outcome;
	uint64_t poolserial, sequence, delivered, rejected;
};

enum { JOURNAL_SMALL = 256 << 10 };	/* bytes up to which a journal is never compacted */

static void compact(struct listener_pool *pool);

static void set_limit(struct listener_pool *pool)
{
	pool->compact_at = 4 * pool->journal.size > JOURNAL_SMALL ? 4 * pool->journal.size : JOURNAL_SMALL;
}

static void append(struct listener_pool *pool, enum entry_kind kind, const void *head, size_t head_length, const void *tail,
		   size_t tail_length)
{
	struct iovec parts[2] = { { (void *)head, head_length }, { (void *)tail, tail_length } };

	if (pool->journal.fd < 0)
		compact(pool);		/* the first one */
	(void)journal_append(&pool->journal, kind, parts, 2);
}

void record_event(struct listener_pool *pool, const struct waiting *e)
{
	struct entry_event entry = { .serial = e->serial, .poolserial = e->poolserial, .sequence = pool->sequence };

	memcpy(entry.type, e->type, sizeof entry.type);
	append(pool, ENTRY_EVENT, &entry, sizeof entry, e->payload, e->length);
}

void record_listener(const struct listener *l, enum outcome outcome)
{
	struct entry_listener entry = {
		.index = l->index,
		.state = l->talk.state,
		.pid = l->pid,
		.ending = l->ending,
		.holds = l->held != NULL,
		.sent = l->sent,
		.outcome = (uint8_t)outcome,
		.poolserial = l->held ? l->held->poolserial : 0,
		.sequence = l->pool->sequence,
		.delivered = l->delivered,
		.rejected = l->rejected,
	};

	append(l->pool, ENTRY_LISTENER, &entry, sizeof entry, l->talk.buffer, l->talk.length);
}

void record_drop(struct listener_pool *pool, const struct waiting *e)
{
	struct entry_drop entry = { e->poolserial };

	append(pool, ENTRY_DROP, &entry, sizeof entry, NULL, 0);
}

void record_name(const struct listener_pool *pool, char name[KEEPER_NAME_SIZE])
{
	(void)snprintf(name, KEEPER_NAME_SIZE, "events/%u",
		       (unsigned)state_record_index(&pool->group->supervisor->state, pool->group->record) % STATE_RECORDS);
}

/* All that is, as entries: first what the listeners hold, then what waits. */
static void compact(struct listener_pool *pool)
{
	struct journal old = pool->journal;
	struct entry_pool head = { pool->next_poolserial, pool->dropped, pool->sequence };
	struct waiting *e;
	char name[KEEPER_NAME_SIZE];

	if (journal_new(&pool->journal) < 0) {
		pool->journal = old;
		return;
	}
	append(pool, ENTRY_POOL, &head, sizeof head, NULL, 0);
	for (struct listener *l = pool->listeners; l; l = l->next) {
		if (l->held)
			record_event(pool, l->held);
		record_listener(l, OUTCOME_NONE);
	}
	TAILQ_FOREACH(e, &pool->queue, link)
		record_event(pool, e);
	record_name(pool, name);
	supervisor_tell(pool->group->supervisor, KEEPER_STORE, 0, 0, name, pool->journal.fd);
	journal_close(&old);
	set_limit(pool);
}

void record_compact(struct listener_pool *pool)
{
	if (pool->journal.size > pool->compact_at)
		compact(pool);
}

/* ---- reading it back ---- */

static struct waiting *waiting_find(struct listener_pool *pool, uint64_t poolserial)
{
	struct waiting *e;

	TAILQ_FOREACH(e, &pool->queue, link)
		if (e->poolserial == poolserial)
			return e;
	return NULL;
}

static struct waiting *waiting_take(struct listener_pool *pool, uint64_t poolserial)
{
	struct waiting *e = waiting_find(pool, poolserial);

	if (e) {
		TAILQ_REMOVE(&pool->queue, e, link);
		pool->n--;
	}
	return e;
}

static void replay_event(struct listener_pool *pool, const char *entry, size_t length)
{
	struct entry_event head;
	struct waiting *e;

	memcpy(&head, entry, sizeof head);
	head.type[sizeof head.type - 1] = '\0';
	e = waiting_new(head.type, entry + sizeof head, length - sizeof head);
	if (!e)
		return;
	e->serial = head.serial;
	e->poolserial = head.poolserial;
	pool->sequence = head.sequence;
	if (pool->next_poolserial <= head.poolserial)
		pool->next_poolserial = head.poolserial + 1;
	TAILQ_INSERT_TAIL(&pool->queue, e, link);
	pool->n++;
}

static void replay_listener(struct listener_pool *pool, const char *entry, size_t length)
{
	struct entry_listener head;
	struct listener *l;

	memcpy(&head, entry, sizeof head);
	l = listener_by_index(pool, head.index);
	if (!l)
		l = listener_add(pool, head.index);
	if (!l)
		return;
	if (!head.holds && l->held && head.outcome == OUTCOME_BACK) {
		TAILQ_INSERT_HEAD(&pool->queue, l->held, link);
		pool->n++;
		l->held = NULL;
	} else if (!head.holds) {
		free(TAKE(l->held));
	} else if (!l->held) {
		l->held = waiting_take(pool, head.poolserial);
	}
	talk_reset(&l->talk);
	(void)talk_add(&l->talk, entry + sizeof head, length - sizeof head);
	l->talk.state = (enum listener_state)head.state;
	l->pid = head.pid;
	l->ending = head.ending;
	l->sent = head.sent;
	l->delivered = head.delivered;
	l->rejected = head.rejected;
	pool->sequence = head.sequence;
}

static void replay(uint32_t kind, const char *entry, size_t length, void *data)
{
	struct listener_pool *pool = data;
	struct entry_pool head;
	struct entry_drop drop;

	if (kind == ENTRY_POOL && length >= sizeof head) {
		memcpy(&head, entry, sizeof head);
		pool->next_poolserial = head.next_poolserial;
		pool->dropped = head.dropped;
		pool->sequence = head.sequence;
	} else if (kind == ENTRY_EVENT && length >= sizeof(struct entry_event)) {
		replay_event(pool, entry, length);
	} else if (kind == ENTRY_DROP && length >= sizeof drop) {
		memcpy(&drop, entry, sizeof drop);
		free(waiting_take(pool, drop.poolserial));
		pool->dropped++;
	} else if (kind == ENTRY_LISTENER && length >= sizeof(struct entry_listener)) {
		replay_listener(pool, entry, length);
	}
}

void listener_pool_adopt(struct listener_pool *pool, int fd)
{
	if (journal_replay(&pool->journal, fd, replay, pool) < 0)
		supervisor_log(pool->group->supervisor, LOGLEVEL_ERROR, "the events that waited for %s cannot be read: they are lost",
			       pool->group->conf->name);
	set_limit(pool);
}
