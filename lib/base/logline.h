/*
 * A line of the daemon's own log, in supervisord's format: `2026-11-21 10:00:00,123 INFO message`.
 */
#ifndef REEVE_LOGLINE_H
#define REEVE_LOGLINE_H

#include <stdarg.h>
#include <stddef.h>


/* What a line begins with, up to the message: time now, tag of LEVEL, a blank. Returns the length; SIZE: 40 are enough. */
size_t logline_head(char *buffer, size_t size, int level);

/*
 * Write one line to FD with a single write(2); a full pipe drops it (-1 is returned). A message longer than a pipe takes
 * atomically is cut. Newlines inside the message are kept.
 */
int logline_write(int fd, int level, const char *format, va_list ap) __attribute__((format(printf, 3, 0)));

#endif
