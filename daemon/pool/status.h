/* The gauges of a pool, as io.reeve.Pool.GetStatus tells them. */
#ifndef REEVE_POOL_STATUS_H
#define REEVE_POOL_STATUS_H

#include <jansson.h>

#include "pool.h"

json_t *pool_status(struct pool *pool);

#endif
