/* See access.h. */
#include "access.h"

#include <grp.h>
#include <stdlib.h>

gid_t control_group_id(const char *name)
{
	char *end;
	unsigned long number = strtoul(name, &end, 10);
	const struct group *g = getgrnam(name);

	if (g)
		return g->gr_gid;
	return *name && !*end ? (gid_t)number : (gid_t)-1;
}

void user_groups(const char *name, gid_t gid, gid_t *groups, int *n)
{
	int size = *n;

	if (getgrouplist(name, gid, groups, n) < 0)
		*n = size;
}
