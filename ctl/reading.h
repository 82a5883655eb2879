/* The configuration for a client: its included files may lie on a dead disk, and who waits for that cannot even be killed. */
#ifndef REEVE_CTL_READING_H
#define REEVE_CTL_READING_H

#include <stdbool.h>

#include "conf/config.h"

/*
 * As sources_read(), but for two seconds at most: then without the included files, with a note on stderr unless QUIET, or -ETIMEDOUT
 * with ERR when the main file itself does not answer.
 */
int reading(const char *path, bool quiet, struct sources **ret, struct error *err);

#endif
