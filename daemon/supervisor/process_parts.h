/*
 * Inside of a process, for process*.c alone.
 *
 *   process.c        the machine: decide, write down, act; and its beginning and end
 *   process_start.c  a start: from the configuration to a child that runs
 *   process_words.c  what people, the log and events are told
 *   process_find.c   by pid and by name
 */
#ifndef REEVE_PROCESS_PARTS_H
#define REEVE_PROCESS_PARTS_H

#include "process.h"

/* ---- process_start.c ---- */

/*
 * Start it. Before: the record says that a run with number N begins, with no pid; the kernel then writes the pid. So a successor that
 * finds STARTING and a pid knows that the child exists, and one that finds none knows that it never did. EVENT_NONE, or the event that it
 * could not be started, with CAUSE completed.
 */
enum lifecycle_event process_start(struct process *p, struct cause *cause);
/* The child has ended before it became the program. The event that this is, with CAUSE completed. */
enum lifecycle_event process_start_ended(struct process *p, struct cause *cause);

static inline bool process_start_failed(const struct process *p)
{
	return p->record->failure.stage != SPAWN_NONE;
}

/* ---- process_words.c ---- */

/* The quote for TEXT as Python's repr has it: double if it holds single ones only. */
const char *process_quote(const char *text);
/* What the child could not do. Returns BUFFER. */
char *process_failure(const struct process *p, char *buffer, size_t size);
bool process_exit_expected(int code, const void *conf);
/* The event of a transition. */
void process_publish(struct process *p, enum process_state from, enum process_state to, bool expected);
/* supervisord's line for this transition, where it has one. */
void process_announce(const struct process *p, enum lifecycle_event event, const struct lifecycle_step *step);

/* ---- process_find.c ---- */

/* Its record has a pid. */
void process_add_pid(struct process *p);
void process_remove_pid(struct process *p);
void process_add_name(struct process *p);
void process_remove_name(struct process *p);

#endif
