/*
 * Capture mode: what a program writes between two tokens goes to a PROCESS_COMMUNICATION event instead of its log.
 * The captured bytes live in a ring (in the journal) with room for one batch more than the limit, so that a batch which
 * is being added never overwrites what the last finished batch left there.
 */
#ifndef REEVE_LOGGER_CAPTURE_H
#define REEVE_LOGGER_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "journal.h"

#define CAPTURE_BEGIN "<!--XSUPERVISOR:BEGIN-->"
#define CAPTURE_END "<!--XSUPERVISOR:END-->"

struct capture {
	unsigned char *ring; /* borrowed */
	uint32_t size;	     /* of the ring: at least max + the largest batch */
	uint32_t max;	     /* captured bytes that are kept; the oldest go first */
	struct capture_mark mark;
};

/* Called with the bytes of one finished capture; two parts, because the ring may wrap. */
typedef void capture_done(void *data, const void *a, size_t a_length, const void *b, size_t b_length);

/* Pass LENGTH bytes through: text goes to OUT (room for LENGTH bytes), captures to the ring. Returns the bytes of text.
 */
size_t capture_scan(struct capture *capture, const char *data, size_t length, char *out, capture_done *done, void *arg);
/*
 * How many of DATA can be processed now: all but the beginning of a token at the end. *ret_urgent: this many of them
 * should not wait for a newline (they end with a token, or are captured).
 */
size_t capture_usable(bool on, const char *data, size_t length, size_t *ret_urgent);

#endif
