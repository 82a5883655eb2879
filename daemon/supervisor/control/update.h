/* Updates under way: like operations, they go on without their client. */
#ifndef REEVE_CONTROL_UPDATE_H
#define REEVE_CONTROL_UPDATE_H

#include "../supervisor.h"
#include "wire/keeper.h"

void updates_step(struct supervisor *s);
void updates_free(struct supervisor *s);

#endif
