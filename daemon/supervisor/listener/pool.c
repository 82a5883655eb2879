/* See pool.h. */
#include "pool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/queue.h>

#include "../generation.h"
#include "../logger_link.h"
#include "../pipes.h"
#include "base/text.h"
#include "journal.h"
#include "protocol.h"
#include "subscription.h"
#include "ticks.h"
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

/* ---- the journal: what each entry is ---- */

enum entry_kind { ENTRY_POOL = 1, ENTRY_EVENT, ENTRY_DROP, ENTRY_LISTENER };
enum outcome { OUTCOME_NONE, OUTCOME_DONE, OUTCOME_BACK };	/* of the event that a listener held */

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

static void append(struct listener_pool *pool, enum entry_kind kind, const void *head, size_t head_length, const void *tail,
		   size_t tail_length)
{
	struct iovec parts[2] = { { (void *)head, head_length }, { (void *)tail, tail_length } };

	if (pool->journal.fd < 0)
		compact(pool);		/* the first one */
	(void)journal_append(&pool->journal, kind, parts, 2);
}

static void append_event(struct listener_pool *pool, const struct waiting *e)
{
	struct entry_event entry = { .serial = e->serial, .poolserial = e->poolserial, .sequence = pool->sequence };

	memcpy(entry.type, e->type, sizeof entry.type);
	append(pool, ENTRY_EVENT, &entry, sizeof entry, e->payload, e->length);
}

static void append_listener(const struct listener *l, enum outcome outcome)
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

/* All that is, as entries: first what the listeners hold, then what waits. */
static void compact(struct listener_pool *pool)
{
	struct journal old = pool->journal;
	struct entry_pool head = { pool->next_poolserial, pool->dropped, pool->sequence };
	struct waiting *e;
	char name[KEEPER_NAME_SIZE];
	struct supervisor *s = pool->group->supervisor;

	if (journal_new(&pool->journal) < 0) {
		pool->journal = old;
		return;
	}
	append(pool, ENTRY_POOL, &head, sizeof head, NULL, 0);
	for (struct listener *l = pool->listeners; l; l = l->next) {
		if (l->held)
			append_event(pool, l->held);
		append_listener(l, OUTCOME_NONE);
	}
	TAILQ_FOREACH(e, &pool->queue, link)
		append_event(pool, e);
	(void)snprintf(name, sizeof name, "events/%u",
		       (unsigned)state_record_index(&s->state, pool->group->record) % STATE_RECORDS);
	supervisor_tell(s, KEEPER_STORE, 0, 0, name, pool->journal.fd);
	journal_close(&old);
	pool->compact_at = 4 * pool->journal.size > JOURNAL_SMALL ? 4 * pool->journal.size : JOURNAL_SMALL;
}

/* ---- listeners ---- */

static struct listener *listener_by_index(struct listener_pool *pool, uint32_t index)
{
	struct listener *l = pool->listeners;

	while (l && l->index != index)
		l = l->next;
	return l;
}

static void writable(struct ev_loop *loop, ev_io *w, int events);

static struct listener *listener_add(struct listener_pool *pool, uint32_t index)
{
	struct listener *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	*l = (struct listener){ .next = pool->listeners, .pool = pool, .index = index, .fd = -1 };
	talk_reset(&l->talk);
	ev_io_init(&l->writer, writable, -1, EV_WRITE);
	l->writer.data = l;
	pool->listeners = l;
	return l;
}

static struct listener *listener_of(struct process *p, bool make)
{
	struct listener_pool *pool = p->group->listeners;
	uint32_t index = (uint32_t)state_record_index(&p->supervisor->state, p->record);
	struct listener *l;

	if (!pool)
		return NULL;
	l = listener_by_index(pool, index);
	if (!l && make)
		l = listener_add(pool, index);
	if (l)
		l->process = p;
	return l;
}

static void stop_sending(struct listener *l)
{
	if (l->fd >= 0)
		ev_io_stop(l->pool->group->supervisor->loop, &l->writer);
	closep(&l->fd);
	l->fd = -1;
	free(TAKE(l->message));
	l->message_length = l->message_done = 0;
}

static void listener_free(struct listener *l)
{
	stop_sending(l);
	free(l->held);
	free(l->talk.buffer);
	free(l);
}

/* ---- the queue ---- */

static struct waiting *waiting_new(const char *type, const char *payload, size_t length)
{
	struct waiting *e = calloc(1, sizeof *e + length + 1);

	if (!e)
		return NULL;
	(void)snprintf(e->type, sizeof e->type, "%s", type);
	if (length)
		memcpy(e->payload, payload, length);
	e->length = length;
	return e;
}

static void drop_oldest(struct listener_pool *pool)
{
	struct waiting *e = TAILQ_FIRST(&pool->queue);
	struct entry_drop entry = { e->poolserial };

	pool->dropped++;
	append(pool, ENTRY_DROP, &entry, sizeof entry, NULL, 0);
	supervisor_log(pool->group->supervisor, LOGLEVEL_ERROR, "pool %s event buffer overflowed, discarding event %llu",
		       pool->group->conf->name, (unsigned long long)e->serial);
	TAILQ_REMOVE(&pool->queue, e, link);
	pool->n--;
	free(e);
}

static void make_room(struct listener_pool *pool)
{
	while (pool->n && pool->n >= pool->group->conf->buffer_size)
		drop_oldest(pool);
}

/* What L held is not done: it goes first again. */
static void put_back(struct listener *l)
{
	struct listener_pool *pool = l->pool;
	struct waiting *e = TAKE(l->held);

	append_listener(l, OUTCOME_BACK);
	make_room(pool);
	TAILQ_INSERT_HEAD(&pool->queue, e, link);
	pool->n++;
	pool->group->supervisor->changed = true;
}

/* ---- sending ---- */

/* The line and the payload that it gets; the length is in characters, as a reader in text mode counts. */
static int compose(struct listener *l)
{
	const struct waiting *e = l->held;
	struct supervisor *s = l->pool->group->supervisor;
	char head[900];
	size_t characters = e->length;
	int n;

	(void)utf8_count(e->payload, e->length, &characters);
	n = snprintf(head, sizeof head, "ver:3.0 server:%.200s serial:%llu pool:%.200s poolserial:%llu eventname:%s len:%zu\n",
		     s->loaded->config->supervisord.identifier, (unsigned long long)e->serial, l->pool->group->conf->name,
		     (unsigned long long)e->poolserial, e->type, characters);
	free(l->message);
	l->message = malloc((size_t)n + e->length);
	if (!l->message)
		return -ENOMEM;
	memcpy(l->message, head, (size_t)n);
	memcpy(l->message + n, e->payload, e->length);
	l->message_length = (size_t)n + e->length;
	l->message_done = 0;
	return 0;
}

static void send_more(struct listener *l)
{
	struct ev_loop *loop = l->pool->group->supervisor->loop;

	while (l->message_done < l->message_length) {
		ssize_t n = write(l->fd, l->message + l->message_done, l->message_length - l->message_done);

		if (n < 0 && errno == EAGAIN) {
			ev_io_start(loop, &l->writer);
			return;
		}
		if (n < 0 && errno != EINTR)
			break;		/* the pipe is ours too: it does not break */
		if (n > 0)
			l->message_done += (size_t)n;
	}
	stop_sending(l);
	l->sent = true;
	append_listener(l, OUTCOME_NONE);
}

static void writable(struct ev_loop *loop, ev_io *w, int events)
{
	struct listener *l = w->data;

	(void)events;
	ev_io_stop(loop, w);
	send_more(l);
}

static bool can_take(struct listener *l)
{
	return l && l->process && l->talk.state == LISTENER_READY && !l->ending && !l->held &&
	       process_state(l->process) == STATE_RUNNING;
}

static void hand_out(struct listener *l)
{
	struct listener_pool *pool = l->pool;

	l->fd = pipe_reopen(l->process->in, O_WRONLY | O_NONBLOCK);
	l->held = TAILQ_FIRST(&pool->queue);
	if (l->fd < 0 || compose(l) < 0) {
		l->held = NULL;
		stop_sending(l);
		return;			/* short of something: tried again when anything changes */
	}
	TAILQ_REMOVE(&pool->queue, l->held, link);
	pool->n--;
	l->talk.state = LISTENER_BUSY;
	l->sent = false;
	append_listener(l, OUTCOME_NONE);
	supervisor_log(pool->group->supervisor, LOGLEVEL_DEBUG, "event %llu sent to listener %s", (unsigned long long)l->held->serial,
		       l->process->conf->name);
	ev_io_set(&l->writer, l->fd, EV_WRITE);
	send_more(l);
}

static void pool_step(struct listener_pool *pool)
{
	struct group *g = pool->group;

	for (size_t i = 0; i < g->n_processes && !TAILQ_EMPTY(&pool->queue); i++) {
		struct listener *l = listener_of(g->processes[i], false);

		if (can_take(l))
			hand_out(l);
	}
	if (pool->journal.size > pool->compact_at)
		compact(pool);
}

static void take_event(const struct event *event, void *data)
{
	struct listener_pool *pool = data;
	struct supervisor *s = pool->group->supervisor;
	size_t times = subscription_count(pool->group->conf->events, event->type);
	uint64_t serial, poolserial;

	if (!times || (s->logger_sequence && s->logger_sequence <= pool->sequence))
		return;
	if (s->logger_sequence)
		pool->sequence = s->logger_sequence;
	/* One number for all pools, used up only by events that somebody takes. */
	if (s->numbered_event != event->sequence) {
		s->numbered_event = event->sequence;
		s->event_number = s->state.header->listener_serial++;
	}
	serial = s->event_number;
	poolserial = pool->next_poolserial++;
	while (times--) {
		struct waiting *e = waiting_new(event->type, event->payload, event->length);

		if (!e)
			return;
		e->serial = serial;
		e->poolserial = poolserial;
		make_room(pool);
		append_event(pool, e);
		TAILQ_INSERT_TAIL(&pool->queue, e, link);
		pool->n++;
	}
	pool_step(pool);
}

void listeners_step(struct supervisor *s)
{
	for (struct group *g = s->groups; g; g = g->next)
		if (g->listeners)
			pool_step(g->listeners);
}

/* ---- what a listener says ---- */

static void lost(struct listener *l)
{
	supervisor_log(l->pool->group->supervisor, LOGLEVEL_WARN,
		       "%s: has entered the UNKNOWN state and will no longer receive events, this usually indicates the process violated "
		       "the eventlistener protocol",
		       l->process->conf->name);
	if (l->held)
		put_back(l);
}

static void understand(struct listener *l, enum said said)
{
	struct supervisor *s = l->pool->group->supervisor;
	const char *name = l->process->conf->name;

	switch (said) {
	case SAID_OK:
		supervisor_log(s, LOGLEVEL_DEBUG, "%s: event was processed", name);
		l->delivered++;
		free(TAKE(l->held));
		append_listener(l, OUTCOME_DONE);
		break;
	case SAID_REJECTED:
		supervisor_log(s, LOGLEVEL_WARN, "%s: event was rejected", name);
		l->rejected++;
		if (l->held)
			put_back(l);
		break;
	case SAID_BAD_RESULT:
		supervisor_log(s, LOGLEVEL_WARN, "%s: bad result line: '%s'", name, l->talk.bad);
		lost(l);
		break;
	case SAID_NONSENSE:
		lost(l);
		break;
	case SAID_READY:
	case SAID_NOTHING:
		break;
	}
}

/* The last words have been heard: what it held goes to another, and the talk begins anew. */
static void end_run(struct listener *l)
{
	stop_sending(l);
	talk_reset(&l->talk);
	l->ending = false;
	l->pid = process_pid(l->process);
	if (l->held)
		put_back(l);
	else
		append_listener(l, OUTCOME_NONE);
	l->pool->group->supervisor->changed = true;
}

/* Understand what is in the buffer. */
static void hear(struct listener *l)
{
	enum said said;

	while ((said = talk_next(&l->talk)) != SAID_NOTHING) {
		understand(l, said);
		append_listener(l, OUTCOME_NONE);
	}
	l->pool->group->supervisor->changed = true;
}

void listener_said(struct process *p, pid_t pid, uint64_t sequence, const char *data, size_t length)
{
	struct listener *l = listener_of(p, true);

	if (!l || sequence <= l->pool->sequence)
		return;
	if (l->ending && pid != l->pid)
		end_run(l);
	if (talk_add(&l->talk, data, length) < 0)
		return;
	/* A result before all of the event was written: nobody reads the rest. */
	if (l->held && !l->sent && memchr(data, '\n', length))
		stop_sending(l);
	l->pool->sequence = sequence;
	append_listener(l, OUTCOME_NONE);
	hear(l);
}

/* ---- its process ---- */

void listener_started(struct process *p)
{
	struct listener *l = listener_of(p, true);

	if (l && !l->ending)
		end_run(l);
}

static void ask_flush(struct listener *l)
{
	char cookie[32];

	(void)snprintf(cookie, sizeof cookie, "listener/%u/%d", l->index, (int)l->pid);
	logger_link_flush(l->pool->group->supervisor->logger, cookie);
}

void listener_ended(struct process *p)
{
	struct listener *l = listener_of(p, true);

	if (!l)
		return;
	stop_sending(l);
	l->ending = true;
	append_listener(l, OUTCOME_NONE);
	ask_flush(l);
}

void listener_removed(struct process *p)
{
	struct listener *l = listener_of(p, false);

	if (!l)
		return;
	if (l->held)
		put_back(l);
	for (struct listener **at = &l->pool->listeners; *at; at = &(*at)->next)
		if (*at == l) {
			*at = l->next;
			break;
		}
	listener_free(l);
}

void listeners_flushed(struct supervisor *s, const char *cookie)
{
	unsigned index;
	int pid;

	if (sscanf(cookie, "listener/%u/%d", &index, &pid) != 2)
		return;
	for (struct group *g = s->groups; g; g = g->next) {
		struct listener *l = g->listeners ? listener_by_index(g->listeners, index) : NULL;

		if (l && l->process && l->ending && l->pid == pid)
			end_run(l);
	}
}

void listeners_ask_again(struct supervisor *s)
{
	for (struct group *g = s->groups; g; g = g->next)
		for (struct listener *l = g->listeners ? g->listeners->listeners : NULL; l; l = l->next)
			if (l->ending)
				ask_flush(l);
}

/* ---- the pool ---- */

struct listener_pool *listener_pool_new(struct group *group)
{
	struct listener_pool *pool = calloc(1, sizeof *pool);

	if (!pool)
		return NULL;
	*pool = (struct listener_pool){ .group = group, .journal = { .fd = -1 }, .compact_at = JOURNAL_SMALL };
	TAILQ_INIT(&pool->queue);
	pool->subscription = event_subscribe(group->supervisor->events, take_event, pool);
	if (!pool->subscription) {
		free(pool);
		return NULL;
	}
	return pool;
}

void listener_pool_free(struct listener_pool *pool, bool forget)
{
	struct supervisor *s;
	struct waiting *e;
	struct listener *l;
	char name[KEEPER_NAME_SIZE];

	if (!pool)
		return;
	s = pool->group->supervisor;
	event_unsubscribe(s->events, pool->subscription);
	if (forget && pool->journal.fd >= 0) {
		(void)snprintf(name, sizeof name, "events/%u",
			       (unsigned)state_record_index(&s->state, pool->group->record) % STATE_RECORDS);
		supervisor_tell(s, KEEPER_DROP, 0, 0, name, -1);
	}
	while ((l = pool->listeners)) {
		pool->listeners = l->next;
		listener_free(l);
	}
	while ((e = TAILQ_FIRST(&pool->queue))) {
		TAILQ_REMOVE(&pool->queue, e, link);
		free(e);
	}
	journal_close(&pool->journal);
	free(pool);
}

/* ---- taking over ---- */

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
	pool->compact_at = 4 * pool->journal.size > JOURNAL_SMALL ? 4 * pool->journal.size : JOURNAL_SMALL;
}

/*
 * An event whose delivery was under way. If all of it lies unread in the pipe it was delivered. Else nobody can know how much of it
 * the listener has read: it is started again, and the event is sent again.
 */
static void resume(struct listener *l)
{
	struct supervisor *s = l->pool->group->supervisor;
	int unread = 0;

	hear(l);
	if (l->ending) {
		ask_flush(l);
		return;
	}
	if (!l->held || l->sent || !process_pid(l->process))
		return;
	if (compose(l) == 0 && ioctl(l->process->in, FIONREAD, &unread) == 0 && (size_t)unread == l->message_length) {
		stop_sending(l);
		l->sent = true;
		append_listener(l, OUTCOME_NONE);
		return;
	}
	stop_sending(l);
	supervisor_log(s, LOGLEVEL_WARN, "%s: the delivery of an event was interrupted; starting it again", l->process->conf->name);
	process_restart(l->process, &(struct cause){ .kind = CAUSE_RECOVERY });
}

void listener_pool_resume(struct listener_pool *pool)
{
	struct group *g = pool->group;

	for (size_t i = 0; i < g->n_processes; i++) {
		struct listener *l = listener_of(g->processes[i], true);

		if (l)
			resume(l);
	}
	g->supervisor->changed = true;
}

json_t *listener_json(const struct process *p)
{
	const struct listener_pool *pool = p->group->listeners;
	const struct listener *l = pool ? listener_of((struct process *)p, false) : NULL;

	if (!pool)
		return NULL;
	return json_pack("{s:s, s:I, s:I, s:I, s:I}", "state", l ? listener_state_name(l->talk.state) : "ACKNOWLEDGED", "queued",
			 (json_int_t)pool->n, "dropped", (json_int_t)pool->dropped, "delivered", (json_int_t)(l ? l->delivered : 0),
			 "rejected", (json_int_t)(l ? l->rejected : 0));
}
