/*
 * The supervisor's side of lib/wire/gateway.h: holds the HTTP sockets of the configuration, runs reeve-gateway while there are any, starts
 * it again when it dies, and hands it connections to ourselves and to the logger. Nothing here waits.
 */
#ifndef REEVE_GATEWAY_LINK_H
#define REEVE_GATEWAY_LINK_H

#include "supervisor.h"

struct gateway_link;

struct gateway_link *gateway_link_new(struct supervisor *s);	/* NULL: out of memory */
/* NAME and FD as the keeper stored them; true if it is one of ours (then taken). Part of the take-over, before the first apply. */
bool gateway_link_adopt(struct gateway_link *l, const char *name, int fd);
/* There is a logger again: the gateway gets the connections to it that it has asked for meanwhile. */
void gateway_link_logger_started(struct gateway_link *l);
/* Make it so that sockets and gateway are those of the configuration last read. */
void gateway_link_apply(struct gateway_link *l);
/* The end: no more sockets, the gateway finishes what it has begun. True while it is still there; then supervisor::changed is set when
   it has gone. */
bool gateway_link_leave(struct gateway_link *l);
/* The keeper says that PID ended; true if it was a gateway. */
bool gateway_link_exited(struct gateway_link *l, pid_t pid, const struct exit_status *status);
bool gateway_link_owns(const struct gateway_link *l, pid_t pid);	/* a gateway of ours, also one that is leaving */
pid_t gateway_link_process(const struct gateway_link *l);		/* 0: none */
/* Frees memory; the gateway runs on. Accepts NULL. */
void gateway_link_free(struct gateway_link *l);

#endif
