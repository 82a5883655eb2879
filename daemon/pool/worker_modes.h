/* What worker.c and its two kinds (worker_exec.c, worker_stream.c) tell each other. */
#ifndef REEVE_POOL_WORKER_MODES_H
#define REEVE_POOL_WORKER_MODES_H

#include "worker.h"

/* No answer is to be expected: if it does not exit within a moment it is killed. */
void worker_abandon(struct worker *worker);

void exec_open(struct worker *worker, int out, int err);
void exec_ended(struct worker *worker, const struct exit_status *status);

void stream_open(struct worker *worker, int in, int out);
void stream_close_input(struct worker *worker);
void stream_ended(struct worker *worker, const struct exit_status *status);

#endif
