/*
 * autoupdate=true: watch the files of the configuration, and the directories of its include patterns, and apply what is there when
 * they have been quiet for a second. Costs nothing while nothing changes (inotify).
 */
#ifndef REEVE_CONFIG_WATCH_H
#define REEVE_CONFIG_WATCH_H

#include "supervisor.h"

/* Watch the files of the configuration last read, or nothing, as its autoupdate says. */
void config_watch_update(struct supervisor *s);
/* The files that changed did not answer: look again later. True: that has not been so before. */
bool config_watch_failed(struct supervisor *s);
/* They do. */
void config_watch_worked(struct supervisor *s);
void config_watch_free(struct supervisor *s);

#endif
