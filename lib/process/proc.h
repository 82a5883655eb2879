/*
 * What /proc says about a process. Every function can find the process gone at any moment, and says so by its result.
 */
#ifndef REEVE_PROCESS_PROC_H
#define REEVE_PROCESS_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_stat {
	char state;			/* 'R', 'S', 'D', 'T', 't', 'Z', ... */
	pid_t ppid, pgrp, session;
	uint64_t start_time;		/* clock ticks since boot: with the pid, a name for ever */
	double cpu_time;		/* seconds, user and system */
	double waited_cpu_time;		/* the same of its children that have ended and been waited for */
	uint64_t rss;			/* bytes */
};

/* 0 or -errno (-ENOENT, -ESRCH: gone). */
int proc_stat_read(pid_t pid, struct proc_stat *ret);

/* Seconds that PID's main thread has waited for a CPU (schedstat); negative: not known. */
double proc_cpu_wait(pid_t pid);

/* Is NAME=VALUE in PID's environment? (as of its last exec; false when it may not be read) */
bool proc_has_environment(pid_t pid, const char *assignment);

/* The value of variable NAME in PID's environment (as of its last exec); false when it has none or may not be read. */
bool proc_environment(pid_t pid, const char *name, char *buffer, size_t size);

/* Call SEE for every child of PID, zombies too. Returns 0 or -errno. */
int proc_children(pid_t pid, void (*see)(pid_t pid, void *data), void *data);

/* The name of PID's program ("sleep"), or "?". Returns BUFFER. */
char *proc_name(pid_t pid, char *buffer, size_t size);

/* Call SEE for every process of this pid namespace. Returns 0 or -errno. */
int proc_each(void (*see)(pid_t pid, void *data), void *data);

/*
 * Cpu seconds and resident bytes of each of the N ROOTS' trees (a root of 0 is nobody): what descends from the root, its session, and
 * what left both but not the root's control group, where that is not also its parent's. cpu_time holds what children used that are gone, as far as a
 * member of the tree has waited for them.
 */
struct proc_usage {
	pid_t root;
	double cpu_time;
	uint64_t rss;
	unsigned processes;
};
int proc_tree_usage(struct proc_usage *roots, size_t n);

#endif
