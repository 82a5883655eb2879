/*
 * See client.h. Each method finds its stream, then works on the file behind it. A follower reads with a descriptor of
 * its own, so that it can finish a file that was rotated away; it never queues more than FOLLOW_BACKLOG for a slow
 * reader.
 */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes_json.h"
#include "rotation.h"
#include "stream.h"
#include "varlink/varlink.h"
#include "wire/faults.h"

enum {
	READ_MAX = 512 << 10, /* bytes of log in one reply; a caller asks again for more */
	FOLLOW_CHUNK = 32 << 10,
	FOLLOW_BACKLOG = 256 << 10,
	FOLLOW_TURN = 8, /* chunks per follower and change */
};

enum access { ACCESS_READ, ACCESS_WRITE };

struct follower {
	LIST_ENTRY(follower) all; /* client::followers */
	struct client *client;
	struct varlink_call *call;
	struct file *file; /* held */
	int fd;		   /* owned */
	uint64_t position;
	dev_t dev;
	ino_t ino;
	bool behind; /* had its turn, and there was more */
};

struct client {
	struct logger *logger;
	struct varlink_server *server;
	struct varlink_service service;
	LIST_HEAD(, follower) followers;
	ev_idle catch_up; /* active while a follower is behind */
};

/* ---- names ---- */

/* Is STREAM one of NAME, a namespec ("group:process", "process", "group:*")? */
static bool name_matches(const struct stream *stream, const char *name)
{
	const char *colon = strchr(name, ':'), *process = stream->process ? stream->process : "";
	const char *bare = strchr(process, ':'), *group = stream->group ? stream->group : NULL;
	size_t length;

	if (strcmp(process, name) == 0)
		return bare || colon || !group || strcmp(group, name) == 0;
	bare = bare ? bare + 1 : process;
	if (!colon)
		return group && strcmp(group, name) == 0 && strcmp(bare, name) == 0;
	length = (size_t)(colon - name);
	if (!group || strlen(group) != length || strncmp(group, name, length) != 0)
		return false;
	return strcmp(colon + 1, "*") == 0 || strcmp(colon + 1, bare) == 0;
}

/* The next stream of NAME after FROM (NULL: from the beginning); "" is the daemon's own log. */
static struct stream *next_match(struct logger *logger, const char *name, struct stream *from)
{
	struct stream *stream = from ? TAILQ_NEXT(from, all) : TAILQ_FIRST(&logger->streams);

	for (; stream; stream = TAILQ_NEXT(stream, all))
		if (*name ? stream != logger->main && name_matches(stream, name) : stream == logger->main)
			return stream;
	return NULL;
}

static int no_file(struct varlink_call *call, const char *path)
{
	return varlink_error(call, "io.reeve.Log.NoFile", json_pack("{s:s}", "path", path));
}

static int bad_name(struct varlink_call *call, const char *name)
{
	return varlink_error(call, "io.reeve.Log.BadName", json_pack("{s:s}", "name", name));
}

/* The stream that PARAMETERS name, or NULL after an error was replied. */
static struct stream *find(struct logger *logger, struct varlink_call *call, const json_t *parameters)
{
	const char *process = json_string_value(json_object_get(parameters, "process"));
	const char *channel = json_string_value(json_object_get(parameters, "channel"));
	enum stream_channel wanted = channel && strcmp(channel, "stderr") == 0 ? STREAM_STDERR : STREAM_STDOUT;
	struct stream *stream = NULL;
	bool known = false;

	if (!process) {
		(void)varlink_invalid_parameter(call, "process");
		return NULL;
	}
	if (channel && strcmp(channel, "stderr") != 0 && strcmp(channel, "stdout") != 0) {
		(void)varlink_invalid_parameter(call, "channel");
		return NULL;
	}
	while ((stream = next_match(logger, process, stream))) {
		known = true;
		if (stream == logger->main || stream->channel == wanted)
			break;
	}
	if (!stream && known)
		(void)no_file(call, "");
	else if (!stream)
		(void)bad_name(call, process);
	else if (!stream->file)
		(void)no_file(call, "");
	return stream && stream->file ? stream : NULL;
}

/* ---- reading ---- */

static bool number(const json_t *parameters, const char *key, json_int_t *ret)
{
	const json_t *value = json_object_get(parameters, key);

	*ret = json_integer_value(value);
	return json_is_integer(value);
}

/* WINDOW of the file, as base64. NULL: it cannot be read. */
static json_t *read_window(int fd, struct window window)
{
	_cleanup_(freep) char *data = malloc(window.length ? window.length : 1);
	ssize_t n = data ? pread(fd, data, window.length, (off_t)window.offset) : -1;

	return n < 0 ? NULL : bytes_json(data, (size_t)n, NULL, 0);
}

static void read_reply(struct varlink_call *call, struct file *file, json_int_t offset, json_int_t length, bool tail)
{
	_cleanup_(closep) int fd = file_open_reader(file);
	bool overflow = false;
	struct window window;
	struct stat st;
	json_t *data;

	if (fd < 0 || fstat(fd, &st) < 0) {
		(void)no_file(call, file->path);
		return;
	}
	if (tail) {
		window_tail(offset, length, (uint64_t)st.st_size, &window, &overflow);
	} else if (!window_read(offset, length, (uint64_t)st.st_size, &window)) {
		(void)varlink_error(call, "io.reeve.Log.BadArguments", json_object());
		return;
	}
	if (window.length > READ_MAX && (tail || offset < 0))
		window.offset += window.length - READ_MAX; /* who asks for the end gets the end */
	if (window.length > READ_MAX)
		window.length = READ_MAX;
	data = read_window(fd, window);
	if (!data)
		(void)varlink_error(call, "io.reeve.Log.Failed", json_pack("{s:s}", "text", strerror(errno)));
	else if (tail)
		(void)varlink_reply(call, json_pack("{s:o, s:I, s:b}", "data", data, "offset", (json_int_t)st.st_size,
						    "overflow", overflow));
	else
		(void)varlink_reply(call, json_pack("{s:o, s:I}", "data", data, "size", (json_int_t)st.st_size));
}

static void read_or_tail(struct varlink_call *call, json_t *parameters, void *data, bool tail)
{
	struct client *client = data;
	json_int_t offset, length;
	struct stream *stream;

	if (!number(parameters, "offset", &offset)) {
		(void)varlink_invalid_parameter(call, "offset");
		return;
	}
	if (!number(parameters, "length", &length)) {
		(void)varlink_invalid_parameter(call, "length");
		return;
	}
	stream = find(client->logger, call, parameters);
	if (stream)
		read_reply(call, stream->file, offset, length, tail);
}

static void run_read(struct varlink_call *call, json_t *parameters, void *data)
{
	read_or_tail(call, parameters, data, false);
}

static void run_tail(struct varlink_call *call, json_t *parameters, void *data)
{
	read_or_tail(call, parameters, data, true);
}

/* ---- following ---- */

static void follower_free(struct follower *follower)
{
	LIST_REMOVE(follower, all);
	file_release(follower->file);
	if (follower->fd >= 0)
		(void)close(follower->fd);
	free(follower);
}

static void on_gone(void *data)
{
	follower_free(data);
}

/* Read on with the next file: the one at the path now, or the oldest backup that has not been read. */
static int follower_open(struct follower *follower)
{
	int fd = follower->fd < 0 ? file_open_reader(follower->file)
				  : file_open_next(follower->file, follower->dev, follower->ino);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fd < 0 ? fd : -errno;
	if (follower->fd >= 0)
		(void)close(follower->fd);
	follower->fd = fd;
	follower->dev = st.st_dev;
	follower->ino = st.st_ino;
	follower->position = 0;
	return 0;
}

/* A place in a log, as clients keep it: device, inode, offset. */
static void place_text(const struct follower *follower, char buffer[64])
{
	(void)snprintf(buffer, 64, "%llx:%llx:%llu", (unsigned long long)follower->dev, (unsigned long long)follower->ino,
		       (unsigned long long)follower->position);
}

/* Read on where another follower was. False: PLACE is none, or that file is gone. */
static bool follower_open_place(struct follower *follower, const char *place)
{
	unsigned long long dev, ino, offset;
	int fd;

	if (!place || sscanf(place, "%llx:%llx:%llu", &dev, &ino, &offset) != 3)
		return false;
	fd = file_open_inode(follower->file, (dev_t)dev, (ino_t)ino);
	if (fd < 0)
		return false;
	follower->fd = fd;
	follower->dev = (dev_t)dev;
	follower->ino = (ino_t)ino;
	follower->position = offset;
	return true;
}

static int follower_send(struct follower *follower, const char *data, size_t length, const char *event)
{
	char place[64];

	place_text(follower, place);
	return varlink_reply_more(follower->call, json_pack("{s:o, s:s?, s:s}", "data", bytes_json(data, length, NULL, 0), "event",
							    event, "at", place));
}

/* The file is read to its end. Is there another one by now, or less of it? Returns false when there is nothing to do.
 */
static bool follower_advance(struct follower *follower, int *ret_result)
{
	const struct file *file = follower->file;
	struct stat st;

	if (fstat(follower->fd, &st) == 0 && (uint64_t)st.st_size < follower->position) {
		follower->position = 0;
		*ret_result = follower_send(follower, "", 0, "truncated");
		return *ret_result >= 0;
	}
	if (file->fd < 0 || (file->dev == follower->dev && file->ino == follower->ino))
		return false;
	return follower_open(follower) == 0;
}

/*
 * Send what there is, as far as the reader takes it: a full queue goes on with on_drain(), a full turn with
 * on_catch_up(). After a failed send the follower may be gone.
 */
static void follower_pump(struct follower *follower)
{
	char data[FOLLOW_CHUNK];

	follower->behind = false;
	for (int i = 0; varlink_call_backlog(follower->call) < FOLLOW_BACKLOG; i++) {
		ssize_t n;
		int r = 0;

		if (i == FOLLOW_TURN) {
			follower->behind = true;
			ev_idle_start(follower->client->logger->loop, &follower->client->catch_up);
			return;
		}
		n = pread(follower->fd, data, sizeof data, (off_t)follower->position);
		if (n <= 0) {
			if (!follower_advance(follower, &r))
				return;
			continue;
		}
		follower->position += (uint64_t)n;
		if (follower_send(follower, data, (size_t)n, NULL) < 0)
			return;
	}
}

static void on_drain(void *data)
{
	follower_pump(data);
}

static void on_catch_up(struct ev_loop *loop, ev_idle *watcher, int events)
{
	struct client *client = watcher->data;
	struct follower *follower, *next;

	(void)events;
	ev_idle_stop(loop, watcher);
	for (follower = LIST_FIRST(&client->followers); follower; follower = next) {
		next = LIST_NEXT(follower, all);
		if (follower->behind)
			follower_pump(follower);
	}
}

void client_file_changed(struct client *client, struct file *file)
{
	struct follower *follower, *next;

	if (!client)
		return;
	for (follower = LIST_FIRST(&client->followers); follower; follower = next) {
		next = LIST_NEXT(follower, all);
		if (follower->file == file)
			follower_pump(follower);
	}
}

static void run_follow(struct varlink_call *call, json_t *parameters, void *data)
{
	struct client *client = data;
	struct follower *follower;
	const char *after = json_string_value(json_object_get(parameters, "after"));
	struct stream *stream;
	struct stat st;
	json_int_t bytes;
	bool resumed;

	stream = find(client->logger, call, parameters);
	if (!stream)
		return;
	if (!number(parameters, "bytes", &bytes) || bytes < 0)
		bytes = 1024;
	follower = calloc(1, sizeof *follower);
	if (!follower) {
		(void)varlink_error(call, "io.reeve.Log.Failed", json_pack("{s:s}", "text", "out of memory"));
		return;
	}
	*follower = (struct follower){ .client = client, .call = call, .file = stream->file, .fd = -1 };
	follower->file->refs++;
	LIST_INSERT_HEAD(&client->followers, follower, all);
	resumed = follower_open_place(follower, after);
	if ((!resumed && follower_open(follower) < 0) || fstat(follower->fd, &st) < 0) {
		(void)no_file(call, follower->file->path);
		follower_free(follower);
		return;
	}
	if (!after)
		follower->position = st.st_size > bytes ? (uint64_t)(st.st_size - bytes) : 0;
	if (!varlink_call_more(call)) {
		read_reply(call, follower->file, st.st_size > bytes ? -bytes : 0, 0, false);
		follower_free(follower);
		return;
	}
	varlink_call_on_gone(call, on_gone, follower);
	varlink_call_on_drain(call, on_drain, follower);
	if ((uint64_t)st.st_size > follower->position || resumed)
		follower_pump(follower);
	else
		(void)follower_send(follower, "", 0, NULL);	/* so that it can come back to this place */
}

/* ---- clearing and rotating ---- */

static int clear_all(struct logger *logger, const char *name, struct error *err)
{
	struct stream *stream = NULL;
	bool known = false;

	while ((stream = next_match(logger, name, stream))) {
		known = true;
		if (stream->file && file_clear(stream->file, err) < 0)
			return FAULT_FAILED;
	}
	return known ? FAULT_SUCCESS : FAULT_BAD_NAME;
}

static json_t *status_of(const char *name, int status, const struct error *err)
{
	const char *colon = strchr(name, ':');
	const char *text = status == FAULT_SUCCESS ? "OK" : status == FAULT_BAD_NAME ? "BAD_NAME" : err->text;

	return json_pack("{s:s, s:s%, s:i, s:s}", "name", colon ? colon + 1 : name, "group", name,
			 colon ? (size_t)(colon - name) : strlen(name), "status", status, "description", text);
}

static const json_t *names_of(struct varlink_call *call, const json_t *parameters)
{
	const json_t *names = json_object_get(parameters, "processes");
	size_t i;
	json_t *name;
	bool good = json_is_array(names);

	json_array_foreach(names, i, name) good = good && json_is_string(name);
	if (good)
		return names;
	(void)varlink_invalid_parameter(call, "processes");
	return NULL;
}

static void run_clear(struct varlink_call *call, json_t *parameters, void *data)
{
	struct client *client = data;
	const json_t *names = names_of(call, parameters);
	json_t *results, *name;
	size_t i;

	if (!names)
		return;
	results = json_array();
	json_array_foreach(names, i, name)
	{
		const char *text = json_string_value(name);
		struct error err = { 0 };
		int status = clear_all(client->logger, text, &err);

		(void)json_array_append_new(results, status_of(text, status, &err));
	}
	(void)varlink_reply(call, json_pack("{s:o}", "results", results));
}

static void run_rotate(struct varlink_call *call, json_t *parameters, void *data)
{
	struct client *client = data;
	const json_t *names = names_of(call, parameters);
	struct stream *stream = NULL;
	json_t *name;
	size_t i;

	if (!names)
		return;
	json_array_foreach(names, i, name) if (!next_match(client->logger, json_string_value(name), NULL))
	{
		(void)bad_name(call, json_string_value(name));
		return;
	}
	json_array_foreach(names, i, name)
	{
		stream = NULL;
		while ((stream = next_match(client->logger, json_string_value(name), stream))) {
			struct error err = { 0 };

			if (!stream->file)
				continue;
			if (file_rotate(stream->file, &err) < 0) {
				(void)varlink_error(call, "io.reeve.Log.Failed", json_pack("{s:s}", "text", err.text));
				return;
			}
			(void)file_ready(stream->file, clock_now());
		}
	}
	(void)varlink_reply(call, json_object());
}

static void run_streams(struct varlink_call *call, json_t *parameters, void *data)
{
	struct client *client = data;
	struct stream *stream;
	json_t *list = json_array();

	(void)parameters;
	TAILQ_FOREACH(stream, &client->logger->streams, all)
	{
		const struct file *file = stream->file;

		(void)json_array_append_new(
			list, json_pack("{s:s, s:s?, s:s, s:s?, s:I, s:I, s:I, s:s?}", "process",
					stream->process ? stream->process : "", "group", stream->group, "channel",
					stream->channel == STREAM_STDERR ? "stderr" : "stdout", "path",
					file ? file->path : NULL, "size", (json_int_t)(file ? file->size : 0), "bytes",
					(json_int_t)stream->consumed, "dropped", (json_int_t)stream->dropped, "error",
					file && file->error ? strerror(file->error) : NULL));
	}
	(void)varlink_reply(call, json_pack("{s:o}", "streams", list));
}

/* ---- serving ---- */

static bool authorise(const struct varlink_peer *peer, const struct varlink_method *method, void *data,
		      const char **ret_error, json_t **ret_parameters)
{
	const struct logger *logger = ((struct client *)data)->logger;
	bool known = (logger->access_uid != (uid_t)-1 && peer->uid == logger->access_uid) ||
		     varlink_peer_is_member(peer, logger->access_gid);

	if (peer->uid == 0 || peer->uid == geteuid())
		return true;
	if (known && (method->access == ACCESS_READ || !logger->access_read_only))
		return true;
	*ret_error = "io.reeve.Log.PermissionDenied";
	*ret_parameters = json_pack("{s:s, s:s}", "needed", method->access == ACCESS_READ ? "read" : "operate", "text",
				    "logs are for root, the daemon's own user, and the members of control_group");
	return false;
}

static const struct varlink_method methods[] = {
	{ "Read", run_read, ACCESS_READ },
	{ "Tail", run_tail, ACCESS_READ },
	{ "Follow", run_follow, ACCESS_READ },
	{ "Clear", run_clear, ACCESS_WRITE },
	{ "Rotate", run_rotate, ACCESS_WRITE },
	{ "Streams", run_streams, ACCESS_READ },
	{ NULL },
};

/* The text of the interface file, put here by the assembler. */
__asm__(".pushsection .rodata\n"
	".type log_interface, %object\n"
	"log_interface: .incbin \"" LOG_INTERFACE_FILE "\"\n"
	".byte 0\n"
	".size log_interface, . - log_interface\n"
	".popsection");
extern const char log_interface[];

static const struct varlink_interface interface = { "io.reeve.Log", log_interface, methods };
static const struct varlink_interface *const interfaces[] = { &interface, NULL };

struct client *client_new(struct logger *logger, int listen_fd)
{
	struct client *client = calloc(1, sizeof *client);

	if (!client)
		return NULL;
	client->logger = logger;
	client->service = (struct varlink_service){
		.vendor = "Reeve",
		.product = "reeve-logger",
		.version = REEVE_VERSION,
		.url = "",
		.interfaces = interfaces,
		.authorise = authorise,
		.data = client,
	};
	LIST_INIT(&client->followers);
	ev_idle_init(&client->catch_up, on_catch_up);
	client->catch_up.data = client;
	client->server = varlink_server_new(logger->loop, listen_fd, &client->service);
	return client;
}

void client_add(struct client *client, int fd)
{
	if (client)
		(void)varlink_server_add(client->server, fd);
	else
		(void)close(fd);
}

void client_free(struct client *client)
{
	if (!client)
		return;
	varlink_server_free(client->server);
	ev_idle_stop(client->logger->loop, &client->catch_up);
	while (!LIST_EMPTY(&client->followers))
		follower_free(LIST_FIRST(&client->followers));
	free(client);
}
