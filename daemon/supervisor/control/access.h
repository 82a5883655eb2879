/* The group that may use the sockets. Apart from the rest because <grp.h> has a `struct group` of its own. */
#ifndef REEVE_CONTROL_ACCESS_H
#define REEVE_CONTROL_ACCESS_H

#include <sys/types.h>

/* The id of group NAME (or of a number), or -1. */
gid_t control_group_id(const char *name);
/* The groups of user NAME with primary group GID, at most *N of them; *N is set. */
void user_groups(const char *name, gid_t gid, gid_t *groups, int *n);

#endif
