/*
 * A queue of bytes: appended at the end, taken from the beginning. What connections, workers and maps read into and write from. Gives its
 * memory back when it runs empty after a burst.
 */
#ifndef REEVE_BASE_BYTES_H
#define REEVE_BASE_BYTES_H

#include <stddef.h>

struct bytes {
	char *data;			/* owned */
	size_t start, end, size;	/* content: [start, end) */
};

static inline size_t bytes_length(const struct bytes *b)
{
	return b->end - b->start;
}

static inline char *bytes_at(const struct bytes *b)
{
	return b->data + b->start;
}

/* Room for MORE bytes at data + end. 0 or -ENOMEM. */
int bytes_reserve(struct bytes *b, size_t more);
int bytes_add(struct bytes *b, const void *data, size_t length);
/* Forget the first N. */
void bytes_drop(struct bytes *b, size_t n);
void bytes_free(struct bytes *b);

/* One read(2) of at most MOST bytes: > 0, 0: end, -EAGAIN, -errno. */
long bytes_read(struct bytes *b, int fd, size_t most);
/* write(2) until empty: 0, -EAGAIN: some is left, -errno. */
int bytes_write(struct bytes *b, int fd);

#endif
