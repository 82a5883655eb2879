/*
 * Bytes and texts: counting characters of UTF-8, and Python's way to show bytes (which the event protocol uses).
 */
#ifndef REEVE_BASE_TEXT_H
#define REEVE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Is DATA (LENGTH bytes) valid UTF-8? Then *RET is its number of characters. */
bool utf8_count(const char *data, size_t length, size_t *ret);

/* Python's repr() of a bytes object: b'...' with escapes. malloc'd, or NULL: out of memory. */
char *python_bytes_repr(const char *data, size_t length);

#endif
