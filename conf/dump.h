/* A configuration as JSON: `reeved --check --dump=json`. */
#ifndef REEVE_CONF_DUMP_H
#define REEVE_CONF_DUMP_H

#include <jansson.h>

#include "config.h"

/* The effective configuration with every default filled in; the caller's. */
json_t *config_dump(const struct config *config);

#endif
