/*
 * Calls about tasks by their ids, and lists: what is in memory is answered from there, the rest is asked of the queue, and the call is
 * answered when all is known.
 */
#ifndef REEVE_POOL_QUESTIONS_H
#define REEVE_POOL_QUESTIONS_H

#include "wait.h"

enum { LIST_MAX = 2000 };		/* tasks in one list */

void question_cancel(struct pool *pool, struct waits *waits, struct varlink_call *call, const uint64_t *ids, size_t n);
void question_retry(struct pool *pool, struct waits *waits, struct varlink_call *call, const uint64_t *ids, size_t n);
void question_forget(struct pool *pool, struct waits *waits, struct varlink_call *call, const uint64_t *ids, size_t n);
/* Up to LIMIT tasks in one of STATES (an array of names, or NULL: all). */
void question_list(struct pool *pool, struct waits *waits, struct varlink_call *call, json_t *states, size_t limit);

#endif
