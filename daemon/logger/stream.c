/*
 * See stream.h. The way of a batch: tee(2) from the pipe and read the copy, so that nothing is consumed while we
 * decide how much to take (whole lines, where there is one); note the stream in the journal; splice exactly that much
 * into the staging pipe; note and make each write; drain the staging pipe.
 *
 * An unfinished line stays in the pipe for a moment (partial_wait), so that rotation finds whole lines; a long one is not
 * waited for.
 */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "ansi.h"
#include "base64.h"
#include "rotation.h"

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
		return fd;	/* tee and splice ask for nonblocking by themselves */
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

static size_t bytes_in(int fd)
{
	int n = 0;

	return ioctl(fd, FIONREAD, &n) < 0 || n < 0 ? 0 : (size_t)n;
}

void stream_set_goal(struct stream *stream)
{
	size_t waiting = stream->pipe >= 0 ? bytes_in(stream->pipe) : 0;

	if (!waiting)
		return;
	if (!stream->goal)
		stream->logger->goals++;
	stream->goal = stream->consumed + waiting;
	stream->force = true;
	stream_wake(stream);
}

/* Copy what is in pipe FD, up to BATCH_MAX bytes, without consuming it. */
static size_t peek(struct logger *logger, int fd)
{
	ssize_t n = tee(fd, logger->scratch[1], BATCH_MAX, SPLICE_F_NONBLOCK);
	size_t length = 0;

	while (n > 0 && length < (size_t)n) {
		ssize_t r = read(logger->scratch[0], logger->batch + length, (size_t)n - length);

		if (r <= 0)
			break;
		length += (size_t)r;
	}
	return length;
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

static void drain_staging(struct logger *logger)
{
	size_t left;

	while ((left = bytes_in(logger->staging)) > 0) {
		ssize_t n = splice(logger->staging, NULL, logger->null, NULL, left, SPLICE_F_NONBLOCK);

		if (n < 0 && errno == EINVAL)
			n = read(logger->staging, logger->text, left < BATCH_MAX ? left : BATCH_MAX);
		if (n <= 0 && errno != EINTR)
			break;
	}
}

/* ---- a batch ---- */

struct batch {
	struct stream *stream;
	struct file *file;	/* borrowed; NULL: none */
	uint64_t stream_hash, number;
	size_t staged;		/* bytes of input */
	const char *out;
	size_t length;		/* bytes of output */
	struct capture_mark next;
	unsigned parts;		/* events sent, so that each has a number */
};

static void note_write(struct logger *logger, const struct batch *batch, size_t from, size_t length)
{
	const struct file *file = batch->file;
	struct journal_note note = {
		.stream = batch->stream_hash,
		.staged = (uint32_t)batch->staged,
		.from = (uint32_t)from,
		.length = (uint32_t)length,
		.last = from + length == batch->length,
		.next = batch->next,
	};

	if (file) {
		note.offset = file->size;
		note.dev = file->dev;
		note.ino = file->ino;
	}
	journal_write(&logger->journal, &note, file ? file->path : NULL);
}

static void drop(struct logger *logger, struct batch *batch, size_t from)
{
	size_t length = batch->length - from;

	if (!length)
		return;
	file_drop(batch->file, batch->out + from, length);
	if (batch->stream) {
		batch->stream->dropped += length;
		batch->stream->drop_line = batch->out[batch->length - 1] != '\n';
	}
	logger_touch(logger);
}

/* The rest of a line whose beginning was lost is no line: skip it once the file takes output again. */
static size_t skip_broken_line(struct batch *batch, size_t from)
{
	const char *end;
	size_t skip;

	if (!batch->stream || !batch->stream->drop_line || from == batch->length)
		return from;
	end = memchr(batch->out + from, '\n', batch->length - from);
	skip = end ? (size_t)(end - batch->out) + 1 - from : batch->length - from;
	batch->stream->drop_line = !end;
	batch->stream->dropped += skip;
	return from + skip;
}

/* Write the output from FROM on, in as many pieces as there are files. */
static void write_out(struct logger *logger, struct batch *batch, size_t from)
{
	double now = clock_now();

	while (from < batch->length) {
		size_t room, done;

		if (!file_ready(batch->file, now))
			break;
		from = skip_broken_line(batch, from);
		if (from == batch->length)
			break;
		room = file_room(batch->file, batch->out + from, batch->length - from, now);
		if (!room)
			break;
		note_write(logger, batch, from, room);
		done = file_append(batch->file, batch->out + from, room, now);
		from += done;
		if (batch->stream)
			batch->stream->written += done;
		if (done < room)
			break;
		/* A rotation moves the file away: from here on the write must not be repeated. */
		note_write(logger, batch, from, 0);
		file_rotate_if_full(batch->file, now);
	}
	drop(logger, batch, from);
}

static void deliver(struct logger *logger, struct batch *batch, size_t from)
{
	struct file *file = batch->file;

	if (!file || !batch->length)
		return;
	if (file->kind == FILE_STDOUT)
		output_write(&logger->out, batch->out, batch->length);
	else if (file->kind == FILE_STDERR)
		output_write(&logger->err, batch->out, batch->length);
	else
		write_out(logger, batch, from);
}

static json_t *event_new(struct batch *batch, const char *name, json_t *data)
{
	struct stream *stream = batch->stream;
	json_t *id = stream->id_number ? json_integer(atoll(stream->id)) : json_string_nocheck(stream->id);

	return json_pack("{s:s, s:o, s:i, s:o, s:I}", "event", name, "id", id, "pid", (int)stream->pid, "data", data,
			 "seq", (json_int_t)(batch->number << 10 | (batch->parts++ & 1023)));
}

/* A capture may be larger than a packet: it goes in parts, each saying where it belongs. */
static void captured(void *data, const void *a, size_t a_length, const void *b, size_t b_length)
{
	struct batch *batch = data;
	size_t offset = 0, total = a_length + b_length;

	do {
		size_t length = total - offset < BATCH_MAX ? total - offset : BATCH_MAX;
		size_t from_a = offset >= a_length ? 0 : a_length - offset < length ? a_length - offset : length;
		size_t b_offset = offset > a_length ? offset - a_length : 0;
		json_t *message = event_new(batch, "capture",
					    base64_json((const char *)a + (from_a ? offset : 0), from_a,
							(const char *)b + b_offset, length - from_a));

		if (offset || length < total) {
			(void)json_object_set_new(message, "offset", json_integer((json_int_t)offset));
			(void)json_object_set_new(message, "more", json_boolean(offset + length < total));
		}
		logger_send(batch->stream->logger, message);
		offset += length;
	} while (offset < total);
}

/* The output of a batch: the input without captures and terminal sequences. */
static void transform(struct batch *batch, size_t length)
{
	struct stream *stream = batch->stream;
	struct logger *logger = stream->logger;

	batch->out = logger->batch;
	batch->length = length;
	if (stream->capture.max) {
		batch->length = capture_scan(&stream->capture, batch->out, length, logger->text, captured, batch);
		batch->out = logger->text;
		batch->next = stream->capture.mark;
	}
	if (stream->strip_ansi) {
		batch->length = ansi_strip(batch->out, batch->length, logger->text);
		batch->out = logger->text;
	}
}

static void copy_to_console(struct logger *logger, const struct batch *batch)
{
	struct stream *stream = batch->stream;
	const char *at = batch->out, *end = at + batch->length;
	double now = clock_wall();

	if (stream == logger->main) {
		output_write(&logger->out, batch->out, batch->length);
		return;
	}
	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		struct console_line line = {
			.process = stream->process ? stream->process : "",
			.channel = stream->channel == STREAM_STDERR ? "stderr" : "stdout",
			.time = now,
			.text = at,
			.length = (size_t)((newline ? newline : end) - at),
			.partial = !newline,
		};
		size_t length = 0;
		_cleanup_(freep) char *text = console_line(stream->console, &line, &length);

		if (text)
			output_write(&logger->out, text, length);
		at = newline ? newline + 1 : end;
	}
}

static void side_outputs(struct logger *logger, struct batch *batch)
{
	struct stream *stream = batch->stream;

	if (!batch->length)
		return;
	if (stream->console != CONSOLE_NONE)
		copy_to_console(logger, batch);
	if (stream->syslog)
		syslog_lines(&logger->syslog, stream->syslog, stream == logger->main ? NULL : stream->process,
			     batch->out, batch->length);
	if (stream->events)
		logger_send(logger, event_new(batch, "output", base64_json(batch->out, batch->length, NULL, 0)));
}

/* The staging pipe holds LENGTH bytes of STREAM, a copy of which is in logger->batch; output before FROM is done. */
static void process(struct stream *stream, size_t length, size_t from)
{
	struct logger *logger = stream->logger;
	struct batch batch = {
		.stream = stream,
		.file = stream->file,
		.stream_hash = stream->hash,
		.number = journal_latest(&logger->journal)->batch,
		.staged = length,
	};

	transform(&batch, length);
	deliver(logger, &batch, from);
	side_outputs(logger, &batch);
	if (stream->capture.max)
		note_write(logger, &batch, batch.length, 0);
	drain_staging(logger);
	if (stream->capture.max && stream->record)
		stream->record->mark = batch.next;
	logger_touch(logger);
}

static bool finished(struct stream *stream)
{
	if (stream->closing) {
		stream->force = true;
		if (bytes_in(stream->pipe) == 0) {
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

	length = stream->pipe >= 0 ? peek(logger, stream->pipe) : 0;
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
		leave_ready(stream);	/* cannot be: the staging pipe is empty and larger than a batch */
		return 0;
	}
	process(stream, take, 0);
	stream->consumed += take;
	if (stream->goal && stream->consumed >= stream->goal)
		goal_reached(stream);
	stream->force = stream->goal || stream->closing;
	return take;
}

void stream_drain(struct stream *stream)
{
	uint64_t end = stream->consumed + bytes_in(stream->pipe);

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

/* ---- after our own death ---- */

/*
 * A write was noted. It may or may not have been made, and if it was the last one, some of the pipe may have been
 * drained: then it certainly was made.
 */
static void resume(struct logger *logger, struct batch *batch, const struct journal_note *note)
{
	struct file *file = batch->file;
	size_t from = note->from, done;
	double now = clock_now();

	if (file && note->length && from + note->length <= batch->length && file_ready(file, now)) {
		done = file_repeat(file, note->offset, (dev_t)note->dev, (ino_t)note->ino, batch->out + from,
				   note->length, now);
		from += done;
		if (done < note->length) {
			drop(logger, batch, from);
			from = batch->length;
		}
		note_write(logger, batch, from, 0);
		file_rotate_if_full(file, now);
	}
	if (from < batch->length)
		deliver(logger, batch, from);
}

static void recovered(struct logger *logger)
{
	drain_staging(logger);
	logger->recovering = false;
	logger_wake(logger);
}

static bool was_done(const struct journal_note *note, size_t left)
{
	return note->phase == JOURNAL_WRITE && note->last && left < note->staged;
}

void stream_recover(struct stream *stream)
{
	struct logger *logger = stream->logger;
	struct journal_note note = *journal_latest(&logger->journal);
	size_t length = peek(logger, logger->staging);
	struct batch batch = {
		.stream = stream,
		.file = stream->file,
		.stream_hash = stream->hash,
		.number = note.batch,
		.staged = length,
	};

	if (was_done(&note, length)) {
		if (stream->record && stream->capture.max)
			stream->capture.mark = stream->record->mark = note.next;
		recovered(logger);
		return;
	}
	if (note.phase != JOURNAL_WRITE) {
		process(stream, length, 0);
		recovered(logger);
		return;
	}
	transform(&batch, length);
	resume(logger, &batch, &note);
	side_outputs(logger, &batch);
	if (stream->capture.max) {
		note_write(logger, &batch, batch.length, 0);
		drain_staging(logger);
		if (stream->record)
			stream->record->mark = batch.next;
	}
	recovered(logger);
}

void stream_recover_orphan(struct logger *logger)
{
	struct journal_note note = *journal_latest(&logger->journal);
	size_t length = peek(logger, logger->staging);
	struct batch batch = { .stream_hash = note.stream, .staged = length, .out = logger->batch, .length = length };

	if (note.phase == JOURNAL_WRITE && note.path[0] && !was_done(&note, length)) {
		batch.file = file_get(&logger->files, note.path, 0666);
		if (batch.file)
			resume(logger, &batch, &note);
		file_release(batch.file);
	} else if (!was_done(&note, length)) {
		logger_log(logger, "warn", "%zu bytes of output of a stream that is no longer configured were dropped", length);
	}
	recovered(logger);
}
