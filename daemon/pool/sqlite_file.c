/*
 * See sqlite_parts.h. One row is one task; an ended one holds its result.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sqlite_parts.h"
#include "unique.h"

/* Values in the column `state`: waiting, marked as begun, and enum task_state for ended ones. */
enum { ROW_WAITING = 0, ROW_CLAIMED = 1 };

enum { COLUMN_ID, COLUMN_STATE, COLUMN_PRIORITY, COLUMN_SUBMITTED, COLUMN_RETRIES, COLUMN_TIMEOUT, COLUMN_BARE, COLUMN_KEY,
       COLUMN_WORDS, COLUMN_ATTEMPTS, COLUMN_RESULT };

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

/* ---- one operation each ---- */

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

void sqlite_op_reset(struct op *op)
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

int sqlite_run(struct store *s, struct op_list *batch, char *text, size_t size)
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
		sqlite_op_reset(op);
	return r;
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

int sqlite_file_open(struct store *s, const char *path, struct error *err)
{
	int r;

	if (sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return open_error(s, path, err);
	(void)sqlite3_busy_timeout(s->db, 2000);
	if (sqlite3_exec(s->db, schema, NULL, NULL, NULL) != SQLITE_OK)
		return open_error(s, path, err);
	r = prepare(s, path, err);
	return r < 0 ? r : recover(s, path, err);
}

void sqlite_file_close(struct store *s)
{
	for (size_t i = 0; i < N_STATEMENTS; i++)
		(void)sqlite3_finalize(s->statement[i]);
	(void)sqlite3_close(s->db);
}
