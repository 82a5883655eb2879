/* io.reeve.Pool: the methods, who may call them, and calls that wait for something. */
#ifndef REEVE_POOL_CONTROL_H
#define REEVE_POOL_CONTROL_H

#include "pool.h"

/* Serve LISTEN_FD (owned; -1: none) and CONNECTION (owned; -1: none: a pool for this one client). */
int control_open(struct pool *pool, int listen_fd, int connection, struct control **ret, struct error *err);
void control_free(struct control *control);	/* Accepts NULL. */

/* Task ID has ended: answer those who wait for it. True: somebody has taken the result, it need not be kept. */
bool control_ended(struct control *control, const struct task *task, const struct result *result);
/* The task at INDEX of a submission has its id, or was refused. */
void submission_accepted(struct submission *submission, uint64_t index, uint64_t id, const char *refused);
/* Tasks that were not in memory may have ended: see whether somebody waits for one. */
void control_look(struct control *control);
/* A turn ends: do Drain, Join, Terminate have what they wait for? */
void control_check(struct control *control);
/* One more client, on FD (owned). 0 or -ENOMEM. */
int control_add(struct control *control, int fd);
size_t control_connections(const struct control *control);

#endif
