/* A task as io.reeve.Pool tells it. */
#ifndef REEVE_POOL_TASK_JSON_H
#define REEVE_POOL_TASK_JSON_H

#include <jansson.h>

#include "task.h"

/* RESULT may be NULL. OUTPUT: with what it printed. */
json_t *task_json(const struct task *task, const struct result *result, bool output);

/* Base64 to bytes (malloc'd, with a NUL behind), or NULL when it is none. */
char *base64_bytes(const char *text, size_t *ret_length);

#endif
