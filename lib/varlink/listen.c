/* varlink_listen(): a socket that is never open wider than it shall be, and whose path never is without one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "address.h"
#include "base/place.h"
#include "varlink.h"

static int bind_at(int fd, const char *path, mode_t mode)
{
	struct address a;
	mode_t old;
	int r = address_init(&a, path);

	if (r < 0)
		return r;
	old = umask((mode_t)~mode & 0777);
	r = bind(fd, (struct sockaddr *)&a.un, a.length) < 0 ? -errno : 0;
	(void)umask(old);
	address_fini(&a);
	return r;
}

/* Not by name: whoever owns the directory could put another file of that name there in between. */
static int give(int fd, mode_t mode, uid_t owner, gid_t group)
{
	char name[40];

	(void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	/* Not open wider for the one owner than for the other. */
	if (chmod(name, mode & 0600) < 0)
		return -errno;
	if ((owner != (uid_t)-1 || group != (gid_t)-1) && fchownat(fd, "", owner, group, AT_EMPTY_PATH) < 0)
		return -errno;
	return chmod(name, mode) < 0 ? -errno : 0;
}

static int give_at(int dir, const char *name, mode_t mode, uid_t owner, gid_t group)
{
	_cleanup_(closep) int fd = dir < 0 ? -1 : openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (dir < 0)
		return dir;
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return S_ISSOCK(st.st_mode) && st.st_nlink == 1 ? give(fd, mode, owner, group) : -ENOTSOCK;
}

int varlink_socket_give(const char *path, mode_t mode, uid_t owner, gid_t group)
{
	const char *name;
	_cleanup_(closep) int dir = place_open(path, &name);

	return give_at(dir, name, mode, owner, group);
}

int varlink_listen(const char *path, mode_t mode, uid_t owner, gid_t group, struct error *err)
{
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char fresh[4200];
	const char *name = path, *fresh_name;
	_cleanup_(closep) int dir = place_open(path, &name);
	int r, ret;

	if (fd < 0)
		return error_set(err, errno, "%s: cannot make a socket: %s", path, errno_name(errno));
	(void)snprintf(fresh, sizeof fresh, "%s.new", path);
	fresh_name = fresh + (name - path);
	r = dir < 0 ? dir : unlinkat(dir, fresh_name, 0) < 0 && errno != ENOENT ? -errno : bind_at(fd, fresh, mode);
	if (r < 0)
		return error_set(err, -r, "%s: cannot make the socket: %s; is its directory there and writable?", path,
				 errno_name(-r));
	r = give_at(dir, fresh_name, mode, owner, group);
	if (r < 0)
		return error_set(err, -r, "%s: cannot give it to its owner: %s", path, errno_name(-r));
	if (listen(fd, 1024) < 0 || renameat(dir, fresh_name, dir, name) < 0)
		return error_set(err, errno, "%s: cannot listen: %s", path, errno_name(errno));
	ret = fd;
	fd = -1;
	return ret;
}
