/* See supervisor.h. The loop, the keeper's messages, and what follows when states have changed. */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/logline.h"
#include "boot.h"
#include "control/control.h"
#include "control/operation.h"
#include "control/run.h"
#include "control/update.h"
#include "control/upgrade.h"
#include "gateway_link.h"
#include "generation.h"
#include "group.h"
#include "listener/pool.h"
#include "logger_link.h"
#include "orphan.h"
#include "shutdown.h"
#include "tree.h"
#include "wire/keeper.h"

void supervisor_log(const struct supervisor *s, int level, const char *format, ...)
{
	va_list ap;

	if (level < s->loglevel)
		return;
	va_start(ap, format);
	(void)logline_write(s->log_fd >= 0 ? s->log_fd : STDERR_FILENO, level, format, ap);
	va_end(ap);
}

enum daemon_state supervisor_state(const struct supervisor *s)
{
	return (enum daemon_state)s->state.header->daemon_state;
}

void supervisor_tell(struct supervisor *s, int type, int number, pid_t pid, const char *text, int fd)
{
	struct keeper_message m = { .type = (uint32_t)type, .number = number, .pid = pid };

	(void)snprintf(m.text, sizeof m.text, "%s", text ? text : "");
	/* Waits only while the keeper is busy taking what we sent before; it never waits for us. */
	(void)keeper_send(s->keeper, &m, fd, 0);
}

/* ---- what the keeper says ---- */

static void exited(struct supervisor *s, const struct keeper_message *m)
{
	struct process *p = process_by_pid(s, m->pid);
	char text[64];

	if (p)
		process_exited(p, &m->exit);
	else if (!logger_link_exited(s->logger, m->pid, &m->exit) && !gateway_link_exited(s->gateway, m->pid, &m->exit) &&
		 !upgrade_exited(s, m->pid, &m->exit))
		supervisor_log(s, LOGLEVEL_INFO, "reaped unknown pid %d (%s)", (int)m->pid,
			       exit_status_text(&m->exit, text, sizeof text));
	if (!p)
		tree_stranger_gone(s);
	s->changed = true;
	supervisor_tell(s, KEEPER_NOTED, 0, m->pid, NULL, -1);
}

/* True: it will be noted later. */
static bool hang_up(struct supervisor *s)
{
	if (s->shutdown) {
		supervisor_log(s, LOGLEVEL_WARN, "ignored SIGHUP indicating restart request (shutdown in progress)");
		return false;
	}
	supervisor_log(s, LOGLEVEL_WARN, "received SIGHUP: applying the configuration on disk");
	return control_update(s, SIGHUP);
}

/* True: it will be noted later. */
static bool act_on_signal(struct supervisor *s, const struct keeper_message *m)
{
	switch (m->number) {
	case SIGTERM:
	case SIGINT:
	case SIGQUIT:
		supervisor_log(s, LOGLEVEL_WARN, "received SIG%s indicating exit request", sigabbrev_np(m->number));
		supervisor_shutdown(s, false);
		break;
	case SIGHUP:
		return hang_up(s);
	case SIGUSR2:
		supervisor_log(s, LOGLEVEL_INFO, "received SIGUSR2 indicating log reopen request");
		logger_link_reopen(s->logger);
		supervisor_log(s, LOGLEVEL_INFO, "supervisord logreopen");
		break;
	default:
		break;
	}
	return false;
}

static void signalled(struct supervisor *s, const struct keeper_message *m)
{
	/* A second TERM makes haste: the same one, come twice because our predecessor died over it, must not. */
	bool later = (!s->shutdown || strcmp(m->text, "again") != 0) && act_on_signal(s, m);

	if (!later)
		supervisor_tell(s, KEEPER_NOTED, m->number, 0, NULL, -1);
}

/* ---- what the service manager is told ---- */

static const double overdue = 5;	/* seconds after startsecs that a process which is still on its way may take */
static const double extension = 30;	/* seconds beyond startsecs that the service manager is asked to wait */

/* Tell the service manager with PREFIX how many run; without it, only if that has changed. */
static void tell_status(struct supervisor *s, const char *prefix)
{
	char text[sizeof s->status + 32], status[sizeof s->status];
	size_t running = 0;

	for (struct group *g = s->groups; g; g = g->next)
		for (size_t i = 0; i < g->n_processes; i++)
			running += process_state(g->processes[i]) == STATE_RUNNING;
	(void)snprintf(status, sizeof status, "STATUS=%zu of %zu processes running", running, s->n_processes);
	if (!*prefix && strcmp(status, s->status) == 0)
		return;
	(void)snprintf(s->status, sizeof s->status, "%s", status);
	(void)snprintf(text, sizeof text, "%s%s", prefix, status);
	supervisor_tell(s, KEEPER_NOTIFY, 0, 0, text, -1);
}

/* On its first try: a program that fails and is tried again keeps nobody waiting, nor one that hangs before its exec. */
static bool is_coming_up(const struct process *p, double now)
{
	const struct lifecycle *life = &p->now.life;

	return life->state == STATE_STARTING && life->deadline > now - overdue && !life->restarts && !life->backoff && !life->shortages;
}

/* READY when what was to be started is up or has failed. A startsecs beyond the manager's patience is told to it. */
static void become_ready(struct supervisor *s)
{
	double now = clock_now(), until = 0;
	char text[64];

	for (struct group *g = s->groups; g; g = g->next)
		for (size_t i = 0; i < g->n_processes; i++)
			if (is_coming_up(g->processes[i], now) && g->processes[i]->now.life.deadline > until)
				until = g->processes[i]->now.life.deadline;
	if (until <= 0) {
		s->ready = true;
		tell_status(s, "READY=1\n");
	} else if (until > s->extended) {
		s->extended = until + extension;
		(void)snprintf(text, sizeof text, "EXTEND_TIMEOUT_USEC=%.0f", (s->extended - now) * 1e6);
		supervisor_tell(s, KEEPER_NOTIFY, 0, 0, text, -1);
	}
}

/* The one regular wake-up: also the time to give back what starts and large answers have used. */
static void beat(struct supervisor *s)
{
	supervisor_tell(s, KEEPER_PONG, 0, 0, NULL, -1);
	if (!s->ready)
		become_ready(s);
	else if (!s->shutdown)
		tell_status(s, "");
	spawn_collect();
	(void)malloc_trim(0);
}

static void keeper_speaks(struct ev_loop *loop, ev_io *w, int events)
{
	struct supervisor *s = w->data;

	(void)events;
	for (int i = 0; i < 64; i++) {
		struct keeper_message m;
		int fd;
		int r = keeper_receive(s->keeper, &m, &fd, MSG_DONTWAIT);

		if (r == -EAGAIN)
			return;
		if (r <= 0) {
			ev_io_stop(loop, w);
			orphan_begin(s);
			return;
		}
		if (m.type == KEEPER_EXITED)
			exited(s, &m);
		else if (m.type == KEEPER_SIGNAL)
			signalled(s, &m);
		else if (m.type == KEEPER_PING)
			beat(s);
		closep(&fd);
	}
}

/* ---- when states have changed ---- */

static void settle(struct ev_loop *loop, ev_prepare *w, int events)
{
	struct supervisor *s = w->data;

	(void)loop;
	(void)events;
	while (s->changed) {
		s->changed = false;
		s->state.header->event_serial = event_last(s->events) + 1;
		updates_step(s);
		operations_step(s);
		runs_step(s);
		listeners_step(s);
		shutdown_step(s);
		if (!s->ready)
			become_ready(s);
	}
}

/* ---- the whole ---- */

static void finish(struct supervisor *s)
{
	supervisor_tell(s, KEEPER_FINISH, s->state.header->exit_status, logger_link_process(s->logger), NULL, -1);
}

int supervisor_init(struct supervisor *s, const struct supervisor_settings *settings)
{
	*s = (struct supervisor){
		.keeper = KEEPER_FD,
		.log_fd = -1,
		.cgroup = -1,
		.memory_group = -1,
		.loglevel = LOGLEVEL_INFO,
		.config_path = settings->config_path,
		.overrides = settings->overrides,
		.n_overrides = settings->n_overrides,
		.compatible = settings->compatible,
		.nofile = settings->nofile,
		.nproc = settings->nproc,
		.rundir = (char *)settings->rundir,
	};
	(void)fcntl(s->keeper, F_SETFD, FD_CLOEXEC);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGCHLD, SIG_IGN);	/* of our own children (aside.c) the kernel leaves no zombies */
	s->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	return s->loop ? 0 : -ENOMEM;
}

int supervisor_run(const struct supervisor_settings *settings)
{
	struct supervisor s;
	struct error err = { 0 };
	int r;

	(void)prctl(PR_SET_NAME, "reeve-superviso");
	if (supervisor_init(&s, settings) < 0)
		return 1;
	ev_prepare_init(&s.settle, settle);
	s.settle.data = &s;
	r = boot(&s, &err);
	if (r < 0) {
		supervisor_log(&s, LOGLEVEL_CRITICAL, "cannot start: %s", err.text);
		if (!s.first)		/* the keeper tries again: programs are running, and what we have is left as it is */
			_exit(1);
		supervisor_tell(&s, KEEPER_FINISH, 1, s.logger ? logger_link_process(s.logger) : 0, NULL, -1);
	} else {
		ev_io_init(&s.keeper_watcher, keeper_speaks, s.keeper, EV_READ);
		s.keeper_watcher.data = &s;
		ev_io_start(s.loop, &s.keeper_watcher);
		ev_prepare_start(s.loop, &s.settle);
		latency_start(&s.latency, s.loop);
		supervisor_tell(&s, KEEPER_PONG, 0, 0, NULL, -1);
		s.changed = true;
		ev_run(s.loop, 0);
		ev_prepare_stop(s.loop, &s.settle);
		latency_stop(&s.latency, s.loop);
		finish(&s);
	}
	shutdown_free(&s);
	boot_undo(&s);
	ev_loop_destroy(s.loop);
	return 0;
}
