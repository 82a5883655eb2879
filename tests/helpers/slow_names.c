/*
 * Preloaded: a name service that does not answer. While order [1] is set, look-ups of users and groups take for ever; [0] counts those that
 * have begun. "for ever" is until the order is taken back.
 */
#include <grp.h>
#include <pwd.h>
#include <time.h>

#include "preload.h"

static void wait_for_an_answer(void)
{
	if (!orders)
		return;
	orders[0]++;
	while (orders[1])
		(void)nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
}

struct passwd *getpwnam(const char *name)
{
	wait_for_an_answer();
	return REAL(getpwnam)(name);
}

struct passwd *getpwuid(uid_t uid)
{
	wait_for_an_answer();
	return REAL(getpwuid)(uid);
}

struct group *getgrnam(const char *name)
{
	wait_for_an_answer();
	return REAL(getgrnam)(name);
}

int getgrouplist(const char *user, gid_t group, gid_t *groups, int *n)
{
	wait_for_an_answer();
	return REAL(getgrouplist)(user, group, groups, n);
}
