/*
 * See batch.h. The order of steps is what makes a kill harmless: each write is noted before it is made, and the staging
 * pipe is drained after the last one; a rotation comes only after the write before it was noted as done.
 */
#include "batch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "ansi.h"
#include "base/logline.h"
#include "base/text.h"
#include "bytes_json.h"

static const int debug_level = 10; /* DEBG */

size_t pipe_bytes(int fd)
{
	int n = 0;

	return ioctl(fd, FIONREAD, &n) < 0 || n < 0 ? 0 : (size_t)n;
}

size_t batch_peek(struct logger *logger, int fd)
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

static void drain_staging(struct logger *logger)
{
	size_t left;

	while ((left = pipe_bytes(logger->staging)) > 0) {
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
	struct file *file; /* borrowed; NULL: none */
	uint64_t stream_hash, number;
	size_t staged; /* bytes of input */
	const char *out;
	size_t length; /* bytes of output */
	struct capture_mark next;
	unsigned parts; /* events sent, so that each has a number */
	bool is_copy;	/* not what the staging pipe holds: must not be repeated, so it is not noted */
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

	if (batch->is_copy)
		return;
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
					    bytes_json((const char *)a + (from_a ? offset : 0), from_a,
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

	if (stream == logger->main && stream->console == CONSOLE_RAW) {
		output_write(&logger->out, batch->out, batch->length);
		return;
	}
	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		struct console_line line = {
			.process = stream == logger->main ? "reeved" : stream->process ? stream->process : "",
			.channel = stream == logger->main ? "log" : stream->channel == STREAM_STDERR ? "stderr" : "stdout",
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

/* What supervisord logs at level debug: DATA as it is, or as Python shows bytes that are no text. malloc'd; NULL: out of memory. */
static char *main_entry(const struct stream *stream, const char *data, size_t length, size_t *ret_length)
{
	const char *process = stream->process ? stream->process : "", *colon = strchr(process, ':');
	_cleanup_(freep) char *bytes = NULL;
	size_t characters;
	char head[64], *text = NULL;
	FILE *f = open_memstream(&text, ret_length);

	if (!f)
		return NULL;
	(void)logline_head(head, sizeof head, debug_level);
	(void)fprintf(f, "%s'%s' %s output:\n", head, colon ? colon + 1 : process,
		      stream->channel == STREAM_STDERR ? "stderr" : "stdout");
	if (utf8_count(data, length, &characters))
		(void)fwrite(data, 1, length, f);
	else
		(void)fprintf(f, "Undecodable: %s", (bytes = python_bytes_repr(data, length)) ? bytes : "?");
	(void)fputc('\n', f);
	(void)fclose(f);
	return text;
}

static void side_outputs(struct logger *logger, struct batch *batch);

/* Straight to where the daemon's own log goes: its pipe has not the room. After our death a copy may be missing or come twice. */
static void copy_to_main(struct logger *logger, const struct batch *batch)
{
	struct batch copy = { .stream = logger->main, .file = logger->main->file, .is_copy = true };
	_cleanup_(freep) char *text = main_entry(batch->stream, batch->out, batch->length, &copy.length);

	copy.out = text;
	if (!text)
		return;
	deliver(logger, &copy, 0);
	side_outputs(logger, &copy);
}

static void side_outputs(struct logger *logger, struct batch *batch)
{
	struct stream *stream = batch->stream;

	if (!batch->length)
		return;
	if (stream->debug && logger->main)
		copy_to_main(logger, batch);
	if (stream->console != CONSOLE_NONE)
		copy_to_console(logger, batch);
	if (stream->syslog)
		syslog_lines(&logger->syslog, stream->syslog, stream == logger->main ? NULL : stream->process,
			     batch->out, batch->length);
	if (stream->events)
		logger_send(logger, event_new(batch, "output", bytes_json(batch->out, batch->length, NULL, 0)));
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

void batch_process(struct stream *stream, size_t length)
{
	process(stream, length, 0);
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

void batch_recover(struct stream *stream)
{
	struct logger *logger = stream->logger;
	struct journal_note note = *journal_latest(&logger->journal);
	size_t length = batch_peek(logger, logger->staging);
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

void batch_recover_orphan(struct logger *logger)
{
	struct journal_note note = *journal_latest(&logger->journal);
	size_t length = batch_peek(logger, logger->staging);
	struct batch batch = { .stream_hash = note.stream, .staged = length, .out = logger->batch, .length = length };

	if (note.phase == JOURNAL_WRITE && note.path[0] && !was_done(&note, length)) {
		batch.file = file_get(&logger->files, note.path, 0666);
		if (batch.file)
			resume(logger, &batch, &note);
		file_release(batch.file);
	} else if (!was_done(&note, length)) {
		logger_log(logger, "warn", "%zu bytes of output of a stream that is no longer configured were dropped",
			   length);
	}
	recovered(logger);
}
