/*
 * The listening socket of an [fcgi-program:x], which all processes of the section have as stdin. It is made when the first of them is
 * added and stays, with the connections that wait in it, until the last is removed: restarts refuse nobody. The keeper holds a copy.
 */
#ifndef REEVE_SHARED_SOCKET_H
#define REEVE_SHARED_SOCKET_H

#include "process.h"

/* The socket that P's configuration asks for (made, shared or changed as needed) for P; nothing if it asks for none. 0 or -errno with ERR. */
int shared_socket_attach(struct process *p, struct error *err);
/* P needs it no more. FORGET: if nobody does, it is closed and the keeper's copy dropped. */
void shared_socket_detach(struct process *p, bool forget);
/* NAME and FD as the keeper stored them; true if it is one of ours (then taken): before a process attaches. */
bool shared_socket_adopt(struct supervisor *s, const char *name, int fd);
/* The daemon ends: the paths of unix sockets go. */
void shared_sockets_unlink(struct supervisor *s);
/* Descriptor of P's socket; -1: none. */
int shared_socket_fd(const struct process *p);

#endif
