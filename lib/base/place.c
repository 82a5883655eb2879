/* See place.h. One component after the other, each without following a link; the links are put into the rest of the path by hand. */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base.h"

enum { LINKS_MAX = 40 };		/* as the kernel's */

struct walk {
	int fd;				/* where we are */
	char rest[PATH_MAX];		/* what is still to be gone */
	unsigned links;
	uid_t through;			/* whose link was followed; -1: none, or root's, or ours */
};

static int enter(struct walk *w, int fd)
{
	if (fd < 0)
		return -errno;
	closep(&w->fd);
	w->fd = fd;
	return 0;
}

static int begin(struct walk *w)
{
	return enter(w, open(*w->rest == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/* The target of the link LINK before the rest of the path. */
static int follow(struct walk *w, int link, uid_t owner)
{
	char target[PATH_MAX], whole[PATH_MAX];
	ssize_t n = readlinkat(link, "", target, sizeof target - 1);
	int length;

	if (n < 0)
		return -errno;
	if (++w->links > LINKS_MAX)
		return -ELOOP;
	if (owner != 0 && owner != geteuid()) {
		if (w->through != (uid_t)-1 && w->through != owner)
			return -EPERM;
		w->through = owner;
	}
	target[n] = '\0';
	length = snprintf(whole, sizeof whole, "%s/%s", target, w->rest);
	if (length < 0 || (size_t)length >= sizeof whole)
		return -ENAMETOOLONG;
	memcpy(w->rest, whole, (size_t)length + 1);
	return *w->rest == '/' ? begin(w) : 0;
}

/* O_DIRECTORY first: without it the kernel mounts nothing that is mounted on demand. */
static int step(struct walk *w, const char *name)
{
	int fd = openat(w->fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_(closep) int link = -1;
	struct stat st;

	if (fd >= 0 || (errno != ENOTDIR && errno != ELOOP))
		return enter(w, fd);
	link = openat(w->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (link < 0 || fstat(link, &st) < 0)
		return -errno;
	return S_ISLNK(st.st_mode) ? follow(w, link, st.st_uid) : -ENOTDIR;
}

/* The next component of the rest, taken from it. False: there is none. */
static bool next(struct walk *w, char name[NAME_MAX + 1], int *ret_error)
{
	const char *begin = w->rest + strspn(w->rest, "/");
	size_t n = strcspn(begin, "/");

	*ret_error = n > NAME_MAX ? -ENAMETOOLONG : 0;
	if (!n || *ret_error)
		return false;
	memcpy(name, begin, n);
	name[n] = '\0';
	memmove(w->rest, begin + n, strlen(begin + n) + 1);
	return true;
}

static int walk(struct walk *w)
{
	char name[NAME_MAX + 1];
	int r = begin(w), error = 0;
	struct stat st;

	while (r == 0 && next(w, name, &error))
		r = step(w, name);
	if (r < 0 || error < 0)
		return r < 0 ? r : error;
	if (w->through == (uid_t)-1)
		return 0;
	if (fstat(w->fd, &st) < 0)
		return -errno;
	return st.st_uid == w->through ? 0 : -EPERM;
}

int place_open(const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) + 1 : 0;
	struct walk w = { .fd = -1, .through = (uid_t)-1 };
	int r;

	if (n >= sizeof w.rest)
		return -ENAMETOOLONG;
	memcpy(w.rest, path, n);
	r = walk(&w);
	if (r < 0) {
		closep(&w.fd);
		return r;
	}
	*ret_name = path + n;
	return w.fd;
}
