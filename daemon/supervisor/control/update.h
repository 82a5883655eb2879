/* Updates under way: like operations, they go on without their client. */
#ifndef REEVE_CONTROL_UPDATE_H
#define REEVE_CONTROL_UPDATE_H

#include "../supervisor.h"
#include "varlink/varlink.h"

/*
 * CONFIG (stolen) is accepted, and what runs is changed to it: the groups that NAMES (borrowed) has, NULL: all. CALL (or NULL) is answered
 * at the end. 0 or -errno with ERR: nothing was begun, and CALL is still the caller's.
 */
int update_begin(struct supervisor *s, struct varlink_call *call, json_t *names, const struct cause *cause, struct config *config,
		 struct error *err);
void updates_step(struct supervisor *s);
/* NAME and FD as the keeper stored them; true if it was an update under way (FD is then taken), which goes on. Part of the take-over,
   after the groups. */
bool update_adopt(struct supervisor *s, const char *name, int fd);
void updates_free(struct supervisor *s);

#endif
