/*
 * Transient programs (the method Run): a program that is in no file, under the same supervision. Its configuration is a generation of its
 * own, so a successor of ours knows it too; `update` leaves it alone; it goes with `remove`, or when a client has waited for its end.
 */
#ifndef REEVE_CONTROL_RUN_H
#define REEVE_CONTROL_RUN_H

#include "../supervisor.h"

/* Answer the clients whose programs have ended. */
void runs_step(struct supervisor *s);
void runs_free(struct supervisor *s);

#endif
