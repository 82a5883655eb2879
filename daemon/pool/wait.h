/* Calls that wait: for tasks, and for the pool as a whole. A caller that leaves is forgotten; what it waited for goes on. */
#ifndef REEVE_POOL_WAIT_H
#define REEVE_POOL_WAIT_H

#include "pool.h"
#include "varlink/varlink.h"

struct waits;

enum wait_kind {
	WAIT_RESULT,			/* one task, with output; then it may be forgotten */
	WAIT_RESULT_KEEP,
	WAIT_ALL,			/* all of them, without output */
};

enum pool_wait { WAIT_DRAINED, WAIT_JOINED, WAIT_TERMINATED };

struct waits *waits_new(struct pool *pool);
void waits_free(struct waits *waits);	/* Accepts NULL. */

/* Answer CALL when the tasks have ended, or after TIMEOUT seconds (negative: for ever). */
void waits_add(struct waits *waits, struct varlink_call *call, const uint64_t *ids, size_t n, double timeout,
	       enum wait_kind kind);
/* True: somebody took the result for good. */
bool waits_ended(struct waits *waits, const struct task *task, const struct result *result);
/* Ask the queue again for all tasks that are not in memory. */
void waits_look(struct waits *waits);
/* COUNT is what Terminate answers. */
void waits_pool(struct waits *waits, struct varlink_call *call, enum pool_wait kind, double timeout, size_t count);
/* A turn ends: has the pool become what calls wait for? */
void waits_check(struct waits *waits);

/* In control.c. */
void control_error(struct varlink_call *call, const char *name, const char *text);

#endif
