/*
 * TICK_5, TICK_60 and TICK_3600: published when the clock passes a multiple of so many seconds, and only while a listener wants
 * them, so that an idle daemon sleeps.
 */
#ifndef REEVE_LISTENER_TICKS_H
#define REEVE_LISTENER_TICKS_H

#include "../supervisor.h"

/* Pools have come or gone. */
void ticks_update(struct supervisor *s);
void ticks_stop(struct supervisor *s);

#endif
