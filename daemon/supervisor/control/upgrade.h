/*
 * An upgrade: the other executable rehearses the take-over; if it can have every process, the keeper is told to replace us by it. What
 * comes then, and the way back, is the keeper's.
 */
#ifndef REEVE_CONTROL_UPGRADE_H
#define REEVE_CONTROL_UPGRADE_H

#include "../supervisor.h"

/* The keeper says that PID has ended; true if it was a rehearsal. */
bool upgrade_exited(struct supervisor *s, pid_t pid, const struct exit_status *status);
/* Give up what is under way. */
void upgrade_free(struct supervisor *s);

#endif
