/*
 * Life without the keeper, which nobody replaces: the orderly end. Programs are stopped as in any shutdown, but how they end is not known any
 * more, because they are somebody else's children now; that they have ended is looked for in /proc. Nothing is started.
 */
#ifndef REEVE_ORPHAN_H
#define REEVE_ORPHAN_H

#include "supervisor.h"

void orphan_begin(struct supervisor *s);
void orphan_free(struct supervisor *s);

#endif
