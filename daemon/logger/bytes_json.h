/* Bytes in a message: a JSON string of base64. */
#ifndef REEVE_LOGGER_BYTES_JSON_H
#define REEVE_LOGGER_BYTES_JSON_H

#include <jansson.h>

/* Two pieces, one behind the other (a ring may wrap). NULL: out of memory. */
json_t *bytes_json(const void *a, size_t a_length, const void *b, size_t b_length);

#endif
