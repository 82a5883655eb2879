/* A configuration as JSON: `reeved --check --dump=json`. */
#ifndef REEVE_CONF_DUMP_H
#define REEVE_CONF_DUMP_H

#include <jansson.h>

#include "config.h"

/* The effective configuration with every default filled in; the caller's. NULL: out of memory. */
json_t *config_dump(const struct config *config);

struct key;
/* The values at BASE by the rows of TABLE, into J. */
void dump_table(json_t *j, const struct key *table, const void *base);

#endif
