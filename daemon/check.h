/* `reeved --check`: read a configuration, say everything that is wrong with it, start nothing. */
#ifndef REEVE_CHECK_H
#define REEVE_CHECK_H

#include "options.h"

enum { EXIT_CONFIG = 78 };		/* as sysexits.h has it */

/* The exit status: 0, or EXIT_CONFIG with diagnostics on stderr. */
int check_run(const struct options *o, const char *path);
/* Must VALUE of this key of [supervisord] be there, and is not? Then supervisord's words are in ERR. */
bool check_place(const char *key, const char *value, struct error *err);
/*
 * Add what hurts on this machine to the diagnostics of CONFIG: missing directories, users, executables; shared logs. STRICT: what
 * supervisord refuses to start with is an error, else all are warnings.
 */
void check_machine(struct config *config, bool strict);
/* Print all diagnostics on stderr; with WARNINGS also those that are no errors. */
void check_print(const struct config *config, bool warnings);

#endif
