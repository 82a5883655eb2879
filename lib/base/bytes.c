/* See bytes.h. */
#include "bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEPT = 256 << 10 };

int bytes_reserve(struct bytes *b, size_t more)
{
	size_t length = bytes_length(b), size = b->size ? b->size : 1024;
	char *data;

	if (b->size - b->end >= more)
		return 0;
	/* Moving is cheap while what is left is small against what was taken. */
	if (b->start && b->size - length >= more && length <= b->start) {
		memmove(b->data, b->data + b->start, length);
		b->start = 0;
		b->end = length;
		return 0;
	}
	while (size - length < more)
		size *= 2;
	data = malloc(size);
	if (!data)
		return -ENOMEM;
	if (length)
		memcpy(data, b->data + b->start, length);
	free(b->data);
	*b = (struct bytes){ .data = data, .start = 0, .end = length, .size = size };
	return 0;
}

int bytes_add(struct bytes *b, const void *data, size_t length)
{
	if (!length)
		return 0;
	if (bytes_reserve(b, length) < 0)
		return -ENOMEM;
	memcpy(b->data + b->end, data, length);
	b->end += length;
	return 0;
}

void bytes_drop(struct bytes *b, size_t n)
{
	b->start += n;
	if (b->start != b->end)
		return;
	b->start = b->end = 0;
	if (b->size > KEPT)
		bytes_free(b);
}

void bytes_free(struct bytes *b)
{
	free(b->data);
	*b = (struct bytes){ 0 };
}

long bytes_read(struct bytes *b, int fd, size_t most)
{
	ssize_t n;

	if (bytes_reserve(b, most) < 0)
		return -ENOMEM;
	do
		n = read(fd, b->data + b->end, most);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	b->end += (size_t)n;
	return n;
}

int bytes_write(struct bytes *b, int fd)
{
	while (bytes_length(b)) {
		ssize_t n = write(fd, bytes_at(b), bytes_length(b));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes_drop(b, (size_t)n);
	}
	return 0;
}
