/*
 * See file.h. Offsets are explicit (pwrite), because a write that is repeated after our death must hit the same place;
 * the size is compared with fstat before each write, so that external truncation or an external writer is noticed.
 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/place.h"
#include "rotation.h"

enum { TAIL_LOOK = 64 << 10 /* bytes read back to find the last newline of an existing file */ };
static const double backoff_first = 0.25, backoff_last = 5, backoff_forgotten = 10; /* seconds */
static const double rotate_retry = 5;						    /* seconds */
static const uint64_t room_wanted = 64 << 10; /* free bytes on the disk before a full one is tried again */

static enum file_kind kind_of(const char *path)
{
	static const struct {
		const char *path;
		enum file_kind kind;
	} names[] = {
		{ "/dev/stdout", FILE_STDOUT }, { "/dev/fd/1", FILE_STDOUT }, { "/proc/self/fd/1", FILE_STDOUT },
		{ "/dev/stderr", FILE_STDERR }, { "/dev/fd/2", FILE_STDERR }, { "/proc/self/fd/2", FILE_STDERR },
	};
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(path, names[i].path) == 0)
			return names[i].kind;
	/* Below /dev only: elsewhere a device node is as suspect as a fifo. */
	if (strncmp(path, "/dev/", 5) == 0 && lstat(path, &st) == 0 && S_ISCHR(st.st_mode))
		return FILE_DEVICE;
	return FILE_REGULAR;
}

struct file *file_get(struct file_set *set, const char *path, mode_t mode)
{
	struct file *file;

	LIST_FOREACH(file, &set->files, all)
	if (strcmp(file->path, path) == 0) {
		file->refs++;
		return file;
	}
	file = calloc(1, sizeof *file);
	if (!file || !(file->path = strdup(path))) {
		free(file);
		return NULL;
	}
	file->set = set;
	file->refs = 1;
	file->fd = -1;
	file->kind = kind_of(path);
	file->mode = mode;
	file->owner = (uid_t)-1;
	LIST_INSERT_HEAD(&set->files, file, all);
	return file;
}

static void file_close(struct file *file)
{
	if (file->fd >= 0)
		(void)close(file->fd);
	file->fd = -1;
	file->size = file->line = 0;
}

void file_release(struct file *file)
{
	if (!file || --file->refs)
		return;
	LIST_REMOVE(file, all);
	file_close(file);
	free(file->path);
	free(file);
}

/* ---- outages ---- */

static void outage_begin(struct file *file, int code, const char *what, double now)
{
	char text[PATH_MAX + 256];
	bool first = !file->error;

	if (first && now - file->ended_at > backoff_forgotten)
		file->backoff = 0;
	file->error = code;
	file->backoff = file->backoff ? file->backoff * 2 : backoff_first;
	if (file->backoff > backoff_last)
		file->backoff = backoff_last;
	file->retry_at = now + file->backoff;
	if (!first)
		return;
	(void)snprintf(text, sizeof text, "%s: %s: %s", file->path, what, strerror(code));
	file->set->outage(file, text, file->set->data);
}

/* On a full disk an attempt that can write one line and no more would only repeat the complaint. */
static bool disk_has_room(const struct file *file)
{
	struct statvfs fs;

	if (file->error != ENOSPC || fstatvfs(file->fd, &fs) < 0)
		return true;
	return (uint64_t)fs.f_bavail * fs.f_frsize >= room_wanted;
}

/* Say in the file itself what is missing at this place. */
static int write_notice(struct file *file)
{
	char text[256];
	int length;

	if (!file->lost || file->kind != FILE_REGULAR)
		return 0;
	length = snprintf(text, sizeof text, "%sreeve-logger: %llu bytes (%llu lines) were lost here: %s\n",
			  file->line ? "\n" : "", (unsigned long long)file->lost, (unsigned long long)file->lost_lines,
			  strerror(file->error));
	if (pwrite(file->fd, text, (size_t)length, (off_t)file->size) != length) {
		int code = errno ? errno : ENOSPC;

		(void)!ftruncate(file->fd, (off_t)file->size);
		return -code;
	}
	file->size += (uint64_t)length;
	file->line = 0;
	return 0;
}

static bool outage_end(struct file *file, double now)
{
	int r = -ENOSPC;

	if (disk_has_room(file))
		r = write_notice(file);
	if (r < 0) {
		outage_begin(file, -r, "write", now);
		return false;
	}
	file->error = 0;
	file->ended_at = now;
	file->set->outage(file, NULL, file->set->data);
	file->lost = file->lost_lines = 0;
	return true;
}

void file_drop(struct file *file, const char *data, size_t length)
{
	file->lost += length;
	for (const char *end = data + length; (data = memchr(data, '\n', (size_t)(end - data))); data++)
		file->lost_lines++;
}

/* ---- opening ---- */

/* Bytes behind the last newline of an existing file. A line longer than what is looked at counts as that long. */
static uint64_t tail_line(struct file *file)
{
	_cleanup_(freep) char *tail = NULL;
	size_t length = file->size < TAIL_LOOK ? file->size : TAIL_LOOK;
	char name[64];
	ssize_t n;
	int fd;

	if (!length || !(tail = malloc(length)))
		return 0;
	(void)snprintf(name, sizeof name, "/proc/self/fd/%d", file->fd);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = pread(fd, tail, length, (off_t)(file->size - length));
	(void)close(fd);
	return n > 0 ? rotation_line(0, tail, (size_t)n) : 0;
}

/* What an attacker could have put at a log path that root writes. The text completes "PATH: ". */
static const char *refusal(const struct file *file, const struct stat *st)
{
	uid_t self = geteuid();

	if (file->kind == FILE_DEVICE && S_ISCHR(st->st_mode))
		return NULL;
	if (S_ISFIFO(st->st_mode))
		return "is a fifo; a log must be a regular file";
	if (!S_ISREG(st->st_mode))
		return "is not a regular file";
	if (st->st_nlink > 1 && (self == 0 || st->st_uid != self))
		return "has another hard link; remove that, or log to another file";
	return NULL;
}

static int file_adopt(struct file *file, int fd, double now)
{
	struct stat st;
	const char *why = NULL;

	if (fstat(fd, &st) < 0 || (why = refusal(file, &st))) {
		outage_begin(file, EPERM, why ? why : "stat", now);
		(void)close(fd);
		return -EPERM;
	}
	file->fd = fd;
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	file->size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	file->line = 0;
	if (S_ISREG(st.st_mode))
		file->line = tail_line(file);
	return 0;
}

/* O_NONBLOCK: opening a fifo that nobody reads must fail, not wait. A descriptor or -errno; WHY is filled then. */
static int open_or_make(const struct file *file, const char **why)
{
	int flags = O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, fd, code;
	const char *name;
	_cleanup_(closep) int dir = place_open(file->path, &name);

	*why = dir == -EPERM ? "a symbolic link of another user leads to its directory" : "open";
	if (dir < 0)
		return dir;
	fd = openat(dir, name, flags);
	if (fd < 0 && errno == ENOENT && file->kind == FILE_REGULAR) {
		fd = openat(dir, name, flags | O_CREAT | O_EXCL, file->mode);
		if (fd >= 0 && file->owner != (uid_t)-1)
			(void)!fchown(fd, file->owner, (gid_t)-1);
	}
	code = errno;
	if (fd < 0)
		*why = code == ELOOP   ? "is a symbolic link, which is not followed"
		       : code == ENXIO ? "is a fifo or socket; a log must be a regular file"
				       : "open";
	return fd < 0 ? -code : fd;
}

static int file_open(struct file *file, double now)
{
	const char *why;
	int fd = open_or_make(file, &why), r;

	if (fd < 0) {
		outage_begin(file, -fd, why, now);
		return fd;
	}
	r = file_adopt(file, fd, now);
	if (r == 0)
		file->set->changed(file, file->set->data);
	return r;
}

/* Somebody else truncated the file, or wrote to it: go on at its end. */
static void follow_size(struct file *file, const struct stat *st)
{
	bool shrunk = (uint64_t)st->st_size < file->size;

	file->size = (uint64_t)st->st_size;
	file->line = tail_line(file);
	if (shrunk)
		file->set->changed(file, file->set->data);
}

bool file_ready(struct file *file, double now)
{
	struct stat st;

	if (file->kind == FILE_STDOUT || file->kind == FILE_STDERR)
		return true;
	if (file->error && now < file->retry_at)
		return false;
	if (file->fd >= 0 && file->kind == FILE_REGULAR) {
		if (fstat(file->fd, &st) < 0 || st.st_nlink == 0)
			file_close(file); /* removed: make it again */
		else if ((uint64_t)st.st_size != file->size)
			follow_size(file, &st);
	}
	if (file->fd < 0 && file_open(file, now) < 0)
		return false;
	return !file->error || outage_end(file, now);
}

/* ---- writing ---- */

size_t file_room(struct file *file, const char *data, size_t length, double now)
{
	uint64_t max = file->kind == FILE_REGULAR && now >= file->rotate_at ? file->max : 0;
	size_t room = rotation_room(file->size, file->line, max, data, length);
	struct error err = { 0 };

	if (room)
		return room;
	if (file_rotate(file, &err) < 0) {
		/* Better a file that is too long than lines that are lost. */
		if (!file->rotate_at)
			file->set->warn(err.text, file->set->data);
		file->rotate_at = now + rotate_retry;
		return file->fd >= 0 ? length : 0;
	}
	file->rotate_at = 0;
	if (file->fd < 0 && file_open(file, now) < 0)
		return 0;
	room = rotation_room(file->size, file->line, max, data, length);
	return room ? room : length;
}

/* Of a write that fell short, keep whole lines. */
static size_t keep_lines(struct file *file, const char *data, size_t written)
{
	size_t keep = written - (size_t)rotation_line(0, data, written);

	if (keep < written)
		(void)!ftruncate(file->fd, (off_t)(file->size + keep));
	return keep;
}

static ssize_t write_at(struct file *file, const char *data, size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t n = file->kind == FILE_REGULAR
				    ? pwrite(file->fd, data + done, length - done, (off_t)(file->size + done))
				    : write(file->fd, data + done, length - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

size_t file_append(struct file *file, const char *data, size_t length, double now)
{
	size_t done;

	errno = 0;
	done = (size_t)write_at(file, data, length);
	if (done < length) {
		int code = errno ? errno : ENOSPC;

		if (file->kind == FILE_DEVICE)
			return length; /* a device that takes no more is like /dev/null */
		done = keep_lines(file, data, done);
		outage_begin(file, code, "write", now);
	}
	file->size += done;
	file->line = rotation_line(file->line, data, done);
	file->set->changed(file, file->set->data);
	return done;
}

/* A full file is rotated at once, as supervisord does, so that "F" is always the one being written. */
void file_rotate_if_full(struct file *file, double now)
{
	struct error err = { 0 };

	if (file->kind != FILE_REGULAR || now < file->rotate_at || !rotation_full(file->size, file->line, file->max))
		return;
	if (file_rotate(file, &err) < 0) {
		if (!file->rotate_at)
			file->set->warn(err.text, file->set->data);
		file->rotate_at = now + rotate_retry;
	} else {
		file->rotate_at = 0;
	}
	if (file->fd < 0)
		(void)file_open(file, now);
}

static bool file_holds(struct file *file, uint64_t offset, const char *data, size_t length)
{
	_cleanup_(freep) char *there = malloc(length);
	int fd = file_open_reader(file);
	bool same;

	if (fd < 0 || !there)
		return false;
	same = pread(fd, there, length, (off_t)offset) == (ssize_t)length && memcmp(there, data, length) == 0;
	(void)close(fd);
	return same;
}

size_t file_repeat(struct file *file, uint64_t offset, dev_t dev, ino_t ino, const char *data, size_t length,
		   double now)
{
	bool same_file = file->dev == dev && file->ino == ino;

	if (file->kind != FILE_REGULAR)
		return file_append(file, data, length, now);
	if (same_file && offset + length <= file->size && file_holds(file, offset, data, length))
		return length;
	/* Part of it may be there: overwrite that. What others appended meanwhile stays. */
	if (same_file && offset <= file->size && file->size < offset + length) {
		file->size = offset;
		file->line = tail_line(file);
	}
	return file_append(file, data, length, now);
}

/* ---- rotation ---- */

/* The file's directory, and the names of its backups in it. */
struct backups {
	int dir;
	const char *base;
	char name[NAME_MAX + 1];
};

/* NAME or NAME.N; NULL: too long. */
static const char *backup_name(struct backups *b, unsigned n)
{
	int r = n ? snprintf(b->name, sizeof b->name, "%s.%u", b->base, n) : snprintf(b->name, sizeof b->name, "%s", b->base);

	return r < 0 || (size_t)r >= sizeof b->name ? NULL : b->name;
}

/* N - 1 becomes N. */
static int shift(struct backups *b, unsigned n)
{
	char from[NAME_MAX + 1];
	const char *name = backup_name(b, n - 1);

	if (!name)
		return -ENAMETOOLONG;
	strcpy(from, name);
	name = backup_name(b, n);
	if (!name)
		return -ENAMETOOLONG;
	return renameat(b->dir, from, b->dir, name) < 0 && errno != ENOENT ? -errno : 0;
}

/*
 * F.N-1 becomes F.N, ..., F becomes F.1. Only the names up to the first gap are shifted, so that a cascade which was
 * cut short by a kill leaves a gap, and repeating it pushes nothing over the end.
 */
static int cascade(const struct file *file, struct backups *b)
{
	unsigned gap = 1;

	for (; gap < file->backups; gap++) {
		const char *name = backup_name(b, gap);

		if (!name)
			return -ENAMETOOLONG;
		if (faccessat(b->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
			break;
	}
	for (; gap; gap--) {
		int r = shift(b, gap);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Is the file that we write still the one of its name in DIR? If not, it was moved away, and there is nothing to rename. */
static bool is_at(const struct file *file, int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == file->dev && st.st_ino == file->ino;
}

static bool is_at_path(const struct file *file)
{
	const char *name;
	_cleanup_(closep) int dir = place_open(file->path, &name);

	return dir >= 0 && is_at(file, dir, name);
}

static int shift_all(const struct file *file)
{
	struct backups b;
	_cleanup_(closep) int dir = place_open(file->path, &b.base);

	b.dir = dir;
	return dir >= 0 && is_at(file, dir, b.base) ? cascade(file, &b) : 0;
}

int file_rotate(struct file *file, struct error *err)
{
	int r = 0;

	if (file->kind != FILE_REGULAR || file->fd < 0)
		return 0;
	if (!file->backups) {
		if (ftruncate(file->fd, 0) < 0)
			return error_set(err, errno, "%s: cannot truncate: %s", file->path, strerror(errno));
		file->size = file->line = 0;
		file->set->changed(file, file->set->data);
		return 0;
	}
	r = shift_all(file);
	if (r < 0)
		return error_set(err, -r, "%s: cannot rotate: %s; the file grows beyond its limit", file->path,
				 strerror(-r));
	file_close(file);
	return 0;
}

int file_clear(struct file *file, struct error *err)
{
	double now = clock_now();

	if (file->kind != FILE_REGULAR)
		return 0;
	if (file->fd >= 0 && !is_at_path(file))
		file_close(file);
	if (file->fd < 0 && file_open(file, now) < 0)
		return error_set(err, file->error, "%s: %s", file->path, strerror(file->error));
	if (ftruncate(file->fd, 0) < 0)
		return error_set(err, errno, "%s: cannot clear: %s", file->path, strerror(errno));
	file->size = file->line = 0;
	file->set->changed(file, file->set->data);
	return 0;
}

void file_reopen(struct file *file, double now)
{
	if (file->kind != FILE_REGULAR && file->kind != FILE_DEVICE)
		return;
	file_close(file);
	file->retry_at = now;
	(void)file_ready(file, now);
}

static int open_reader_at(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

int file_open_reader(const struct file *file)
{
	_cleanup_(closep) int dir = -1;
	const char *base;
	char name[64];
	int fd;

	if (file->kind != FILE_REGULAR)
		return -ENOENT;
	if (file->fd < 0) {
		dir = place_open(file->path, &base);
		return dir < 0 ? dir : open_reader_at(dir, base);
	}
	(void)snprintf(name, sizeof name, "/proc/self/fd/%d", file->fd);
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* The number of the backup that is this inode; 0: none. */
static unsigned backup_of(const struct file *file, struct backups *b, dev_t dev, ino_t ino)
{
	struct stat st;

	for (unsigned n = 1; n <= file->backups; n++) {
		const char *name = backup_name(b, n);

		if (!name || fstatat(b->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return 0;
		if (st.st_dev == dev && st.st_ino == ino)
			return n;
	}
	return 0;
}

/* The backup that is this inode (NEWER 0), or the one that was made after it (1). */
static int open_backup(const struct file *file, dev_t dev, ino_t ino, unsigned newer)
{
	struct backups b;
	_cleanup_(closep) int dir = place_open(file->path, &b.base);
	unsigned n;

	b.dir = dir;
	n = dir < 0 ? 0 : backup_of(file, &b, dev, ino);
	return n > newer ? open_reader_at(dir, backup_name(&b, n - newer)) : -ENOENT;
}

static bool is_inode(int fd, dev_t dev, ino_t ino)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

int file_open_inode(const struct file *file, dev_t dev, ino_t ino)
{
	int fd = file_open_reader(file);

	if (is_inode(fd, dev, ino))
		return fd;
	closep(&fd);
	fd = open_backup(file, dev, ino, 0);
	if (is_inode(fd, dev, ino))
		return fd;
	closep(&fd);
	return -ENOENT;
}

int file_open_next(const struct file *file, dev_t dev, ino_t ino)
{
	int fd = open_backup(file, dev, ino, 1);

	return fd < 0 ? file_open_reader(file) : fd;
}
