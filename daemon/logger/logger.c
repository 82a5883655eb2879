/* See logger.h. Set-up, the loop's callbacks, and the messages to the supervisor. */
#include "logger.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "client.h"
#include "control.h"
#include "batch.h"
#include "stream.h"
#include "wire/logger.h"

static const double partial_wait = 0.1;	 /* seconds that an unfinished line waits for its end */
static const double token_wait = 1;	 /* and an unfinished token or terminal sequence */
static const double retry_every = 0.25;	 /* seconds between looks at files that have an outage */
static const double stats_every = 1;	 /* seconds */
static const double output_patience = 2; /* seconds that a slow stdout gets at the end */

struct packet {
	TAILQ_ENTRY(packet) link;
	size_t length;
	char data[];
};

/* ---- to the supervisor ---- */

static bool packet_try(struct logger *logger, const char *data, size_t length)
{
	ssize_t n;

	do
		n = send(logger->control, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	/* A packet that can never be sent is as good as sent. */
	return n >= 0 || (errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM);
}

static void packet_queue(struct logger *logger, const char *data, size_t length)
{
	struct packet *packet;

	if (logger->packet_bytes + length > PACKETS_MAX || !(packet = malloc(sizeof *packet + length))) {
		logger->packets_lost++;
		return;
	}
	packet->length = length;
	memcpy(packet->data, data, length);
	TAILQ_INSERT_TAIL(&logger->packets, packet, link);
	logger->packet_bytes += length;
	ev_io_start(logger->loop, &logger->control_writable);
}

void logger_send(struct logger *logger, json_t *message)
{
	_cleanup_(freep) char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
	size_t length;

	json_decref(message);
	if (!text || logger->finishing)
		return;
	length = strlen(text);
	if (!TAILQ_EMPTY(&logger->packets) || !packet_try(logger, text, length))
		packet_queue(logger, text, length);
}

static bool is_utf8(const char *text)
{
	json_t *string = json_string(text);

	json_decref(string);
	return string;
}

void logger_log(struct logger *logger, const char *level, const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	/* A path may hold bytes that JSON cannot. */
	for (char *c = text; !is_utf8(text) && *c; c++)
		if (*c & 0x80)
			*c = '?';
	logger_send(logger, json_pack("{s:s, s:n, s:s, s:s}", "event", "log", "id", "level", level, "text", text));
}

static void on_control_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct logger *logger = watcher->data;
	struct packet *packet;

	(void)events;
	while ((packet = TAILQ_FIRST(&logger->packets))) {
		if (!packet_try(logger, packet->data, packet->length))
			return;
		TAILQ_REMOVE(&logger->packets, packet, link);
		logger->packet_bytes -= packet->length;
		free(packet);
	}
	ev_io_stop(loop, watcher);
	if (logger->packets_lost) {
		unsigned long long lost = logger->packets_lost;

		logger->packets_lost = 0;
		logger_log(logger, "warn", "%llu messages to the supervisor were dropped: it did not take them", lost);
	}
}

void logger_flush_check(struct logger *logger)
{
	json_t *cookie;
	size_t i;

	if (logger->goals)
		return;
	json_array_foreach(logger->flushes, i, cookie)
		logger_send(logger, json_pack("{s:s, s:O}", "event", "flushed", "cookie", cookie));
	(void)json_array_clear(logger->flushes);
	if (logger->finishing)
		ev_break(logger->loop, EVBREAK_ALL);
}

/* ---- from the supervisor ---- */

/* Nobody is left who could speak to us: what is in the pipes is the rest. */
static void finish(struct logger *logger)
{
	struct stream *stream;

	ev_io_stop(logger->loop, &logger->control_readable);
	ev_io_stop(logger->loop, &logger->control_writable);
	if (logger->recovering)
		batch_recover_orphan(logger);
	logger->finishing = true;
	TAILQ_FOREACH(stream, &logger->streams, all)
	stream_set_goal(stream);
	logger_flush_check(logger);
}

/* The first descriptor of MESSAGE; any others are closed. */
static int take_descriptor(struct msghdr *message)
{
	int fd = -1;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int one;

			memcpy(&one, CMSG_DATA(c) + i * sizeof one, sizeof one);
			if (fd < 0)
				fd = one;
			else
				(void)close(one);
		}
	}
	return fd;
}

static void on_control_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct logger *logger = watcher->data;
	static char packet[LOGGER_PACKET_MAX];

	(void)loop, (void)events;
	for (int i = 0; i < 64; i++) {
		union {
			struct cmsghdr align;
			char space[CMSG_SPACE(4 * sizeof(int))];
		} control;
		struct iovec part = { packet, sizeof packet };
		struct msghdr message = {
			.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
		};
		ssize_t n = recvmsg(logger->control, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			finish(logger);
			return;
		}
		control_packet(logger, packet, (size_t)n, take_descriptor(&message));
	}
}

/* ---- the pipes ---- */

void logger_wake(struct logger *logger)
{
	if (!logger->recovering && !TAILQ_EMPTY(&logger->ready))
		ev_idle_start(logger->loop, &logger->work);
}

static void on_pipes(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct logger *logger = watcher->data;
	struct epoll_event ready[64];
	int n = epoll_wait(logger->pipes, ready, ARRAY_LEN(ready), 0);

	(void)loop, (void)events;
	for (int i = 0; i < n; i++)
		stream_wake(ready[i].data.ptr);
}

/* One batch of each stream in turn, so that a flood delays the others by one batch and no more. */
static void on_work(struct ev_loop *loop, ev_idle *watcher, int events)
{
	struct logger *logger = watcher->data;
	struct stream *stream;
	size_t moved = 0;

	(void)events;
	while (moved < TURN_MAX && !logger->recovering && (stream = TAILQ_FIRST(&logger->ready))) {
		size_t n;

		TAILQ_REMOVE(&logger->ready, stream, ready_link);
		TAILQ_INSERT_TAIL(&logger->ready, stream, ready_link);
		n = stream_turn(stream); /* may free it */
		moved += n;
		if (n && TAILQ_FIRST(&logger->ready) == TAILQ_LAST(&logger->ready, stream_list))
			break; /* alone: see first whether others have woken up */
	}
	if (logger->recovering || TAILQ_EMPTY(&logger->ready))
		ev_idle_stop(loop, watcher);
}

static void on_partial_tick(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct logger *logger = watcher->data;
	struct stream *stream, *next;
	double now = clock_now();

	(void)events;
	for (stream = TAILQ_FIRST(&logger->partial); stream; stream = next) {
		double wait = stream->holds_token ? token_wait : partial_wait;

		next = TAILQ_NEXT(stream, partial_link);
		if (now - stream->partial_since < wait)
			continue;
		stream->force = true;
		stream_wake(stream);
	}
	if (TAILQ_EMPTY(&logger->partial))
		ev_timer_stop(loop, watcher);
}

/* ---- outages and numbers ---- */

static json_t *stream_id(const struct stream *stream)
{
	return stream->id_number ? json_integer(atoll(stream->id)) : json_string_nocheck(stream->id);
}

void logger_tell_fault(const struct stream *stream, const char *text)
{
	json_t *message = json_pack("{s:s, s:o, s:s?}", "event", "fault", "id", stream_id(stream), "text", text);

	if (!text)
		(void)json_object_set_new(message, "dropped", json_integer((json_int_t)stream->file->lost));
	logger_send(stream->logger, message);
}

static void on_outage(struct file *file, const char *text, void *data)
{
	struct logger *logger = data;
	struct stream *stream;

	TAILQ_FOREACH(stream, &logger->streams, all)
	if (stream->file == file)
		logger_tell_fault(stream, text);
	if (text && !ev_is_active(&logger->retry_tick))
		ev_timer_again(logger->loop, &logger->retry_tick);
}

static void on_retry_tick(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct logger *logger = watcher->data;
	struct file *file;
	bool any = false;

	(void)events;
	LIST_FOREACH(file, &logger->files.files, all)
	if (file->error && !file_ready(file, clock_now()))
		any = true;
	if (!any)
		ev_timer_stop(loop, watcher);
}

static void on_warn(const char *text, void *data)
{
	logger_log(data, "warn", "%s", text);
}

static void on_changed(struct file *file, void *data)
{
	struct logger *logger = data;

	client_file_changed(logger->client, file);
}

void logger_touch(struct logger *logger)
{
	if (logger->watch && !ev_is_active(&logger->stats_tick))
		ev_timer_again(logger->loop, &logger->stats_tick);
}

static void on_stats_tick(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct logger *logger = watcher->data;
	struct stream *stream;

	(void)events;
	ev_timer_stop(loop, watcher);
	TAILQ_FOREACH(stream, &logger->streams, all)
	{
		if (stream->dropped == stream->told_dropped && stream->consumed == stream->told_written)
			continue;
		stream->told_dropped = stream->dropped;
		stream->told_written = stream->consumed;
		logger_send(logger,
			    json_pack("{s:s, s:o, s:I, s:I}", "event", "stats", "id", stream_id(stream), "dropped",
				      (json_int_t)stream->dropped, "bytes", (json_int_t)stream->consumed));
	}
}

/* ---- set-up ---- */

static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* A terminal's Ctrl-C must not end logging before the programs have ended: end of file on the socket does. */
static void ignore_signals(void)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2, SIGXFSZ };

	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		(void)signal(signals[i], SIG_IGN);
}

static void secure_descriptors(void)
{
	/* A closed 0, 1 or 2 would become some log file, and then receive what is meant for stderr. */
	for (int fd = open("/dev/null", O_RDWR); fd >= 0; fd = open("/dev/null", O_RDWR))
		if (fd > STDERR_FILENO) {
			(void)close(fd);
			break;
		}
	for (int fd = LOGGER_FD_SUPERVISOR; fd <= LOGGER_FD_LISTEN; fd++)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void watchers_init(struct logger *logger)
{
	ev_io_init(&logger->control_readable, on_control_readable, logger->control, EV_READ);
	ev_io_init(&logger->control_writable, on_control_writable, logger->control, EV_WRITE);
	ev_io_init(&logger->pipes_readable, on_pipes, logger->pipes, EV_READ);
	ev_idle_init(&logger->work, on_work);
	ev_init(&logger->partial_tick, on_partial_tick);
	ev_init(&logger->retry_tick, on_retry_tick);
	ev_init(&logger->stats_tick, on_stats_tick);
	logger->partial_tick.repeat = partial_wait / 2;
	logger->retry_tick.repeat = retry_every;
	logger->stats_tick.repeat = stats_every;
	logger->control_readable.data = logger->control_writable.data = logger->pipes_readable.data = logger;
	logger->work.data = logger->partial_tick.data = logger->retry_tick.data = logger->stats_tick.data = logger;
	ev_io_start(logger->loop, &logger->control_readable);
	ev_io_start(logger->loop, &logger->pipes_readable);
}

/*
 * What the last logger left. A batch in the staging pipe waits for its stream to be named. If there is none, the last
 * batch is complete but for what its stream remembers.
 */
static void look_back(struct logger *logger)
{
	const struct journal_note *note = journal_latest(&logger->journal);
	struct journal_record *record;
	int left = 0;

	(void)ioctl(logger->staging, FIONREAD, &left);
	logger->recovering = left > 0;
	if (left || note->phase != JOURNAL_WRITE || !note->last)
		return;
	record = journal_record(&logger->journal, note->stream, false);
	if (record)
		record->mark = note->next;
}

static int logger_init(struct logger *logger)
{
	int r;

	*logger = (struct logger){ .control = LOGGER_FD_SUPERVISOR,
				   .staging = LOGGER_FD_STAGING,
				   .pipes = -1,
				   .syslog.fd = -1,
				   .access_uid = (uid_t)-1,
				   .access_gid = (gid_t)-1 };
	TAILQ_INIT(&logger->streams);
	TAILQ_INIT(&logger->ready);
	TAILQ_INIT(&logger->partial);
	TAILQ_INIT(&logger->packets);
	LIST_INIT(&logger->files.files);
	logger->files.outage = on_outage;
	logger->files.changed = on_changed;
	logger->files.warn = on_warn;
	logger->files.data = logger;
	r = journal_init(&logger->journal, LOGGER_FD_JOURNAL);
	if (r < 0)
		return r;
	logger->null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	logger->pipes = epoll_create1(EPOLL_CLOEXEC);
	logger->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	logger->flushes = json_array();
	if (logger->pipes < 0 || pipe2(logger->scratch, O_CLOEXEC | O_NONBLOCK) < 0 || !logger->loop ||
	    !logger->flushes)
		return -ENOMEM;
	(void)fcntl(logger->scratch[1], F_SETPIPE_SZ, 4 * BATCH_MAX);
	(void)fcntl(logger->staging, F_SETPIPE_SZ, 4 * BATCH_MAX);
	output_init(&logger->out, logger->loop, STDOUT_FILENO);
	output_init(&logger->err, logger->loop, STDERR_FILENO);
	watchers_init(logger);
	look_back(logger);
	return 0;
}

static void logger_fini(struct logger *logger)
{
	double deadline = clock_now() + output_patience;
	struct packet *packet;

	output_drain(&logger->out, deadline);
	output_drain(&logger->err, deadline);
	while (!TAILQ_EMPTY(&logger->streams))
		stream_free(TAILQ_FIRST(&logger->streams));
	client_free(logger->client);
	while ((packet = TAILQ_FIRST(&logger->packets))) {
		TAILQ_REMOVE(&logger->packets, packet, link);
		free(packet);
	}
	output_fini(&logger->out);
	output_fini(&logger->err);
	syslog_fini(&logger->syslog);
	journal_fini(&logger->journal);
	json_decref(logger->flushes);
	ev_loop_destroy(logger->loop);
}

int logger_run(void)
{
	static struct logger logger; /* its two buffers are too much for a stack */
	int r;

	ignore_signals();
	raise_limit();
	secure_descriptors();
	r = logger_init(&logger);
	if (r < 0) {
		(void)fprintf(stderr, "reeve-logger: cannot start: %s; it is started by reeved, not by hand\n",
			      strerror(-r));
		return EXIT_FAILURE;
	}
	ev_run(logger.loop, 0);
	logger_fini(&logger);
	return EXIT_SUCCESS;
}
