/*
 * Inside of the queue in SQLite, for queue_sqlite.c and sqlite_*.c alone.
 *
 *   queue_sqlite.c   what the pool asks of a queue; opening and closing
 *   sqlite_batch.c   batches: given to the thread, answered when they are on the disk
 *   sqlite_file.c    the file: schema, statements, and what an op does with them
 *
 * The file is the thread's while it runs; before and after, the loop's.
 */
#ifndef REEVE_POOL_SQLITE_PARTS_H
#define REEVE_POOL_SQLITE_PARTS_H

#include <pthread.h>
#include <sqlite3.h>
#include <sys/queue.h>

#include "pool.h"
#include "queue.h"

enum op_kind { OP_SUBMIT, OP_RESERVE, OP_FINISH, OP_CLAIM, OP_FORGET, OP_TRIM, OP_EXPIRE, OP_LOAD, OP_REQUEST };

struct op {
	STAILQ_ENTRY(op) next;
	enum op_kind kind;
	uint64_t id;			/* LOAD, CANCEL_ALL: the cursor */
	size_t limit;
	double before;			/* EXPIRE: unix time */
	struct task *task;		/* SUBMIT, FINISH, CLAIM */
	struct result *result;		/* FINISH: owned */
	struct queue_request *request;
	/* Answers: */
	struct task **tasks;		/* LOAD: owned until handed over */
	size_t n;
	bool changed;			/* FINISH, CLAIM: the row was as expected */
	int error;			/* SUBMIT */
};

STAILQ_HEAD(op_list, op);

#define STATEMENTS(X)                                                                                                  \
	X(INSERT, "INSERT INTO tasks(id,state,priority,submitted,retries,timeout,bare,unique_key,words) VALUES(?,0,?,?,?,?,?,?,?)") \
	X(RESERVE, "UPDATE meta SET next_id=?")                                                                        \
	X(FINISH, "UPDATE tasks SET state=?2,attempts=?3,ended=?4,result=?5 WHERE id=?1 AND state<2")                  \
	X(CLAIM, "UPDATE tasks SET state=1 WHERE id=? AND state=0")                                                    \
	X(FORGET, "DELETE FROM tasks WHERE id=? AND state>1")                                                          \
	X(TRIM, "DELETE FROM tasks WHERE id IN (SELECT id FROM tasks WHERE state>1 ORDER BY id LIMIT ?)")              \
	X(EXPIRE, "DELETE FROM tasks WHERE state>1 AND ended<?")                                                        \
	X(LOAD, COLUMNS " FROM tasks WHERE state=0 AND priority=0 AND id>? ORDER BY id LIMIT ?")                       \
	X(LOAD_PRIORITY, COLUMNS " FROM tasks WHERE state=0 AND priority<>0 ORDER BY id")                              \
	X(LOOKUP, COLUMNS " FROM tasks WHERE id=?")                                                                    \
	X(LIST, "SELECT * FROM (" COLUMNS " FROM tasks ORDER BY id DESC LIMIT ?) ORDER BY id")                          \
	X(AGAIN, "UPDATE tasks SET state=0,result=NULL WHERE id=? AND state>3")                                        \
	X(CANCEL, "UPDATE tasks SET state=?2,ended=?3,result=?4 WHERE id=?1 AND state=0")                              \
	X(CANCEL_ALL, "UPDATE tasks SET state=?2,ended=?3,result=?4 WHERE state=0 AND priority=0 AND id>?1")           \
	X(COUNT, "SELECT count(*) FILTER (WHERE state=0), count(*) FILTER (WHERE state>1) FROM tasks")                 \
	X(NEXT_ID, "SELECT next_id FROM meta")                                                                         \
	X(UNIQUE_KEYS, "SELECT id,unique_key FROM tasks WHERE unique_key IS NOT NULL AND state<2")                     \
	X(LOST, "UPDATE tasks SET state=?1,ended=?2,result=?3 WHERE state=1")
#define COLUMNS "SELECT id,state,priority,submitted,retries,timeout,bare,unique_key,words,attempts,result"

#define X(name, text) STATEMENT_##name,
enum statement { STATEMENTS(X) N_STATEMENTS };
#undef X

struct store {
	struct queue queue;
	sqlite3 *db;			/* the thread's, once it runs */
	sqlite3_stmt *statement[N_STATEMENTS];
	pthread_t thread;
	bool threaded;
	/* The loop's: */
	struct op_list next;		/* being collected */
	size_t n_next;
	bool busy;			/* the thread has a batch */
	bool paused;			/* after a failure */
	ev_timer again, expire;
	uint64_t last_id, reserved;	/* ids up to `reserved` are ours to give */
	uint64_t cursor;		/* all waiting tasks up to here are in memory */
	unsigned long long on_disk;	/* waiting behind the cursor */
	unsigned long long kept;	/* ended rows */
	bool trimming;
	ev_async done;
	/* Shared: */
	pthread_mutex_t lock;
	pthread_cond_t ready;
	struct op_list batch;		/* given to the thread; its answers when `finished` */
	bool given, finished, quit;
	int error;			/* of the batch: SQLite's number, 0 */
	char text[256];
};

/* ---- sqlite_file.c ---- */

/* Open PATH with all that belongs in it, and load what it holds from before. 0, -EBUSY, -EIO with ERR. */
int sqlite_file_open(struct store *s, const char *path, struct error *err);
void sqlite_file_close(struct store *s);
/* Carry out BATCH in one transaction. SQLite's number: 0, or an error, whose text is in TEXT. */
int sqlite_run(struct store *s, struct op_list *batch, char *text, size_t size);
/* Forget what an op has read before its transaction failed. */
void sqlite_op_reset(struct op *op);

/* ---- sqlite_batch.c ---- */

/* An op of the next batch. NULL: out of memory. */
struct op *sqlite_op_add(struct store *s, enum op_kind kind, uint64_t id);
void sqlite_op_free(struct op *op);
/* Give the thread what has been collected, unless it is at work. */
void sqlite_give(struct store *s);
/* The callback of store::done: the answers of the last batch. */
void sqlite_batch_done(struct ev_loop *loop, ev_async *async, int events);
int sqlite_thread_start(struct store *s, struct error *err);
/* It finishes its batch first, whose answers are still to be told then. */
void sqlite_thread_end(struct store *s);

#endif
