/*
 * What makes a process a pool: it runs reeve-pool instead of its command, with a listening socket (descriptor 3) and its settings (descriptor
 * 4). Both are files of the run directory, pool/NAME.sock and pool/NAME.json, so that a successor of ours finds them.
 */
#ifndef REEVE_POOL_PROCESS_H
#define REEVE_POOL_PROCESS_H

#include "process.h"

enum {
	POOL_FD_LISTEN = 3,
	POOL_FD_SETTINGS,
	POOL_N_FDS,
	POOL_PATIENCE = 5,		/* seconds beyond its workers' stopwaitsecs that a pool has to end */
};

/* How a pool is started. */
struct pool_start {
	char *argv[6];
	const char *files[4];
	char *beside[2];		/* owned */
	int listen_fd, settings_fd;	/* owned; -1: none */
};

/* Make socket and settings for P, which will run as UID. 0 or -errno with ERR; *ret is to be released in both cases. */
int pool_start_make(const struct process *p, uid_t uid, struct pool_start *ret, struct error *err);
void pool_start_fini(struct pool_start *start);
/* P's configuration has changed: the pool reads it. */
void pool_process_reconfigure(struct process *p);
/* A connection to P's socket, not blocking: a descriptor, or -errno. */
int pool_process_connect(const struct process *p);
/* P is no longer configured, or the daemon ends: its files go. */
void pool_process_remove_files(const struct process *p);

#endif
