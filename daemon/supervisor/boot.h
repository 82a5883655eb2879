/*
 * How a supervisor comes to its state: made new on the first start, taken over from what the keeper holds on every other.
 */
#ifndef REEVE_BOOT_H
#define REEVE_BOOT_H

#include "supervisor.h"

/* Everything up to the loop. 0, or -errno with ERR. */
int boot(struct supervisor *s, struct error *err);
/* Two parts of it, for a rehearsal: the kept configurations, and the groups that the state tells of, by these. */
struct estate;
int boot_generations(struct supervisor *s, struct estate *e, struct error *err);
int boot_groups(struct supervisor *s, struct error *err);
/* Directories and variables that we find ourselves in. 0 or -ENOMEM. */
int boot_surroundings(struct supervisor *s);

/* After a reload has stopped everything: go on with CONFIG (taken; NULL: ERR says why there is none, and the old one stays), make the groups,
   start what has autostart. */
void boot_afresh(struct supervisor *s, struct config *config, const struct error *err);
/* Free what boot() made; what the keeper holds stays. */
void boot_undo(struct supervisor *s);

#endif
