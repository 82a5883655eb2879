/* See gateway_link.h. */
#include "gateway_link.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "control/control.h"
#include "generation.h"
#include "http_socket.h"
#include "group.h"
#include "logger_link.h"
#include "names.h"
#include "places.h"
#include "pool_process.h"
#include "wire/gateway.h"
#include "wire/packet.h"
#include "wire/keeper.h"

enum {
	FILES = 4096,			/* RLIMIT_NOFILE of the gateway: clients, and as many connections to the daemons */
	LEAVING = 8,			/* replaced gateways that are finishing */
	LOGS_WANTED = 384,		/* as many calls as a gateway has at once */
};

static const char not_installed[] = "it is not installed (the build option `gateway`)";
static const double leave_seconds = 3;	/* that a replaced gateway, or one at the end, has for what it has begun */
static const double socket_retry = 2, lookup_retry = 60;	/* seconds until a socket that cannot be made is tried again */

struct http_socket {
	TAILQ_ENTRY(http_socket) next;
	char name[KEEPER_NAME_SIZE];
	char *file;			/* unix: to be unlinked at the end; NULL: inet, or adopted and not yet named by a configuration */
	int fd;
	bool wanted;
};

struct leaver {
	pid_t pid;			/* 0: free */
	double deadline;
};

struct gateway_link {
	struct supervisor *s;
	int channel;			/* our end, or -1 */
	int curves;			/* memory that each gateway gets from the one before, or -1 */
	ev_io reader;
	ev_timer again;			/* starts the gateway, or tries for missing sockets */
	ev_timer reminder;		/* ends those that do not leave */
	double backoff;			/* seconds; grows while gateways die young */
	double started;
	unsigned logs_wanted;		/* connections to the logger, asked for while there was none */
	bool missing;			/* a socket could not be made */
	bool slow;			/* because its host could not be looked up */
	bool at_end;
	char said[2048], saying[2048];	/* lines about the sockets: of the last time, of this time. Each is logged once */
	struct leaver leaving[LEAVING];
	TAILQ_HEAD(, http_socket) sockets;
};

pid_t gateway_link_process(const struct gateway_link *l)
{
	return l->s->state.header->gateway_pid;
}

/* ---- the channel ---- */

static void disconnect(struct gateway_link *l)
{
	ev_io_stop(l->s->loop, &l->reader);
	closep(&l->channel);
	l->channel = -1;
	l->logs_wanted = 0;
	supervisor_tell(l->s, KEEPER_DROP, 0, 0, "gateway", -1);
}

static int connect_to_pool(const struct gateway_link *l, const char *name)
{
	struct process *p = process_by_name(l->s, name);

	return p && p->conf->kind == GROUP_POOL && process_pid(p) ? pool_process_connect(p) : -ENOENT;
}

static void give_pool(struct gateway_link *l, const char *what)
{
	int fd = connect_to_pool(l, what + strlen("pool:"));
	json_t *message = fd >= 0 ? json_pack("{s:s}", "op", what) : NULL;
	char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;

	if (text)
		(void)packet_send(l->channel, text, strlen(text), fd, MSG_DONTWAIT);
	free(text);
	json_decref(message);
	closep(&fd);
}

/* A connection to the control socket's server or to the logger. One that cannot be had is asked for again, or given when there is a logger. */
static void give(struct gateway_link *l, const char *what)
{
	bool log = strcmp(what, "log") == 0;
	char text[40];
	int pair[2];

	if (strncmp(what, "pool:", 5) == 0) {
		give_pool(l, what);
		return;
	}
	if ((!log && strcmp(what, "supervisor") != 0) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return;
	(void)snprintf(text, sizeof text, "{\"op\":\"%s\"}", what);
	if (!(log ? logger_link_client(l->s->logger, pair[0]) : control_serve(l->s->control, pair[0]))) {
		(void)close(pair[0]);
		l->logs_wanted += log && l->logs_wanted < LOGS_WANTED;
	} else {
		(void)packet_send(l->channel, text, strlen(text), pair[1], MSG_DONTWAIT);
	}
	(void)close(pair[1]);
}

void gateway_link_logger_started(struct gateway_link *l)
{
	unsigned n = l->channel >= 0 ? l->logs_wanted : 0;

	l->logs_wanted = 0;
	while (n--)
		give(l, "log");
}

static void told(struct gateway_link *l, const char *packet, size_t length)
{
	json_t *message = json_loadb(packet, length, 0, NULL);
	const char *event = json_string_value(json_object_get(message, "event"));
	const char *what = json_string_value(json_object_get(message, "what"));
	const char *text = json_string_value(json_object_get(message, "text"));
	const char *level = json_string_value(json_object_get(message, "level"));

	if (event && what && strcmp(event, "want") == 0)
		give(l, what);
	else if (event && text && strcmp(event, "log") == 0)
		supervisor_log(l->s,
			       level && strcmp(level, "error") == 0 ? LOGLEVEL_ERROR :
			       level && strcmp(level, "warn") == 0  ? LOGLEVEL_WARN :
								      LOGLEVEL_INFO,
			       "gateway: %.500s", text);
	json_decref(message);
}

static void readable(struct ev_loop *loop, ev_io *w, int events)
{
	static char packet[4096];
	struct gateway_link *l = w->data;

	(void)events;
	for (int i = 0; i < 64 && l->channel >= 0; i++) {
		ssize_t n = recv(l->channel, packet, sizeof packet, MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {		/* its exit follows by the keeper */
			ev_io_stop(loop, w);
			return;
		}
		told(l, packet, (size_t)n);
	}
}

static void connect_to(struct gateway_link *l, int channel)
{
	l->channel = channel;
	ev_io_set(&l->reader, channel, EV_READ);
	ev_io_start(l->s->loop, &l->reader);
}

/* ---- the sockets ---- */

static void socket_drop(struct gateway_link *l, struct http_socket *h)
{
	struct http_socket *other;

	TAILQ_REMOVE(&l->sockets, h, next);
	TAILQ_FOREACH(other, &l->sockets, next)
	if (h->file && other->file && strcmp(h->file, other->file) == 0)
		free(TAKE(h->file));	/* the path is another's by now */
	place_remove(l->s, h->file, false);
	supervisor_tell(l->s, KEEPER_DROP, 0, 0, h->name, -1);
	(void)close(h->fd);
	free(h->file);
	free(h);
}

static struct http_socket *socket_find(struct gateway_link *l, const char *name)
{
	struct http_socket *h;

	TAILQ_FOREACH(h, &l->sockets, next)
	if (strcmp(h->name, name) == 0)
		return h;
	return NULL;
}

static struct http_socket *socket_add(struct gateway_link *l, const char *name, int fd)
{
	struct http_socket *h = calloc(1, sizeof *h);

	if (!h) {
		(void)close(fd);
		return NULL;
	}
	(void)snprintf(h->name, sizeof h->name, "%s", name);
	h->fd = fd;
	TAILQ_INSERT_TAIL(&l->sockets, h, next);
	return h;
}

bool gateway_link_adopt(struct gateway_link *l, const char *name, int fd)
{
	if (strcmp(name, "gateway") == 0) {
		if (!gateway_link_process(l)) {	/* our predecessor had not started it yet */
			(void)close(fd);
			return true;
		}
		connect_to(l, fd);
		return true;
	}
	if (strcmp(name, "curves") == 0) {
		l->curves = fd;
		return true;
	}
	if (strncmp(name, "http/", 5) != 0)
		return false;
	(void)socket_add(l, name, fd);
	return true;
}

static void say(struct gateway_link *l, const struct server_conf *conf, const char *text)
{
	size_t used = strlen(l->saying);
	char line[600];

	(void)snprintf(line, sizeof line, "[%.100s]: %.450s\n", conf->section, text);
	if (!strstr(l->said, line) && !strstr(l->saying, line))
		supervisor_log(l->s, LOGLEVEL_CRITICAL, "%.*s", (int)strlen(line) - 1, line);
	(void)snprintf(l->saying + used, sizeof l->saying - used, "%s", line);
}

static bool has_password(const struct server_conf *conf)
{
	return conf->username && *conf->username && conf->password;
}

/* Whoever can reach it could run programs as we do. */
static bool is_refused(struct gateway_link *l, const struct server_conf *conf)
{
	bool allowed = conf->insecure || l->s->compatible;
	char place[300], text[600];

	if (has_password(conf) || !http_socket_is_public(conf))
		return false;
	http_socket_place(conf, place, sizeof place);
	(void)snprintf(text, sizeof text,
		       allowed ? "%.120s has no password: everybody who can reach this port can start, stop and change programs here. Set "
				 "username and password, or listen on 127.0.0.1" :
				 "%.120s is not served: it has no password and can be reached from elsewhere. Set username and password, "
				 "listen on 127.0.0.1, or set insecure=true if that is what you want",
		       place);
	say(l, conf, text);
	return !allowed;
}

static struct http_socket *socket_of(struct gateway_link *l, const struct server_conf *conf)
{
	char name[KEEPER_NAME_SIZE];
	struct http_socket *h;
	struct error err = { 0 };
	int fd;

	http_socket_name(conf, name);
	h = socket_find(l, name);
	if (!h) {
		fd = place_socket(l->s, name, conf, &err);
		h = fd >= 0 ? socket_add(l, name, fd) : NULL;
		if (!h) {
			say(l, conf, err.code ? err.text : "out of memory");
			l->missing = true;
			l->slow |= err.code == EHOSTUNREACH;
			return NULL;
		}
		supervisor_tell(l->s, KEEPER_STORE, 0, 0, name, fd);
	}
	if (conf->is_unix && !h->file)
		h->file = strdup(conf->file);
	return h;
}

/* ---- its life ---- */

static void retry(struct gateway_link *l, const char *reason)
{
	l->backoff = l->backoff > 0 ? (l->backoff < 15 ? 2 * l->backoff : 30) : 0.05;
	if (reason)
		supervisor_log(l->s, LOGLEVEL_CRITICAL, "cannot start reeve-gateway: %s; trying again in %g seconds", reason, l->backoff);
	ev_timer_stop(l->s->loop, &l->again);
	ev_timer_set(&l->again, l->backoff, 0);
	ev_timer_start(l->s->loop, &l->again);
}

/* As little as there is: a user of its own, else nobody. Without root we have nothing to give up. */
static void give_up_rights(struct supervisor *s, struct spawn_plan *plan)
{
	struct identity own;
	bool known;

	if (geteuid() != 0)
		return;
	known = names_user(s, GATEWAY_USER, &own, NULL) == 0;
	plan->change_user = true;
	plan->uid = known ? own.uid : 65534;
	plan->gid = known ? own.gid : 65534;
	plan->groups = &plan->gid;
	plan->n_groups = 1;
}

/* Ours, with LISTEN_FDS; one block. */
static char **environment_with(struct supervisor *s, size_t n_fds)
{
	size_t n = 0;
	char **block, *text;

	while (s->environ[n])
		n++;
	block = malloc((n + 3) * sizeof *block + 32);
	if (!block)
		return NULL;
	text = (char *)(block + n + 3);
	(void)snprintf(text, 32, "LISTEN_FDS=%zu", n_fds);
	memcpy(block, s->environ, n * sizeof *block);
	block[n] = text;
	block[n + 1] = (char *)"LISTEN_PID=";
	block[n + 2] = NULL;
	return block;
}

/* The binary, so that a user who cannot reach its directory can still execute it. */
static int open_binary(const struct supervisor *s)
{
	char beside[512];
	const char *files[] = {
		beside, REEVE_LIBEXECDIR "/reeve-gateway",
#ifdef REEVE_BUILD_GATEWAY
		REEVE_BUILD_GATEWAY,
#endif
	};
	int fd = -1;

	(void)snprintf(beside, sizeof beside, "%s/reeve-gateway", s->executable_dir);
	for (size_t i = 0; i < ARRAY_LEN(files) && fd < 0; i++)
		fd = open(files[i], O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int spawn_gateway(struct gateway_link *l, int channel, const int *listening, size_t n)
{
	struct supervisor *s = l->s;
	_cleanup_(closep) int binary = open_binary(s);
	char file[32];
	const char *files[] = { file, NULL };
	char *argv[] = { (char *)"reeve-gateway", NULL };
	_cleanup_(freep) char **envp = environment_with(s, n);
	int fds[GATEWAY_FD_LISTEN + GATEWAY_LISTEN_MAX + 1] = { channel, STDOUT_FILENO, STDERR_FILENO };
	struct spawn_limit limit = { RLIMIT_NOFILE, { FILES, FILES } };
	struct spawn_plan plan = {
		.files = files, .argv = argv, .envp = envp, .fds = fds, .n_fds = GATEWAY_FD_LISTEN + n + 1, .umask = -1, .cgroup_fd = -1,
		.sibling = true, .limits = &limit, .n_limits = 1, .directory = "/",
	};

	if (!envp || binary < 0)
		return envp ? binary : -ENOMEM;
	(void)snprintf(file, sizeof file, "/proc/self/fd/%zu", GATEWAY_FD_LISTEN + n);
	fds[GATEWAY_FD_LISTEN + n] = binary;
	memcpy(fds + GATEWAY_FD_LISTEN, listening, n * sizeof *fds);
	if (limit.value.rlim_max > s->nofile.rlim_max)
		limit.value.rlim_cur = limit.value.rlim_max = s->nofile.rlim_max;
	give_up_rights(s, &plan);
	return spawn(&plan, &s->state.header->gateway_pid, &s->state.header->gateway_failure);
}

/* What the gateway is to have: the sockets in LISTENING, their settings as text (NULL: out of memory). */
static char *desired(struct gateway_link *l, int *listening, size_t *ret_n)
{
	const struct config *c = l->s->loaded->config;
	json_t *servers = json_array(), *message;
	struct http_socket *h, *next;
	char *text;
	size_t n = 0;

	l->missing = l->slow = false;
	l->saying[0] = '\0';
	TAILQ_FOREACH(h, &l->sockets, next)
	h->wanted = false;
	for (size_t i = 0; i < c->n_servers && n < GATEWAY_LISTEN_MAX && !l->at_end; i++) {
		const struct server_conf *conf = &c->servers[i];

		if ((!conf->is_unix && conf->port <= 0) || is_refused(l, conf))
			continue;
		h = socket_of(l, conf);
		if (!h || h->wanted)
			continue;	/* the same place twice is served once */
		h->wanted = true;
		listening[n++] = h->fd;
		message = json_pack("{s:s, s:s}", "section", conf->section, "name", h->name);
		if (has_password(conf)) {
			(void)json_object_set_new(message, "username", json_string(conf->username));
			(void)json_object_set_new(message, "password", json_string(conf->password));
		}
		(void)json_array_append_new(servers, message);
	}
	for (h = TAILQ_FIRST(&l->sockets); h; h = next) {
		next = TAILQ_NEXT(h, next);
		if (!h->wanted)
			socket_drop(l, h);
	}
	strcpy(l->said, l->saying);
	message = json_pack("{s:s, s:o}", "op", "settings", "servers", servers);
	text = message ? json_dumps(message, JSON_COMPACT) : NULL;
	json_decref(message);
	*ret_n = n;
	return text;
}

static void remind(struct ev_loop *loop, ev_timer *w, int events)
{
	struct gateway_link *l = w->data;
	double now = clock_now();
	bool any = false;

	(void)events;
	for (size_t i = 0; i < LEAVING; i++) {
		struct leaver *leaver = &l->leaving[i];

		if (leaver->pid <= 0)
			continue;
		any = true;
		if (now >= leaver->deadline)
			(void)kill(leaver->pid, SIGKILL);
		/* Without a keeper nobody tells us of its end. */
		if ((kill(leaver->pid, 0) < 0 && errno == ESRCH) || now >= leaver->deadline + leave_seconds) {
			leaver->pid = 0;
			l->s->changed = true;
		}
	}
	if (!any)
		ev_timer_stop(loop, w);
}

/* The end of the channel tells it to finish. */
static void dismiss(struct gateway_link *l)
{
	pid_t pid = gateway_link_process(l);

	if (l->channel >= 0)
		disconnect(l);
	l->s->state.header->gateway_settings = 0;
	l->s->state.header->gateway_pid = 0;
	if (!pid)
		return;
	for (size_t i = 0; i < LEAVING; i++)
		if (!l->leaving[i].pid) {
			l->leaving[i] = (struct leaver){ pid, clock_now() + leave_seconds };
			if (!ev_is_active(&l->reminder))
				ev_timer_again(l->s->loop, &l->reminder);
			return;
		}
	(void)kill(pid, SIGKILL);	/* so many are leaving already */
}

/* Never 0. */
static uint64_t settings_hash(const char *text)
{
	uint64_t hash = 14695981039346656037u;	/* FNV-1a */

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211u;
	return hash | 1;
}

/* Sealed: a gateway cannot pull it away under the next one. Without it the curves of the page begin anew. */
static void make_curves(struct gateway_link *l)
{
	int fd = l->curves < 0 ? memfd_create("reeve-curves", MFD_CLOEXEC | MFD_ALLOW_SEALING) : -1;

	if (fd < 0)
		return;
	if (ftruncate(fd, GATEWAY_CURVES_SIZE) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		(void)close(fd);
		return;
	}
	l->curves = fd;
	supervisor_tell(l->s, KEEPER_STORE, 0, 0, "curves", fd);
}

static void drop_curves(struct gateway_link *l)
{
	if (l->curves < 0)
		return;
	supervisor_tell(l->s, KEEPER_DROP, 0, 0, "curves", -1);
	closep(&l->curves);
	l->curves = -1;
}

static void launch(struct gateway_link *l, const char *settings, const int *listening, size_t n)
{
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		retry(l, errno_name(errno));
		return;
	}
	l->started = clock_now();
	make_curves(l);
	r = spawn_gateway(l, pair[1], listening, n);
	(void)close(pair[1]);
	if (r == 0)
		r = packet_send(pair[0], settings, strlen(settings), l->curves, MSG_DONTWAIT);
	if (r < 0) {
		(void)close(pair[0]);
		retry(l, r == -ENOENT ? not_installed : errno_name(-r));
		return;
	}
	supervisor_tell(l->s, KEEPER_STORE, 0, 0, "gateway", pair[0]);
	connect_to(l, pair[0]);
	l->s->state.header->gateway_settings = settings_hash(settings);
}

/* Bring about what the configuration wants; what is so already stays. */
static void start_gateway(struct gateway_link *l)
{
	int listening[GATEWAY_LISTEN_MAX];
	size_t n;
	_cleanup_(freep) char *settings = desired(l, listening, &n);
	bool same = settings && l->channel >= 0 && l->s->state.header->gateway_settings == settings_hash(settings);

	if (!settings) {
		retry(l, "out of memory");
		return;
	}
	if (n == 0) {
		dismiss(l);
		drop_curves(l);
	} else if (!gateway_link_process(l) || !same) {
		dismiss(l);
		launch(l, settings, listening, n);
	}
	if (l->missing && !ev_is_active(&l->again)) {
		ev_timer_set(&l->again, l->slow ? lookup_retry : socket_retry, 0);
		ev_timer_start(l->s->loop, &l->again);
	}
}

void gateway_link_apply(struct gateway_link *l)
{
	ev_timer_stop(l->s->loop, &l->again);
	start_gateway(l);
}

static void try_again(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	start_gateway(w->data);
}

bool gateway_link_leave(struct gateway_link *l)
{
	bool there = false;

	if (!l->at_end) {
		l->at_end = true;
		gateway_link_apply(l);
	}
	for (size_t i = 0; i < LEAVING; i++)
		there |= l->leaving[i].pid > 0;
	return there;
}

bool gateway_link_owns(const struct gateway_link *l, pid_t pid)
{
	bool leaving = false;

	for (size_t i = 0; i < LEAVING; i++)
		leaving |= l->leaving[i].pid == pid;
	return leaving || pid == gateway_link_process(l);
}

bool gateway_link_exited(struct gateway_link *l, pid_t pid, const struct exit_status *status)
{
	const volatile struct spawn_failure *failure = &l->s->state.header->gateway_failure;
	char text[128];

	for (size_t i = 0; i < LEAVING; i++)
		if (l->leaving[i].pid == pid) {
			l->leaving[i].pid = 0;
			return true;
		}
	if (pid != gateway_link_process(l))
		return false;
	l->s->state.header->gateway_pid = 0;
	dismiss(l);
	if (l->at_end)
		return true;
	if (failure->stage != SPAWN_NONE) {
		(void)snprintf(text, sizeof text, "%s: %s", spawn_stage_name((enum spawn_stage)failure->stage), errno_name(failure->error));
		retry(l, text);
		return true;
	}
	supervisor_log(l->s, LOGLEVEL_CRITICAL, "reeve-gateway (pid %d) ended: %s; starting another; no program is affected", (int)pid,
		       exit_status_text(status, text, sizeof text));
	if (clock_now() - l->started > 1)
		l->backoff = 0;
	retry(l, NULL);
	return true;
}

struct gateway_link *gateway_link_new(struct supervisor *s)
{
	struct gateway_link *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->s = s;
	l->channel = l->curves = -1;
	TAILQ_INIT(&l->sockets);
	ev_io_init(&l->reader, readable, -1, EV_READ);
	ev_timer_init(&l->again, try_again, 0, 0);
	ev_timer_init(&l->reminder, remind, 0.2, 0.2);
	l->reader.data = l->again.data = l->reminder.data = l;
	return l;
}

void gateway_link_free(struct gateway_link *l)
{
	struct http_socket *h;

	if (!l)
		return;
	ev_io_stop(l->s->loop, &l->reader);
	ev_timer_stop(l->s->loop, &l->again);
	ev_timer_stop(l->s->loop, &l->reminder);
	closep(&l->channel);
	closep(&l->curves);
	while ((h = TAILQ_FIRST(&l->sockets))) {
		TAILQ_REMOVE(&l->sockets, h, next);
		(void)close(h->fd);
		free(h->file);
		free(h);
	}
	free(l);
}
