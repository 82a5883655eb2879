/* See message.h. */
#include "message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "varlink.h"

enum { READ_SIZE = 64 << 10, KEPT = 4096 /* bytes that an idle connection may keep */ };

/* Nothing in it: give all but a small block back. */
static void rest(struct bytes *b)
{
	if (bytes_length(b))
		return;
	b->start = b->end = 0;
	if (b->size > KEPT)
		bytes_free(b);
}

long message_read(int fd, struct bytes *in)
{
	static char chunk[READ_SIZE];	/* so that idle connections need no buffer of that size */
	ssize_t n;

	do
		n = recv(fd, chunk, sizeof chunk, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : 0;
	if (bytes_add(in, chunk, (size_t)n) < 0)
		return -ENOMEM;
	if (bytes_length(in) > VARLINK_MESSAGE_MAX && !memchr(bytes_at(in), '\0', VARLINK_MESSAGE_MAX))
		return -EMSGSIZE;
	return n;
}

char *message_next(struct bytes *in, size_t *ret_length)
{
	char *begin, *end;

	rest(in);
	if (in->start == in->end)
		return NULL;
	begin = bytes_at(in);
	end = memchr(begin, '\0', bytes_length(in));
	if (!end)
		return NULL;
	*ret_length = (size_t)(end - begin);
	in->start += *ret_length + 1;
	return begin;
}

struct put {
	struct bytes *out;
	size_t limit;
	int error;			/* remembered: the dump goes on over some failures, and would leave a hole */
};

static int put_bytes(const char *data, size_t n, void *closure)
{
	struct put *p = closure;

	if (!p->error)
		p->error = bytes_length(p->out) + n > p->limit ? -ENOBUFS : bytes_add(p->out, data, n);
	return p->error ? -1 : 0;
}

int message_put(struct bytes *out, json_t *json, size_t limit)
{
	struct put p = { .out = out, .limit = limit };
	size_t before = bytes_length(out);

	if (!json || json_dump_callback(json, put_bytes, &p, JSON_COMPACT) < 0 || put_bytes("", 1, &p) < 0) {
		if (!p.error)
			p.error = -ENOMEM;
	}
	if (p.error)
		out->end = out->start + before;
	json_decref(json);
	return p.error;
}

int message_put_text(struct bytes *out, const char *text, size_t limit)
{
	struct put p = { .out = out, .limit = limit };

	(void)put_bytes(text, strlen(text) + 1, &p);
	return p.error;
}

int message_write(int fd, struct bytes *out)
{
	while (bytes_length(out)) {
		ssize_t n = send(fd, bytes_at(out), bytes_length(out), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		out->start += (size_t)n;
	}
	rest(out);
	return 0;
}
