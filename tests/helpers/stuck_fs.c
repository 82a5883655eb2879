/*
 * A file system whose root directory never answers a look-up of "never": what chdir into it does on a dead file server. Usage: stuck_fs
 * MOUNTPOINT (foreground; unmounted when it is killed).
 */
#define FUSE_USE_VERSION 34
#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	struct stat st = { .st_ino = ino, .st_mode = S_IFDIR | 0755, .st_nlink = 2 };

	(void)info;
	(void)fuse_reply_attr(req, &st, 1.0);
}

static void fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent;
	if (strcmp(name, "never") != 0)
		(void)fuse_reply_err(req, ENOENT);
	/* else: no answer at all */
}

int main(int argc, char **argv)
{
	static const struct fuse_lowlevel_ops operations = { .lookup = fs_lookup, .getattr = fs_getattr };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_session *session;

	if (argc != 2)
		return 2;
	session = fuse_session_new(&args, &operations, sizeof operations, NULL);
	if (!session || fuse_set_signal_handlers(session) || fuse_session_mount(session, argv[1]))
		return 1;
	(void)puts("mounted");
	(void)fflush(stdout);
	(void)fuse_session_loop(session);
	fuse_session_unmount(session);
	fuse_session_destroy(session);
	return 0;
}
