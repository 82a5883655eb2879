/*
 * Included last by every file of this library: allocations that fail are counted. A value that could not be stored must not pass for
 * one that was not given; rather than at a hundred places that is asked once, when a configuration or a plan is complete.
 */
#ifndef REEVE_CONF_MEMORY_H
#define REEVE_CONF_MEMORY_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern unsigned memory_failures;	/* so far */

static inline void *memory_counted(void *memory)
{
	memory_failures += !memory;
	return memory;
}

static inline int memory_counted_print(int length)
{
	memory_failures += length < 0;
	return length;
}

#define malloc(size) memory_counted(malloc(size))
#define calloc(n, size) memory_counted(calloc(n, size))
#define realloc(old, size) memory_counted(realloc(old, size))
#define strdup(text) memory_counted(strdup(text))
#define strndup(text, length) memory_counted(strndup(text, length))
#define asprintf(...) memory_counted_print(asprintf(__VA_ARGS__))
#define vasprintf(ret, format, ap) memory_counted_print(vasprintf(ret, format, ap))

#endif
