/* See journal.h. */
#include "journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/base.h"

struct frame {
	uint32_t kind, length, check, zero;
};

/* FNV-1a: enough to see that an entry was not written to its end. */
static uint32_t sum(uint32_t check, const char *data, size_t length)
{
	for (size_t i = 0; i < length; i++)
		check = (check ^ (unsigned char)data[i]) * 16777619u;
	return check;
}

int journal_new(struct journal *j)
{
	*j = (struct journal){ .fd = memfd_create("reeve-events", MFD_CLOEXEC) };
	return j->fd < 0 ? -errno : 0;
}

int journal_append(struct journal *j, uint32_t kind, const struct iovec *parts, int n)
{
	struct frame frame = { .kind = kind, .check = 2166136261u ^ kind };
	struct iovec all[4] = { { &frame, sizeof frame } };
	ssize_t written;

	for (int i = 0; i < n; i++) {
		all[i + 1] = parts[i];
		frame.length += (uint32_t)parts[i].iov_len;
		frame.check = sum(frame.check, parts[i].iov_base, parts[i].iov_len);
	}
	written = pwritev(j->fd, all, n + 1, (off_t)j->size);
	if (written != (ssize_t)(sizeof frame + frame.length))
		return written < 0 ? -errno : -ENOSPC;
	j->size += (size_t)written;
	return 0;
}

static void replay(struct journal *j, const char *text, size_t size,
		   void (*see)(uint32_t kind, const char *entry, size_t length, void *data), void *data)
{
	struct frame f;

	while (size - j->size >= sizeof f) {
		const char *entry = text + j->size + sizeof f;

		memcpy(&f, text + j->size, sizeof f);
		if (f.length > size - j->size - sizeof f || sum(2166136261u ^ f.kind, entry, f.length) != f.check)
			return;
		see(f.kind, entry, f.length, data);
		j->size += sizeof f + f.length;
	}
}

int journal_replay(struct journal *j, int fd, void (*see)(uint32_t kind, const char *entry, size_t length, void *data), void *data)
{
	struct stat st;
	char *text;

	*j = (struct journal){ .fd = fd };
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!st.st_size)
		return 0;
	text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (text == MAP_FAILED)
		return -errno;
	replay(j, text, (size_t)st.st_size, see, data);
	(void)munmap(text, (size_t)st.st_size);
	return 0;
}

void journal_close(struct journal *j)
{
	closep(&j->fd);
	j->fd = -1;
}
