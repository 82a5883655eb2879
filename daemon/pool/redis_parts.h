/*
 * Inside of the queue in Redis, for queue_redis.c and redis_*.c alone.
 *
 *   queue_redis.c     what the pool asks of a queue; opening and closing
 *   redis_guard.c     (a module of its own) what hiredis must not see
 *   redis_link.c      the three connections: made, lost, made again
 *   redis_ops.c       what needs an answer: sent, lost and sent again, answered
 *   redis_commands.c  the commands and scripts that an op becomes
 *   redis_entries.c   tasks come in from the stream
 *   redis_results.c   results come in of what this pool has submitted
 *   redis_peers.c     heartbeats, and what is taken over of pools that have died
 */
#ifndef REEVE_POOL_REDIS_PARTS_H
#define REEVE_POOL_REDIS_PARTS_H

#include <hiredis/async.h>
#include <sys/queue.h>

#include "pool.h"
#include "queue.h"
#include "redis_scripts.h"
#include "redis_text.h"

#define X(name, text) SCRIPT_##name,
enum script { SCRIPTS(X) N_SCRIPTS };
#undef X

enum connection { COMMANDS, READER, LISTENER, N_CONNECTIONS };

enum op_kind { OP_SUBMIT, OP_CLAIM, OP_FINISH, OP_REQUEST };

/* Something that must be answered. Sent again after a new connection, unless that could do it twice. */
struct op {
	TAILQ_ENTRY(op) link;		/* store::waiting or store::sent */
	struct store *store;
	enum op_kind kind;
	bool sent;
	struct task *task;
	struct result *result;		/* FINISH: owned */
	bool poison;
	struct queue_request *request;
	char *origin;			/* FINISH of a task that is not here: who submitted it; owned */
};

TAILQ_HEAD(op_list, op);

struct early;

struct store {
	struct queue queue;
	struct redis_place place;	/* where the stream is */
	char name[128];			/* of this consumer */
	redisAsyncContext *connection[N_CONNECTIONS];
	bool ready;			/* commands may be sent */
	bool subscribed;		/* results are heard */
	bool closing;
	bool tearing;			/* connections are being freed */
	char sha[N_SCRIPTS][41];
	struct op_list waiting, sent;
	STAILQ_HEAD(, early) early;
	size_t n_early;
	size_t wanted;			/* by the pool; 0: the reader rests */
	bool reading;
	bool more_to_take;		/* the last takeover found something */
	long long total;		/* unfinished tasks in Redis, as last heard */
	double pause;
	double heard;			/* monotonic: last answer */
	ev_timer again, tick;
};

static const char redis_group[] = "reeve";

/* ---- redis_link.c ---- */

/* Make all connections; what has been waiting goes out when they are ready. */
void redis_connect(struct store *s);
/* Give all up because of WHY, and try again after a pause. */
void redis_lose(struct store *s, const char *why);
/* Free all; what was sent and not answered waits again. */
void redis_disconnect(struct store *s);

/* ---- redis_ops.c ---- */

/* One of KIND, waiting. NULL: out of memory. */
struct op *redis_op_new(struct store *s, enum op_kind kind);
void redis_op_free(struct op *op);
/* Send OP, which waits, if there is a connection. */
void redis_op_send(struct op *op);
/* The connection went before the answer came. */
void redis_op_lost(struct op *op);
/* There is no connection: OP is answered with that if somebody waits for it, and kept otherwise. */
void redis_op_fail(struct op *op);
/* The callback for what redis_command() has sent; PRIVATE is the op. */
void redis_op_answered(struct redisAsyncContext *context, void *data, void *private);
/* The callback for what needs no answer. */
void redis_no_answer(struct redisAsyncContext *context, void *reply, void *data);
/* The result of task ID is no longer needed. */
void redis_forget_result(struct store *s, uint64_t id);

/* ---- redis_commands.c ---- */

/* Arguments of a command, collected one by one; borrowed. */
struct redis_arguments {
	const char *text[64];
	size_t length[64];
	int n;
};

void redis_arg(struct redis_arguments *a, const char *text);
/* A call of script WHICH with so many keys. */
void redis_arg_script(struct redis_arguments *a, const struct store *s, enum script which, const char *n_keys);
/* 0, or -EPIPE: the connection is on its way down. */
int redis_send(struct store *s, struct redis_arguments *a, redisCallbackFn *answer, void *data);
/* Send what OP needs; redis_op_answered() gets the answer. 0, -EPIPE, -ENOMEM. */
int redis_command(struct op *op);

/* The name of a key, in a buffer of its own. */
#define REDIS_KEY(name, ...)                                                                                           \
	char name[600];                                                                                                \
	(void)snprintf(name, sizeof name, __VA_ARGS__)

/* ---- redis_entries.c ---- */

/* The task that an entry's fields describe; anybody may have written them. NULL: no memory, or no words. */
struct task *redis_entry_read(const struct store *s, const redisReply *fields);
/* Entry ID is ours from now on; it was given out DELIVERIES times, this one counted. */
void redis_entry_take(struct store *s, const redisReply *id, const redisReply *fields, long long deliveries);
/* Ask for what the pool wants, unless that is being done. */
void redis_read_more(struct store *s);

/* ---- redis_results.c ---- */

/* The callback of the listener's subscription. */
void redis_message_heard(struct redisAsyncContext *context, void *data, void *private);
/* Have our tasks ended while nobody listened? For this both connections must be there, whichever comes last. */
void redis_recheck(struct store *s);
/* The result of task ID that came before the answer to its submission: the caller's, or NULL. */
struct result *redis_early_take(struct store *s, uint64_t id);
void redis_early_free(struct store *s);

/* ---- redis_peers.c ---- */

/* Tell the others that we live, take over what is left by those who do not, count. Every few seconds. */
void redis_heartbeat(struct store *s);
void redis_take_over(struct store *s);

#endif
