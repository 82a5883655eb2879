/* See process.h and process_parts.h. */
#include "process_parts.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "group.h"
#include "listener/pool.h"
#include "logger_link.h"
#include "pipes.h"
#include "pool_process.h"
#include "shared_socket.h"
#include "shutdown.h"
#include "tree.h"

/* ---- small facts ---- */

enum process_state process_state(const struct process *p)
{
	return (enum process_state)p->now.life.state;
}

pid_t process_pid(const struct process *p)
{
	return p->now.life.spawned && !p->now.life.ended ? p->record->pid : 0;
}

bool process_is_down(const struct process *p)
{
	return process_state_is_stopped(process_state(p)) && (!p->left.n || p->conf->leftovers == LEFTOVERS_LEAVE);
}

static struct lifecycle_policy policy(const struct process *p)
{
	const struct process_conf *c = p->conf;

	return (struct lifecycle_policy){
		.startsecs = (double)c->startsecs,
		.stopwaitsecs = (double)c->stopwaitsecs + (c->pool ? POOL_PATIENCE : 0),
		.startretries = c->startretries <= 0 ? 0 : c->startretries < INT_MAX ? (unsigned)c->startretries : INT_MAX,
		.restart_expected = c->autorestart == AUTORESTART_TRUE,
		.restart_unexpected = c->autorestart != AUTORESTART_FALSE,
		.kill_leftovers = c->leftovers == LEFTOVERS_KILL,
		.expected = process_exit_expected,
		.data = c,
	};
}

/* ---- signals ---- */

static int send_signal(struct process *p, int signal, bool group)
{
	pid_t pid = process_pid(p);

	if (!pid)
		return -ESRCH;
	supervisor_log(p->supervisor, LOGLEVEL_DEBUG, "killing %s (pid %d) %swith signal SIG%s", p->conf->name, (int)pid,
		       group ? "process group " : "", sigabbrev_np(signal) ? sigabbrev_np(signal) : "?");
	/* The child may not have come to its setsid yet: then its group is not there, and it alone is the tree. */
	if (group && kill(-pid, signal) == 0)
		return 0;
	return kill(pid, signal) == 0 || errno == ESRCH ? 0 : -errno;
}

int process_signal(struct process *p, int signal, bool whole)
{
	return send_signal(p, signal, whole);
}

static enum lifecycle_event act_signal(struct process *p, int signal, bool group, struct cause *cause)
{
	int r = send_signal(p, signal, group);

	if (r == 0 || r == -ESRCH)
		return EVENT_NONE;
	cause->kind = CAUSE_SIGNAL_FAILED;
	cause->error = (int16_t)-r;
	return EVENT_KILL_FAILED;
}

/* ---- the machine ---- */

static void arm(struct process *p)
{
	struct supervisor *s = p->supervisor;

	ev_timer_stop(s->loop, &p->timer);
	if (p->now.life.deadline <= 0)
		return;
	ev_now_update(s->loop);
	ev_timer_set(&p->timer, p->now.life.deadline > clock_now() ? p->now.life.deadline - clock_now() : 0, 0);
	ev_timer_start(s->loop, &p->timer);
}

static void remember(struct process *p, enum process_state from, enum process_state to, const struct cause *cause)
{
	struct transition t = { .time = clock_wall(), .run = p->now.life.run, .from = (uint16_t)from, .to = (uint16_t)to,
				.cause = *cause };

	t.cause.generation = p->group->generation->number;
	history_add(&p->record->history, &t);
}

/* What outlives the main process, where it has to be ended: found out before each event that may depend on it. */
static void look_for_leftovers(struct process *p)
{
	if (!process_pid(p))
		p->now.life.leftovers = tree_look(p) > 0 && p->conf->leftovers != LEFTOVERS_LEAVE;
}

static void end_leftovers(struct process *p, bool hard)
{
	char text[400];

	supervisor_log(p->supervisor, hard ? LOGLEVEL_WARN : LOGLEVEL_INFO, "%s: %s; %s", p->conf->name,
		       tree_text(p, text, sizeof text), hard ? "killing what is left" : "sending the stop signal");
	if (hard)
		tree_kill(p);
	else
		tree_stop(p);
}

static enum lifecycle_event act(struct process *p, enum lifecycle_action action, struct cause *cause)
{
	switch (action) {
	case DO_SPAWN:
		return process_start(p, cause);
	case DO_STOP:
		/* A pool knows one signal; stopsignal is for its workers. */
		return act_signal(p, p->conf->pool ? SIGTERM : p->conf->stopsignal, p->conf->stopasgroup, cause);
	case DO_KILL:
		return act_signal(p, SIGKILL, p->conf->killasgroup, cause);
	case DO_STOP_TREE:
	case DO_KILL_TREE:
		end_leftovers(p, action == DO_KILL_TREE);
		break;
	case DO_NOTHING:
		break;
	}
	return EVENT_NONE;
}

/* What a timer that made this step was for. */
static void complete_cause(struct cause *cause, const struct process *p, enum lifecycle_event event,
			   const struct lifecycle_step *step)
{
	if (event != EVENT_TIMEOUT)
		return;
	*cause = (struct cause){ .kind = CAUSE_RETRY };
	if (step->next == STATE_RUNNING)
		cause->kind = CAUSE_STAYED_UP;
	else if (step->next == STATE_FATAL)
		cause->kind = CAUSE_GAVE_UP;
	else if (step->action == DO_KILL_TREE && (p->now.life.state == STATE_STOPPING || p->now.life.clearing))
		cause->kind = CAUSE_TREE_OVERDUE;
	else if (step->next == STATE_STOPPING)
		cause->kind = CAUSE_STOP_OVERDUE;
	else if (p->now.life.state == STATE_EXITED)
		cause->kind = CAUSE_AUTORESTART;
}

/* A restart's second half: who asked for it is in the record of its first half. */
static struct cause cause_of_restart(const struct process *p, const struct cause *otherwise)
{
	const struct transition *t;

	for (unsigned i = 0; (t = history_get(&p->record->history, i)); i++)
		if (t->to == STATE_STOPPING && cause_has_client(&t->cause))
			return t->cause;
		else if (t->to == STATE_STARTING)
			break;
	return *otherwise;
}

/* RESTART: a STOP that is to be followed by a start. It is in the record before the signal is sent: a successor then knows. */
static void handle(struct process *p, enum lifecycle_event event, const struct cause *given, bool restart)
{
	struct cause cause = given ? *given : (struct cause){ 0 };

	while (event != EVENT_NONE) {
		struct lifecycle_policy rules = policy(p);
		double now = clock_now();
		enum process_state from = process_state(p);

		look_for_leftovers(p);
		struct lifecycle_step step = lifecycle_step(&p->now.life, &rules, event, now);
		enum lifecycle_event next = EVENT_NONE;

		complete_cause(&cause, p, event, &step);
		if (step.through_running) {
			struct lifecycle_step up = { .next = STATE_RUNNING };

			process_announce(p, EVENT_TIMEOUT, &up);
			remember(p, from, STATE_RUNNING, &(struct cause){ .kind = CAUSE_STAYED_UP });
			process_publish(p, from, STATE_RUNNING, false);
			from = STATE_RUNNING;
		}
		if (step.action == DO_SPAWN) {
			p->record->pid = 0;
			p->now.start_time = clock_wall();
		}
		if (event == EVENT_START || event == EVENT_STOP || event == EVENT_SHUTDOWN)
			p->now.start_after_stop = event == EVENT_STOP && restart;
		lifecycle_enter(&p->now.life, &step, event, now);
		if (step.enter) {
			remember(p, from, step.next, &cause);
			state_record_write(p->record, &p->now);
			process_announce(p, event, &step);
			if (from != step.next)
				process_publish(p, from, step.next, !step.unexpected);
			p->record->told = p->now.life.epoch;
			next = act(p, step.action, &cause);
			arm(p);
			if (next == EVENT_NONE)
				shutdown_after(p);
		}
		state_record_write(p->record, &p->now);
		p->supervisor->changed = true;
		if (next == EVENT_NONE && p->now.start_after_stop && process_state_is_stopped(process_state(p)) &&
		    !(process_state(p) == STATE_UNKNOWN)) {
			cause = cause_of_restart(p, &cause);
			next = EVENT_START;
		}
		event = next;
	}
}

void process_event(struct process *p, enum lifecycle_event event, const struct cause *cause)
{
	handle(p, event, cause, false);
}

static void timer_fired(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct process *p = watcher->data;

	(void)loop;
	(void)events;
	/* A child that still walks to its exec (a dead file server) is not up, however long it has been. */
	if (process_state(p) == STATE_STARTING && process_pid(p) && spawn_pending(process_pid(p))) {
		ev_timer_set(&p->timer, 0.2, 0);
		ev_timer_start(p->supervisor->loop, &p->timer);
		return;
	}
	if (!shutdown_instead(p))
		process_event(p, EVENT_TIMEOUT, NULL);
}

/* ---- what happens to it ---- */

/* A SIGKILL that was none of ours: the kernel's, perhaps. */
static void look_for_memory(struct process *p, struct cause *cause)
{
	char text[200];

	if (cause->kind != CAUSE_EXIT || cause->exit.signal != SIGKILL || p->now.life.killing)
		return;
	cause->stage = (uint8_t)tree_out_of_memory(p);
	if (cause->stage != OOM_NO)
		supervisor_log(p->supervisor, LOGLEVEL_WARN, "%s: %s", p->conf->name, cause_text(cause, text, sizeof text));
}

void process_exited(struct process *p, const struct exit_status *status)
{
	struct cause cause = { .kind = CAUSE_EXIT, .exit = *status };
	enum lifecycle_event event = EVENT_EXIT;

	process_remove_pid(p);
	p->now.life.exit = *status;
	p->now.life.ended = 1;
	p->now.stop_time = clock_wall();
	if (process_start_failed(p))
		event = process_start_ended(p, &cause);
	look_for_memory(p, &cause);
	logger_link_ended(p->supervisor->logger, p);
	logger_link_pid(p->supervisor->logger, p);
	listener_ended(p);
	process_event(p, event, &cause);
}

void process_restart(struct process *p, const struct cause *cause)
{
	if (process_state_is_stopped(process_state(p))) {
		process_event(p, EVENT_START, cause);
		return;
	}
	/* While it is being stopped already, this one asks for no more than the start. */
	handle(p, EVENT_STOP, cause, true);
	if (!p->now.start_after_stop)
		process_event(p, EVENT_START, cause);
}

void process_start_after_update(struct process *p, bool start)
{
	if (p->now.start_after_update == start)
		return;
	p->now.start_after_update = start;
	state_record_write(p->record, &p->now);
}

void process_reconfigure(struct process *p, const struct process_conf *conf)
{
	p->conf = conf;
	if (p->piped)
		logger_link_stream(p->supervisor->logger, p);
	if (conf->pool)
		pool_process_reconfigure(p);
}

int process_write_stdin(struct process *p, const char *data, size_t length)
{
	if (!process_pid(p) || p->in < 0)
		return -EPIPE;
	return pipes_write(p->in, data, length);
}

/* ---- making, taking over, freeing ---- */

struct process *process_new(struct supervisor *s, struct group *group, const struct process_conf *conf,
			    struct state_record *record, struct error *err)
{
	struct process *p = calloc(1, sizeof *p);

	if (!p) {
		(void)error_set(err, ENOMEM, "%s: out of memory", conf->namespec);
		return NULL;
	}
	*p = (struct process){ .supervisor = s, .group = group, .conf = conf, .in = -1, .out = { -1, -1 } };
	p->record = record ? record : state_record_new(&s->state, RECORD_PROCESS, conf->namespec, 0);
	if (!p->record) {
		(void)error_set(err, ENOSPC, "%s: no room: at most %d processes with names of at most %d bytes", conf->namespec,
				STATE_RECORDS, STATE_NAME_SIZE - 1);
		free(p);
		return NULL;
	}
	p->now = *state_record_read(p->record);
	ev_timer_init(&p->timer, timer_fired, 0, 0);
	p->timer.data = p;
	s->n_processes++;
	process_add_name(p);
	return p;
}

/* The predecessor wrote down a transition, and died before it told anybody. */
static void tell_again(struct process *p)
{
	const struct transition *t = history_get(&p->record->history, 0);
	const struct exit_status *exit = &p->now.life.exit;

	if (t && p->record->told != p->now.life.epoch && t->from != t->to)
		process_publish(p, (enum process_state)t->from, (enum process_state)t->to,
			!exit->signal && process_exit_expected(exit->code, p->conf));
	p->record->told = p->now.life.epoch;
}

/* A pid without "spawned": the predecessor died between the two writes. The child exists, or it has never been. */
void process_resume(struct process *p)
{
	struct lifecycle *life = &p->now.life;

#if STATE_NEXT
	p->now.takeovers++;
	state_record_write(p->record, &p->now);
#endif
	tell_again(p);
	if (life->state == STATE_STARTING && !life->spawned && !life->clearing) {
		if (p->record->pid) {
			life->spawned = 1;
		} else {
			supervisor_log(p->supervisor, LOGLEVEL_INFO, "%s: its start was interrupted before it had a pid; repeating it",
				       p->conf->namespec);
			if (process_start(p, &(struct cause){ 0 }) != EVENT_NONE) {
				life->started = clock_now();
				process_event(p, EVENT_SHORTAGE, &(struct cause){ .kind = CAUSE_SHORTAGE, .error = EAGAIN });
			}
		}
		state_record_write(p->record, &p->now);
	}
	if (process_pid(p))
		p->taken_over = clock_wall();
	if (process_pid(p) && !process_by_pid(p->supervisor, process_pid(p)))
		process_add_pid(p);
	/* A stop that was decided but perhaps not sent: sending it twice does no harm. */
	if (!process_pid(p))
		look_for_leftovers(p);
	if (!process_pid(p) && (life->clearing || life->state == STATE_STOPPING)) {
		if (life->leftovers)
			end_leftovers(p, life->killing);
		else	/* the end of the last one fell into the gap */
			process_event(p, EVENT_EMPTY, &(struct cause){ .kind = CAUSE_TREE_EMPTY });
	} else if (life->state == STATE_STOPPING)
		(void)send_signal(p, life->killing ? SIGKILL : p->conf->stopsignal,
				  life->killing ? p->conf->killasgroup : p->conf->stopasgroup);
	arm(p);
	if (p->now.start_after_stop && process_state_is_stopped(process_state(p))) {
		struct cause cause = cause_of_restart(p, &(struct cause){ .kind = CAUSE_RECOVERY });

		process_event(p, EVENT_START, &cause);
	}
}

void process_free(struct process *p)
{
	if (!p)
		return;
	ev_timer_stop(p->supervisor->loop, &p->timer);
	if (process_pid(p))
		process_remove_pid(p);
	process_remove_name(p);
	tree_forget(p);
	pipes_close(p);
	shared_socket_detach(p, false);
	free(p->trouble);
	free(p->last_words);
	for (int c = 0; c < N_CHANNELS; c++) {
		free(p->logfile[c]);
		free(p->log_trouble[c]);
	}
	p->supervisor->n_processes--;
	free(p);
}

void process_remove(struct process *p)
{
	listener_removed(p);
	shared_socket_detach(p, true);
	if (p->conf->pool)
		pool_process_remove_files(p);
	logger_link_close(p->supervisor->logger, p);
	pipes_drop(p);
	tree_remove(p);
	state_record_free(&p->supervisor->state, p->record);
	process_free(p);
}
