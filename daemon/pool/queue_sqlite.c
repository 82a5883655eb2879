/*
 * The queue in a SQLite file. One thread owns the database. What the loop asks for during a turn is a batch; the thread carries a batch out
 * in one transaction, and its answers come back when that is on the disk: many tasks share one fsync, and the loop never waits.
 *
 * A row is one task; an ended one holds its result. The pool has the first few thousand waiting tasks in memory; those behind `cursor`
 * are on disk only and are loaded in the order of their ids. Tasks with a priority are few, and always in memory.
 * After a crash: waiting rows run (again: at least once). With claim=yes a row is marked before its task begins, and a marked row that
 * has not ended becomes lost (at most once).
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "pool.h"
#include "queue.h"
#include "unique.h"

enum {
	DIRECT_MAX = 8192,		/* waiting tasks in memory beyond which new ones stay on disk */
	ID_BLOCK = 100000,		/* ids that are reserved at once, so that none is ever given twice */
	BATCH_MAX = 20000,		/* operations in one transaction */
	TRIM_STEP = 256,		/* superfluous results that are worth a delete */
	LOAD_MAX = 8192,
};

static const double retry_pause = 1;	/* seconds after a failed transaction */
static const double expire_pause = 3600;	/* seconds between two searches for old results, at most */

/* Values in the column `state`: waiting, marked as begun, and enum task_state for ended ones. */
enum { ROW_WAITING = 0, ROW_CLAIMED = 1 };

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

enum { COLUMN_ID, COLUMN_STATE, COLUMN_PRIORITY, COLUMN_SUBMITTED, COLUMN_RETRIES, COLUMN_TIMEOUT, COLUMN_BARE, COLUMN_KEY,
       COLUMN_WORDS, COLUMN_ATTEMPTS, COLUMN_RESULT };

#define X(name, text) STATEMENT_##name,
enum statement { STATEMENTS(X) N_STATEMENTS };
#undef X

static const char schema[] =
	"PRAGMA locking_mode=EXCLUSIVE;"
	"PRAGMA journal_mode=WAL;"
	"PRAGMA synchronous=FULL;"
	"PRAGMA wal_autocheckpoint=4000;"
	"PRAGMA cache_size=-16384;"
	"BEGIN IMMEDIATE;"
	"CREATE TABLE IF NOT EXISTS meta(version INTEGER, next_id INTEGER);"
	"INSERT INTO meta SELECT 1, 1 WHERE NOT EXISTS (SELECT * FROM meta);"
	"CREATE TABLE IF NOT EXISTS tasks(id INTEGER PRIMARY KEY, state INTEGER NOT NULL, priority INTEGER NOT NULL, submitted REAL,"
	" retries INTEGER, timeout REAL, bare INTEGER, unique_key TEXT, words BLOB, attempts INTEGER, ended REAL, result BLOB);"
	"CREATE INDEX IF NOT EXISTS with_priority ON tasks(id) WHERE priority<>0 AND state=0;"
	"CREATE INDEX IF NOT EXISTS with_key ON tasks(id) WHERE unique_key IS NOT NULL AND state<2;"
	"COMMIT;";

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

static struct store *store_of(struct queue *queue)
{
	return (struct store *)queue;
}

/* ---- results as bytes: the structure, then what it points to ---- */

static void *pack_result(const struct result *r, size_t *ret_size)
{
	struct result *copy = result_copy(r);

	/* result_copy() lays everything out behind the structure; the pointers are found again from the lengths. */
	*ret_size = sizeof *r + r->out_length + r->err_length + (r->why ? strlen(r->why) + 1 : 0);
	if (copy)
		copy->out = copy->err = NULL;
	if (copy)
		copy->why = r->why ? (const char *)1 : NULL;
	return copy;
}

static struct result *unpack_result(const void *data, size_t size)
{
	struct result *r = size >= sizeof *r ? malloc(size) : NULL;
	char *at;

	if (!r)
		return NULL;
	memcpy(r, data, size);
	if (sizeof *r + r->out_length + r->err_length + (r->why ? 1 : 0) > size) {
		free(r);
		return NULL;
	}
	at = (char *)(r + 1);
	r->out = at;
	r->err = at + r->out_length;
	r->why = r->why ? r->err + r->err_length : NULL;
	return r;
}

/* ---- in the thread: one operation each ---- */

static int step(struct store *s, enum statement which)
{
	int r = sqlite3_step(s->statement[which]);

	(void)sqlite3_reset(s->statement[which]);
	return r == SQLITE_DONE || r == SQLITE_ROW ? SQLITE_OK : r;
}

static int do_submit(struct store *s, struct op *op)
{
	sqlite3_stmt *q = s->statement[STATEMENT_INSERT];
	const struct task *t = op->task;

	(void)sqlite3_bind_int64(q, 1, (sqlite3_int64)t->id);
	(void)sqlite3_bind_int(q, 2, t->priority);
	(void)sqlite3_bind_double(q, 3, t->submitted);
	(void)sqlite3_bind_int(q, 4, t->retries);
	(void)sqlite3_bind_double(q, 5, (double)t->timeout);
	(void)sqlite3_bind_int(q, 6, t->bare);
	(void)sqlite3_bind_text(q, 7, task_key(t), -1, SQLITE_STATIC);
	(void)sqlite3_bind_blob(q, 8, t->words, (int)t->length, SQLITE_STATIC);
	return step(s, STATEMENT_INSERT);
}

static int do_finish(struct store *s, struct op *op)
{
	sqlite3_stmt *q = s->statement[STATEMENT_FINISH];
	size_t size;
	void *packed = pack_result(op->result, &size);
	int r;

	if (!packed)
		return SQLITE_NOMEM;
	(void)sqlite3_bind_int64(q, 1, (sqlite3_int64)op->task->id);
	(void)sqlite3_bind_int(q, 2, (int)op->result->state);
	(void)sqlite3_bind_int(q, 3, (int)op->result->attempts);
	(void)sqlite3_bind_double(q, 4, op->result->ended);
	(void)sqlite3_bind_blob(q, 5, packed, (int)size, SQLITE_STATIC);
	r = step(s, STATEMENT_FINISH);
	op->changed = sqlite3_changes(s->db) > 0;
	free(packed);
	return r;
}

static int do_number(struct store *s, enum statement which, uint64_t number, struct op *op)
{
	int r;

	(void)sqlite3_bind_int64(s->statement[which], 1, (sqlite3_int64)number);
	r = step(s, which);
	op->changed = sqlite3_changes(s->db) > 0;
	op->n = (size_t)sqlite3_changes(s->db);
	return r;
}

static struct task *row_task(sqlite3_stmt *q)
{
	struct task *t = task_new(sqlite3_column_blob(q, COLUMN_WORDS), (size_t)sqlite3_column_bytes(q, COLUMN_WORDS),
				  sqlite3_column_int(q, COLUMN_BARE) != 0, (const char *)sqlite3_column_text(q, COLUMN_KEY));
	int state = sqlite3_column_int(q, COLUMN_STATE);

	if (!t)
		return NULL;
	t->id = (uint64_t)sqlite3_column_int64(q, COLUMN_ID);
	t->state = (uint8_t)(state == ROW_WAITING ? TASK_QUEUED : state == ROW_CLAIMED ? TASK_RUNNING : state);
	t->priority = (int16_t)sqlite3_column_int(q, COLUMN_PRIORITY);
	t->submitted = sqlite3_column_double(q, COLUMN_SUBMITTED);
	t->retries = (uint16_t)sqlite3_column_int(q, COLUMN_RETRIES);
	t->timeout = (float)sqlite3_column_double(q, COLUMN_TIMEOUT);
	t->attempts = (uint16_t)sqlite3_column_int(q, COLUMN_ATTEMPTS);
	if (sqlite3_column_type(q, COLUMN_RESULT) == SQLITE_BLOB)
		t->result = unpack_result(sqlite3_column_blob(q, COLUMN_RESULT), (size_t)sqlite3_column_bytes(q, COLUMN_RESULT));
	return t;
}

/* All rows of a statement whose parameters are bound. */
static int read_rows(struct store *s, enum statement which, struct task ***ret, size_t *ret_n)
{
	sqlite3_stmt *q = s->statement[which];
	size_t size = 0;
	int r;

	*ret = NULL;
	*ret_n = 0;
	while ((r = sqlite3_step(q)) == SQLITE_ROW) {
		if (*ret_n == size) {
			struct task **wider = realloc(*ret, (size = size ? size * 2 : 64) * sizeof(struct task *));

			if (!wider)
				break;
			*ret = wider;
		}
		(*ret)[*ret_n] = row_task(q);
		if (!(*ret)[*ret_n])
			break;
		(*ret_n)++;
	}
	(void)sqlite3_reset(q);
	return r == SQLITE_DONE ? SQLITE_OK : r == SQLITE_ROW ? SQLITE_NOMEM : r;
}

static int do_load(struct store *s, struct op *op)
{
	(void)sqlite3_bind_int64(s->statement[STATEMENT_LOAD], 1, (sqlite3_int64)op->id);
	(void)sqlite3_bind_int64(s->statement[STATEMENT_LOAD], 2, (sqlite3_int64)op->limit);
	return read_rows(s, STATEMENT_LOAD, &op->tasks, &op->n);
}

/* A result for tasks that have not begun, bound to WHICH from parameter FIRST on: state, time, result. */
static void *bind_end(struct store *s, enum statement which, int first, enum task_state state, const char *why)
{
	struct result result = { .state = state, .ended = clock_wall(), .why = why };
	size_t size;
	void *packed = pack_result(&result, &size);

	(void)sqlite3_bind_int(s->statement[which], first, (int)state);
	(void)sqlite3_bind_double(s->statement[which], first + 1, result.ended);
	(void)sqlite3_bind_blob(s->statement[which], first + 2, packed, packed ? (int)size : 0, SQLITE_STATIC);
	return packed;
}

static int do_cancel(struct store *s, struct op *op, enum statement which)
{
	void *packed = bind_end(s, which, 2, TASK_CANCELLED, NULL);
	int r = do_number(s, which, op->id, op);

	free(packed);
	return r;
}

static int lookup(struct store *s, struct op *op)
{
	(void)sqlite3_bind_int64(s->statement[STATEMENT_LOOKUP], 1, (sqlite3_int64)op->request->id);
	return read_rows(s, STATEMENT_LOOKUP, &op->request->tasks, &op->request->n_tasks);
}

static int do_change(struct store *s, struct op *op, enum statement which)
{
	int r = which == STATEMENT_CANCEL ? do_cancel(s, op, which) : do_number(s, which, op->id, op);

	if (!op->changed)
		op->request->error = -EBUSY;
	return r;
}

static int do_request(struct store *s, struct op *op)
{
	struct queue_request *q = op->request;
	int r;

	if (q->kind == REQUEST_LIST) {
		(void)sqlite3_bind_int64(s->statement[STATEMENT_LIST], 1, (sqlite3_int64)q->limit);
		r = read_rows(s, STATEMENT_LIST, &q->tasks, &q->n_tasks);
		q->more = q->n_tasks == q->limit;
		return r;
	}
	if (q->kind == REQUEST_CANCEL_ALL) {
		r = do_cancel(s, op, STATEMENT_CANCEL_ALL);
		q->n_tasks = 0;
		return r;
	}
	r = q->kind == REQUEST_CANCEL ? do_change(s, op, STATEMENT_CANCEL) :
	    q->kind == REQUEST_RETRY  ? do_change(s, op, STATEMENT_AGAIN) :
					SQLITE_OK;
	if (r == SQLITE_OK)
		r = lookup(s, op);
	if (r == SQLITE_OK && !q->n_tasks)
		q->error = -ENOENT;
	if (r == SQLITE_OK && (q->kind == REQUEST_FETCH || q->kind == REQUEST_FORGET) && q->n_tasks &&
	    task_ended(q->tasks[0]))
		r = do_number(s, STATEMENT_FORGET, op->id, op);
	return r;
}

/* Results that are older than they are kept. */
static int do_expire(struct store *s, struct op *op)
{
	int r;

	(void)sqlite3_bind_double(s->statement[STATEMENT_EXPIRE], 1, op->before);
	r = step(s, STATEMENT_EXPIRE);
	op->n = (size_t)sqlite3_changes(s->db);
	return r;
}

static int do_op(struct store *s, struct op *op)
{
	switch (op->kind) {
	case OP_SUBMIT:
		return do_submit(s, op);
	case OP_RESERVE:
		return do_number(s, STATEMENT_RESERVE, op->id, op);
	case OP_FINISH:
		return do_finish(s, op);
	case OP_CLAIM:
		return do_number(s, STATEMENT_CLAIM, op->id, op);
	case OP_FORGET:
		return do_number(s, STATEMENT_FORGET, op->id, op);
	case OP_TRIM:
		return do_number(s, STATEMENT_TRIM, op->limit, op);
	case OP_EXPIRE:
		return do_expire(s, op);
	case OP_LOAD:
		return do_load(s, op);
	case OP_REQUEST:
		return do_request(s, op);
	}
	return SQLITE_MISUSE;
}

/* Whatever an operation has read before its transaction failed. */
static void op_reset(struct op *op)
{
	struct queue_request *q = op->request;

	for (size_t i = 0; op->tasks && i < op->n; i++)
		task_free(op->tasks[i]);
	free(op->tasks);
	op->tasks = NULL;
	op->n = 0;
	for (size_t i = 0; q && q->tasks && i < q->n_tasks; i++)
		task_free(q->tasks[i]);
	if (q) {
		free(q->tasks);
		q->tasks = NULL;
		q->n_tasks = 0;
		q->error = 0;
	}
}

static int run_batch(struct store *s, struct op_list *batch, char *text, size_t size)
{
	int r = sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	struct op *op;

	STAILQ_FOREACH(op, batch, next)
		if (r == SQLITE_OK)
			r = do_op(s, op);
	if (r == SQLITE_OK)
		r = sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
	if (r == SQLITE_OK)
		return 0;
	(void)snprintf(text, size, "%s", sqlite3_errmsg(s->db));
	(void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	STAILQ_FOREACH(op, batch, next)
		op_reset(op);
	return r;
}

static void *thread_main(void *data)
{
	struct store *s = data;

	(void)pthread_mutex_lock(&s->lock);
	for (;;) {
		char text[256] = "";
		int r;

		while (!s->given && !s->quit)
			(void)pthread_cond_wait(&s->ready, &s->lock);
		if (!s->given)
			break;
		(void)pthread_mutex_unlock(&s->lock);
		r = run_batch(s, &s->batch, text, sizeof text);
		(void)pthread_mutex_lock(&s->lock);
		s->error = r;
		memcpy(s->text, text, sizeof s->text);
		s->given = false;
		s->finished = true;
		(void)pthread_cond_signal(&s->ready);
		ev_async_send(s->queue.pool->loop, &s->done);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- on the loop ---- */

static struct op *op_add(struct store *s, enum op_kind kind, uint64_t id)
{
	struct op *op = calloc(1, sizeof *op);

	if (!op)
		return NULL;
	op->kind = kind;
	op->id = id;
	STAILQ_INSERT_TAIL(&s->next, op, next);
	s->n_next++;
	return op;
}

static void store_submit(struct queue *queue, struct task *task)
{
	struct store *s = store_of(queue);
	struct op *op;

	if (s->last_id + 1 >= s->reserved) {
		s->reserved = s->last_id + ID_BLOCK;
		(void)op_add(s, OP_RESERVE, s->reserved + 1);
	}
	op = op_add(s, OP_SUBMIT, 0);
	if (!op) {
		pool_accepted(queue->pool, task, ENOMEM, NULL);
		return;
	}
	task->id = ++s->last_id;
	op->task = task;
}

static void store_want(struct queue *queue, size_t n)
{
	struct store *s = store_of(queue);
	struct op *op;

	if (!s->on_disk)
		return;
	op = op_add(s, OP_LOAD, s->cursor);
	if (op) {
		op->limit = n < LOAD_MAX ? n : LOAD_MAX;
		queue->pool->wanting = true;
	}
}

static void store_claim(struct queue *queue, struct task *task)
{
	struct op *op = op_add(store_of(queue), OP_CLAIM, task->id);

	if (op)
		op->task = task;
	else
		pool_claimed(queue->pool, task, false);
}

static void store_finish(struct queue *queue, struct task *task, const struct result *result)
{
	struct store *s = store_of(queue);
	struct op *op = op_add(s, OP_FINISH, task->id);

	if (op)
		op->result = result_copy(result);
	if (!op || !op->result) {
		/* Not recorded: it will run again. */
		if (op)
			op->kind = OP_FORGET;
		pool_recorded(queue->pool, task, result, true);
		return;
	}
	op->task = task;
}

static void store_release(struct queue *queue, struct task *task)
{
	(void)queue;
	(void)task;	/* its row says that it waits */
}

static void store_forget(struct queue *queue, uint64_t id)
{
	(void)op_add(store_of(queue), OP_FORGET, id);
}

static void store_ask(struct queue *queue, struct queue_request *request)
{
	struct store *s = store_of(queue);
	struct op *op = op_add(s, OP_REQUEST, request->kind == REQUEST_CANCEL_ALL ? s->cursor : request->id);

	if (!op) {
		request->error = -ENOMEM;
		request->done(request);
		return;
	}
	op->request = request;
}

static void give_batch(struct store *s)
{
	if (s->busy || s->paused || !s->threaded || STAILQ_EMPTY(&s->next))
		return;
	(void)pthread_mutex_lock(&s->lock);
	if (s->n_next <= BATCH_MAX) {
		STAILQ_CONCAT(&s->batch, &s->next);
		s->n_next = 0;
	} else {
		for (size_t i = 0; i < BATCH_MAX; i++) {
			struct op *op = STAILQ_FIRST(&s->next);

			STAILQ_REMOVE_HEAD(&s->next, next);
			STAILQ_INSERT_TAIL(&s->batch, op, next);
		}
		s->n_next -= BATCH_MAX;
	}
	s->given = true;
	s->busy = true;
	(void)pthread_cond_signal(&s->ready);
	(void)pthread_mutex_unlock(&s->lock);
}

static void store_turn(struct queue *queue)
{
	give_batch(store_of(queue));
}

/* ---- answers ---- */

/* TASK is on disk. In memory it goes only if none that waits on disk is before it. */
static void answer_submit(struct store *s, struct op *op)
{
	struct pool *pool = s->queue.pool;
	struct task *task = op->task;

	if (op->error) {
		pool_accepted(pool, task, EIO, s->text);
		return;
	}
	pool_accepted(pool, task, 0, NULL);
	if (task->priority || (!s->on_disk && pool->ready.n < DIRECT_MAX)) {
		if (!task->priority)
			s->cursor = task->id;
		pool_ready(pool, task);
		return;
	}
	s->on_disk++;
	pool_unload(pool, task);
}

static void answer_load(struct store *s, struct op *op)
{
	struct pool *pool = s->queue.pool;

	pool->wanting = false;
	s->on_disk -= op->n < s->on_disk ? op->n : s->on_disk;
	if (!op->n)
		s->on_disk = 0;
	for (size_t i = 0; i < op->n; i++) {
		struct task *task = task_table_find(&pool->tasks, op->tasks[i]->id);

		s->cursor = op->tasks[i]->id;
		if (task) {
			task_free(op->tasks[i]);
			if (task->recording || task->place != PLACE_NONE)
				continue;
		} else {
			task = op->tasks[i];
			if (task_table_add(&pool->tasks, task) < 0) {
				task_free(task);
				continue;
			}
		}
		pool_ready(pool, task);
	}
	free(op->tasks);
	op->tasks = NULL;
	op->n = 0;
}

static void answer_finish(struct store *s, struct op *op)
{
	s->kept += op->changed;
	pool_recorded(s->queue.pool, op->task, op->result, op->changed);
}

static void answer_request(struct store *s, struct op *op)
{
	struct pool *pool = s->queue.pool;
	struct queue_request *q = op->request;
	struct task *task;

	if ((q->kind == REQUEST_FETCH || q->kind == REQUEST_FORGET) && op->changed)
		s->kept--;
	if (q->kind == REQUEST_FORGET && !op->changed && !q->error)
		q->error = -EBUSY;
	if (q->kind == REQUEST_CANCEL_ALL) {
		s->on_disk = 0;
		s->kept += op->n;
	}
	if (q->kind == REQUEST_CANCEL && !q->error) {
		s->kept++;
		if (s->on_disk && q->id > s->cursor)
			s->on_disk--;
		/* A submitter may have it in memory, or it was loaded just before. */
		task = task_table_find(&pool->tasks, q->id);
		if (task && task->place == PLACE_NONE && !task->recording && q->n_tasks && q->tasks[0]->result)
			pool_delivered(pool, task, q->tasks[0]->result);
		else if (task)
			(void)pool_cancel(pool, q->id);
	}
	if (q->kind == REQUEST_RETRY && !q->error && q->n_tasks) {
		task = q->tasks[0];
		q->n_tasks = 0;
		s->kept--;
		task->retries = (uint16_t)(task->attempts + task->retries);
		if (task_key(task))
			(void)unique_set(pool->uniques, task_key(task), task->id);
		if (task_table_add(&pool->tasks, task) == 0)
			pool_ready(pool, task);
		else
			task_free(task);
	}
	q->done(q);
}

static void answer(struct store *s, struct op *op)
{
	switch (op->kind) {
	case OP_SUBMIT:
		answer_submit(s, op);
		break;
	case OP_FINISH:
		answer_finish(s, op);
		break;
	case OP_CLAIM:
		pool_claimed(s->queue.pool, op->task, op->changed);
		break;
	case OP_FORGET:
		if (op->changed && s->kept)
			s->kept--;
		break;
	case OP_TRIM:
	case OP_EXPIRE:
		s->trimming = s->trimming && op->kind != OP_TRIM;
		s->kept -= op->n < s->kept ? op->n : s->kept;
		op->n = 0;
		break;
	case OP_LOAD:
		answer_load(s, op);
		break;
	case OP_REQUEST:
		answer_request(s, op);
		break;
	case OP_RESERVE:
		break;
	}
}

static void op_free(struct op *op)
{
	free(op->result);
	free(op);
}

/* Too many results that nobody fetches. Those of open maps are counted too, but go at once. */
static void trim(struct store *s)
{
	unsigned long long most = (unsigned long long)s->queue.pool->settings.pool.keep_results;
	struct op *op;

	if (s->trimming || s->kept <= most + TRIM_STEP + s->n_next)
		return;
	op = op_add(s, OP_TRIM, 0);
	if (!op)
		return;
	op->limit = (size_t)(s->kept - most - s->n_next);
	s->trimming = true;
}

/* The transaction failed: submissions are refused, the rest is tried again after a moment. */
static void batch_failed(struct store *s, struct op_list *batch)
{
	struct op_list rest = STAILQ_HEAD_INITIALIZER(rest);
	char text[400];
	size_t n = 0;
	struct op *op;

	(void)snprintf(text, sizeof text, "queue %s: %s", s->queue.pool->settings.pool.queue, s->text);
	pool_trouble(s->queue.pool, text);
	while ((op = STAILQ_FIRST(batch))) {
		STAILQ_REMOVE_HEAD(batch, next);
		if (op->kind != OP_SUBMIT) {
			STAILQ_INSERT_TAIL(&rest, op, next);
			n++;
			continue;
		}
		op->error = EIO;
		answer(s, op);
		op_free(op);
	}
	STAILQ_CONCAT(&rest, &s->next);
	STAILQ_CONCAT(&s->next, &rest);
	s->n_next += n;
	s->paused = true;
	ev_timer_set(&s->again, retry_pause, 0);
	ev_timer_start(s->queue.pool->loop, &s->again);
}

static void batch_done(struct ev_loop *loop, ev_async *async, int events)
{
	struct store *s = async->data;
	struct op_list batch = STAILQ_HEAD_INITIALIZER(batch);
	struct op *op;
	int error;

	(void)loop;
	(void)events;
	(void)pthread_mutex_lock(&s->lock);
	if (!s->finished) {
		(void)pthread_mutex_unlock(&s->lock);
		return;
	}
	STAILQ_CONCAT(&batch, &s->batch);
	s->finished = false;
	error = s->error;
	(void)pthread_mutex_unlock(&s->lock);
	s->busy = false;
	if (error) {
		batch_failed(s, &batch);
		return;
	}
	pool_trouble(s->queue.pool, NULL);
	/* The thread has work again while we go through the answers. */
	give_batch(s);
	while ((op = STAILQ_FIRST(&batch))) {
		STAILQ_REMOVE_HEAD(&batch, next);
		answer(s, op);
		op_free(op);
	}
	trim(s);
}

static void try_again(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct store *s = timer->data;

	(void)loop;
	(void)events;
	s->paused = false;
	give_batch(s);
}

/* Now and then: the file is looked through for it. */
static void expire(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct store *s = timer->data;
	double age = s->queue.pool->settings.pool.keep_time;
	struct op *op = op_add(s, OP_EXPIRE, 0);

	(void)events;
	if (op)
		op->before = ev_now(loop) - age;
	give_batch(s);
	timer->repeat = age / 4 < 1 ? 1 : age / 4 < expire_pause ? age / 4 : expire_pause;
	ev_timer_again(loop, timer);
}

static void store_count(struct queue *queue, struct queue_counts *ret)
{
	struct store *s = store_of(queue);

	ret->queued = s->on_disk;
	ret->kept = s->kept;
}

/* ---- open and close ---- */

static int open_error(struct store *s, const char *path, struct error *err)
{
	int code = sqlite3_extended_errcode(s->db) & 0xff;

	return error_set(err, code == SQLITE_BUSY || code == SQLITE_LOCKED ? EBUSY : EIO, "queue %s: %s%s", path, sqlite3_errmsg(s->db),
			 code == SQLITE_BUSY || code == SQLITE_LOCKED ? "; is another pool using this file?" : "");
}

static int prepare(struct store *s, const char *path, struct error *err)
{
#define X(name, text) text,
	static const char *const texts[] = { STATEMENTS(X) };
#undef X

	for (size_t i = 0; i < N_STATEMENTS; i++)
		if (sqlite3_prepare_v3(s->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &s->statement[i], NULL) != SQLITE_OK)
			return open_error(s, path, err);
	return 0;
}

/* What the file holds from before. Runs before the thread does. */
static int recover(struct store *s, const char *path, struct error *err)
{
	struct pool *pool = s->queue.pool;
	void *packed = bind_end(s, STATEMENT_LOST, 1, TASK_LOST, "the pool ended while the task ran, and it may run once only");
	int r = step(s, STATEMENT_LOST);
	struct task **tasks;
	size_t n;

	free(packed);
	if (r != SQLITE_OK || sqlite3_step(s->statement[STATEMENT_COUNT]) != SQLITE_ROW)
		return open_error(s, path, err);
	s->on_disk = (unsigned long long)sqlite3_column_int64(s->statement[STATEMENT_COUNT], 0);
	s->kept = (unsigned long long)sqlite3_column_int64(s->statement[STATEMENT_COUNT], 1);
	(void)sqlite3_reset(s->statement[STATEMENT_COUNT]);
	if (sqlite3_step(s->statement[STATEMENT_NEXT_ID]) != SQLITE_ROW)
		return open_error(s, path, err);
	s->reserved = s->last_id = (uint64_t)sqlite3_column_int64(s->statement[STATEMENT_NEXT_ID], 0) - 1;
	(void)sqlite3_reset(s->statement[STATEMENT_NEXT_ID]);
	while (sqlite3_step(s->statement[STATEMENT_UNIQUE_KEYS]) == SQLITE_ROW)
		(void)unique_set(pool->uniques, (const char *)sqlite3_column_text(s->statement[STATEMENT_UNIQUE_KEYS], 1),
				 (uint64_t)sqlite3_column_int64(s->statement[STATEMENT_UNIQUE_KEYS], 0));
	(void)sqlite3_reset(s->statement[STATEMENT_UNIQUE_KEYS]);
	if (read_rows(s, STATEMENT_LOAD_PRIORITY, &tasks, &n) != SQLITE_OK)
		return open_error(s, path, err);
	for (size_t i = 0; i < n; i++) {
		s->on_disk--;
		if (task_table_add(&pool->tasks, tasks[i]) == 0)
			pool_ready(pool, tasks[i]);
	}
	free(tasks);
	return 0;
}

static int start_thread(struct store *s, struct error *err)
{
	sigset_t all, old;
	int r;

	/* Signals are the loop's. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&s->thread, NULL, thread_main, s);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r)
		return error_set(err, r, "cannot start a thread: %s", errno_name(r));
	s->threaded = true;
	return 0;
}

static void store_close(struct queue *queue);

static int store_open(struct pool *pool, const char *url, struct queue **ret, struct error *err)
{
	const char *path = strchr(url, ':') + 1;
	struct store *s = calloc(1, sizeof *s);
	int r = 0;

	if (!s)
		return error_set(err, ENOMEM, "out of memory");
	s->queue.ops = &queue_sqlite;
	s->queue.pool = pool;
	STAILQ_INIT(&s->next);
	STAILQ_INIT(&s->batch);
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_cond_init(&s->ready, NULL);
	ev_async_init(&s->done, batch_done);
	ev_timer_init(&s->again, try_again, 0, 0);
	ev_timer_init(&s->expire, expire, 1, 0);
	s->done.data = s->again.data = s->expire.data = s;
	ev_async_start(pool->loop, &s->done);
	ev_timer_start(pool->loop, &s->expire);
	if (sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		r = open_error(s, path, err);
	if (r == 0)
		(void)sqlite3_busy_timeout(s->db, 2000);
	if (r == 0 && sqlite3_exec(s->db, schema, NULL, NULL, NULL) != SQLITE_OK)
		r = open_error(s, path, err);
	if (r == 0)
		r = prepare(s, path, err);
	if (r == 0)
		r = recover(s, path, err);
	if (r == 0)
		r = start_thread(s, err);
	if (r < 0) {
		store_close(&s->queue);
		return r;
	}
	*ret = &s->queue;
	return 0;
}

static void end_thread(struct store *s)
{
	(void)pthread_mutex_lock(&s->lock);
	while (s->given)
		(void)pthread_cond_wait(&s->ready, &s->lock);
	s->quit = true;
	(void)pthread_cond_signal(&s->ready);
	(void)pthread_mutex_unlock(&s->lock);
	(void)pthread_join(s->thread, NULL);
	s->threaded = false;
}

/* OP will not be carried out. */
static void refuse(struct store *s, struct op *op)
{
	op_reset(op);
	if (op->kind == OP_SUBMIT)
		pool_accepted(s->queue.pool, op->task, EIO, s->text);
	if (op->request) {
		op->request->error = -EIO;
		op->request->done(op->request);
	}
	op_free(op);
}

/* What was asked for last is carried out here, and answered; an answer may ask for more. */
static void finish_work(struct store *s)
{
	struct op *op;
	int rounds = 0;

	end_thread(s);
	if (s->finished)
		batch_done(s->queue.pool->loop, &s->done, 0);
	while (!STAILQ_EMPTY(&s->next) && rounds++ < 4) {
		STAILQ_CONCAT(&s->batch, &s->next);
		s->n_next = 0;
		s->finished = true;
		s->error = run_batch(s, &s->batch, s->text, sizeof s->text);
		batch_done(s->queue.pool->loop, &s->done, 0);
	}
	while ((op = STAILQ_FIRST(&s->next))) {
		STAILQ_REMOVE_HEAD(&s->next, next);
		refuse(s, op);
	}
}

static void store_close(struct queue *queue)
{
	struct store *s = store_of(queue);

	if (s->threaded)
		finish_work(s);
	ev_async_stop(queue->pool->loop, &s->done);
	ev_timer_stop(queue->pool->loop, &s->again);
	ev_timer_stop(queue->pool->loop, &s->expire);
	for (size_t i = 0; i < N_STATEMENTS; i++)
		(void)sqlite3_finalize(s->statement[i]);
	(void)sqlite3_close(s->db);
	(void)pthread_mutex_destroy(&s->lock);
	(void)pthread_cond_destroy(&s->ready);
	free(s);
}

const struct queue_ops queue_sqlite = {
	.name = "sqlite",
	.keeps = true,
	.durable = true,
	.open = store_open,
	.close = store_close,
	.submit = store_submit,
	.want = store_want,
	.claim = store_claim,
	.finish = store_finish,
	.release = store_release,
	.forget = store_forget,
	.ask = store_ask,
	.turn = store_turn,
	.count = store_count,
};
