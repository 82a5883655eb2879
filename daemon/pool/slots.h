/* Places of workers: who may take a task now, starts, failed starts, replacement, more and fewer. Part of the pool. */
#ifndef REEVE_POOL_SLOTS_H
#define REEVE_POOL_SLOTS_H

#include "pool.h"

/* As many slots as the settings say, with their workers started where they live long. */
void slots_adjust(struct pool *pool);
/* No more tasks for anybody: workers end when they have answered. */
void slots_finish(struct pool *pool);
/* Kill all workers; what they have ends as VERDICT. NOW: without asking first. */
void slots_kill(struct pool *pool, enum task_state verdict, bool now);
/* Forget failed starts and try again. */
void slots_revive(struct pool *pool);
void slots_free(struct pool *pool);

/* May a task be handed out? The first hungry slot, or NULL. */
struct slot *slots_hungry(struct pool *pool);
/* Give SLOT tasks, TASK being the first; more come from pool_next_task(). */
void slot_feed(struct slot *slot, struct task *task);
/* How many tasks all hungry slots together could take. */
size_t slots_appetite(const struct pool *pool);

/* The task that is to start next (removed from where it waited), or NULL. In pool_dispatch.c. */
struct task *pool_next_task(struct pool *pool);
/* The same, but only if it belongs to the same chunk as TASK. */
struct task *pool_next_of_chunk(struct pool *pool, const struct job *job, uint32_t chunk);

#endif
