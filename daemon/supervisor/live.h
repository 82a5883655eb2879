/* What a changed configuration means for the running daemon itself: keys of [supervisord] whose row says that they are live. */
#ifndef REEVE_LIVE_H
#define REEVE_LIVE_H

#include "supervisor.h"

/* OLD was loaded before what is loaded now. Changes that wait for a restart of the daemon are logged. */
void live_apply(struct supervisor *s, const struct config *old);
void live_write_pidfile(struct supervisor *s);
/* At the end; only if it is a file. */
void live_remove_pidfile(struct supervisor *s);

#endif
