/* A task as io.reeve.Pool tells it. */
#ifndef REEVE_POOL_TASK_JSON_H
#define REEVE_POOL_TASK_JSON_H

#include <jansson.h>

#include "task.h"

/* RESULT may be NULL. OUTPUT: with what it printed. */
json_t *task_json(const struct task *task, const struct result *result, bool output);

#endif
