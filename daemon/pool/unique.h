/* The keys of unfinished tasks that were submitted with one: which task has a key. */
#ifndef REEVE_POOL_UNIQUE_H
#define REEVE_POOL_UNIQUE_H

#include <stdint.h>

struct unique;

struct unique *unique_new(void);
void unique_free(struct unique *unique);	/* Accepts NULL. */
/* 0: nobody has it. ID 0 in a found entry (task on its way to the queue) is told as UINT64_MAX. */
uint64_t unique_find(const struct unique *unique, const char *key);
/* Take KEY for ID (0: not yet known), or tell its id. 0 or -ENOMEM. */
int unique_set(struct unique *unique, const char *key, uint64_t id);
void unique_drop(struct unique *unique, const char *key);

#endif
