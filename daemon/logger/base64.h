/* Base64 (RFC 4648, with padding). */
#ifndef REEVE_LOGGER_BASE64_H
#define REEVE_LOGGER_BASE64_H

#include <jansson.h>

/* Two parts (a ring may wrap) as one JSON string. NULL: out of memory. */
json_t *base64_json(const void *a, size_t a_length, const void *b, size_t b_length);

#endif
