/*
 * Which events a list of subscriptions means. Types form a tree by their names: PROCESS_STATE stands for PROCESS_STATE_RUNNING and
 * its siblings, EVENT for everything.
 */
#ifndef REEVE_LISTENER_SUBSCRIPTION_H
#define REEVE_LISTENER_SUBSCRIPTION_H

#include <stddef.h>

/* How many of SUBSCRIPTIONS (NULL-terminated, upper case) mean TYPE: as often an event is offered. */
size_t subscription_count(char *const *subscriptions, const char *type);

#endif
