/* See upgrade.h. The method Upgrade. */
#include "upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "../generation.h"
#include "../places.h"
#include "handlers.h"
#include "process/spawn.h"
#include "wire/keeper.h"

static const double rehearsal_limit = 20;	/* seconds that a rehearsal may take */

/* What is still to be sent to the rehearsal. */
struct parcel {
	char name[KEEPER_NAME_SIZE];	/* "": the state */
	int fd;				/* owned */
};

struct upgrade {
	struct supervisor *s;
	struct varlink_call *call;	/* NULL: answered, or the client has left */
	char *path;			/* owned */
	int executable;			/* O_PATH, owned */
	bool check;
	int patience;			/* seconds that the new one gets to be ready; 0: as the keeper likes */
	int socket;			/* to the rehearsal; -1: closed */
	ev_io io;
	ev_timer timer;
	ev_idle answered;		/* the answer is on its way: now the keeper is told */
	struct parcel *parcels;		/* owned */
	size_t n_parcels, next;
	bool rehearsed;
	int able, total;
	json_t *messages;
};

/* The rehearsal's; 0: none runs. Not in the struct: its child part may write here as long as it lives. */
static volatile pid_t rehearsal;
static volatile struct spawn_failure failure;

void upgrade_free(struct supervisor *s)
{
	struct upgrade *u = s->upgrade;

	if (!u)
		return;
	s->upgrade = NULL;
	ev_io_stop(s->loop, &u->io);
	ev_timer_stop(s->loop, &u->timer);
	ev_idle_stop(s->loop, &u->answered);
	if (rehearsal)
		(void)kill(rehearsal, SIGKILL);	/* its pid is its own until we have noted its end */
	for (size_t i = u->next; i < u->n_parcels; i++)
		closep(&u->parcels[i].fd);
	free(u->parcels);
	closep(&u->socket);
	closep(&u->executable);
	json_decref(u->messages);
	free(u->path);
	free(u);
}

/* ---- the end of a rehearsal ---- */

static void replace_us(struct ev_loop *loop, ev_idle *w, int events)
{
	struct upgrade *u = w->data;

	(void)events;
	ev_idle_stop(loop, w);
	supervisor_log(u->s, LOGLEVEL_WARN, "upgrade: making way for %s", u->path);
	supervisor_tell(u->s, KEEPER_SUCCEED, u->patience, 0, NULL, u->executable);
}

/* The rehearsal is over. Takes over if all is well: then U lives until we are replaced, else it is freed. */
static void conclude(struct upgrade *u)
{
	struct supervisor *s = u->s;
	struct varlink_call *call = u->call;
	bool take_over = u->rehearsed && u->able == u->total && !u->check;

	u->call = NULL;
	ev_io_stop(s->loop, &u->io);
	ev_timer_stop(s->loop, &u->timer);
	supervisor_log(s, LOGLEVEL_INFO, "upgrade: %s can take over %d/%d processes", u->path, u->able, u->total);
	if (call)
		(void)varlink_reply(call, json_pack("{s:s, s:i, s:i, s:b, s:O}", "binary", u->path, "processes", u->total, "able", u->able,
						    "taking_over", (int)take_over, "messages", u->messages));
	if (take_over)
		ev_idle_start(s->loop, &u->answered);
	else
		upgrade_free(s);
}

static void fail(struct upgrade *u, const char *text)
{
	char line[4400];
	struct state_record *r;

	(void)snprintf(line, sizeof line, "%s %s", u->path, text);
	supervisor_log(u->s, LOGLEVEL_WARN, "upgrade: %s", line);
	(void)json_array_append_new(u->messages, json_string(line));
	u->able = u->total = 0;
	for (size_t i = 0; (r = state_record_next(&u->s->state, &i));)
		u->total += r->kind == RECORD_PROCESS;
	u->rehearsed = false;
	conclude(u);
}

static void hear(struct upgrade *u);

bool upgrade_exited(struct supervisor *s, pid_t pid, const struct exit_status *status)
{
	struct upgrade *u = s->upgrade;
	char text[64], line[120];

	if (pid != rehearsal)
		return false;
	rehearsal = 0;
	if (u && u->socket >= 0)
		hear(u);		/* its last words */
	if (!u || !ev_is_active(&u->timer))
		return true;		/* nobody waits for it any more */
	if (u->rehearsed) {
		conclude(u);
		return true;
	}
	(void)snprintf(line, sizeof line, "cannot take over: %s", exit_status_text(status, text, sizeof text));
	fail(u, failure.stage ? "cannot be executed" : line);
	return true;
}

static void overdue(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	fail(w->data, "does not answer: is it reeved?");
}

/* ---- the conversation ---- */

/* As much as the socket takes. */
static void send_parcels(struct upgrade *u)
{
	while (u->next <= u->n_parcels) {
		struct keeper_message m = { .type = KEEPER_BEGIN };
		struct parcel *p = u->next < u->n_parcels ? &u->parcels[u->next] : NULL;

		if (p) {
			m.type = p->name[0] ? KEEPER_STORED : KEEPER_HELLO;
			memcpy(m.text, p->name, sizeof p->name);
		}
		if (keeper_send(u->socket, &m, p ? p->fd : -1, MSG_DONTWAIT) < 0)
			return;
		if (p)
			(void)close(p->fd);
		u->next++;
	}
	ev_io_stop(u->s->loop, &u->io);
	ev_io_set(&u->io, u->socket, EV_READ);
	ev_io_start(u->s->loop, &u->io);
}

static void hear(struct upgrade *u)
{
	for (int i = 0; i < 64; i++) {
		struct keeper_message m;
		int fd;
		int r = keeper_receive(u->socket, &m, &fd, MSG_DONTWAIT);

		closep(&fd);
		if (r == -EAGAIN)
			return;
		if (r <= 0) {		/* its exit follows by the keeper */
			ev_io_stop(u->s->loop, &u->io);
			return;
		}
		if (m.type == KEEPER_NOTIFY && json_array_size(u->messages) < 1000) {
			json_t *text = json_string(m.text);

			(void)json_array_append_new(u->messages, text ? text : json_string("(not valid UTF-8)"));
		} else if (m.type == KEEPER_REHEARSED) {
			u->rehearsed = true;
			u->able = m.number;
			u->total = m.pid;
		}
	}
}

static void converse(struct ev_loop *loop, ev_io *w, int events)
{
	struct upgrade *u = w->data;

	(void)loop;
	if (events & EV_WRITE)
		send_parcels(u);
	else
		hear(u);
}

/* ---- the start of a rehearsal ---- */

static int pack_parcels(struct upgrade *u)
{
	const struct generation *g;
	size_t n = 1;

	for (g = u->s->generations; g; g = g->next)
		n++;
	u->parcels = calloc(n, sizeof *u->parcels);
	if (!u->parcels)
		return -ENOMEM;
	u->parcels[0].fd = state_file_copy(&u->s->state);
	if (u->parcels[0].fd < 0)
		return u->parcels[0].fd;
	u->n_parcels = 1;
	for (g = u->s->generations; g; g = g->next) {
		struct parcel *p = &u->parcels[u->n_parcels];
		int r = generation_save(g, p->name, &p->fd);

		if (r < 0)
			return r;
		u->n_parcels++;
	}
	return 0;
}

/* Our own arguments, in the rehearsal's role. NULL: no memory, or no /proc. */
static char **arguments(char **ret_text)
{
	FILE *f = fopen("/proc/self/cmdline", "re");
	size_t size = 0, n = 0;
	ssize_t length = f ? getdelim(ret_text, &size, EOF, f) : -1;
	char **argv = length > 0 ? calloc((size_t)length + 1, sizeof *argv) : NULL;

	if (f)
		(void)fclose(f);
	for (char *at = *ret_text; argv && at < *ret_text + length; at += strlen(at) + 1)
		argv[n++] = at;
	if (argv)
		argv[0] = (char *)SUPERVISOR_REHEARSAL;
	return argv;
}

static int start_rehearsal(struct upgrade *u)
{
	static const char *const files[] = { "/proc/self/fd/4", NULL };
	_cleanup_(freep) char *text = NULL;
	_cleanup_(freep) char **argv = arguments(&text);
	int pair[2], null = open("/dev/null", O_RDWR | O_CLOEXEC), r = -ENOMEM;

	if (!argv || null < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		closep(&null);
		return -ENOMEM;
	}
	{
		int fds[] = { null, null, null, pair[1], u->executable };
		struct spawn_plan plan = {
			.files = files, .argv = argv, .envp = u->s->environ, .fds = fds, .n_fds = ARRAY_LEN(fds), .umask = -1,
			.cgroup_fd = -1, .sibling = true,
		};

		r = spawn(&plan, &rehearsal, &failure);
	}
	(void)close(null);
	(void)close(pair[1]);
	u->socket = pair[0];
	return r;
}

/* The file that runs now, as it is on disk: our path may have been given to a newer one. */
static char *own_path(void)
{
	static const char deleted[] = " (deleted)";
	char path[4200];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

	if (n < 0)
		return NULL;
	path[n] = '\0';
	if ((size_t)n > sizeof deleted && strcmp(path + n - (sizeof deleted - 1), deleted) == 0)
		path[(size_t)n - (sizeof deleted - 1)] = '\0';
	return strdup(path);
}

static void client_left(void *data)
{
	((struct upgrade *)data)->call = NULL;
}

static struct upgrade *upgrade_new(struct supervisor *s, struct varlink_call *call, const char *path, struct error *err)
{
	struct upgrade *u = calloc(1, sizeof *u);

	if (!u) {
		(void)error_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	*u = (struct upgrade){ .s = s, .call = call, .socket = -1, .path = path ? strdup(path) : own_path(), .messages = json_array() };
	s->upgrade = u;
	ev_timer_init(&u->timer, overdue, rehearsal_limit, 0);
	ev_idle_init(&u->answered, replace_us);
	u->io.data = u->timer.data = u->answered.data = u;
	u->executable = u->path ? place_open_executable(s, u->path, varlink_call_peer(call)->uid, err) : error_set(err, ENOMEM, "out of memory");
	if (u->executable < 0)
		return NULL;
	if (pack_parcels(u) < 0 || start_rehearsal(u) < 0) {
		(void)error_set(err, EAGAIN, "the rehearsal cannot be started: no resources");
		return NULL;
	}
	return u;
}

void method_upgrade(struct varlink_call *call, json_t *parameters, void *data)
{
	struct supervisor *s = data;
	struct error err = { 0 };
	struct upgrade *u;

	if (refused(s, call))
		return;
	if (s->upgrade || rehearsal) {
		reply_fault(call, FAULT_FAILED, "another upgrade is under way");
		return;
	}
	u = upgrade_new(s, call, json_string_value(json_object_get(parameters, "binary")), &err);
	if (!u) {
		upgrade_free(s);
		reply_fault(call, FAULT_FAILED, err.text);
		return;
	}
	u->check = json_is_true(json_object_get(parameters, "check"));
	u->patience = (int)json_integer_value(json_object_get(parameters, "timeout"));
	varlink_call_on_gone(call, client_left, u);
	ev_io_init(&u->io, converse, u->socket, EV_WRITE);
	u->io.data = u;
	ev_io_start(s->loop, &u->io);
	ev_now_update(s->loop);
	ev_timer_start(s->loop, &u->timer);
}
