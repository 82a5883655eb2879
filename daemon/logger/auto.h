/* AUTO logs: CHILDLOGDIR/NAME-CHANNEL---IDENTIFIER-RANDOM.log, and the removal of those of earlier runs. */
#ifndef REEVE_LOGGER_AUTO_H
#define REEVE_LOGGER_AUTO_H

#include <stdbool.h>
#include <stddef.h>

#include "stream.h"

/*
 * The path of STREAM's AUTO log, the same as before if the journal knows it. Allocated; NULL: out of memory.
 */
char *auto_path(struct stream *stream, const char *dir, const char *name, const char *identifier);
/* Remove the AUTO logs in DIR that no stream uses. */
void auto_clean(struct logger *logger, const char *dir, const char *identifier);

#endif
