/*
 * A dead file server. Usage: stuck_fs MOUNTPOINT [FILE] (foreground; unmounted when it is killed). Its root directory never answers a
 * look-up of "never". With FILE there is a "file" in it with the text of FILE; after the line "hold" on stdin nothing about it is answered
 * any more, until the line "go".
 */
#define FUSE_USE_VERSION 34
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_INODE = 2, TEXT_MAX = 1 << 16 };

static const char *source;	/* FILE, or NULL */
static bool holding;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

/* Waits while the server is dead; one thread for each request does. */
static void answer_or_not(void)
{
	(void)pthread_mutex_lock(&lock);
	while (holding)
		(void)pthread_cond_wait(&changed, &lock);
	(void)pthread_mutex_unlock(&lock);
}

static void *obey(void *unused)
{
	char line[16];

	(void)unused;
	while (fgets(line, sizeof line, stdin)) {
		(void)pthread_mutex_lock(&lock);
		holding = strcmp(line, "hold\n") == 0;
		(void)pthread_cond_broadcast(&changed);
		(void)pthread_mutex_unlock(&lock);
		(void)puts("ok");
		(void)fflush(stdout);
	}
	return NULL;
}

static ssize_t text(char *buffer)
{
	int fd = open(source, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, buffer, TEXT_MAX);

	if (fd >= 0)
		(void)close(fd);
	return n < 0 ? 0 : n;
}

static struct stat status_of(fuse_ino_t ino)
{
	struct stat st = { .st_ino = ino, .st_mode = S_IFDIR | 0755, .st_nlink = 2 };
	char buffer[TEXT_MAX];

	if (ino == FILE_INODE) {
		st.st_mode = S_IFREG | 0644;
		st.st_nlink = 1;
		st.st_size = text(buffer);
	}
	return st;
}

static void fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	struct stat st;

	(void)info;
	if (ino == FILE_INODE)
		answer_or_not();
	st = status_of(ino);
	(void)fuse_reply_attr(req, &st, ino == FILE_INODE ? 0 : 1.0);
}

static void fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = { .ino = FILE_INODE };

	(void)parent;
	if (strcmp(name, "never") == 0)
		return;			/* no answer at all */
	if (!source || strcmp(name, "file") != 0) {
		(void)fuse_reply_err(req, ENOENT);
		return;
	}
	answer_or_not();
	entry.attr = status_of(FILE_INODE);
	(void)fuse_reply_entry(req, &entry);
}

static void fs_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	(void)ino;
	info->direct_io = 1;
	(void)fuse_reply_open(req, info);
}

static void fs_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *info)
{
	char buffer[TEXT_MAX];
	ssize_t n;

	(void)ino;
	(void)info;
	answer_or_not();
	n = text(buffer);
	if (offset >= n)
		n = offset = 0;
	else
		n -= offset;
	(void)fuse_reply_buf(req, buffer + offset, (size_t)n < size ? (size_t)n : size);
}

int main(int argc, char **argv)
{
	static const struct fuse_lowlevel_ops operations = { .lookup = fs_lookup, .getattr = fs_getattr, .open = fs_open, .read = fs_read };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_loop_config loop = { .clone_fd = 0, .max_idle_threads = 4 };
	struct fuse_session *session;
	pthread_t listener;

	if (argc != 2 && argc != 3)
		return 2;
	source = argv[2];
	session = fuse_session_new(&args, &operations, sizeof operations, NULL);
	if (!session || fuse_set_signal_handlers(session) || fuse_session_mount(session, argv[1]))
		return 1;
	if (source && pthread_create(&listener, NULL, obey, NULL))
		return 1;
	(void)puts("mounted");
	(void)fflush(stdout);
	(void)fuse_session_loop_mt(session, &loop);
	fuse_session_unmount(session);
	fuse_session_destroy(session);
	return 0;
}
