/* Recognising an AUTO log by its name. */
#ifndef REEVE_LOGGER_AUTO_NAME_H
#define REEVE_LOGGER_AUTO_NAME_H

#include <stdbool.h>

/* Is NAME an AUTO log, or a backup of one, of this identifier? */
bool auto_matches(const char *name, const char *identifier);

#endif
