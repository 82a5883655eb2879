/*
 * The daemon's own stdout and stderr as log targets: a bounded queue each, never a blocking write, and never O_NONBLOCK
 * on a description that others share.
 */
#ifndef REEVE_LOGGER_OUTPUT_H
#define REEVE_LOGGER_OUTPUT_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OUTPUT_QUEUE_MAX = 1 << 20 /* bytes that wait for a slow reader */ };

struct output {
	struct ev_loop *loop; /* borrowed */
	ev_io writable;
	int fd;	    /* -1: not opened yet */
	bool owned; /* fd is our own reopening, nonblocking */
	bool socket, poll_first, dead;
	char *queue; /* owned; NULL while empty */
	size_t length, size;
	uint64_t lost, lost_lines;
};

void output_init(struct output *output, struct ev_loop *loop, int fd);
void output_fini(struct output *output);
/* Write or queue DATA; what does not fit is dropped in whole lines and counted. */
void output_write(struct output *output, const char *data, size_t length);
/* Give a slow reader until DEADLINE (clock_now()) to take the rest: for the end. */
void output_drain(struct output *output, double deadline);

#endif
