/*
 * Preloaded: malloc, calloc and realloc fail. Orders: [0] counts the calls while armed, [1] armed, [2] the call that fails (0: none),
 * [3] every how many one fails (0: none), [4] counts the failures.
 */
#include <errno.h>
#include <stddef.h>

#include "preload.h"

static void *(*real_malloc)(size_t);
static void *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t);
static char early[4096]; /* what dlsym() asks for while we look for the real ones; never freed */
static size_t early_used;
static int looking;

static void *early_alloc(size_t size)
{
	void *at = early + early_used;

	early_used += (size + 15) & ~(size_t)15;
	return early_used <= sizeof early ? at : NULL;
}

static int fails(void)
{
	int64_t n;

	if (!orders || !orders[1])
		return 0;
	n = ++orders[0];
	if (n != orders[2] && (!orders[3] || n % orders[3] != 0))
		return 0;
	orders[4]++;
	errno = ENOMEM;
	return 1;
}

static void find_real(void)
{
	looking = 1;
	real_calloc = REAL(calloc);
	real_malloc = REAL(malloc);
	real_realloc = REAL(realloc);
	looking = 0;
}

void *malloc(size_t size)
{
	if (!real_malloc) {
		if (looking)
			return early_alloc(size);
		find_real();
	}
	return fails() ? NULL : real_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	if (!real_calloc) {
		if (looking)
			return early_alloc(n * size);
		find_real();
	}
	return fails() ? NULL : real_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	if (!real_realloc)
		find_real();
	return fails() ? NULL : real_realloc(old, size);
}
