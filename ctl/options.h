/*
 * The command line before the action: reevectl's options, and supervisorctl's by its rules (long options may be abbreviated, none may
 * be given twice; called as supervisorctl there are no others).
 */
#ifndef REEVE_CTL_OPTIONS_H
#define REEVE_CTL_OPTIONS_H

#include "ctl.h"

enum { OPTIONS_GO_ON = -1 };

/* Fill CTL from ARGV; *ret_at is the index of the first word of the action. OPTIONS_GO_ON, or the exit status to leave with at once. */
int options_parse(struct ctl *ctl, int argc, char **argv, int *ret_at);
/* A usage error on stderr; returns 2. */
int options_error(const struct ctl *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
