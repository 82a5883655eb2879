/*
 * What a program finds in its environment: ours, supervisord's four variables, its user's, its configuration's.
 */
#ifndef REEVE_ENVIRONMENT_H
#define REEVE_ENVIRONMENT_H

#include "names.h"

/* Our own environment without what a service manager or a terminal's Reeve meant for us. malloc'd vector of borrowed strings. */
char **environment_inherited(void);

/*
 * For run RUN of CONF: one malloc'd block that free() releases whole. USER (may be NULL): whose HOME, USER, LOGNAME and SHELL
 * apply. NULL: out of memory.
 */
char **environment_make(const struct supervisor *s, const struct process_conf *conf, uint32_t run, const struct identity *user);

/* The PATH that CONF's command is searched in, or NULL. */
const char *environment_path(const struct process_conf *conf, const struct supervisor *s);

#endif
