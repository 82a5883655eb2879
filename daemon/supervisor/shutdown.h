/*
 * The end, in order: groups by descending priority, one at a time, then leftovers; or the same and a fresh start (supervisord's
 * restart). It begins with supervisor_shutdown() (supervisor.h).
 */
#ifndef REEVE_SHUTDOWN_H
#define REEVE_SHUTDOWN_H

#include "supervisor.h"

/* P's timer is over. During a shutdown it is not started again, but stays down: true; else false, and nothing is done. */
bool shutdown_instead(struct process *p);
/* Go on with the shutdown under way, if there is one: called whenever a state has changed. */
void shutdown_step(struct supervisor *s);
/*
 * exit_with and on_fatal: P has come to rest; is that the end of the daemon? Then the shutdown begins, and the daemon's exit status will be
 * P's: its own, 128 + N for signal N, never 0 for a FATAL one.
 */
void shutdown_after(const struct process *p);
/* The same for all processes: after a succession or a change of the configuration. */
void shutdown_look(struct supervisor *s);
void shutdown_free(struct supervisor *s);

#endif
