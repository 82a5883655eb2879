/* Base64 with padding (RFC 4648): how bytes travel in JSON, in XML and in passwords. */
#ifndef REEVE_BASE_BASE64_H
#define REEVE_BASE_BASE64_H

#include <stddef.h>

/* malloc'd, or NULL: out of memory. */
char *base64_encode(const void *data, size_t length);
/* The same of two pieces, one behind the other (a ring may wrap). */
char *base64_encode_two(const void *a, size_t a_length, const void *b, size_t b_length);

/* The bytes of TEXT, in which blanks count for nothing. malloc'd with a NUL after *RET_LENGTH bytes; NULL: malformed, or out of memory. */
char *base64_decode(const char *text, size_t *ret_length);

#endif
