/*
 * Messages on a socket: bytes in until a NUL, bytes out from a queue. Shared by server and clients; knows no loop.
 */
#ifndef REEVE_VARLINK_MESSAGE_H
#define REEVE_VARLINK_MESSAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/* Read what the socket has (at most about 64 KiB). >0: bytes, 0: end, -EAGAIN, -errno; -EMSGSIZE: a message beyond the limit. */
long message_read(int fd, struct bytes *in);
/* The next whole message in IN, NUL-terminated and valid until the next message_read; NULL: none yet. */
char *message_next(struct bytes *in, size_t *ret_length);
/* Append JSON (stolen) and its NUL to OUT. 0, -ENOMEM, or -ENOBUFS beyond LIMIT bytes queued. */
int message_put(struct bytes *out, json_t *json, size_t limit);
/* Append TEXT and its NUL, as message_put(). */
int message_put_text(struct bytes *out, const char *text, size_t limit);
/* Write what the socket takes. 0: all is written, -EAGAIN: some is left, -errno. */
int message_write(int fd, struct bytes *out);

#endif
