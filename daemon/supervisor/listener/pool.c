/* See pool.h. */
#include "pool_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "../generation.h"
#include "../logger_link.h"
#include "../pipes.h"
#include "base/text.h"
#include "subscription.h"
#include "ticks.h"
#include "wire/keeper.h"

/* ---- listeners ---- */

struct listener *listener_by_index(struct listener_pool *pool, uint32_t index)
{
	struct listener *l = pool->listeners;

	while (l && l->index != index)
		l = l->next;
	return l;
}

static void writable(struct ev_loop *loop, ev_io *w, int events);

struct listener *listener_add(struct listener_pool *pool, uint32_t index)
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

struct waiting *waiting_new(const char *type, const char *payload, size_t length)
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

	pool->dropped++;
	record_drop(pool, e);
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

	record_listener(l, OUTCOME_BACK);
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
	record_listener(l, OUTCOME_NONE);
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
	record_listener(l, OUTCOME_NONE);
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
	record_compact(pool);
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
		record_event(pool, e);
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
		record_listener(l, OUTCOME_DONE);
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
		record_listener(l, OUTCOME_NONE);
	l->pool->group->supervisor->changed = true;
}

/* Understand what is in the buffer. */
static void hear(struct listener *l)
{
	enum said said;

	while ((said = talk_next(&l->talk)) != SAID_NOTHING) {
		understand(l, said);
		record_listener(l, OUTCOME_NONE);
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
	record_listener(l, OUTCOME_NONE);
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
	record_listener(l, OUTCOME_NONE);
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
	*pool = (struct listener_pool){ .group = group, .journal = { .fd = -1 } };
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
		record_name(pool, name);
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
		record_listener(l, OUTCOME_NONE);
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
