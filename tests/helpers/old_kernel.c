/* Preloaded: control groups as before Linux 5.14, without cgroup.kill. */
#undef _FILE_OFFSET_BITS		/* or openat and openat64 would be one */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

static int refused(const char *path)
{
	if (strcmp(path, "cgroup.kill") != 0)
		return 0;
	errno = ENOENT;
	return 1;
}

#define WRAP(name)                                                                                                     \
	int name(int dir, const char *path, int flags, ...)                                                            \
	{                                                                                                              \
		int (*real)(int, const char *, int, ...) = (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, #name); \
		va_list ap;                                                                                            \
		mode_t mode;                                                                                           \
                                                                                                                       \
		va_start(ap, flags);                                                                                   \
		mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;                                                       \
		va_end(ap);                                                                                            \
		return refused(path) ? -1 : real(dir, path, flags, mode);                                              \
	}

int openat64(int dir, const char *path, int flags, ...);
WRAP(openat)
WRAP(openat64)
