/*
 * Preloaded: what the memory controller counts, for machines on which version 2 of control groups does not have it. "memory.events" of a
 * program's group shows orders[0] kills, that of the groups above orders[1]; 0: there is no such file; 1 + N: N kills.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>

#include "preload.h"

/* A program's group is called "NAMESPEC.NUMBER"; those above it are shared. */
static int shared(int dir)
{
	char link[64], path[PATH_MAX];
	ssize_t n;

	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
	n = readlink(link, path, sizeof path - 1);
	path[n < 0 ? 0 : n] = '\0';
	return !strrchr(path, '/') || !strchr(strrchr(path, '/'), '.');
}

static int events(int dir)
{
	int64_t kills = orders[shared(dir)];
	int fd;

	if (kills == 0) {
		errno = ENOENT;
		return -1;
	}
	fd = memfd_create("memory.events", MFD_CLOEXEC);
	(void)dprintf(fd, "low 0\nhigh 0\nmax 3\noom 1\noom_kill %lld\noom_group_kill 0\n", (long long)kills - 1);
	(void)lseek(fd, 0, SEEK_SET);
	return fd;
}

/* With 64-bit offsets this is openat64(). */
int openat(int dir, const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return orders && strcmp(path, "memory.events") == 0 ? events(dir) : REAL(openat)(dir, path, flags, mode);
}
