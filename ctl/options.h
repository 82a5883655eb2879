/*
 * The command line before the action: reevectl's options, and supervisorctl's by its rules (base/command_line.h); called as
 * supervisorctl there are no others.
 */
#ifndef REEVE_CTL_OPTIONS_H
#define REEVE_CTL_OPTIONS_H

#include "ctl.h"

/* Fill CTL from ARGV; *ret_at is the index of the first word of the action. COMMAND_LINE_GO_ON, or the exit status to leave with at once. */
int options_parse(struct ctl *ctl, int argc, char **argv, int *ret_at);

#endif
