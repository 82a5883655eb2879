/*
 * A task and its result. Up to a million tasks wait at once, so a waiting task is one small block with its words behind it; what
 * only a running task needs lies with its worker, and a result is kept only where somebody will ask for it.
 */
#ifndef REEVE_POOL_TASK_H
#define REEVE_POOL_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "wire/bulk.h"

struct job;
struct submission;

/* How a task ended. Borrowed pointers in flight; task_keep_result() makes an owned copy. */
struct result {
	enum task_state state;
	int exit;			/* 0..255, -N: signal N */
	bool truncated_out, truncated_err;
	unsigned attempts;
	unsigned slot;
	int pid;
	double started, ended;		/* unix time */
	float user_time, system_time;	/* seconds; exec mode only */
	uint32_t max_rss;		/* KiB; exec mode only */
	const char *out, *err, *why;	/* why: a sentence, or NULL */
	size_t out_length, err_length;
};

/* Which list a task is in. */
enum place { PLACE_NONE, PLACE_READY, PLACE_CLAIMING, PLACE_CLAIMED, PLACE_DELAYED, PLACE_PARKED, PLACE_WORKER, PLACE_KEPT };

struct task {
	TAILQ_ENTRY(task) link;		/* of its place */
	union {
		struct task *hash_next;	/* task_table: with an id */
		struct submission *submission;	/* without: who asked, or NULL; borrowed */
	};
	struct job *job;		/* who gets the result, or NULL; borrowed */
	struct result *result;		/* TASK_DONE and later, where it is kept: owned, one block */
	uint64_t id;			/* 0: none yet */
	uint64_t index;			/* within its job; for Redis the token of a submission */
	double submitted;		/* unix time; while delayed: when it may run (monotonic) */
	uint32_t length;		/* bytes of words */
	float timeout;			/* seconds; 0: none */
	int16_t priority;
	uint8_t state;			/* enum task_state */
	unsigned place : 3;		/* enum place */
	bool bare : 1;			/* no word at all */
	bool cancel : 1;		/* asked for; takes effect at the next step */
	bool recording : 1;		/* its result is on its way to the queue */
	bool unique : 1;		/* its key stands behind its words, with a NUL */
	bool remote : 1;		/* an entry of a shared queue that is run here, perhaps for another pool */
	uint16_t attempts;		/* started so often */
	uint16_t retries;		/* further attempts that it may have */
	uint32_t chunk;			/* tasks of one job with the same number stay on one worker; 0: none */
	char words[];			/* NUL between words; not terminated; then the unique key */
};

TAILQ_HEAD(task_list, task);

/* KEY may be NULL. */
struct task *task_new(const char *words, size_t length, bool bare, const char *key);
/* Its unique key, or NULL. */
static inline const char *task_key(const struct task *task)
{
	return task->unique ? task->words + task->length : NULL;
}
void task_free(struct task *task);

/* "ended": nothing more happens to it but being fetched. */
static inline bool task_ended(const struct task *task)
{
	return task->state >= TASK_DONE;
}

/* 0 or -ENOMEM (then it has no result). */
int task_keep_result(struct task *task, const struct result *result);
/* One malloc'd block with everything RESULT points to. */
struct result *result_copy(const struct result *result);

size_t task_words(const struct task *task);
/* The words as pointers into BUFFER (a copy with terminating NULs); NULL-terminated; free() releases all. NULL: no memory. */
char **task_split(const struct task *task, size_t *ret_n);

/* ---- finding a task by its id ---- */

struct task_table {
	struct task **bucket;
	size_t size;			/* a power of two, or 0 */
	size_t n;
};

int task_table_add(struct task_table *table, struct task *task);
struct task *task_table_find(const struct task_table *table, uint64_t id);
void task_table_remove(struct task_table *table, struct task *task);
void task_table_free(struct task_table *table);	/* not the tasks */

/* ---- tasks that may run: by priority, then in the order of arrival ---- */

struct ready {
	struct ready_level {
		int priority;
		size_t n;
		struct task_list tasks;
	} *levels;			/* highest priority first */
	size_t n_levels;
	size_t n;			/* tasks in all */
};

int ready_init(struct ready *ready);	/* 0 or -ENOMEM; one level is there from then on */
int ready_push(struct ready *ready, struct task *task);
int ready_push_front(struct ready *ready, struct task *task);	/* before all others of its priority */
struct task *ready_first(const struct ready *ready);		/* NULL: none */
void ready_remove(struct ready *ready, struct task *task);
size_t ready_at_least(const struct ready *ready, int priority);	/* tasks of this priority and higher ones */
void ready_free(struct ready *ready);

#endif
