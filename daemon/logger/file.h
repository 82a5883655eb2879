/*
 * A log file: opened with care, written at a known offset, rotated, and given up for a while when the disk will not
 * have it. Streams that name the same path share one. Nothing here blocks (but for the disk) and nothing waits: output
 * that cannot be written is counted and dropped by the caller.
 */
#ifndef REEVE_LOGGER_FILE_H
#define REEVE_LOGGER_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "base/base.h"

enum file_kind {
	FILE_REGULAR,
	FILE_STDOUT, /* the daemon's own descriptors, through output.h */
	FILE_STDERR,
	FILE_DEVICE, /* another character device, such as /dev/null */
};

struct file {
	LIST_ENTRY(file) all; /* file_set::files */
	struct file_set *set;
	unsigned refs;
	enum file_kind kind;
	char *path;	     /* owned */
	int fd;		     /* -1: not open */
	mode_t mode;	     /* of a file that is made */
	uid_t owner;	     /* of a file that is made; -1: ours */
	uint64_t size, line; /* bytes; bytes behind the last newline */
	dev_t dev;
	ino_t ino;
	uint64_t max; /* rotation limit, bytes; 0: none */
	unsigned backups;

	int error;		   /* errno of the outage; 0: none */
	double retry_at, backoff;  /* seconds of clock_now(); seconds */
	double ended_at;	   /* when the last outage ended */
	double rotate_at;	   /* a rotation failed: not before this time again */
	uint64_t lost, lost_lines; /* since the outage began */
};

struct file_set {
	LIST_HEAD(, file) files;
	/* An outage began (TEXT says why), or ended (TEXT NULL, file->lost tells how much was lost). */
	void (*outage)(struct file *file, const char *text, void *data);
	/* The file has new bytes, or fewer, or is another one. */
	void (*changed)(struct file *file, void *data);
	void (*warn)(const char *text, void *data);
	void *data;
};

/* The file at PATH, made known if it is not. Held until file_release(). NULL: out of memory. Does not open it. */
struct file *file_get(struct file_set *set, const char *path, mode_t mode);
void file_release(struct file *file);

/*
 * May FILE be written now? Opens it, notices that it was removed, truncated or grown by others, and tries again after
 * an outage once its time has come. False: drop.
 */
bool file_ready(struct file *file, double now);
/* Rotate if that must precede these bytes; returns how many of them to write now. 0: an outage has begun. */
size_t file_room(struct file *file, const char *data, size_t length, double now);
/* Rotate if the file is full, after its last write was noted as done. */
void file_rotate_if_full(struct file *file, double now);
/* Write at the end. Returns the bytes kept, in whole lines; fewer than LENGTH: an outage has begun. */
size_t file_append(struct file *file, const char *data, size_t length, double now);
/* Finish a write that an earlier process may or may not have done. As file_append(). */
size_t file_repeat(struct file *file, uint64_t offset, dev_t dev, ino_t ino, const char *data, size_t length,
		   double now);
/* Count output that is not written. */
void file_drop(struct file *file, const char *data, size_t length);

int file_rotate(struct file *file, struct error *err);
int file_clear(struct file *file, struct error *err);
/* Close and open by name (SIGUSR2). */
void file_reopen(struct file *file, double now);
/* A descriptor of its own to read from, or -errno. */
int file_open_reader(const struct file *file);
/* As above, but the file or backup that is this inode; -ENOENT: there is none any more. */
int file_open_inode(const struct file *file, dev_t dev, ino_t ino);
/* As above, but the file that came after the one with this inode: a backup, or the present file. */
int file_open_next(const struct file *file, dev_t dev, ino_t ino);

#endif
