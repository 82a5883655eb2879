/* Updates under way: like operations, they go on without their client. */
#ifndef REEVE_CONTROL_UPDATE_H
#define REEVE_CONTROL_UPDATE_H

#include "../supervisor.h"

void updates_step(struct supervisor *s);
/* NAME and FD as the keeper stored them; true if it was an update under way (FD is then taken), which goes on. Part of the take-over,
   after the groups. */
bool update_adopt(struct supervisor *s, const char *name, int fd);
void updates_free(struct supervisor *s);

#endif
