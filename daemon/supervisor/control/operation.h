/*
 * Long commands: start, stop, restart and wait go on without their client, and are looked at again whenever a state has changed.
 */
#ifndef REEVE_CONTROL_OPERATION_H
#define REEVE_CONTROL_OPERATION_H

#include "../supervisor.h"

/* Look at all open operations; answers what has settled. */
void operations_step(struct supervisor *s);
void operations_free(struct supervisor *s);

#endif
