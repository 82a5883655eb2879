/*
 * Event listener pools: a group of [eventlistener:x] shares one queue of events; each event goes to the first of its processes
 * that is RUNNING and READY. The logger, which reads a listener's stdout like any other, hands us what it says; events go to its
 * stdin. Queue, serial numbers and the state of each listener survive the supervisor (journal.h).
 */
#ifndef REEVE_LISTENER_POOL_H
#define REEVE_LISTENER_POOL_H

#include <jansson.h>

#include "../group.h"

struct listener_pool;

/* The pool of GROUP (which owns it); subscribes to the events. NULL: out of memory. */
struct listener_pool *listener_pool_new(struct group *group);
/* FORGET: the keeper drops the journal too. Accepts NULL. */
void listener_pool_free(struct listener_pool *pool, bool forget);
/* The journal that a predecessor left (descriptor stolen), before anything else happens to a new pool. */
void listener_pool_adopt(struct listener_pool *pool, int fd);
/* After its processes have been resumed: what was being sent when the predecessor died. */
void listener_pool_resume(struct listener_pool *pool);

/* What happens to a process; each does nothing for one that is no listener. */
void listener_started(struct process *p);
void listener_ended(struct process *p);
void listener_removed(struct process *p);
/* It said DATA on stdout while it was PID; SEQUENCE is the logger's number of this piece. */
void listener_said(struct process *p, pid_t pid, uint64_t sequence, const char *data, size_t length);

/* Hand out what can be handed out. */
void listeners_step(struct supervisor *s);
/* The logger has answered the flush with COOKIE; or there is a new logger, which knows of no flush. */
void listeners_flushed(struct supervisor *s, const char *cookie);
void listeners_ask_again(struct supervisor *s);

/* {state, queued, dropped, delivered, rejected} or NULL: no listener. */
json_t *listener_json(const struct process *p);

#endif
