/*
 * Control groups, version 2: a subtree of the daemon's own, with one group per program in it. Groups are named, never remembered: a
 * successor finds them by their names, and what the kernel says is the only truth. Nothing here waits for a process.
 *
 *   OWN/NAME           the subtree (cgroup_enter), where OWN is the group that the daemon was started in
 *   OWN/NAME/daemon    keeper, supervisor, logger: so that no process lies in a group that has groups below it
 *   OWN/NAME/PROGRAM   one each
 *
 * SUBTREE is a descriptor of the directory OWN/NAME; the caller's. Functions that take a NAME are relative to it. All return 0 or
 * more, or -errno.
 */
#ifndef REEVE_PROCESS_CGROUP_H
#define REEVE_PROCESS_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Make the subtree NAME (which must begin with "reeve-"), give it to UID and GID, and move this process to its group "daemon". Not
 * where somebody else manages the groups and has not delegated ours, unless INSIST.
 * -ENOENT: no version 2 here; -EPERM: not delegated; -EROFS, -EACCES: not writable.
 */
int cgroup_enter(const char *name, bool insist, uid_t uid, gid_t gid);
/* The way back, for the last process of the subtree: out of it, and remove what is empty. */
void cgroup_leave(void);
/* The subtree that this process is in the group "daemon" of: a new descriptor, or -ENOENT. */
int cgroup_subtree(void);

/* A descriptor of the group NAME; MAKE: made if it is not there. */
int cgroup_open(int subtree, const char *name, bool make);
/* 1: something lives in it or below; 0: nothing does; -ENOENT: there is no such group. Zombies do not count. */
int cgroup_populated(int subtree, const char *name);
/* Call SEE for every process in it and below it. */
int cgroup_each(int subtree, const char *name, void (*see)(pid_t pid, void *data), void *data);
/* SIGKILL for all, at once where the kernel can (5.14), else frozen meanwhile so that nobody forks away; then to be repeated. */
int cgroup_kill(int subtree, const char *name);
/* Remove it and what is below it. -EBUSY: something lives in it. */
int cgroup_remove(int subtree, const char *name);
/* Call SEE for the name of every group directly below the subtree. */
int cgroup_groups(int subtree, void (*see)(const char *name, void *data), void *data);

/* How many processes of the group in the directory GROUP, and below it, the kernel has killed for want of memory. -ENOENT: the memory
   controller does not count there. */
int cgroup_oom_kills(int group, uint64_t *ret);
/* The nearest group at or above the subtree (SUBTREE -1: our own group) in which that is counted: a new descriptor, or -errno. */
int cgroup_memory_group(int subtree);

#endif
