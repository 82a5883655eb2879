/* Preloaded: the wall clock is wrong by as many nanoseconds as order [0] says. The monotonic clocks stay as they are. */
#include <stddef.h>
#include <sys/time.h>
#include <time.h>

#include "preload.h"

static const int64_t second = 1000000000;

int clock_gettime(clockid_t clock, struct timespec *t)
{
	int r = REAL(clock_gettime)(clock, t);

	if (r == 0 && orders && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
		int64_t ns = (int64_t)t->tv_sec * second + t->tv_nsec + orders[0];

		t->tv_sec = (time_t)(ns / second);
		t->tv_nsec = (long)(ns % second);
	}
	return r;
}

int gettimeofday(struct timeval *t, void *zone)
{
	struct timespec now;

	(void)zone;
	if (clock_gettime(CLOCK_REALTIME, &now) == 0)
		*t = (struct timeval){ now.tv_sec, now.tv_nsec / 1000 };
	return 0;
}

time_t time(time_t *t)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (t)
		*t = now.tv_sec;
	return now.tv_sec;
}
