/* varlink_listen(): a socket that is never open wider than it shall be, and whose path never is without one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "address.h"
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

int varlink_listen(const char *path, mode_t mode, uid_t owner, gid_t group, struct error *err)
{
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char fresh[4200];
	int r, ret;

	if (fd < 0)
		return error_set(err, errno, "%s: cannot make a socket: %s", path, errno_name(errno));
	(void)snprintf(fresh, sizeof fresh, "%s.new", path);
	(void)unlink(fresh);
	r = bind_at(fd, fresh, mode);
	if (r < 0)
		return error_set(err, -r, "%s: cannot make the socket: %s; is its directory there and writable?", path,
				 errno_name(-r));
	if ((owner != (uid_t)-1 || group != (gid_t)-1) && lchown(fresh, owner, group) < 0)
		return error_set(err, errno, "%s: cannot give it to its owner: %s", path, errno_name(errno));
	if (chmod(fresh, mode) < 0 || listen(fd, 1024) < 0 || rename(fresh, path) < 0)
		return error_set(err, errno, "%s: cannot listen: %s", path, errno_name(errno));
	ret = fd;
	fd = -1;
	return ret;
}
