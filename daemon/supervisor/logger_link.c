/* See logger_link.h. */
#include "logger_link.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/base64.h"
#include "base/text.h"
#include "control/control.h"
#include "gateway_link.h"
#include "group.h"
#include "listener/pool.h"
#include "pipes.h"
#include "wire/keeper.h"
#include "wire/logger.h"
#include "wire/packet.h"

static const char *const channel_names[N_CHANNELS] = { "stdout", "stderr" };

/* One message that waits. The descriptor is looked up when it is sent. */
struct message {
	STAILQ_ENTRY(message) next;
	struct process *process;	/* whose pipe goes with it; NULL: none, or the daemon's own */
	int channel;
	bool own_log;			/* the daemon's own pipe goes with it */
	int fd;				/* goes with it, owned; -1: none */
	bool reopen;
	char *text;			/* owned */
};

struct logger_link {
	struct supervisor *s;
	int socket, journal, staging, listen;
	ev_io reader, writer;
	ev_timer soon;			/* logger_link_announce_soon() */
	ev_timer again;			/* a start that failed is tried again */
	ev_timer shortage;		/* after it, what could not be told for want of memory is told */
	bool incomplete;		/* a message was lost so */
	double complained;		/* when we last said that the logger has no descriptors; 0: never */
	double backoff;			/* seconds; grows while loggers die before they have said anything */
	bool worked;
	bool finishing;			/* asked to end, for one of another version */
	ev_timer settle;		/* logger_link_settle() waits no longer than this */
	enum { NOT_ASKED, ASKED, SETTLED } settled;
	STAILQ_HEAD(, message) queue;
	bool silent;			/* being torn down */
	char *part;			/* of a capture that comes in parts; owned */
	size_t part_length;
};

static const double shortage_wait = 0.5;	/* seconds before we try again to tell the logger what we had no memory for */
static const double missing_wait = 5;	/* and what it had no descriptors for */
static const double complain_every = 300;	/* seconds */
static const double announce_after = 0.05;	/* seconds that clients come before a logger that is told nothing new */
static const double renewal_limit = 5;	/* seconds that a logger of another version has to finish */
static const double settle_limit = 5;	/* seconds that one has to write what the programs left in their pipes */
static const char settled_cookie[] = "end";

static void start_logger(struct logger_link *l);

/* ---- sending ---- */

static void message_free(struct message *m)
{
	closep(&m->fd);
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

static void wait_for_more(struct logger_link *l, double seconds)
{
	if (ev_is_active(&l->shortage))
		return;
	ev_timer_set(&l->shortage, seconds, 0);
	ev_timer_start(l->s->loop, &l->shortage);
}

/* NULL: it will not be sent. */
static struct message *queue(struct logger_link *l, json_t *json, struct process *process, int channel, bool own_log)
{
	struct message *m = calloc(1, sizeof *m);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

	json_decref(json);
	if ((!m || !text) && l->socket >= 0) {
		l->incomplete = true;
		wait_for_more(l, shortage_wait);
	}
	if (!m || !text || l->socket < 0) {
		free(m);
		free(text);
		return NULL;		/* without a logger nothing is queued: a new one is told everything */
	}
	*m = (struct message){ .process = process, .channel = channel, .own_log = own_log, .fd = -1, .text = text };
	STAILQ_INSERT_TAIL(&l->queue, m, next);
	ev_io_start(l->s->loop, &l->writer);
	return m;
}

static void writable(struct ev_loop *loop, ev_io *w, int events)
{
	struct logger_link *l = w->data;
	struct message *m;

	(void)events;
	while ((m = STAILQ_FIRST(&l->queue))) {
		int fd = m->own_log ? l->s->log_fd : m->process ? m->process->out[m->channel] : m->fd;

		int r = packet_send(l->socket, m->text, strlen(m->text), fd, MSG_DONTWAIT);

		if (r == -EAGAIN)
			return;
		if (r == -ENOBUFS || r == -ENOMEM || r == -ETOOMANYREFS) {
			wait_for_more(l, shortage_wait);
			break;
		}
		if (m->reopen)
			l->s->state.header->reopen = 0;
		STAILQ_REMOVE_HEAD(&l->queue, next);
		message_free(m);
	}
	ev_io_stop(loop, w);
}

/* A stream that the logger does not know of would hold up its program once the pipe is full. */
static void shortage_over(struct ev_loop *loop, ev_timer *w, int events)
{
	struct logger_link *l = w->data;

	(void)events;
	ev_timer_stop(loop, w);
	if (l->incomplete) {
		l->incomplete = false;
		logger_link_announce(l);
	}
	if (l->socket >= 0 && !STAILQ_EMPTY(&l->queue))
		ev_io_start(loop, &l->writer);
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

static json_t *console_of(const struct supervisor *s)
{
	static const char *const names[] = { NULL, "raw", "prefix", "json" };	/* enum console */

	return text_or_null(names[s->loaded->config->supervisord.console]);
}

/* The stdout of a listener is a conversation with us. */
static bool speaks_protocol(const struct process *p, int channel)
{
	return p->conf->kind == GROUP_EVENTLISTENER && channel == CHANNEL_STDOUT;
}

static void announce_channel(struct logger_link *l, struct process *p, int channel)
{
	const struct channel_conf *c = &p->conf->channel[channel];
	bool strip = l->s->loaded->config->supervisord.strip_ansi, debug = l->s->loaded->config->supervisord.loglevel <= LOGLEVEL_DEBUG;
	bool protocol = speaks_protocol(p, channel);
	char id[STATE_NAME_SIZE + 16];

	free(TAKE(p->log_trouble[channel]));	/* the logger tells again what is still so */
	if (p->out[channel] < 0)
		return;
	stream_id(p, channel, id, sizeof id);
	(void)queue(l,
	      json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:I, s:I, s:b, s:o, s:b, s:I, s:i, s:o, s:b, s:b}", "op", "stream", "id", id, "process",
			p->conf->namespec, "channel", channel_names[channel], "group", p->conf->group, "path",
			text_or_null(c->logfile_kind == LOGFILE_PATH ? c->logfile : NULL), "auto", auto_of(p, channel), "maxbytes",
			(json_int_t)c->logfile_maxbytes, "backups", (json_int_t)c->logfile_backups, "strip_ansi", (int)strip,
			"syslog", text_or_null(c->syslog ? p->conf->name : NULL), "events", (int)(c->events_enabled || protocol), "capture",
			(json_int_t)(protocol ? 0 : c->capture_maxbytes), "pid", (int)process_pid(p), "console",
			protocol ? json_null() : console_of(l->s), "later",
			(int)(c->logfile_kind == LOGFILE_PATH && !process_pid(p)), "debug", (int)debug),
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

		/* Only events tell a pid; and the first one lets the file be made. */
		if (p->out[c] < 0 || (p->now.life.run > 1 && !conf->events_enabled && !conf->capture_maxbytes && !speaks_protocol(p, c)))
			continue;
		stream_id(p, c, id, sizeof id);
		(void)queue(l, json_pack("{s:s, s:s, s:i}", "op", "pid", "id", id, "pid", (int)process_pid(p)), NULL, 0, false);
	}
}

void logger_link_ended(struct logger_link *l, struct process *p)
{
	int channel = p->conf->redirect_stderr ? CHANNEL_STDOUT : CHANNEL_STDERR;
	char id[STATE_NAME_SIZE + 16];

	free(TAKE(p->last_words));
	if (!l || p->out[channel] < 0)
		return;
	stream_id(p, channel, id, sizeof id);
	(void)queue(l, json_pack("{s:s, s:s}", "op", "ended", "id", id), NULL, 0, false);
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
			(void)queue(l, json_pack("{s:s, s:s}", "op", "close", "id", id), NULL, 0, false);
		}
}

/* Noted until it is sent: who asked, asked once. */
void logger_link_reopen(struct logger_link *l)
{
	struct message *m;

	l->s->state.header->reopen = 1;
	m = queue(l, json_pack("{s:s}", "op", "reopen"), NULL, 0, false);
	if (m)
		m->reopen = true;
}

bool logger_link_client(struct logger_link *l, int fd)
{
	struct message *m = queue(l, json_pack("{s:s}", "op", "client"), NULL, 0, false);

	if (m)
		m->fd = fd;
	return m != NULL;
}

void logger_link_clean(struct logger_link *l, const char *dir, const char *identifier)
{
	(void)queue(l, json_pack("{s:s, s:s, s:s}", "op", "clean", "dir", dir, "identifier", identifier), NULL, 0, false);
}

void logger_link_flush(struct logger_link *l, const char *cookie)
{
	(void)queue(l, json_pack("{s:s, s:s}", "op", "flush", "cookie", cookie), NULL, 0, false);
}

static void ask_settled(struct logger_link *l)
{
	if (l->settled == ASKED)
		logger_link_flush(l, settled_cookie);
}

void logger_link_announce(struct logger_link *l)
{
	const struct supervisord_conf *c = &l->s->loaded->config->supervisord;
	bool syslog = strcmp(c->logfile, "syslog") == 0;
	gid_t group = control_socket_group(l->s);

	ev_timer_stop(l->s->loop, &l->soon);
	(void)queue(l, json_pack("{s:s}", "op", "begin"), NULL, 0, false);
	(void)queue(l,
	      json_pack("{s:s, s:o, s:I, s:I, s:b, s:b, s:b}", "op", "main", "path", text_or_null(syslog ? NULL : c->logfile), "maxbytes",
			(json_int_t)c->logfile_maxbytes, "backups", (json_int_t)c->logfile_backups, "stdout",
			(int)(c->nodaemon && !c->silent), "json", (int)(c->console == CONSOLE_AS_JSON), "syslog", (int)syslog),
	      NULL, 0, true);
	(void)queue(l, json_pack("{s:s, s:{s:I, s:I, s:s}}", "op", "settings", "access", "uid", (json_int_t)geteuid(), "group",
				 group == (gid_t)-1 ? (json_int_t)-1 : (json_int_t)group, "level", c->control_access), NULL, 0, false);
	for (struct group *g = l->s->groups; g; g = g->next)
		for (size_t i = 0; i < g->n_processes; i++)
			if (g->processes[i]->piped)
				logger_link_stream(l, g->processes[i]);
	(void)queue(l, json_pack("{s:s}", "op", "sync"), NULL, 0, false);
	listeners_ask_again(l->s);
	if (l->s->state.header->reopen)
		logger_link_reopen(l);
	ask_settled(l);
}

static void announce_now(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	logger_link_announce(w->data);
}

void logger_link_announce_soon(struct logger_link *l)
{
	ev_timer_set(&l->soon, announce_after, 0);
	ev_now_update(l->s->loop);
	ev_timer_start(l->s->loop, &l->soon);
}

/* ---- what it tells ---- */

static struct process *process_of_id(struct supervisor *s, const char *id, int *ret_channel)
{
	const char *slash = strrchr(id, '/');

	*ret_channel = slash && strcmp(slash, "/stderr") == 0 ? CHANNEL_STDERR : CHANNEL_STDOUT;
	return slash ? process_by_namespec(s, id, (size_t)(slash - id)) : NULL;
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

static void told_tail(struct logger_link *l, const char *id, const json_t *message)
{
	const char *data = json_string_value(json_object_get(message, "data"));
	size_t length;
	int channel;
	struct process *p = process_of_id(l->s, id, &channel);

	if (!p || !data)
		return;
	free(p->last_words);
	p->last_words = base64_decode(data, &length);
	for (size_t i = 0; p->last_words && i < length; i++)
		if (!p->last_words[i])
			p->last_words[i] = ' ';
}

/* Its program is held up once the pipe is full: better too many tries than none. */
static void told_missing(struct logger_link *l, const char *id, const json_t *message)
{
	(void)message;
	if (l->complained <= 0 || clock_now() - l->complained > complain_every) {
		supervisor_log(l->s, LOGLEVEL_ERROR,
			       "%s: the logger has no descriptor left for its pipe; raise the limit of open files; trying again", id);
		l->complained = clock_now();
	}
	l->incomplete = true;
	wait_for_more(l, missing_wait);
}

static void told_fault(struct logger_link *l, const char *id, const json_t *message)
{
	const char *text = json_string_value(json_object_get(message, "text"));
	int channel;
	struct process *p = process_of_id(l->s, id, &channel);

	if (p) {
		free(p->log_trouble[channel]);
		p->log_trouble[channel] = text ? strdup(text) : NULL;
	}
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

static void have_settled(struct logger_link *l)
{
	ev_timer_stop(l->s->loop, &l->settle);
	l->settled = SETTLED;
	l->s->changed = true;
}

static void settle_over(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	have_settled(w->data);
}

bool logger_link_settle(struct logger_link *l)
{
	if (l->settled == NOT_ASKED) {
		l->settled = ASKED;
		ev_now_update(l->s->loop);
		ev_timer_set(&l->settle, settle_limit, 0);
		ev_timer_start(l->s->loop, &l->settle);
		ask_settled(l);
	}
	return l->settled == SETTLED;
}

static void told_flushed(struct logger_link *l, const char *id, const json_t *message)
{
	const char *cookie = json_string_value(json_object_get(message, "cookie"));

	(void)id;
	if (cookie && strcmp(cookie, settled_cookie) != 0)
		listeners_flushed(l->s, cookie);
	else if (cookie && !l->incomplete)	/* else it is asked again when it knows of everything */
		have_settled(l);
}

/* What a listener gets of DATA that may be no text: supervisord shows it as Python does. */
static void publish_output(struct supervisor *s, const char *type, const char *head, const char *data, size_t length)
{
	_cleanup_(freep) char *shown = NULL, *payload = NULL;
	size_t characters;
	int n;

	if (!utf8_count(data, length, &characters)) {
		shown = python_bytes_repr(data, length);
		n = shown ? asprintf(&payload, "%sUndecodable: %s", head, shown) : -1;
		if (n >= 0)
			event_publish(s->events, type, payload, (size_t)n);
		return;
	}
	payload = malloc(strlen(head) + length + 1);
	if (!payload)
		return;
	memcpy(stpcpy(payload, head), data, length);
	event_publish(s->events, type, payload, strlen(head) + length);
}

static void publish_log(struct process *p, int channel, pid_t pid, const char *data, size_t length)
{
	static const char *const types[N_CHANNELS] = { "PROCESS_LOG_STDOUT", "PROCESS_LOG_STDERR" };
	char head[700];

	(void)snprintf(head, sizeof head, "processname:%s groupname:%s pid:%d channel:%s\n", p->conf->name, p->conf->group, (int)pid,
		       channel_names[channel]);
	publish_output(p->supervisor, types[channel], head, data, length);
}

static void publish_capture(struct process *p, int channel, pid_t pid, const char *data, size_t length)
{
	static const char *const types[N_CHANNELS] = { "PROCESS_COMMUNICATION_STDOUT", "PROCESS_COMMUNICATION_STDERR" };
	char head[700];

	(void)snprintf(head, sizeof head, "processname:%s groupname:%s pid:%d\n", p->conf->name, p->conf->group, (int)pid);
	publish_output(p->supervisor, types[channel], head, data, length);
}

/* A long capture comes in parts. */
static void take_part(struct logger_link *l, struct process *p, int channel, const json_t *message, const char *data, size_t length)
{
	size_t offset = (size_t)json_integer_value(json_object_get(message, "offset"));
	char *grown;

	if (!offset)
		l->part_length = 0;
	grown = offset == l->part_length ? realloc(l->part, offset + length + 1) : NULL;
	if (!grown)
		return;			/* its beginning is lost with the supervisor that had it */
	memcpy(grown + offset, data, length);
	l->part = grown;
	l->part_length = offset + length;
	if (json_is_true(json_object_get(message, "more")))
		return;
	publish_capture(p, channel, (pid_t)json_integer_value(json_object_get(message, "pid")), l->part, l->part_length);
	free(TAKE(l->part));
	l->part_length = 0;
}

/* "output" and "capture": bytes of a process that somebody wants to know of. */
static void told_bytes(struct logger_link *l, const char *id, const json_t *message)
{
	const char *text = json_string_value(json_object_get(message, "data"));
	uint64_t sequence = (uint64_t)json_integer_value(json_object_get(message, "seq"));
	pid_t pid = (pid_t)json_integer_value(json_object_get(message, "pid"));
	struct supervisor *s = l->s;
	size_t length;
	_cleanup_(freep) char *data = text ? base64_decode(text, &length) : NULL;
	int channel;
	struct process *p = process_of_id(s, id, &channel);

	if (!p || !data || sequence <= s->state.header->logger_sequence)
		return;
	s->logger_sequence = sequence;
	if (strcmp(json_string_value(json_object_get(message, "event")), "capture") == 0)
		take_part(l, p, channel, message, data, length);
	else if (speaks_protocol(p, channel))
		listener_said(p, pid, sequence, data, length);
	else
		publish_log(p, channel, pid, data, length);
	s->logger_sequence = 0;
	s->state.header->logger_sequence = sequence;
}

static void take(struct logger_link *l, const char *packet, size_t length)
{
	static const struct {
		const char *event;
		void (*run)(struct logger_link *l, const char *id, const json_t *message);
	} table[] = { { "opened", told_opened }, { "missing", told_missing }, { "tail", told_tail }, { "fault", told_fault }, { "log", told_log },
		    { "output", told_bytes }, { "capture", told_bytes }, { "flushed", told_flushed } };
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

/*
 * Deal with one packet. 1; 0: there is none; -1: the logger is gone, and all that it said has been dealt with. A packet is taken
 * only when its effects are written down: after our death the successor finds it again. A logger that dies with unread messages of ours
 * leaves an ECONNRESET before its last words.
 */
static int receive(struct logger_link *l)
{
	static char packet[LOGGER_PACKET_MAX];
	ssize_t n;

	do
		n = recv(l->socket, packet, sizeof packet, MSG_DONTWAIT | MSG_PEEK);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n <= 0)
		return n < 0 && errno == EAGAIN ? 0 : -1;
	l->worked = true;
	take(l, packet, (size_t)n);
	if (l->socket >= 0)
		(void)recv(l->socket, packet, 0, MSG_DONTWAIT);
	return 1;
}

static void readable(struct ev_loop *loop, ev_io *w, int events)
{
	struct logger_link *l = w->data;
	int r = 1;

	(void)loop;
	(void)events;
	for (int i = 0; i < 64 && r > 0 && l->socket >= 0; i++)
		r = receive(l);
	if (r < 0)
		disconnect(l);		/* its exit follows by the keeper */
}

/* ---- its life ---- */

static void connect_to(struct logger_link *l, int socket)
{
	l->socket = socket;
	ev_io_set(&l->reader, socket, EV_READ);
	ev_io_set(&l->writer, socket, EV_WRITE);
	ev_io_start(l->s->loop, &l->reader);
}

/* It has not finished: the next one does what it had begun. */
static void insist(struct logger_link *l)
{
	if (l->s->state.header->logger_pid)
		(void)kill(l->s->state.header->logger_pid, SIGKILL);
}

static void start_again(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	if (((struct logger_link *)w->data)->finishing)
		insist(w->data);
	else
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

/* Beside us; in the build tree, for a daemon that was not installed; or where it is installed. */
bool logger_link_find(const struct supervisor *s, char *buffer, size_t size)
{
	static const char *const files[] = { REEVE_BUILD_LOGGER, REEVE_LIBEXECDIR "/reeve-logger" };

	(void)snprintf(buffer, size, "%s/reeve-logger", s->executable_dir);
	for (size_t i = 0; access(buffer, X_OK) < 0 && i < ARRAY_LEN(files); i++)
		(void)snprintf(buffer, size, "%s", files[i]);
	return access(buffer, X_OK) == 0;
}

static int spawn_logger(struct logger_link *l, int socket)
{
	struct supervisor *s = l->s;
	char file[4200];
	const char *files[] = { file, NULL };
	char *argv[] = { (char *)"reeve-logger", NULL };
	int fds[] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, socket, l->journal, l->staging, l->listen };
	struct spawn_plan plan = {
		.files = files, .argv = argv, .envp = s->environ, .fds = fds, .n_fds = ARRAY_LEN(fds), .umask = -1, .cgroup_fd = -1,
		.sibling = true,
	};

	(void)logger_link_find(s, file, sizeof file);
	return spawn(&plan, &s->state.header->logger_pid, &s->state.header->logger_failure);
}

/* What outlives every logger. 0 or -errno. */
static int make_memory(struct logger_link *l)
{
	if (l->journal < 0) {
		l->journal = memfd_create("reeve-journal", MFD_CLOEXEC);
		if (l->journal < 0)
			return -errno;
		supervisor_tell(l->s, KEEPER_STORE, 0, 0, "journal", l->journal);
	}
	if (l->staging < 0) {
		l->staging = pipe_new();
		if (l->staging < 0)
			return l->staging;
		supervisor_tell(l->s, KEEPER_STORE, 0, 0, "staging", l->staging);
	}
	return 0;
}

static void start_logger(struct logger_link *l)
{
	int pair[2], r;

	r = make_memory(l);
	if (r < 0) {
		retry(l, -r);
		return;
	}
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
	if (l->s->gateway)
		gateway_link_logger_started(l->s->gateway);
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
	ev_timer_init(&l->shortage, shortage_over, 0, 0);
	ev_timer_init(&l->soon, announce_now, 0, 0);
	ev_timer_init(&l->settle, settle_over, 0, 0);
	l->reader.data = l->writer.data = l->again.data = l->shortage.data = l->soon.data = l->settle.data = l;
	/* No pid: our predecessor had noted the logger's end, but not started another. */
	if (socket >= 0 && s->state.header->logger_pid) {
		connect_to(l, socket);
	} else {
		closep(&socket);
		start_logger(l);
	}
	return l;
}

/* The end of its socket ends it, once it has written what the pipes hold. */
void logger_link_renew(struct logger_link *l)
{
	char path[4200], exe[40];
	struct stat ours, theirs;

	(void)snprintf(exe, sizeof exe, "/proc/%d/exe", (int)logger_link_process(l));
	if (l->socket < 0 || !logger_link_process(l) || !logger_link_find(l->s, path, sizeof path) || stat(path, &ours) < 0 ||
	    stat(exe, &theirs) < 0 || (ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino))
		return;
	l->finishing = true;
	supervisor_tell(l->s, KEEPER_DROP, 0, 0, "logger", -1);
	disconnect(l);
	ev_timer_set(&l->again, renewal_limit, 0);
	ev_timer_start(l->s->loop, &l->again);
}

bool logger_link_exited(struct logger_link *l, pid_t pid, const struct exit_status *status)
{
	char text[64];
	bool failed = l->s->state.header->logger_failure.stage != SPAWN_NONE;

	if (pid != l->s->state.header->logger_pid)
		return false;
	while (l->socket >= 0 && receive(l) > 0)
		continue;
	l->s->state.header->logger_pid = 0;
	disconnect(l);
	ev_timer_stop(l->s->loop, &l->again);
	if (l->silent)
		return true;
	if (l->finishing)
		supervisor_log(l->s, LOGLEVEL_INFO, "reeve-logger (pid %d) has finished for one of another version", (int)pid);
	else if (!failed)
		supervisor_log(l->s, LOGLEVEL_CRITICAL, "reeve-logger (pid %d) ended: %s; starting another; nothing is lost", (int)pid,
			       exit_status_text(status, text, sizeof text));
	if (l->worked || l->finishing)
		l->backoff = 0;
	l->worked = l->finishing = false;
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
	ev_timer_stop(l->s->loop, &l->shortage);
	ev_timer_stop(l->s->loop, &l->soon);
	ev_timer_stop(l->s->loop, &l->settle);
	disconnect(l);
	closep(&l->journal);
	closep(&l->staging);
	closep(&l->listen);
	free(l->part);
	free(l);
}
