/*
 * See stream.h. The way of a batch: tee(2) from the pipe and read the copy, so that nothing is consumed while we
 * decide how much to take (whole lines, where there is one); note the stream in the journal; splice exactly that much
 * into the staging pipe; note and make each write; drain the staging pipe.
 *
 * An unfinished line stays in the pipe for a moment (partial_wait), so that rotation finds whole lines; a long one is
 * not waited for.
 */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "ansi.h"
#include "batch.h"

enum { PARTIAL_MAX = 4096 /* an unfinished line longer than this is taken at once */ };

struct stream *stream_new(struct logger *logger, const char *id, bool id_number)
{
	struct stream *stream = calloc(1, sizeof *stream);

	if (!stream)
		return NULL;
	stream->logger = logger;
	stream->pipe = -1;
	stream->id_number = id_number;
	stream->hash = journal_hash(id);
	stream->id = strdup(id);
	TAILQ_INSERT_TAIL(&logger->streams, stream, all);
	if (!stream->id) {
		stream_free(stream);
		return NULL;
	}
	return stream;
}

static void leave_ready(struct stream *stream)
{
	if (stream->is_ready)
		TAILQ_REMOVE(&stream->logger->ready, stream, ready_link);
	stream->is_ready = false;
}

static void leave_partial(struct stream *stream)
{
	if (stream->is_partial)
		TAILQ_REMOVE(&stream->logger->partial, stream, partial_link);
	stream->is_partial = false;
}

static void close_pipe(struct stream *stream)
{
	if (stream->pipe < 0)
		return;
	(void)epoll_ctl(stream->logger->pipes, EPOLL_CTL_DEL, stream->pipe, NULL);
	(void)close(stream->pipe);
	stream->pipe = -1;
}

static void goal_reached(struct stream *stream)
{
	if (!stream->goal)
		return;
	stream->goal = 0;
	stream->logger->goals--;
	logger_flush_check(stream->logger);
}

void stream_free(struct stream *stream)
{
	struct logger *logger;

	if (!stream)
		return;
	logger = stream->logger;
	leave_ready(stream);
	leave_partial(stream);
	close_pipe(stream);
	goal_reached(stream);
	TAILQ_REMOVE(&logger->streams, stream, all);
	if (logger->main == stream)
		logger->main = NULL;
	if (stream->capture.ring)
		(void)munmap(stream->capture.ring, stream->ring_size);
	file_release(stream->file);
	free(stream->syslog);
	free(stream->process);
	free(stream->group);
	free(stream->id);
	free(stream);
}

struct stream *stream_find(struct logger *logger, const char *id)
{
	uint64_t hash = journal_hash(id);
	struct stream *stream;

	TAILQ_FOREACH(stream, &logger->streams, all)
	if (stream->hash == hash && strcmp(stream->id, id) == 0)
		return stream;
	return NULL;
}

/* ---- the pipe ---- */

/* A description of our own, so that nonblocking reads are nobody else's business. */
static int reopen_pipe(int fd)
{
	char name[64];
	int mine;

	(void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	mine = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (mine < 0)
		return fd; /* tee and splice ask for nonblocking by themselves */
	(void)close(fd);
	return mine;
}

int stream_attach(struct stream *stream, int fd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.ptr = stream };
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode)) {
		(void)close(fd);
		return -EINVAL;
	}
	if (stream->pipe >= 0 && st.st_ino == stream->pipe_ino) {
		(void)close(fd);
		return 0;
	}
	if (stream->pipe >= 0) {
		stream_drain(stream);
		close_pipe(stream);
	}
	stream->pipe = reopen_pipe(fd);
	stream->pipe_ino = st.st_ino;
	if (epoll_ctl(stream->logger->pipes, EPOLL_CTL_ADD, stream->pipe, &event) < 0) {
		int code = errno;

		(void)close(stream->pipe);
		stream->pipe = -1;
		return -code;
	}
	stream_wake(stream);
	return 0;
}

void stream_wake(struct stream *stream)
{
	leave_partial(stream);
	if (stream->is_ready)
		return;
	stream->is_ready = true;
	TAILQ_INSERT_TAIL(&stream->logger->ready, stream, ready_link);
	logger_wake(stream->logger);
}

static void wait_for_more(struct stream *stream)
{
	leave_ready(stream);
	if (stream->is_partial)
		return;
	stream->is_partial = true;
	if (!stream->partial_since)
		stream->partial_since = clock_now();
	TAILQ_INSERT_TAIL(&stream->logger->partial, stream, partial_link);
	if (!ev_is_active(&stream->logger->partial_tick))
		ev_timer_again(stream->logger->loop, &stream->logger->partial_tick);
}

void stream_set_goal(struct stream *stream)
{
	size_t waiting = stream->pipe >= 0 ? pipe_bytes(stream->pipe) : 0;

	if (!waiting)
		return;
	if (!stream->goal)
		stream->logger->goals++;
	stream->goal = stream->consumed + waiting;
	stream->force = true;
	stream_wake(stream);
}

/* How much of a peeked batch to take. */
static size_t usable(struct stream *stream, size_t length)
{
	const char *data = stream->logger->batch, *end;
	size_t limit = length, urgent = 0, lines;

	if (stream->force)
		return length;
	if (stream->capture.max)
		limit = capture_usable(stream->capture.mark.on, data, limit, &urgent);
	if (stream->strip_ansi && !stream->capture.mark.on)
		limit -= ansi_unfinished(data, limit);
	stream->holds_token = limit < length;
	end = memrchr(data, '\n', limit);
	lines = end ? (size_t)(end - data) + 1 : 0;
	if (urgent > limit)
		urgent = limit;
	if (lines < urgent)
		lines = urgent;
	return limit - lines >= PARTIAL_MAX || length == BATCH_MAX ? (lines ? lines : limit) : lines;
}

static size_t to_staging(struct logger *logger, int fd, size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t n = splice(fd, NULL, logger->staging, NULL, length - done, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

static bool finished(struct stream *stream)
{
	if (stream->closing) {
		stream->force = true;
		if (pipe_bytes(stream->pipe) == 0) {
			journal_forget(&stream->logger->journal, stream->record);
			stream_free(stream);
			return true;
		}
		return false;
	}
	goal_reached(stream);
	stream->force = false;
	return false;
}

size_t stream_turn(struct stream *stream)
{
	struct logger *logger = stream->logger;
	size_t length, take;

	if (stream->debug && logger->main)
		stream_drain(logger->main);	/* the daemon's line about a start comes before the output of what it started */
	length = stream->pipe >= 0 ? batch_peek(logger, stream->pipe) : 0;
	if (!length) {
		leave_ready(stream);
		(void)finished(stream);
		return 0;
	}
	take = usable(stream, length);
	if (!take) {
		wait_for_more(stream);
		return 0;
	}
	(void)journal_stage(&logger->journal, stream->hash);
	take = to_staging(logger, stream->pipe, take);
	stream->partial_since = 0;
	if (!take) {
		leave_ready(stream); /* cannot be: the staging pipe is empty and larger than a batch */
		return 0;
	}
	batch_process(stream, take);
	stream->consumed += take;
	if (stream->goal && stream->consumed >= stream->goal)
		goal_reached(stream);
	stream->force = stream->goal || stream->closing;
	return take;
}

void stream_drain(struct stream *stream)
{
	uint64_t end = stream->consumed + pipe_bytes(stream->pipe);

	while (stream->pipe >= 0 && !stream->logger->recovering && stream->consumed < end) {
		stream->force = true;
		if (!stream_turn(stream))
			return;
	}
}

/* ---- settings ---- */

int stream_set_capture(struct stream *stream, uint32_t max)
{
	struct journal *journal = &stream->logger->journal;
	uint32_t size = max + BATCH_MAX;

	if (stream->capture.max == max)
		return 0;
	if (stream->capture.ring)
		(void)munmap(stream->capture.ring, stream->ring_size);
	stream->capture = (struct capture){ 0 };
	if (!max)
		return 0;
	stream->record = journal_record(journal, stream->hash, true);
	if (!stream->record)
		return -ENOSPC;
	stream->capture.ring = journal_ring(journal, stream->record, size);
	if (!stream->capture.ring)
		return -ENOMEM;
	stream->ring_size = stream->record->region_size;
	stream->capture.size = stream->record->region_size;
	stream->capture.max = max;
	stream->capture.mark = stream->record->mark;
	return 0;
}
