/*
 * A daemon that is reached by HTTP: one on another machine, one whose own socket we may not use, or supervisord itself. Calls of
 * io.reeve.Supervisor that supervisord's interface has a counterpart for are made by XML-RPC; the commands do not see the difference.
 */
#ifndef REEVE_CTL_REMOTE_H
#define REEVE_CTL_REMOTE_H

#include "ctl.h"

/* As ctl_call(), PARAMETERS borrowed. */
json_t *remote_call(struct ctl *ctl, const char *method, json_t *parameters, void (*partial)(json_t *reply, void *data), void *data,
		    int *ret_fault, char **ret_text);
/* Does it answer, and in our language? False: told. */
bool remote_check(struct ctl *ctl);

/* The last BYTES of a log of PROCESS ("" : the daemon's). The text (malloc'd); NULL: the fault is set, or -1: told. */
char *remote_read_log(struct ctl *ctl, const char *process, const char *channel, long long bytes, int *ret_fault);
/* Empty the logs of PROCESS: 0 or a fault, -1: told. */
int remote_clear(struct ctl *ctl, const char *process);
/* A log as it grows, until it ends or Ctrl-C. */
void remote_follow(struct ctl *ctl, const char *process, const char *channel);

#endif
