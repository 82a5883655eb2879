/*
 * What an event listener says on its stdout: supervisord's READY / RESULT protocol as a pure state machine. Bytes in, words out.
 *
 *   ACKNOWLEDGED  a new process, or one whose result was taken: the next thing is "READY\n"
 *   READY         waits for an event: may say nothing
 *   BUSY          has an event: the next thing is "RESULT n\n" and n bytes
 *   UNKNOWN       broke the protocol: what it says is ignored, and it gets no event until it is started again
 *
 * As in supervisord the first seven bytes of a result line are not looked at. Unlike there, "RESULT 0\n" counts at once.
 */
#ifndef REEVE_LISTENER_PROTOCOL_H
#define REEVE_LISTENER_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>

enum listener_state { LISTENER_READY = 10, LISTENER_BUSY = 20, LISTENER_ACKNOWLEDGED = 30, LISTENER_UNKNOWN = 40 };

enum {
	LISTENER_LINE_MAX = 1 << 10,	/* bytes of a result line */
	LISTENER_RESULT_MAX = 1 << 20,	/* bytes of a result */
};

struct talk {
	enum listener_state state;
	char *buffer;			/* what was said and not understood yet; owned */
	size_t length;
	char bad[80];			/* SAID_BAD_RESULT: the line */
};

enum said {
	SAID_NOTHING,			/* all that can be understood has been */
	SAID_READY,
	SAID_OK,			/* the event was processed */
	SAID_REJECTED,			/* the event was refused */
	SAID_BAD_RESULT,		/* no number where one must be: UNKNOWN now */
	SAID_NONSENSE,			/* anything else out of turn: UNKNOWN now */
};

/* Forget everything: a new process. */
void talk_reset(struct talk *talk);
/* Add what it said; -ENOMEM. */
int talk_add(struct talk *talk, const char *data, size_t length);
/* The next thing that it said. Call until SAID_NOTHING. */
enum said talk_next(struct talk *talk);

const char *listener_state_name(enum listener_state state);

#endif
