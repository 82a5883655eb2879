/* What worker.c and its two kinds (worker_exec.c, worker_stream.c) tell each other. */
#ifndef REEVE_POOL_WORKER_MODES_H
#define REEVE_POOL_WORKER_MODES_H

#include "worker.h"

/* A pipe whose end for us does not block: ends[0] reads, ends[1] writes. OURS: 0 or 1. */
int worker_pipe(int ends[2], int ours);
/* No answer is to be expected: if it does not exit within a moment it is killed. */
void worker_abandon(struct worker *worker);

void exec_open(struct worker *worker, int out, int err);
void exec_ended(struct worker *worker, const struct exit_status *status);

void stream_open(struct worker *worker, int in, int out);
void stream_close_input(struct worker *worker);
/* The first of its tasks begins now. */
void stream_head(struct worker *worker);
void stream_ended(struct worker *worker, const struct exit_status *status);

#endif
