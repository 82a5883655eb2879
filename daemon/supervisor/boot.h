/*
 * How a supervisor comes to its state: made new on the first start, taken over from what the keeper holds on every other.
 */
#ifndef REEVE_BOOT_H
#define REEVE_BOOT_H

#include "supervisor.h"

/* Everything up to the loop. 0, or -errno with ERR. */
int boot(struct supervisor *s, struct error *err);
/* After a reload has stopped everything: read the files, make the groups, start what has autostart. */
void boot_afresh(struct supervisor *s);
/* Free what boot() made; what the keeper holds stays. */
void boot_undo(struct supervisor *s);

#endif
