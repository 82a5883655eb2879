/* See logger_link.h. */
#include "logger_link.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "group.h"
#include "pipes.h"
#include "wire/keeper.h"
#include "wire/logger.h"

static const char *const channel_names[N_CHANNELS] = { "stdout", "stderr" };

/* One message that waits. The descriptor is looked up when it is sent. */
struct message {
	STAILQ_ENTRY(message) next;
	struct process *process;	/* whose pipe goes with it; NULL: none, or the daemon's own */
	int channel;
	bool own_log;			/* the daemon's own pipe goes with it */
	char *text;			/* owned */
};

struct logger_link {
	struct supervisor *s;
	int socket, journal, staging, listen;
	ev_io reader, writer;
	ev_timer again;			/* a start that failed is tried again */
	double backoff;			/* seconds; grows while loggers die before they have said anything */
	bool worked;
	STAILQ_HEAD(, message) queue;
	bool silent;			/* being torn down */
};

static void start_logger(struct logger_link *l);

/* ---- sending ---- */

static void message_free(struct message *m)
{
	free(m->text);
	free(m);
}

static void clear_queue(struct logger_link *l)
{
	struct message *m;

	while ((m = STAILQ_FIRST(&l->queue))) {
		STAILQ_REMOVE_HEAD(&l->queue, next);
		message_free(m);
	}
}

static void queue(struct logger_link *l, json_t *json, struct process *process, int channel, bool own_log)
{
	struct message *m = calloc(1, sizeof *m);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

	json_decref(json);
	if (!m || !text || l->socket < 0) {
		free(m);
		free(text);
		return;			/* without a logger nothing is queued: a new one is told everything */
	}
	*m = (struct message){ .process = process, .channel = channel, .own_log = own_log, .text = text };
	STAILQ_INSERT_TAIL(&l->queue, m, next);
	ev_io_start(l->s->loop, &l->writer);
}

static int send_packet(int socket, const char *text, int fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec part = { .iov_base = (void *)text, .iov_len = strlen(text) };
	struct msghdr packet = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fd >= 0) {
		packet.msg_control = &control;
		packet.msg_controllen = sizeof control;
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
	}
	return sendmsg(socket, &packet, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void writable(struct ev_loop *loop, ev_io *w, int events)
{
	struct logger_link *l = w->data;
	struct message *m;

	(void)events;
	while ((m = STAILQ_FIRST(&l->queue))) {
		int fd = m->own_log ? l->s->log_fd : m->process ? m->process->out[m->channel] : -1;

		if (send_packet(l->socket, m->text, fd) == -EAGAIN)
			return;
		STAILQ_REMOVE_HEAD(&l->queue, next);
		message_free(m);
	}
	ev_io_stop(loop, w);
}

/* ---- what it is told ---- */

static json_t *text_or_null(const char *text)
{
	json_t *s = text ? json_string(text) : NULL;

	return s ? s : json_null();
}

static void stream_id(const struct process *p, int channel, char *buffer, size_t size)
{
	(void)snprintf(buffer, size, "%s/%s", p->conf->namespec, channel_names[channel]);
}

static json_t *auto_of(const struct process *p, int channel)
{
	const struct supervisord_conf *c = &p->supervisor->loaded->config->supervisord;

	if (p->conf->channel[channel].logfile_kind != LOGFILE_AUTO)
		return json_null();
	return json_pack("{s:s, s:s, s:s}", "dir", c->childlogdir, "name", p->conf->name, "identifier", c->identifier);
}

static void announce_channel(struct logger_link *l, struct process *p, int channel)
{
	const struct channel_conf *c = &p->conf->channel[channel];
	bool strip = l->s->loaded->config->supervisord.strip_ansi;
	char id[STATE_NAME_SIZE + 16];

	if (p->out[channel] < 0)
		return;
	stream_id(p, channel, id, sizeof id);
	queue(l,
	      json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:I, s:I, s:b, s:o, s:b, s:I, s:i}", "op", "stream", "id", id, "process",
			p->conf->namespec, "channel", channel_names[channel], "group", p->conf->group, "path",
			text_or_null(c->logfile_kind == LOGFILE_PATH ? c->logfile : NULL), "auto", auto_of(p, channel), "maxbytes",
			(json_int_t)c->logfile_maxbytes, "backups", (json_int_t)c->logfile_backups, "strip_ansi", (int)strip,
			"syslog", text_or_null(c->syslog ? p->conf->name : NULL), "events", (int)c->events_enabled, "capture",
			(json_int_t)c->capture_maxbytes, "pid", (int)process_pid(p)),
	      p, channel, false);
}

void logger_link_stream(struct logger_link *l, struct process *p)
{
	if (!l)
		return;
	for (int c = 0; c < N_CHANNELS; c++)
		announce_channel(l, p, c);
}

void logger_link_pid(struct logger_link *l, struct process *p)
{
	char id[STATE_NAME_SIZE + 16];

	if (!l)
		return;
	for (int c = 0; c < N_CHANNELS; c++) {
		const struct channel_conf *conf = &p->conf->channel[c];

		/* Only events tell a pid. */
		if (p->out[c] < 0 || (!conf->events_enabled && !conf->capture_maxbytes))
			continue;
		stream_id(p, c, id, sizeof id);
		queue(l, json_pack("{s:s, s:s, s:i}", "op", "pid", "id", id, "pid", (int)process_pid(p)), NULL, 0, false);
	}
}

void logger_link_close(struct logger_link *l, struct process *p)
{
	struct message *m, *after;
	char id[STATE_NAME_SIZE + 16];

	if (!l)
		return;
	for (m = STAILQ_FIRST(&l->queue); m; m = after) {
		after = STAILQ_NEXT(m, next);
		if (m->process == p) {
			STAILQ_REMOVE(&l->queue, m, message, next);
			message_free(m);
		}
	}
	for (int c = 0; c < N_CHANNELS; c++)
		if (p->out[c] >= 0) {
			stream_id(p, c, id, sizeof id);
			queue(l, json_pack("{s:s, s:s}", "op", "close", "id", id), NULL, 0, false);
		}
}

void logger_link_reopen(struct logger_link *l)
{
	queue(l, json_pack("{s:s}", "op", "reopen"), NULL, 0, false);
}

void logger_link_clean(struct logger_link *l, const char *dir, const char *identifier)
{
	queue(l, json_pack("{s:s, s:s, s:s}", "op", "clean", "dir", dir, "identifier", identifier), NULL, 0, false);
}

void logger_link_announce(struct logger_link *l)
{
	const struct supervisord_conf *c = &l->s->loaded->config->supervisord;
	bool syslog = strcmp(c->logfile, "syslog") == 0;

	queue(l, json_pack("{s:s}", "op", "begin"), NULL, 0, false);
	queue(l,
	      json_pack("{s:s, s:o, s:I, s:I, s:b, s:b}", "op", "main", "path", text_or_null(syslog ? NULL : c->logfile), "maxbytes",
			(json_int_t)c->logfile_maxbytes, "backups", (json_int_t)c->logfile_backups, "stdout",
			(int)(c->nodaemon && !c->silent), "syslog", (int)syslog),
	      NULL, 0, true);
	queue(l, json_pack("{s:s, s:{s:I}}", "op", "settings", "access", "uid", (json_int_t)geteuid()), NULL, 0, false);
	for (struct group *g = l->s->groups; g; g = g->next)
		for (size_t i = 0; i < g->n_processes; i++)
			if (g->processes[i]->piped)
				logger_link_stream(l, g->processes[i]);
	queue(l, json_pack("{s:s}", "op", "sync"), NULL, 0, false);
}

/* ---- what it tells ---- */

static struct process *process_of_id(struct supervisor *s, const char *id, int *ret_channel)
{
	const char *slash = strrchr(id, '/');

	*ret_channel = slash && strcmp(slash, "/stderr") == 0 ? CHANNEL_STDERR : CHANNEL_STDOUT;
	for (struct group *g = s->groups; slash && g; g = g->next)
		for (size_t i = 0; i < g->n_processes; i++) {
			const char *name = g->processes[i]->conf->namespec;

			if (strncmp(name, id, (size_t)(slash - id)) == 0 && name[slash - id] == '\0')
				return g->processes[i];
		}
	return NULL;
}

static void told_opened(struct logger_link *l, const char *id, const json_t *message)
{
	const char *path = json_string_value(json_object_get(message, "path"));
	int channel;
	struct process *p = process_of_id(l->s, id, &channel);

	if (!p || !path || (p->logfile[channel] && strcmp(p->logfile[channel], path) == 0))
		return;
	free(p->logfile[channel]);
	p->logfile[channel] = strdup(path);
}

static void told_fault(struct logger_link *l, const char *id, const json_t *message)
{
	const char *text = json_string_value(json_object_get(message, "text"));

	if (text)
		supervisor_log(l->s, LOGLEVEL_ERROR, "%s: cannot write the log: %s; output is dropped until it can be", id, text);
	else
		supervisor_log(l->s, LOGLEVEL_WARN, "%s: the log can be written again; %lld bytes were dropped", id,
			       (long long)json_integer_value(json_object_get(message, "dropped")));
}

static void told_log(struct logger_link *l, const char *id, const json_t *message)
{
	const char *text = json_string_value(json_object_get(message, "text"));
	const char *level = json_string_value(json_object_get(message, "level"));

	(void)id;
	supervisor_log(l->s, level && strcmp(level, "error") == 0 ? LOGLEVEL_ERROR : LOGLEVEL_WARN, "logger: %s", text ? text : "?");
}

static void take(struct logger_link *l, const char *packet, size_t length)
{
	static const struct {
		const char *event;
		void (*run)(struct logger_link *l, const char *id, const json_t *message);
	} table[] = { { "opened", told_opened }, { "fault", told_fault }, { "log", told_log } };
	json_t *message = json_loadb(packet, length, 0, NULL);
	const char *event = json_string_value(json_object_get(message, "event"));
	const char *id = json_string_value(json_object_get(message, "id"));

	for (size_t i = 0; event && i < ARRAY_LEN(table); i++)
		if (strcmp(event, table[i].event) == 0)
			table[i].run(l, id ? id : "", message);
	json_decref(message);
}

static void disconnect(struct logger_link *l)
{
	ev_io_stop(l->s->loop, &l->reader);
	ev_io_stop(l->s->loop, &l->writer);
	closep(&l->socket);
	l->socket = -1;
	clear_queue(l);
}

static void readable(struct ev_loop *loop, ev_io *w, int events)
{
	static char packet[LOGGER_PACKET_MAX];
	struct logger_link *l = w->data;

	(void)loop;
	(void)events;
	for (int i = 0; i < 64; i++) {
		ssize_t n = recv(l->socket, packet, sizeof packet, MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {		/* its exit follows by the keeper */
			disconnect(l);
			return;
		}
		l->worked = true;
		take(l, packet, (size_t)n);
	}
}

/* ---- its life ---- */

static void connect_to(struct logger_link *l, int socket)
{
	l->socket = socket;
	ev_io_set(&l->reader, socket, EV_READ);
	ev_io_set(&l->writer, socket, EV_WRITE);
	ev_io_start(l->s->loop, &l->reader);
}

static void start_again(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	start_logger(w->data);
}

static void retry(struct logger_link *l, int error)
{
	l->backoff = l->backoff > 0 ? (l->backoff < 15 ? 2 * l->backoff : 30) : 0.05;
	if (error)
		supervisor_log(l->s, LOGLEVEL_CRITICAL, "cannot start reeve-logger: %s; trying again in %g seconds", errno_name(error),
			       l->backoff);
	ev_timer_set(&l->again, l->backoff, 0);
	ev_timer_start(l->s->loop, &l->again);
}

static int spawn_logger(struct logger_link *l, int socket)
{
	struct supervisor *s = l->s;
	char beside[512];
	const char *files[] = { beside, REEVE_LIBEXECDIR "/reeve-logger", NULL };
	char *argv[] = { (char *)"reeve-logger", NULL };
	int fds[] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, socket, l->journal, l->staging, l->listen };
	struct spawn_plan plan = {
		.files = files, .argv = argv, .envp = s->environ, .fds = fds, .n_fds = ARRAY_LEN(fds), .umask = -1, .cgroup_fd = -1,
		.sibling = true,
	};

	(void)snprintf(beside, sizeof beside, "%s/reeve-logger", s->executable_dir);
#ifdef REEVE_BUILD_LOGGER
	if (access(beside, X_OK) < 0 && access(REEVE_BUILD_LOGGER, X_OK) == 0)
		(void)snprintf(beside, sizeof beside, "%s", REEVE_BUILD_LOGGER);
#endif
	return spawn(&plan, &s->state.header->logger_pid, &s->state.header->logger_failure);
}

static void start_logger(struct logger_link *l)
{
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		retry(l, errno);
		return;
	}
	l->s->state.header->logger_pid = 0;
	/* Stored first: should we die now, our successor finds the socket of the logger whose pid it finds. */
	supervisor_tell(l->s, KEEPER_STORE, 0, 0, "logger", pair[0]);
	r = spawn_logger(l, pair[1]);
	(void)close(pair[1]);
	if (r < 0) {
		(void)close(pair[0]);
		retry(l, -r);
		return;
	}
	connect_to(l, pair[0]);
	logger_link_announce(l);
}

struct logger_link *logger_link_new(struct supervisor *s, int socket, int journal, int staging, int listen)
{
	struct logger_link *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	*l = (struct logger_link){ .s = s, .socket = -1, .journal = journal, .staging = staging, .listen = listen };
	STAILQ_INIT(&l->queue);
	ev_io_init(&l->reader, readable, -1, EV_READ);
	ev_io_init(&l->writer, writable, -1, EV_WRITE);
	ev_timer_init(&l->again, start_again, 0, 0);
	l->reader.data = l->writer.data = l->again.data = l;
	if (l->journal < 0) {
		l->journal = memfd_create("reeve-journal", MFD_CLOEXEC);
		supervisor_tell(s, KEEPER_STORE, 0, 0, "journal", l->journal);
	}
	if (l->staging < 0) {
		l->staging = pipe_new();
		supervisor_tell(s, KEEPER_STORE, 0, 0, "staging", l->staging);
	}
	/* No pid: our predecessor had noted the logger's end, but not started another. */
	if (socket >= 0 && s->state.header->logger_pid) {
		connect_to(l, socket);
	} else {
		closep(&socket);
		start_logger(l);
	}
	return l;
}

bool logger_link_exited(struct logger_link *l, pid_t pid, const struct exit_status *status)
{
	char text[64];
	bool failed = l->s->state.header->logger_failure.stage != SPAWN_NONE;

	if (pid != l->s->state.header->logger_pid)
		return false;
	l->s->state.header->logger_pid = 0;
	disconnect(l);
	if (l->silent)
		return true;
	if (!failed)
		supervisor_log(l->s, LOGLEVEL_CRITICAL, "reeve-logger (pid %d) ended: %s; starting another; nothing is lost", (int)pid,
			       exit_status_text(status, text, sizeof text));
	if (l->worked)
		l->backoff = 0;
	l->worked = false;
	retry(l, failed ? l->s->state.header->logger_failure.error : 0);
	return true;
}

pid_t logger_link_process(const struct logger_link *l)
{
	return l->s->state.header->logger_pid;
}

void logger_link_free(struct logger_link *l)
{
	if (!l)
		return;
	ev_timer_stop(l->s->loop, &l->again);
	disconnect(l);
	closep(&l->journal);
	closep(&l->staging);
	closep(&l->listen);
	free(l);
}
