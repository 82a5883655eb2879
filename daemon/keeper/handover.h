/*
 * What a keeper leaves to itself when it executes another version of its executable: a memfd of lines "KEY VALUE", which any other
 * version can read (it passes over keys that it does not know). Descriptors go by their numbers and stay open over the exec.
 */
#ifndef REEVE_KEEPER_HANDOVER_H
#define REEVE_KEEPER_HANDOVER_H

#include <signal.h>
#include <stdbool.h>

#include "store.h"

struct handover {
	/* descriptors */
	int state, socket, executable;
	/* the supervisor's */
	int supervisor;			/* pid */
	int outstanding;		/* pid of the exit that it has not noted */
	int number;			/* of the next one */
	int begun, worked, next_stored;	/* as in struct keeper */
	sigset_t pending;
	struct store *store;		/* borrowed */
};

/* Write it to a new memfd; -errno. */
int handover_write(const struct handover *h);
/* Read it from FD; h->store is filled. -errno; -EPROTO: something that is needed is not there. */
int handover_read(struct handover *h, int fd);
/* Whether the descriptors that H names stay open over an exec. */
void handover_inherit(const struct handover *h, bool stay);

#endif
