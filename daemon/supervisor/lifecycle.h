/*
 * The life of one process as a pure function: state, event and time in, next state, action and timer out. No clock, no system
 * call, no log, no pointer to anything but the process's own data and its configuration.
 *
 * The states are supervisord's, with its numbers:
 *
 *   STOPPED   not running, and not meant to be (or never started)
 *   STARTING  spawned, not yet up for startsecs
 *   RUNNING   up
 *   BACKOFF   died before startsecs, could not be started, or we were short of a resource; waits for its next try.
 *             To clients it counts as running: start says "already started", stop succeeds at once
 *   STOPPING  asked to exit; killed after stopwaitsecs, and again every stopwaitsecs
 *   EXITED    ended after having been RUNNING; started again at once if autorestart says so
 *   FATAL     died too early startretries + 1 times in a row; waits for a start command
 *   UNKNOWN   could not be signalled: nobody knows what it does
 *
 * startsecs = 0: RUNNING as soon as it is spawned, so an exit is never "too quickly"; a short pause keeps such a program
 * with autorestart from taking the whole machine. A shortage of ours (fork: EAGAIN, ENOMEM; descriptors) is not the program's
 * fault: it is tried again, later and later, without using up startretries and never ends in FATAL.
 * A run is over when its whole tree is: what outlives the main process keeps it in STOPPING until all have ended, and a
 * next run begins (STARTING, `clearing`) with ending what the last one left behind. See tree.h.
 * A timer belongs to the epoch in which it was set; every transition begins a new one, so a late timer is void.
 */
#ifndef REEVE_LIFECYCLE_H
#define REEVE_LIFECYCLE_H

#include <stdbool.h>
#include <stdint.h>

#include "process/exit_status.h"

#define PROCESS_STATES(X)                                                                                              \
	X(STOPPED, 0)                                                                                                  \
	X(STARTING, 10)                                                                                                \
	X(RUNNING, 20)                                                                                                 \
	X(BACKOFF, 30)                                                                                                 \
	X(STOPPING, 40)                                                                                                \
	X(EXITED, 100)                                                                                                 \
	X(FATAL, 200)                                                                                                  \
	X(UNKNOWN, 1000)

#define X(name, number) STATE_##name = number,
enum process_state { PROCESS_STATES(X) };
#undef X

const char *process_state_name(enum process_state state);

#define LIFECYCLE_EVENTS(X)                                                                                            \
	X(START)	/* somebody or something wants it up */                                                        \
	X(STOP)		/* somebody or something wants it down */                                                      \
	X(SHUTDOWN)	/* the daemon ends: as STOP, but nothing waits for a next try */                               \
	X(EXIT)		/* it has ended; lifecycle.exit says how */                                                    \
	X(NO_START)	/* it could not even be spawned: its own fault (a command that cannot be parsed) */            \
	X(SHORTAGE)	/* it could not be spawned: our shortage */                                                    \
	X(TIMEOUT)	/* the timer of this epoch */                                                                  \
	X(KILL_FAILED)	/* a signal could not be sent, and not because it is gone */				\
	X(EMPTY)	/* nothing of the tree is left */

#define X(name) EVENT_##name,
enum lifecycle_event { EVENT_NONE, LIFECYCLE_EVENTS(X) };
#undef X

enum lifecycle_action {
	DO_NOTHING,
	DO_SPAWN,
	DO_STOP,			/* stop signal */
	DO_KILL,			/* SIGKILL */
	DO_STOP_TREE,			/* stop signal to what the main process left behind */
	DO_KILL_TREE,			/* SIGKILL to all of it */
};

/* What the rules depend on; from the configuration. */
struct lifecycle_policy {
	double startsecs, stopwaitsecs;
	unsigned startretries;
	bool restart_expected, restart_unexpected;	/* autorestart */
	bool kill_leftovers;		/* leftovers=kill: no stop signal for them */
	bool (*expected)(int exit_code, const void *data);	/* exitcodes */
	const void *data;
};

/* Plain data: it lies in the state file and outlives the supervisor. Times are CLOCK_MONOTONIC seconds. */
struct lifecycle {
	int32_t state;			/* enum process_state */
	uint32_t epoch;
	uint32_t run;			/* spawns so far, also failed ones */
	uint32_t backoff;		/* early deaths in a row */
	uint32_t shortages;		/* shortages in a row */
	uint32_t restarts;		/* spawns that nobody asked for */
	uint8_t wanted;			/* desired state: up */
	uint8_t killing;		/* SIGKILL has been sent */
	uint8_t spawned;		/* this run has, or had, a pid */
	uint8_t ended;			/* `exit` holds the end of the last run */
	uint8_t leftovers;		/* something outlives the main process and is to be ended; found out before each event */
	uint8_t clearing;		/* STARTING: the last run's leftovers are being ended first */
	double since;			/* when this state was entered */
	double started;			/* last spawn */
	double deadline;		/* when the timer fires; 0: none */
	struct exit_status exit;
	uint8_t reserve[40];		/* see state_file.h */
};

struct lifecycle_step {
	enum process_state next;
	enum lifecycle_action action;	/* at most one thing to do */
	double after;			/* seconds until TIMEOUT; negative: no timer */
	bool clearing;			/* enter it with lifecycle.clearing */
	bool enter;			/* a transition (also into the same state); false: the event changes nothing */
	bool through_running;		/* it stayed up long enough but its timer had not fired: pass RUNNING on the way to EXITED */
	bool unexpected;		/* EXITED: the exit code was none of exitcodes */
};

/* What follows from EVENT at time NOW. */
struct lifecycle_step lifecycle_step(const struct lifecycle *life, const struct lifecycle_policy *policy,
				     enum lifecycle_event event, double now);

/* Enter the state of STEP: the only writer of state, counters and deadline. */
void lifecycle_enter(struct lifecycle *life, const struct lifecycle_step *step, enum lifecycle_event event, double now);

/* supervisord's classes of states. */
bool process_state_is_running(enum process_state state);	/* STARTING, RUNNING, BACKOFF */
bool process_state_is_stopped(enum process_state state);	/* STOPPED, EXITED, FATAL, UNKNOWN */
bool process_state_is_signallable(enum process_state state);	/* STARTING, RUNNING, STOPPING */

#endif
