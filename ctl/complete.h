/* What could stand at the cursor: commands, live names, groups, signals, pools, files. */
#ifndef REEVE_CTL_COMPLETE_H
#define REEVE_CTL_COMPLETE_H

#include <stddef.h>

/* See editor_complete; DATA is the struct ctl. Asks the daemon quietly: one that does not answer has no names. */
char **complete_line(void *data, const char *line, size_t length, size_t *ret_start);

#endif
