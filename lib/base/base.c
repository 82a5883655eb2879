/* See base.h. */
#include "base.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int error_set(struct error *err, int code, const char *format, ...)
{
	if (err) {
		va_list ap;

		va_start(ap, format);
		(void)vsnprintf(err->text, sizeof err->text, format, ap);
		va_end(ap);
		err->code = code;
	}
	return -code;
}

static double clock_read(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

double clock_now(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

double clock_wall(void)
{
	return clock_read(CLOCK_REALTIME);
}

const char *errno_name(int code)
{
	static char number[24];
	const char *name = strerrorname_np(code);

	if (name)
		return name;
	(void)snprintf(number, sizeof number, "errno %d", code);
	return number;
}
