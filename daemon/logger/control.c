/* See control.h. One function per "op"; the table at the end names them. */
#include "control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auto.h"
#include "bytes_json.h"
#include "batch.h"
#include "client.h"
#include "stream.h"
#include "wire/logger.h"

enum { CAPTURE_MAX = 256 << 20 /* bytes; what a larger setting is cut to */ };

/* ---- reading a message ---- */

static const char *text_of(const json_t *message, const char *key)
{
	return json_string_value(json_object_get(message, key));
}

static bool flag_of(const json_t *message, const char *key)
{
	return json_is_true(json_object_get(message, key));
}

static json_int_t number_of(const json_t *message, const char *key, json_int_t otherwise)
{
	const json_t *value = json_object_get(message, key);

	return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

/* An id is a string or a number; BUFFER holds the digits of a number. NULL: neither. */
static const char *id_of(const json_t *message, char buffer[32], bool *ret_number)
{
	const json_t *id = json_object_get(message, "id");

	*ret_number = json_is_integer(id);
	if (!*ret_number)
		return json_string_value(id);
	(void)snprintf(buffer, 32, "%lld", (long long)json_integer_value(id));
	return buffer;
}

static struct stream *stream_of(struct logger *logger, const json_t *message)
{
	char buffer[32];
	bool number;
	const char *id = id_of(message, buffer, &number);

	return id ? stream_find(logger, id) : NULL;
}

static int replace_text(char **text, const char *value)
{
	char *copy = value ? strdup(value) : NULL;

	if (value && !copy)
		return -1;
	free(*text);
	*text = copy;
	return 0;
}

/* ---- settings of a stream ---- */

static void tell_opened(struct stream *stream)
{
	json_t *id = stream->id_number ? json_integer(atoll(stream->id)) : json_string_nocheck(stream->id);

	logger_send(stream->logger,
		    json_pack("{s:s, s:o, s:s}", "event", "opened", "id", id, "path", stream->file->path));
}

/* Use PATH from now on (NULL: no file). Nothing happens when it is the present one but for the limits. */
static void use_file(struct stream *stream, const char *path, mode_t mode, const json_t *message)
{
	bool same = path && stream->file && strcmp(path, stream->file->path) == 0;
	struct file *file = NULL;
	char fault[4300];

	if (!same) {
		if (path && *path)
			file = file_get(&stream->logger->files, path, mode);
		file_release(stream->file);
		stream->file = file;
	}
	if (!stream->file)
		return;
	stream->file->max = (uint64_t)number_of(message, "maxbytes", 0);
	if (number_of(message, "maxbytes", 0) < 0)
		stream->file->max = 0;
	stream->file->backups = (unsigned)number_of(message, "backups", 0);
	if (number_of(message, "backups", 0) < 0)
		stream->file->backups = 0;
	stream->file->owner = (uid_t)number_of(message, "owner_uid", -1);
	if (!same && !flag_of(message, "later"))
		(void)file_ready(stream->file, clock_now());
	tell_opened(stream);
	if (same && stream->file->error) {
		(void)snprintf(fault, sizeof fault, "%s: %s", stream->file->path, strerror(stream->file->error));
		logger_tell_fault(stream, fault);
	}
}

static void use_message_file(struct stream *stream, const json_t *message)
{
	const json_t *automatic = json_object_get(message, "auto");
	const char *dir = text_of(automatic, "dir"), *name = text_of(automatic, "name");
	const char *identifier = text_of(automatic, "identifier");
	_cleanup_(freep) char *path = NULL;

	if (dir && name && identifier) {
		path = auto_path(stream, dir, name, identifier);
		use_file(stream, path, 0600, message);
	} else {
		use_file(stream, text_of(message, "path"), 0666, message);
	}
}

static void configure(struct stream *stream, const json_t *message)
{
	const char *channel = text_of(message, "channel");
	json_int_t capture = number_of(message, "capture", 0);

	stream->channel = channel && strcmp(channel, "stderr") == 0 ? STREAM_STDERR : STREAM_STDOUT;
	stream->strip_ansi = flag_of(message, "strip_ansi");
	stream->events = flag_of(message, "events");
	stream->debug = flag_of(message, "debug");
	stream->console = console_format_of(text_of(message, "console"));
	stream->pid = (pid_t)number_of(message, "pid", stream->pid);
	stream->named = true;
	stream->closing = false;
	if (replace_text(&stream->process, text_of(message, "process")) < 0 ||
	    replace_text(&stream->group, text_of(message, "group")) < 0 ||
	    replace_text(&stream->syslog, text_of(message, "syslog")) < 0)
		logger_log(stream->logger, "error", "out of memory");
	capture = capture < 0 ? 0 : capture > CAPTURE_MAX ? CAPTURE_MAX : capture;
	if (stream_set_capture(stream, (uint32_t)capture) < 0)
		logger_log(stream->logger, "error", "%s: no room for capture mode", stream->id);
	use_message_file(stream, message);
}

/* A batch that an earlier logger left belongs to this stream: its turn comes before all others. */
static void recover_if_mine(struct stream *stream)
{
	struct logger *logger = stream->logger;

	if (logger->recovering && journal_latest(&logger->journal)->stream == stream->hash)
		batch_recover(stream);
}

/* ---- the operations ---- */

static void op_begin(struct logger *logger, const json_t *message, int *fd)
{
	struct stream *stream;

	(void)message, (void)fd;
	logger->begun = true;
	TAILQ_FOREACH(stream, &logger->streams, all)
	stream->named = false;
}

static void attach(struct stream *stream, int *fd)
{
	int mine = *fd;

	*fd = -1;
	if (mine < 0)
		return;
	if (stream_attach(stream, mine) < 0)
		logger_log(stream->logger, "error", "%s: its descriptor is not a pipe", stream->id);
}

static void op_stream(struct logger *logger, const json_t *message, int *fd)
{
	char buffer[32];
	bool number;
	const char *id = id_of(message, buffer, &number);
	struct stream *stream;

	if (!id || !*id || !text_of(message, "process")) {
		logger_log(logger, "warn", "a stream without id or process was ignored");
		return;
	}
	stream = stream_find(logger, id);
	if (!stream && *fd < 0) {
		logger_send(logger, json_pack("{s:s, s:s}", "event", "missing", "id", id));
		return;
	}
	if (!stream)
		stream = stream_new(logger, id, number);
	if (!stream) {
		logger_log(logger, "error", "%s: out of memory", id);
		return;
	}
	configure(stream, message);
	recover_if_mine(stream);
	attach(stream, fd);
}

static void op_main(struct logger *logger, const json_t *message, int *fd)
{
	struct stream *stream = logger->main;

	if (!stream)
		stream = logger->main = stream_new(logger, "", false);
	if (!stream)
		return;
	stream->named = true;
	stream->console = !flag_of(message, "stdout") ? CONSOLE_NONE : flag_of(message, "json") ? CONSOLE_JSON : CONSOLE_RAW;
	(void)replace_text(&stream->process, "");
	(void)replace_text(&stream->syslog, flag_of(message, "syslog") ? "reeved" : NULL);
	use_file(stream, text_of(message, "path"), 0666, message);
	recover_if_mine(stream);
	attach(stream, fd);
}

static void op_pid(struct logger *logger, const json_t *message, int *fd)
{
	struct stream *stream = stream_of(logger, message);

	(void)fd;
	if (!stream)
		return;
	/* What is in the pipe now was written by the old process: it must not be reported as the new one's. */
	if ((stream->events || stream->capture.max) && !stream->closing)
		stream_drain(stream);
	stream->pid = (pid_t)number_of(message, "pid", 0);
	if (stream->pid && stream->file)
		(void)file_ready(stream->file, clock_now());
}

/* The end of FILE from the first newline on, if there is more before; LENGTH of BUFFER. */
static size_t read_end(const struct file *file, char *buffer, size_t size)
{
	int fd = file_open_reader(file);
	off_t from = file->size > size ? (off_t)(file->size - size) : 0;
	ssize_t n = fd < 0 ? -1 : pread(fd, buffer, size, from);
	const char *newline = n > 0 && from ? memchr(buffer, '\n', (size_t)n) : NULL;

	if (fd >= 0)
		(void)close(fd);
	if (n <= 0)
		return 0;
	if (newline) {
		n -= newline + 1 - buffer;
		memmove(buffer, newline + 1, (size_t)n);
	}
	return (size_t)n;
}

/* Where nothing was written (no file, or a terminal) there is no answer. */
static void op_ended(struct logger *logger, const json_t *message, int *fd)
{
	struct stream *stream = stream_of(logger, message);
	char buffer[LOGGER_TAIL_MAX];
	size_t n;

	(void)fd;
	if (!stream || stream->closing || !stream->file || stream->file->kind != FILE_REGULAR)
		return;
	stream_drain(stream);
	n = read_end(stream->file, buffer, sizeof buffer);
	logger_send(logger, json_pack("{s:s, s:O, s:o}", "event", "tail", "id", json_object_get(message, "id"), "data",
				      bytes_json(buffer, n, NULL, 0)));
}

static void close_stream(struct stream *stream)
{
	stream->closing = stream->force = true;
	stream_wake(stream);
}

static void op_close(struct logger *logger, const json_t *message, int *fd)
{
	struct stream *stream = stream_of(logger, message);

	(void)fd;
	if (stream)
		close_stream(stream);
}

static void op_sync(struct logger *logger, const json_t *message, int *fd)
{
	struct stream *stream;

	(void)message, (void)fd;
	/* The end of a set whose beginning went to a logger that is dead: the whole set is still to come. */
	if (!logger->begun)
		return;
	logger->begun = false;
	if (logger->recovering)
		batch_recover_orphan(logger);
	TAILQ_FOREACH(stream, &logger->streams, all)
	if (!stream->named)
		close_stream(stream);
}

static void op_reopen(struct logger *logger, const json_t *message, int *fd)
{
	struct file *file;

	(void)message, (void)fd;
	LIST_FOREACH(file, &logger->files.files, all)
	file_reopen(file, clock_now());
}

static void op_rotate(struct logger *logger, const json_t *message, int *fd)
{
	struct stream *stream = stream_of(logger, message);
	struct error err;

	(void)fd;
	if (!stream || !stream->file)
		return;
	if (file_rotate(stream->file, &err) < 0)
		logger_log(logger, "error", "%s", err.text);
	(void)file_ready(stream->file, clock_now());
}

static void op_clear(struct logger *logger, const json_t *message, int *fd)
{
	struct stream *stream = stream_of(logger, message);
	struct error err;

	(void)fd;
	if (stream && stream->file && file_clear(stream->file, &err) < 0)
		logger_log(logger, "error", "%s", err.text);
}

static void op_flush(struct logger *logger, const json_t *message, int *fd)
{
	json_t *cookie = json_object_get(message, "cookie");
	struct stream *stream;

	(void)fd;
	TAILQ_FOREACH(stream, &logger->streams, all)
	stream_set_goal(stream);
	(void)json_array_append(logger->flushes, cookie ? cookie : json_null());
	logger_flush_check(logger);
}

static void op_clean(struct logger *logger, const json_t *message, int *fd)
{
	const char *dir = text_of(message, "dir"), *identifier = text_of(message, "identifier");

	(void)fd;
	if (dir && identifier)
		auto_clean(logger, dir, identifier);
}

static void op_client(struct logger *logger, const json_t *message, int *fd)
{
	(void)message;
	if (*fd >= 0)
		client_add(logger->client, *fd);
	*fd = -1;
}

static void op_settings(struct logger *logger, const json_t *message, int *fd)
{
	const json_t *access = json_object_get(message, "access");
	const char *level = text_of(access, "level");

	(void)fd;
	logger->watch = flag_of(message, "watch");
	if (!access)
		return;
	logger->access_uid = (uid_t)number_of(access, "uid", -1);
	logger->access_gid = (gid_t)number_of(access, "group", -1);
	logger->access_read_only = level && strcmp(level, "read") == 0;
}

static const struct operation {
	const char *name;
	void (*run)(struct logger *logger, const json_t *message, int *fd); /* *FD: set to -1 when taken */
} operations[] = {
	{ "begin", op_begin }, { "stream", op_stream }, { "main", op_main },	 { "pid", op_pid },	{ "ended", op_ended },
	{ "close", op_close }, { "sync", op_sync },	{ "reopen", op_reopen }, { "rotate", op_rotate },
	{ "clear", op_clear }, { "flush", op_flush },	{ "clean", op_clean },	 { "settings", op_settings },
	{ "client", op_client },
};

void control_packet(struct logger *logger, const char *packet, size_t length, int fd)
{
	json_t *message = json_loadb(packet, length, JSON_ALLOW_NUL, NULL);
	const char *op = text_of(message, "op");
	bool known = false;

	for (size_t i = 0; op && i < ARRAY_LEN(operations) && !known; i++)
		if (strcmp(op, operations[i].name) == 0) {
			operations[i].run(logger, message, &fd);
			known = true;
		}
	if (!known)
		logger_log(logger, "warn", "a malformed message of the supervisor was ignored");
	json_decref(message);
	if (fd >= 0)
		(void)close(fd);
	/* Clients wait until we know of what they may ask for. */
	if (!logger->client && !logger->begun)
		logger->client = client_new(logger, LOGGER_FD_LISTEN);
}
