/* See message.h. */
#include "message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "varlink.h"

enum { READ_SIZE = 64 << 10, KEPT = 4096 /* bytes that an idle connection may keep */ };

void buffer_free(struct buffer *b)
{
	free(b->data);
	*b = (struct buffer){ 0 };
}

size_t buffer_length(const struct buffer *b)
{
	return b->end - b->start;
}

static int buffer_reserve(struct buffer *b, size_t more)
{
	size_t length = buffer_length(b);

	if (b->start && b->size - b->end < more) {
		memmove(b->data, b->data + b->start, length);
		b->start = 0;
		b->end = length;
	}
	if (b->size - b->end < more) {
		size_t size = b->size ? b->size : 512;
		char *data;

		while (size - b->end < more)
			size *= 2;
		data = realloc(b->data, size);
		if (!data)
			return -ENOMEM;
		b->data = data;
		b->size = size;
	}
	return 0;
}

/* Nothing in it: give a large block back. */
static void buffer_rest(struct buffer *b)
{
	if (b->start != b->end)
		return;
	b->start = b->end = 0;
	if (b->size > KEPT)
		buffer_free(b);
}

long message_read(int fd, struct buffer *in)
{
	static char chunk[READ_SIZE];	/* so that idle connections need no buffer of that size */
	ssize_t n;

	do
		n = recv(fd, chunk, sizeof chunk, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : 0;
	if (buffer_reserve(in, (size_t)n) < 0)
		return -ENOMEM;
	memcpy(in->data + in->end, chunk, (size_t)n);
	in->end += (size_t)n;
	if (buffer_length(in) > VARLINK_MESSAGE_MAX && !memchr(in->data + in->start, '\0', VARLINK_MESSAGE_MAX))
		return -EMSGSIZE;
	return n;
}

char *message_next(struct buffer *in, size_t *ret_length)
{
	char *begin, *end;

	buffer_rest(in);
	if (in->start == in->end)
		return NULL;
	begin = in->data + in->start;
	end = memchr(begin, '\0', buffer_length(in));
	if (!end)
		return NULL;
	*ret_length = (size_t)(end - begin);
	in->start += *ret_length + 1;
	return begin;
}

struct put {
	struct buffer *out;
	size_t limit;
	int error;			/* remembered: the dump goes on over some failures, and would leave a hole */
};

static int put_bytes(const char *data, size_t n, void *closure)
{
	struct put *p = closure;

	if (!p->error)
		p->error = buffer_length(p->out) + n > p->limit ? -ENOBUFS : buffer_reserve(p->out, n);
	if (p->error)
		return -1;
	memcpy(p->out->data + p->out->end, data, n);
	p->out->end += n;
	return 0;
}

int message_put(struct buffer *out, json_t *json, size_t limit)
{
	struct put p = { .out = out, .limit = limit };
	size_t before = buffer_length(out);

	if (!json || json_dump_callback(json, put_bytes, &p, JSON_COMPACT) < 0 || put_bytes("", 1, &p) < 0) {
		if (!p.error)
			p.error = -ENOMEM;
	}
	if (p.error)
		out->end = out->start + before;
	json_decref(json);
	return p.error;
}

int message_put_text(struct buffer *out, const char *text, size_t limit)
{
	struct put p = { .out = out, .limit = limit };

	(void)put_bytes(text, strlen(text) + 1, &p);
	return p.error;
}

int message_write(int fd, struct buffer *out)
{
	while (buffer_length(out)) {
		ssize_t n = send(fd, out->data + out->start, buffer_length(out), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		out->start += (size_t)n;
	}
	buffer_rest(out);
	return 0;
}
