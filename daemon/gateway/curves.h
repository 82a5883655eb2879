/*
 * The curves of all processes in one piece of memory that outlives the gateway: a memfd that the keeper holds and each gateway is given.
 * The next gateway goes on with them. Where there is none, the same in memory of our own.
 *
 * One gateway writes: a newer one takes the memory over by opening it, and an older one that is still finishing then changes nothing more.
 * What a kill has interrupted is at worst a gap at the far end of one curve; what is not laid out as we do it is begun anew.
 */
#ifndef REEVE_GATEWAY_CURVES_H
#define REEVE_GATEWAY_CURVES_H

#include <stdbool.h>

#include "samples.h"

enum { CURVES_MAX = 2048 };		/* processes */

struct curves;

/* FD (taken; -1: none). NULL: out of memory. */
struct curves *curves_open(int fd);
void curves_close(struct curves *curves);	/* accepts NULL; the memory stays */

/* CLOCK_MONOTONIC of tick 0. */
double curves_began(const struct curves *curves);
/* The newest tick of all, and its time in seconds since the epoch; 0: none yet. */
uint64_t curves_newest(const struct curves *curves, double *ret_time);
void curves_set_newest(struct curves *curves, uint64_t tick, double time);

/* The curve of NAME, or NULL. Valid until it is removed. */
struct samples *curves_find(struct curves *curves, const char *name);
/* A new one for NAME, which has none yet. NULL: there are CURVES_MAX, or the memory is another gateway's by now. */
struct samples *curves_add(struct curves *curves, const char *name);
void curves_remove(struct curves *curves, const char *name);
/* Remove those that KEEP does not want. */
void curves_sweep(struct curves *curves, bool (*keep)(const char *name, void *data), void *data);

#endif
