/*
 * See redis_parts.h. Three connections, which live and die together: commands, a reader that waits for entries, and a listener for results.
 */
#include <hiredis/adapters/libev.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "redis_guard.h"
#include "redis_parts.h"

static const double first_pause = 0.1, longest_pause = 5;	/* seconds between attempts to connect */

void redis_disconnect(struct store *s)
{
	struct op *op;

	s->ready = s->subscribed = s->reading = false;
	s->queue.pool->wanting = false;
	s->tearing = true;
	for (int i = 0; i < N_CONNECTIONS; i++) {
		redisAsyncContext *context = s->connection[i];

		s->connection[i] = NULL;
		if (context)
			redisAsyncFree(context);	/* answers what is open with NULL */
	}
	s->tearing = false;
	/* Should a context have forgotten one. */
	while ((op = TAILQ_FIRST(&s->sent)))
		redis_op_lost(op);
}

/* What somebody waits for is not held back until Redis returns. */
static void fail_waiting(struct store *s)
{
	struct op *op, *next;

	for (op = TAILQ_FIRST(&s->waiting); op; op = next) {
		next = TAILQ_NEXT(op, link);
		redis_op_fail(op);
	}
}

void redis_lose(struct store *s, const char *why)
{
	char text[400];

	if (s->tearing)
		return;
	(void)snprintf(text, sizeof text, "queue %s: %s; trying again", s->place.path ? s->place.path : s->place.host, why);
	redis_disconnect(s);
	if (s->closing)
		return;
	fail_waiting(s);
	pool_trouble(s->queue.pool, text);
	s->pause = s->pause > 0 ? fmin(s->pause * 2, longest_pause) : first_pause;
	ev_timer_stop(s->queue.pool->loop, &s->again);
	ev_timer_set(&s->again, s->pause, 0);
	ev_timer_start(s->queue.pool->loop, &s->again);
}

static void connection_gone(const redisAsyncContext *context, int status)
{
	struct store *s = context->data;

	if (!s || s->tearing)
		return;
	/* hiredis frees this one itself when we return. */
	for (int i = 0; i < N_CONNECTIONS; i++)
		if (s->connection[i] == context)
			s->connection[i] = NULL;
	redis_lose(s, status == REDIS_OK || !context->errstr  ? "connection closed" :
		      context->err == REDIS_ERR_OOM ? "it sent what nobody had asked for" :
						      context->errstr);
}

static void connection_made(const redisAsyncContext *context, int status)
{
	struct store *s = context->data;

	if (status != REDIS_OK && s)
		connection_gone(context, status);
}

/* Everything is set up: what has been waiting goes out. */
static void commands_ready(struct store *s)
{
	struct op *op, *next;

	s->ready = true;
	s->pause = 0;
	pool_trouble(s->queue.pool, NULL);
	for (op = TAILQ_FIRST(&s->waiting); op; op = next) {
		next = TAILQ_NEXT(op, link);
		redis_op_send(op);
	}
	if (s->subscribed)
		redis_recheck(s);
	redis_heartbeat(s);
	redis_read_more(s);
	pool_wake(s->queue.pool);
}

static void script_loaded(struct redisAsyncContext *context, void *data, void *private)
{
	struct store *s = context->data;
	const redisReply *reply = data;
	size_t which = (size_t)private;

	if (!reply || !s || s->tearing)
		return;
	if (reply->type != REDIS_REPLY_STRING || reply->len != 40) {
		redis_lose(s, reply->type == REDIS_REPLY_ERROR ? reply->str : "a script could not be loaded");
		return;
	}
	memcpy(s->sha[which], reply->str, 41);
}

static void group_made(struct redisAsyncContext *context, void *data, void *private)
{
	struct store *s = context->data;
	const redisReply *reply = data;

	(void)private;
	if (!reply || !s || s->tearing)
		return;
	if (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "BUSYGROUP", 9) != 0) {
		redis_lose(s, reply->str);
		return;
	}
	s->heard = clock_now();
	commands_ready(s);
}

static void logged_in(struct redisAsyncContext *context, void *data, void *private)
{
	struct store *s = context->data;
	const redisReply *reply = data;

	(void)private;
	if (reply && s && !s->tearing && reply->type == REDIS_REPLY_ERROR)
		redis_lose(s, reply->str);
}

/* NULL: WHY says why not, in SIZE bytes. */
static redisAsyncContext *connect_one(struct store *s, char *why, size_t size)
{
	redisAsyncContext *context = s->place.path ? redisAsyncConnectUnix(s->place.path) : redisAsyncConnect(s->place.host, s->place.port);

	(void)snprintf(why, size, "cannot connect: %s", context ? context->errstr : "out of memory");
	if (!context)
		return NULL;
	context->data = s;
	if (context->err) {
		redisAsyncFree(context);
		return NULL;
	}
	redis_guard(context);
	(void)redisLibevAttach(s->queue.pool->loop, context);
	(void)redisAsyncSetConnectCallback(context, connection_made);
	(void)redisAsyncSetDisconnectCallback(context, connection_gone);
	if (s->place.password && *s->place.user)
		(void)redisAsyncCommand(context, logged_in, NULL, "AUTH %s %s", s->place.user, s->place.password);
	else if (s->place.password)
		(void)redisAsyncCommand(context, logged_in, NULL, "AUTH %s", s->place.password);
	if (s->place.database)
		(void)redisAsyncCommand(context, logged_in, NULL, "SELECT %d", s->place.database);
	return context;
}

void redis_connect(struct store *s)
{
#define X(name, text) text,
	static const char *const texts[] = { SCRIPTS(X) };
#undef X

	char why[200];

	s->heard = clock_now();
	for (int i = 0; i < N_CONNECTIONS; i++) {
		s->connection[i] = connect_one(s, why, sizeof why);
		if (!s->connection[i]) {
			redis_lose(s, why);
			return;
		}
	}
	(void)redisAsyncCommand(s->connection[LISTENER], redis_message_heard, NULL, "SUBSCRIBE %s:done:%s", s->place.stream, s->name);
	for (size_t i = 0; i < N_SCRIPTS; i++)
		(void)redisAsyncCommand(s->connection[COMMANDS], script_loaded, (void *)i, "SCRIPT LOAD %s", texts[i]);
	(void)redisAsyncCommand(s->connection[COMMANDS], group_made, NULL, "XGROUP CREATE %s %s 0 MKSTREAM", s->place.stream, redis_group);
}
