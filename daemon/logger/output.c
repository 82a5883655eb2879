/* See output.h. */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

enum { SAFE_WRITE = 512 /* bytes that a pipe or terminal reported writable takes without blocking */ };

/*
 * A pipe or terminal is opened anew through /proc, which gives a description of our own to make nonblocking. A socket
 * has MSG_DONTWAIT. A regular file needs nothing. Where opening is not allowed, poll(2) and small writes must do.
 */
static void output_open(struct output *output)
{
	struct stat st;
	char name[64];
	int fd;

	if (fstat(output->fd, &st) < 0) {
		output->dead = true;
		return;
	}
	output->socket = S_ISSOCK(st.st_mode);
	if (output->socket || S_ISREG(st.st_mode))
		return;
	(void)snprintf(name, sizeof name, "/proc/self/fd/%d", output->fd);
	fd = open(name, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0) {
		output->poll_first = true;
		return;
	}
	output->fd = fd;
	output->owned = true;
}

static ssize_t write_some(struct output *output, const char *data, size_t length)
{
	struct pollfd ready = { .fd = output->fd, .events = POLLOUT };

	if (output->socket)
		return send(output->fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (!output->poll_first)
		return write(output->fd, data, length);
	if (poll(&ready, 1, 0) <= 0) {
		errno = EAGAIN;
		return -1;
	}
	return write(output->fd, data, length < SAFE_WRITE ? length : SAFE_WRITE);
}

/* Write what the reader takes now. */
static size_t write_all(struct output *output, const char *data, size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t n = write_some(output, data + done, length - done);

		if (n >= 0) {
			done += (size_t)n;
		} else if (errno == EAGAIN) {
			break;
		} else if (errno != EINTR) {
			output->dead = errno == EPIPE || errno == EBADF || errno == EIO || errno == ECONNRESET;
			return length; /* a closed or full stdout takes nothing, and nobody can be told there */
		}
	}
	return done;
}

static void count_lost(struct output *output, const char *data, size_t length)
{
	output->lost += length;
	for (const char *end = data + length; (data = memchr(data, '\n', (size_t)(end - data))); data++)
		output->lost_lines++;
}

static bool queue_grow(struct output *output, size_t wanted)
{
	size_t size = output->size ? output->size : 4096;
	char *queue;

	while (size < wanted)
		size *= 2;
	if (size == output->size)
		return true;
	queue = realloc(output->queue, size);
	if (!queue)
		return false;
	output->queue = queue;
	output->size = size;
	return true;
}

static void queue_add(struct output *output, const char *data, size_t length)
{
	size_t room = OUTPUT_QUEUE_MAX - output->length, keep = length;

	/* Once something was lost, nothing is queued until the reader has caught up: one gap, not many. */
	if (output->lost)
		keep = 0;
	else if (length > room) {
		const char *end = memrchr(data, '\n', room);

		keep = end ? (size_t)(end - data) + 1 : 0;
	}
	if (keep && !queue_grow(output, output->length + keep))
		keep = 0;
	if (keep)
		memcpy(output->queue + output->length, data, keep);
	output->length += keep;
	if (keep < length)
		count_lost(output, data + keep, length - keep);
	if (output->length && output->loop)
		ev_io_start(output->loop, &output->writable);
}

static void queue_flush(struct output *output)
{
	size_t done = write_all(output, output->queue, output->length);

	memmove(output->queue, output->queue + done, output->length - done);
	output->length -= done;
	if (output->length)
		return;
	free(TAKE(output->queue));
	output->size = 0;
	ev_io_stop(output->loop, &output->writable);
	if (output->lost) {
		char text[128];
		int n = snprintf(text, sizeof text, "reeve-logger: %llu bytes (%llu lines) were lost here: blocked\n",
				 (unsigned long long)output->lost, (unsigned long long)output->lost_lines);

		output->lost = output->lost_lines = 0;
		output_write(output, text, (size_t)n);
	}
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
	(void)loop, (void)events;
	queue_flush(watcher->data);
}

void output_init(struct output *output, struct ev_loop *loop, int fd)
{
	*output = (struct output){ .loop = loop, .fd = fd };
	output_open(output);
	ev_io_init(&output->writable, on_writable, output->fd, EV_WRITE);
	output->writable.data = output;
}

void output_fini(struct output *output)
{
	ev_io_stop(output->loop, &output->writable);
	free(TAKE(output->queue));
	if (output->owned)
		(void)close(output->fd);
}

void output_write(struct output *output, const char *data, size_t length)
{
	size_t done = 0;

	if (output->dead)
		return;
	if (!output->length)
		done = write_all(output, data, length);
	if (done < length)
		queue_add(output, data + done, length - done);
}

void output_drain(struct output *output, double deadline)
{
	while (output->length && !output->dead && clock_now() < deadline) {
		struct pollfd ready = { .fd = output->fd, .events = POLLOUT };

		if (poll(&ready, 1, 100) > 0)
			queue_flush(output);
	}
}
