/*
 * The few things that every part uses: one error type, cleanup attributes, an array length.
 * Anything with a subject of its own does not belong here.
 */
#ifndef REEVE_BASE_H
#define REEVE_BASE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* A sentence for people, and the errno that goes with it. Lives in the caller's frame. */
struct error {
	int code;		/* positive errno; 0: none */
	char text[512];
};

/*
 * Fill ERR (which may be NULL) with a printf-style sentence. Returns -CODE, so that a function can
 * `return error_set(err, errno, "%s: ...", ...)`. The text of CODE is not appended.
 */
int error_set(struct error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Seconds of CLOCK_MONOTONIC: the one clock that decisions may use. */
double clock_now(void);
/* Seconds since the epoch: for people and protocols only. */
double clock_wall(void);

/* The name of an errno ("ENOENT"), or "errno N" in a static buffer. */
const char *errno_name(int code);

#define _cleanup_(f) __attribute__((cleanup(f)))

static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void closep(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

/* Hand ownership over: the value, with the variable set to NULL. */
#define TAKE(p)                                                                                                        \
	({                                                                                                             \
		__typeof__(p) taken_ = (p);                                                                            \
		(p) = NULL;                                                                                            \
		taken_;                                                                                                \
	})

#endif
