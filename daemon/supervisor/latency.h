/*
 * How long a turn of the loop keeps others waiting: from the wake-up to the next sleep. Costs two clock readings a turn
 * and wakes nobody.
 */
#ifndef REEVE_LATENCY_H
#define REEVE_LATENCY_H

#include <ev.h>

enum { LATENCY_WINDOW = 60 };		/* seconds */

struct latency {
	ev_check wake;
	ev_prepare sleep;
	double woken;			/* CLOCK_MONOTONIC; 0: not yet */
	double begun;			/* when `worst` began */
	double worst, worst_before;	/* longest turn in this window and in the one before, seconds */
};

void latency_start(struct latency *latency, struct ev_loop *loop);
void latency_stop(struct latency *latency, struct ev_loop *loop);
/* The longest turn of the last one to two windows, in seconds. */
double latency_worst(const struct latency *latency);

#endif
