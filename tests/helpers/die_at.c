/*
 * Preloaded into a daemon under test: SIGKILL at the N-th of the system calls that change something outside the process
 * (DIE_AT=N: just before it, DIE_AT=-N: just after it).
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static long calls;

static void count(int after)
{
	const char *text = getenv("DIE_AT");
	long at = text ? strtol(text, NULL, 10) : 0;

	if (!after)
		calls++;
	if ((!after && calls == at) || (after && -calls == at))
		(void)kill(getpid(), SIGKILL);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRAP(type, name, parameters, arguments)                                                                        \
	type name parameters                                                                                           \
	{                                                                                                              \
		type result;                                                                                           \
		count(0);                                                                                              \
		result = REAL(name) arguments;                                                                         \
		count(1);                                                                                              \
		return result;                                                                                         \
	}

WRAP(ssize_t, splice, (int in, off64_t *in_at, int out, off64_t *out_at, size_t length, unsigned flags),
     (in, in_at, out, out_at, length, flags))
WRAP(ssize_t, tee, (int in, int out, size_t length, unsigned flags), (in, out, length, flags))
WRAP(ssize_t, pwrite, (int fd, const void *data, size_t length, off_t at), (fd, data, length, at))
WRAP(int, rename, (const char *from, const char *to), (from, to))
WRAP(int, ftruncate, (int fd, off_t length), (fd, length))

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	int fd;

	if (flags & O_CREAT) {
		va_list ap;

		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
		count(0);
	}
	fd = REAL(open)(path, flags, mode);
	if (flags & O_CREAT)
		count(1);
	return fd;
}
