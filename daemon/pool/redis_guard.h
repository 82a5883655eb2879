/*
 * hiredis takes what a server may send for granted, and aborts when it sends something else: an answer that nobody has asked for, a message
 * of a subscription without its parts. The guard stands where replies are made, and turns those into an error that ends the connection.
 */
#ifndef REEVE_POOL_REDIS_GUARD_H
#define REEVE_POOL_REDIS_GUARD_H

#include <hiredis/async.h>

/* For a context that has just been made. A refused reply is its error "Out of memory", hiredis has no other for that. */
void redis_guard(struct redisAsyncContext *context);

#endif
