/* See shutdown.h. */
#include "shutdown.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "boot.h"
#include "gateway_link.h"
#include "generation.h"
#include "group.h"
#include "live.h"
#include "logger_link.h"
#include "pool_process.h"
#include "reading.h"
#include "shared_socket.h"
#include "tree.h"
#include "wire/keeper.h"

static const double leftover_grace = 2;	/* seconds between TERM and KILL for what the programs left behind */
static const double unkillable_grace = 10;	/* seconds after SIGKILL in which a process must end (a dead disk can keep it) */
static const double report_every = 3;	/* seconds between two lines that say who is waited for */

struct shutdown {
	bool restart;
	bool at_once;			/* KILL instead of stop signals */
	bool sweeping;			/* the programs are gone; what they left is being ended */
	bool swept_hard;
	bool reading;			/* a restart: all is stopped, and the files are being read */
	bool over;			/* the programs are no longer waited for: gateway and logger finish */
	struct group *current;		/* the group that is being stopped */
	ev_timer timer;			/* reports, deadline, sweeping */
	double deadline;		/* of stop_deadline; 0: none */
	double given_up;		/* at_once: when what cannot even be killed is left behind */
};

/* ---- the steps ---- */

static void remove_files(struct supervisor *s)
{
	char path[4200];

	for (struct group *g = s->groups; g; g = g->next)
		for (size_t i = 0; i < g->n_processes; i++)
			if (g->processes[i]->conf->pool)
				pool_process_remove_files(g->processes[i]);
	(void)snprintf(path, sizeof path, "%s/pool", s->rundir);
	(void)rmdir(path);
	(void)snprintf(path, sizeof path, "%s/control.sock", s->rundir);
	if (!s->activated)
		(void)unlink(path);
	(void)snprintf(path, sizeof path, "%s/log.sock", s->rundir);
	(void)unlink(path);
	shared_sockets_unlink(s);
	live_remove_pidfile(s);
}

/* The last step of a restart, unless somebody has asked for the end meanwhile. */
static void start_afresh(void *data, struct config *config, const struct error *err)
{
	struct supervisor *s = data;

	if (!s->shutdown || !s->shutdown->restart) {
		config_free(config);
		return;
	}
	shutdown_free(s);
	boot_afresh(s, config, err);
}

static void all_stopped(struct supervisor *s)
{
	struct shutdown *sd = s->shutdown;
	struct error err;

	ev_timer_stop(s->loop, &sd->timer);
	sd->over = true;
	if (!sd->restart && gateway_link_leave(s->gateway))
		return;			/* its exit brings us back */
	if (!sd->restart && !logger_link_settle(s->logger))
		return;			/* so does the logger's answer */
	if (!sd->restart) {
		remove_files(s);
		ev_break(s->loop, EVBREAK_ALL);
		return;
	}
	if (sd->reading)
		return;			/* it brings us back */
	sd->reading = true;
	if (reading_ask(s, start_afresh, s, &err) < 0)
		start_afresh(s, NULL, &err);
}

static void sweep_step(struct supervisor *s)
{
	struct shutdown *sd = s->shutdown;
	unsigned n;

	if (!sd->sweeping) {
		sd->sweeping = true;
		n = sd->restart ? 0 : tree_sweep(s, SIGTERM);
		if (n) {
			ev_timer_stop(s->loop, &sd->timer);
			ev_timer_set(&sd->timer, sd->at_once ? 0.01 : leftover_grace, 0);
			ev_timer_start(s->loop, &sd->timer);
			return;
		}
	} else if (tree_sweep(s, 0)) {
		return;			/* the timer, or the next exit, brings us back */
	}
	all_stopped(s);
}

/* The last group in order that still has a live process: it alone is being stopped. */
static struct group *last_alive(struct supervisor *s)
{
	struct group *last = NULL;

	for (struct group *g = s->groups; g; g = g->next)
		if (!group_stopped(g))
			last = g;
	return last;
}

static void stop_one(struct process *p, bool at_once)
{
	static const struct cause cause = { .kind = CAUSE_SHUTDOWN };

	process_event(p, EVENT_SHUTDOWN, &cause);
	if (at_once)
		tree_kill(p);
}

bool shutdown_instead(struct process *p)
{
	bool due = process_state(p) == STATE_EXITED || process_state(p) == STATE_BACKOFF;

	if (due && p->supervisor->shutdown)
		stop_one(p, false);
	return due && p->supervisor->shutdown;
}

/* Inside a group: descending priority, equal ones in reverse configured order. */
static void stop_group(struct group *g, bool at_once)
{
	long long below = 0;
	bool first = true;

	for (;;) {
		long long highest = 0;
		bool found = false;

		for (size_t i = 0; i < g->n_processes; i++) {
			long long priority = g->processes[i]->conf->priority;

			if ((first || priority < below) && (!found || priority > highest)) {
				highest = priority;
				found = true;
			}
		}
		if (!found)
			return;
		for (size_t i = g->n_processes; i-- > 0;)
			if (g->processes[i]->conf->priority == highest)
				stop_one(g->processes[i], at_once);
		below = highest;
		first = false;
	}
}

void shutdown_step(struct supervisor *s)
{
	struct shutdown *sd = s->shutdown;
	struct group *g;

	if (!sd)
		return;
	if (sd->over) {
		all_stopped(s);
		return;
	}
	if (sd->sweeping) {
		sweep_step(s);
		return;
	}
	while ((g = last_alive(s))) {
		if (g == sd->current)
			return;		/* still on its way */
		sd->current = g;
		stop_group(g, sd->at_once);
	}
	sweep_step(s);
}

static void report(struct supervisor *s)
{
	char names[400] = "";

	for (struct group *g = s->groups; g; g = g->next)
		for (size_t i = 0; i < g->n_processes; i++)
			if (!process_state_is_stopped(process_state(g->processes[i])) &&
			    strlen(names) + strlen(g->processes[i]->conf->name) + 3 < sizeof names) {
				if (*names)
					strcat(names, ", ");
				strcat(names, g->processes[i]->conf->name);
			}
	if (*names)
		supervisor_log(s, LOGLEVEL_INFO, "waiting for %s to die", names);
}

static void hurry(struct supervisor *s)
{
	s->shutdown->at_once = true;
	s->shutdown->given_up = clock_now() + unkillable_grace;
	for (struct group *g = s->groups; g; g = g->next)
		stop_group(g, true);
}

/* The next tick: in time for the deadline. */
static void wake(struct supervisor *s)
{
	struct shutdown *sd = s->shutdown;
	double left = sd->deadline > 0 && !sd->at_once ? sd->deadline - clock_now() : report_every;

	ev_now_update(s->loop);
	ev_timer_set(&sd->timer, left < 0 ? 0 : left < report_every ? left : report_every, 0);
	ev_timer_start(s->loop, &sd->timer);
}

static void tick(struct ev_loop *loop, ev_timer *w, int events)
{
	struct supervisor *s = w->data;
	struct shutdown *sd = s->shutdown;

	(void)loop;
	(void)events;
	if (sd->sweeping) {
		(void)tree_sweep(s, SIGKILL);
		if (sd->swept_hard) {	/* unkillable: it must not keep us */
			all_stopped(s);
			return;
		}
		sd->swept_hard = true;
		ev_timer_set(&sd->timer, leftover_grace, 0);
		ev_timer_start(s->loop, &sd->timer);
		return;
	}
	report(s);
	if (sd->at_once && clock_now() >= sd->given_up) {
		supervisor_log(s, LOGLEVEL_ERROR, "some processes cannot be killed: leaving them behind");
		all_stopped(s);
		return;
	}
	if (sd->deadline > 0 && clock_now() >= sd->deadline && !sd->at_once) {
		supervisor_log(s, LOGLEVEL_WARN, "stop_deadline has passed: killing what is left");
		hurry(s);
	}
	wake(s);
}

/* A restart, at which nothing is swept, and which may be reading the files by now. */
static void become_an_end(struct supervisor *s)
{
	struct shutdown *sd = s->shutdown;

	sd->restart = sd->sweeping = sd->swept_hard = sd->over = false;
	s->state.header->daemon_state = DAEMON_SHUTDOWN;
	if (!ev_is_active(&sd->timer))
		wake(s);
}

void supervisor_shutdown(struct supervisor *s, bool restart)
{
	struct shutdown *sd = s->shutdown;
	double limit = (double)s->loaded->config->supervisord.stop_deadline;

	if (sd) {
		if (restart)
			return;
		if (sd->restart)
			become_an_end(s);
		hurry(s);
		shutdown_step(s);
		return;
	}
	sd = s->shutdown = calloc(1, sizeof *sd);
	if (!sd)
		return;
	sd->restart = restart;
	/* A successor has what is left of its predecessor's time. */
	sd->deadline = s->state.header->stop_by > 0 ? s->state.header->stop_by : limit > 0 ? clock_now() + limit : 0;
	s->state.header->stop_by = sd->deadline;
	s->state.header->daemon_state = restart ? DAEMON_RESTARTING : DAEMON_SHUTDOWN;
	readings_cancel(s);
	event_publish(s->events, "SUPERVISOR_STATE_CHANGE_STOPPING", "", 0);
	supervisor_tell(s, KEEPER_NOTIFY, 0, 0, restart ? "RELOADING=1\nSTATUS=Restarting all programs" : "STOPPING=1", -1);
	ev_timer_init(&sd->timer, tick, 0, 0);
	sd->timer.data = s;
	wake(s);
	s->changed = true;		/* the first step is taken before the loop sleeps */
}

/* ---- whose end is the daemon's ---- */

static bool at_rest(const struct lifecycle *life)
{
	return life->wanted && (life->state == STATE_FATAL || (life->state == STATE_EXITED && life->deadline <= 0));
}

static int status_of(const struct lifecycle *life)
{
	int status = 126;		/* as a shell says it of what cannot be executed */

	if (life->ended)
		status = life->exit.signal ? 128 + life->exit.signal : life->exit.code;
	return life->state == STATE_FATAL && !status ? 1 : status;
}

void shutdown_after(const struct process *p)
{
	struct supervisor *s = p->supervisor;
	const struct supervisord_conf *c = &s->loaded->config->supervisord;
	bool named = c->exit_with && process_by_name(s, c->exit_with) == p;

	if (s->shutdown || !at_rest(&p->now.life) ||
	    !(named || (c->on_fatal == ON_FATAL_SHUTDOWN && process_state(p) == STATE_FATAL)))
		return;
	s->state.header->exit_status = status_of(&p->now.life);
	supervisor_log(s, LOGLEVEL_WARN, "%s is %s and %s: shutting down, with exit status %d", p->conf->namespec,
		       process_state_name(process_state(p)), named ? "exit_with names it" : "on_fatal says shutdown",
		       s->state.header->exit_status);
	supervisor_shutdown(s, false);
}

void shutdown_look(struct supervisor *s)
{
	for (struct group *g = s->groups; g; g = g->next)
		for (size_t i = 0; i < g->n_processes; i++)
			shutdown_after(g->processes[i]);
}

void shutdown_free(struct supervisor *s)
{
	if (!s->shutdown)
		return;
	ev_timer_stop(s->loop, &s->shutdown->timer);
	free(s->shutdown);
	s->shutdown = NULL;
}
