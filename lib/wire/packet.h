/*
 * One packet over a SOCK_SEQPACKET or SOCK_STREAM socket, with at most one descriptor beside it (SCM_RIGHTS).
 */
#ifndef REEVE_WIRE_PACKET_H
#define REEVE_WIRE_PACKET_H

#include <stddef.h>
#include <sys/types.h>

/* Send LENGTH bytes of DATA with descriptor FD (-1: none; stays the caller's). FLAGS: MSG_DONTWAIT or 0. Returns 0 or -errno. */
int packet_send(int socket, const void *data, size_t length, int fd, int flags);

/* Receive up to SIZE bytes. *ret_fd: a close-on-exec descriptor of the caller's, or -1. The number of bytes, 0: the other side is gone, -errno. */
ssize_t packet_receive(int socket, void *data, size_t size, int *ret_fd, int flags);

#endif
