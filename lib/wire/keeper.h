/*
 * The private conversation of keeper and supervisor: a SOCK_SEQPACKET pair, one message per packet, at most one
 * descriptor beside it.
 *
 *   keeper                                            supervisor
 *   HELLO  number: which supervisor this is (0: the   (none)
 *          first); uid: enum keeper_hello; with
 *          the state memfd
 *   STORED name, with a descriptor: one each          (none)
 *   BEGIN                                             (none; it is in charge from here)
 *   EXITED pid, exit: peeked, one at a time           NOTED  pid: reap it, tell me the next
 *   SIGNAL number, pid and uid of the sender; text    NOTED  number: it has been acted on (pid 0)
 *          "again": a predecessor may have acted on it
 *   PING                                              PONG   (and whenever it has shown life)
 *                                                     STORE  name, with a descriptor: keep a copy (replaces)
 *                                                     DROP   name
 *                                                     NOTIFY text for the service manager ("READY=1\nSTATUS=...")
 *                                                     SUCCEED with an executable: replace me by it; number:
 *                                                            seconds until it must have said PONG
 *                                                     FINISH number: exit status; pid: the logger, waited for
 *
 * Before an upgrade the supervisor plays the keeper to a rehearsal of the other binary (control/upgrade.c):
 *
 *   HELLO, with a copy of the state; STORED, the        NOTIFY text: what cannot be taken over
 *   config/N only; BEGIN                                REHEARSED number: processes that can be taken over; pid: of so many
 *
 * Keeper and supervisor may be of different versions while an upgrade is under way: the layout of a message never changes, new types
 * are added at the end, and a type that one side does not know is passed over.
 */
#ifndef REEVE_WIRE_KEEPER_H
#define REEVE_WIRE_KEEPER_H

#include <stdint.h>

#include "process/exit_status.h"

enum keeper_message_type {
	KEEPER_HELLO = 1,
	KEEPER_STORED,
	KEEPER_BEGIN,
	KEEPER_EXITED,
	KEEPER_SIGNAL,
	KEEPER_PING,
	KEEPER_PONG,
	KEEPER_NOTED,
	KEEPER_STORE,
	KEEPER_DROP,
	KEEPER_NOTIFY,
	KEEPER_SUCCEED,
	KEEPER_FINISH,
	KEEPER_REHEARSED,
};

/* Why there is a new supervisor. */
enum keeper_hello {
	KEEPER_USUAL,			/* it is the first, or the one before it has died */
	KEEPER_TRIAL,			/* another executable is tried */
	KEEPER_RETURNED,		/* one was tried, and failed: text says why */
};

enum {
	KEEPER_FD = 3,			/* the supervisor's end of the pair, at its exec */
	KEEPER_NAME_SIZE = 16,		/* name of a stored descriptor, with its NUL */
	KEEPER_TEXT_SIZE = 256,
};

struct keeper_message {
	uint32_t type;
	int32_t pid, uid, number;
	struct exit_status exit;
	char text[KEEPER_TEXT_SIZE];	/* a name or a text; only what is used of it travels */
};

/*
 * Send MESSAGE with descriptor FD (-1: none; stays the caller's). FLAGS: MSG_DONTWAIT or 0. Returns 0 or -errno.
 */
int keeper_send(int socket, const struct keeper_message *message, int fd, int flags);

/* Receive one. *ret_fd: a close-on-exec descriptor of the caller's, or -1. 1: a message, 0: the other side is gone, -errno. */
int keeper_receive(int socket, struct keeper_message *ret, int *ret_fd, int flags);

#endif
