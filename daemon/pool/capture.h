/* What comes out of a worker's stdout or stderr: its pipe, and the bytes that have been read. */
#ifndef REEVE_POOL_CAPTURE_H
#define REEVE_POOL_CAPTURE_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

struct worker;

struct capture {
	int fd;				/* -1: closed */
	ev_io watcher;			/* its data is the worker */
	struct bytes data;
	bool truncated;
	size_t dropped;			/* frames: bytes of the one at the front of `data` that were too many */
};

/* FD is taken; READABLE is called when there is something. */
void capture_open(struct worker *worker, struct capture *capture, int fd, void (*readable)(struct ev_loop *, ev_io *, int));
/* What was read stays. A closed one stays closed. */
void capture_close(struct worker *worker, struct capture *capture);

#endif
