/*
 * The arithmetic of log files, without a file: how much of some output belongs into the present file, which part of a
 * file a reader asked for. Sizes are bytes.
 */
#ifndef REEVE_LOGGER_ROTATION_H
#define REEVE_LOGGER_ROTATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How many bytes of DATA go into a file of SIZE bytes, of which the last LINE have no newline yet, when MAX is its
 * limit (0: none). 0: rotate first. Lines stay whole: one that does not fit begins the next file; one that has begun in
 * this file ends in it; only a line that is longer than MAX by itself is cut.
 */
size_t rotation_room(uint64_t size, uint64_t line, uint64_t max, const char *data, size_t length);
/* Is a file in this state full, so that it can be rotated at once rather than with the next line? */
bool rotation_full(uint64_t size, uint64_t line, uint64_t max);
/* Bytes behind the last newline of DATA, given that LINE bytes without newline came before it. */
uint64_t rotation_line(uint64_t line, const char *data, size_t length);

struct window {
	uint64_t offset, length;
};

/* supervisord's readLog rules for a file of SIZE bytes. False: the arguments contradict each other. */
bool window_read(int64_t offset, int64_t length, uint64_t size, struct window *ret);
/* supervisord's tailProcessLog rules. */
void window_tail(int64_t offset, int64_t length, uint64_t size, struct window *ret, bool *ret_overflow);

#endif
