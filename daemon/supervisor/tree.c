/* See tree.h. */
#include "tree.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "gateway_link.h"
#include "logger_link.h"
#include "process/cgroup.h"
#include "process/proc.h"

static const double first_look = 0.005;	/* seconds until the first look at what was left behind; then twice as long each time */
static const double last_look = 1;
enum {
	DEEP = 32,			/* generations below a stranger that are followed */
	SHOWN = 8,			/* who is left by name */
};

/* ---- the group of a process ---- */

/* "NAMESPEC.RECORD": readable, and one of a kind while the record is in use. */
static void group_name(const struct process *p, char *buffer, size_t size)
{
	(void)snprintf(buffer, size - 8, "%s", p->conf->namespec);
	for (char *c = buffer; *c; c++)
		if (*c == '/' || (unsigned char)*c < ' ')
			*c = '_';
	(void)snprintf(buffer + strlen(buffer), 8, ".%u",
		       (unsigned)state_record_index(&p->supervisor->state, p->record) % 1000000);
}

/* As cgroup_populated; NAME is filled in. Negative: it has no group. */
static int group_state(const struct process *p, char name[STATE_NAME_SIZE])
{
	if (p->supervisor->cgroup < 0)
		return -ENOENT;
	group_name(p, name, STATE_NAME_SIZE);
	return cgroup_populated(p->supervisor->cgroup, name);
}

/*
 * A new one for each run, if nothing lives in the old one: Linux 6.18 kills at once what CLONE_INTO_CGROUP puts into a group that
 * has had cgroup.kill.
 */
int tree_group(struct process *p)
{
	struct supervisor *s = p->supervisor;
	char name[STATE_NAME_SIZE];
	int fd;

	if (s->cgroup < 0)
		return -1;
	group_name(p, name, sizeof name);
	(void)cgroup_remove(s->cgroup, name);
	fd = cgroup_open(s->cgroup, name, true);
	if (fd < 0)
		supervisor_log(s, LOGLEVEL_WARN, "%s: runs without a control group of its own: %s", p->conf->namespec, errno_name(-fd));
	return fd < 0 ? -1 : fd;
}

/* ---- who is left ---- */

struct look {
	struct process *p;
	void (*see)(pid_t pid, void *data);
	void *data;
	pid_t main;			/* the last run's main process, dead or alive */
	bool main_lives;
	bool inherited;			/* the parent belongs to the tree */
	const struct left *known;	/* as of the look before */
	int depth;
};

/* Does PID say that it belongs to a run of P? RET_PRESENT: to the one whose main process lives. */
static bool has_mark(const struct process *p, pid_t pid, bool *ret_present)
{
	char value[STATE_NAME_SIZE + 16];
	size_t n = strlen(p->conf->namespec);

	if (!proc_environment(pid, "REEVE_RUN", value, sizeof value) || strncmp(value, p->conf->namespec, n) != 0 || value[n] != ':')
		return false;
	*ret_present = strtoul(value + n + 1, NULL, 10) == p->now.life.run;
	return true;
}

/* While the main process lives (leftovers=leave), only what an earlier run left counts. */
static void see_member(pid_t pid, void *data)
{
	const struct look *l = data;
	struct proc_stat st;
	bool present = false;

	if (pid == l->main && l->main_lives)
		return;
	if (l->main_lives && (!has_mark(l->p, pid, &present) || present))
		return;
	if (proc_stat_read(pid, &st) == 0 && st.state != 'Z' && st.state != 'X')
		l->see(pid, l->data);
}

static bool was_known(const struct left *known, pid_t pid)
{
	for (unsigned i = 0; i < known->n && i < ARRAY_LEN(known->pids); i++)
		if (known->pids[i] == pid)
			return true;
	return false;
}

/* A mark decides; without one (a new environment) the session and process group of the last run do. */
static bool belongs(const struct look *l, pid_t pid)
{
	struct proc_stat st;
	char value[STATE_NAME_SIZE + 16];
	bool present;

	if (l->inherited || has_mark(l->p, pid, &present))
		return true;
	if (proc_environment(pid, "REEVE_RUN", value, sizeof value))
		return false;
	if (was_known(l->known, pid))	/* it is about to end: its memory has gone, and the mark with it */
		return true;
	if (l->main <= 0)
		return false;
	return proc_stat_read(pid, &st) == 0 && (st.session == l->main || st.pgrp == l->main);
}

/* Without the keeper, our strangers are among those of the whole machine. */
static bool is_of_our_time(const struct supervisor *s, pid_t pid)
{
	struct proc_stat st;

	return proc_stat_read(pid, &st) == 0 && st.start_time >= s->keeper_started;
}

/* A process of the daemon itself, or the main one of a program. */
static bool is_ours(struct supervisor *s, pid_t pid)
{
	return pid == getpid() || pid == logger_link_process(s->logger) || gateway_link_owns(s->gateway, pid) || process_by_pid(s, pid);
}

static void see_stranger(pid_t pid, void *data)
{
	const struct look *above = data;
	struct look l = *above;

	if (l.depth == 0 && above->p->supervisor->orphan && !is_of_our_time(above->p->supervisor, pid))
		return;
	if (l.depth == 0 && is_ours(l.p->supervisor, pid))
		return;
	l.inherited = belongs(&l, pid);
	if (l.inherited)
		see_member(pid, &l);
	else if (l.p->supervisor->orphan)
		return;			/* somebody else's tree, perhaps another daemon's */
	if (++l.depth < DEEP)
		(void)proc_children(pid, see_stranger, &l);
}

static void each_left(struct process *p, const struct left *known, void (*see)(pid_t pid, void *data), void *data)
{
	struct look l = { .p = p, .see = see, .data = data, .main = p->record->pid, .main_lives = process_pid(p) != 0,
			  .known = known };
	char name[STATE_NAME_SIZE];

	if (group_state(p, name) >= 0)
		(void)cgroup_each(p->supervisor->cgroup, name, see_member, &l);
	else
		(void)proc_children(p->supervisor->orphan ? getppid() : p->supervisor->keeper_pid, see_stranger, &l);
}

static void count_left(pid_t pid, void *data)
{
	struct process *p = data;

	if (p->left.n < ARRAY_LEN(p->left.pids))
		p->left.pids[p->left.n] = pid;
	p->left.n++;
}

static void watch(struct process *p);

/* A group is looked into whatever the run: it may be full of what a dead daemon left. */
static void refresh(struct process *p)
{
	char name[STATE_NAME_SIZE];
	struct left known = p->left;
	int state = group_state(p, name);

	p->left.n = 0;
	if (state >= 0 ? state > 0 : p->now.life.run != 0)
		each_left(p, &known, count_left, p);
	/* The kernel's list of children can miss one while another is being reaped: nobody is gone before a second look says so. */
	if (state < 0 && known.n && !p->left.n)
		each_left(p, &known, count_left, p);
}

unsigned tree_look(struct process *p)
{
	refresh(p);
	if (p->left.n && !p->watched)
		watch(p);
	return p->left.n;
}

char *tree_text(const struct process *p, char *buffer, size_t size)
{
	size_t n = 0;
	char program[32];

	buffer[0] = '\0';
	if (!p->left.n)
		return buffer;
	n = (size_t)snprintf(buffer, size, "%u process%s of its last run %s alive:", p->left.n, p->left.n == 1 ? "" : "es",
			     p->left.n == 1 ? "is" : "are");
	for (unsigned i = 0; i < p->left.n && i < SHOWN && n < size; i++)
		n += (size_t)snprintf(buffer + n, size - n, "%s pid %d (%s)", i ? "," : "", (int)p->left.pids[i],
				      proc_name(p->left.pids[i], program, sizeof program));
	if (p->left.n > SHOWN && n < size)
		(void)snprintf(buffer + n, size - n, ", ...");
	return buffer;
}

/* ---- ending them ---- */

static void look_in(struct supervisor *s, double seconds);

/* Something is about to happen. */
static void hurry(struct supervisor *s)
{
	s->left_pause = first_look;
	if (s->left)
		look_in(s, first_look);
}

static void stop_one(pid_t pid, void *data)
{
	const struct process *p = data;
	struct proc_stat st;

	/* A second stop signal means "at once" to many a program: who had it with the group is not asked again. */
	if (p->conf->stopasgroup && p->now.life.state == STATE_STOPPING && proc_stat_read(pid, &st) == 0 && st.pgrp == p->record->pid)
		return;
	(void)kill(pid, p->conf->stopsignal);
}

void tree_stop(struct process *p)
{
	each_left(p, &p->left, stop_one, p);
	hurry(p->supervisor);
}

static void kill_one(pid_t pid, void *data)
{
	(void)data;
	(void)kill(pid, SIGKILL);
}

void tree_kill(struct process *p)
{
	char name[STATE_NAME_SIZE];

	hurry(p->supervisor);
	if (group_state(p, name) >= 0 && cgroup_kill(p->supervisor->cgroup, name) == 0)
		return;
	if (process_pid(p) && kill(-process_pid(p), SIGKILL) < 0)
		(void)kill(process_pid(p), SIGKILL);
	each_left(p, &p->left, kill_one, p);
}

void tree_remove(struct process *p)
{
	char name[STATE_NAME_SIZE];

	if (group_state(p, name) >= 0)
		(void)cgroup_remove(p->supervisor->cgroup, name);
}

/* ---- want of memory ---- */

/* A group is new for each run; what it shares with others may have been one of them. */
enum out_of_memory tree_out_of_memory(struct process *p)
{
	struct supervisor *s = p->supervisor;
	enum out_of_memory answer = OOM_NO;
	char name[STATE_NAME_SIZE];
	_cleanup_(closep) int group = -1;
	uint64_t kills;

	if (group_state(p, name) >= 0)
		group = cgroup_open(s->cgroup, name, false);
	if (group >= 0 && cgroup_oom_kills(group, &kills) == 0)
		answer = kills ? OOM_OWN_GROUP : OOM_NO;
	else if (s->memory_group >= 0 && cgroup_oom_kills(s->memory_group, &kills) == 0 && kills > s->oom_kills)
		answer = OOM_SHARED_GROUP;
	if (s->memory_group >= 0 && cgroup_oom_kills(s->memory_group, &kills) == 0)
		s->oom_kills = kills;
	return answer;
}

/* ---- watching ---- */

static void look_in(struct supervisor *s, double seconds)
{
	ev_now_update(s->loop);
	ev_timer_stop(s->loop, &s->left_timer);
	ev_timer_set(&s->left_timer, seconds, 0);
	ev_timer_start(s->loop, &s->left_timer);
}

static void watch(struct process *p)
{
	struct supervisor *s = p->supervisor;

	p->watched = true;
	p->next_left = s->left;
	s->left = p;
	s->left_pause = first_look;
	look_in(s, first_look);
}

void tree_forget(struct process *p)
{
	for (struct process **at = &p->supervisor->left; *at; at = &(*at)->next_left)
		if (*at == p) {
			*at = p->next_left;
			break;
		}
	p->watched = false;
}

/* Take those out of the list whose trees are empty now; they are returned as a list. */
static struct process *take_empty(struct supervisor *s)
{
	struct process *empty = NULL;

	for (struct process **at = &s->left; *at;) {
		struct process *p = *at;
		unsigned before = p->left.n;

		refresh(p);
		if (p->left.n != before)
			s->left_pause = first_look;
		if (p->left.n) {
			at = &p->next_left;
			continue;
		}
		*at = p->next_left;
		p->watched = false;
		p->next_left = empty;
		empty = p;
	}
	return empty;
}

static void look_at_all(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct supervisor *s = timer->data;
	struct process *next;

	(void)loop;
	(void)events;
	for (struct process *p = take_empty(s); p; p = next) {
		next = p->next_left;
		process_event(p, EVENT_EMPTY, &(struct cause){ .kind = CAUSE_TREE_EMPTY });
	}
	if (!s->left)
		return;
	look_in(s, s->left_pause);
	s->left_pause = s->left_pause < last_look / 2 ? 2 * s->left_pause : last_look;
}

void tree_stranger_gone(struct supervisor *s)
{
	if (s->left)
		look_in(s, 0);
}

/* ---- the daemon's beginning and end ---- */

static bool is_program(const char *name)
{
	return strcmp(name, "daemon") != 0;
}

static void end_old(const char *name, void *data)
{
	struct supervisor *s = data;

	if (!is_program(name) || cgroup_remove(s->cgroup, name) == 0)
		return;
	supervisor_log(s, LOGLEVEL_WARN, "ending what a previous daemon left alive in the control group %s", name);
	(void)cgroup_kill(s->cgroup, name);
}

void tree_begin(struct supervisor *s)
{
	int fd = cgroup_subtree();

	s->cgroup = fd < 0 ? -1 : fd;
	fd = cgroup_memory_group(s->cgroup);
	s->memory_group = fd < 0 ? -1 : fd;
	if (fd >= 0)
		(void)cgroup_oom_kills(fd, &s->oom_kills);
	ev_timer_init(&s->left_timer, look_at_all, 0, 0);
	s->left_timer.data = s;
	if (s->first && s->cgroup >= 0)
		(void)cgroup_groups(s->cgroup, end_old, s);
}

void tree_end(struct supervisor *s)
{
	ev_timer_stop(s->loop, &s->left_timer);
	closep(&s->cgroup);
	closep(&s->memory_group);
	s->cgroup = s->memory_group = -1;
}

struct sweep {
	struct supervisor *s;
	int signal;
	unsigned n;
};

static void sweep_one(pid_t pid, void *data)
{
	struct sweep *w = data;

	w->n++;
	if (!w->signal)
		return;
	supervisor_log(w->s, LOGLEVEL_WARN, "ending pid %d, left behind by a program, with SIG%s", (int)pid, sigabbrev_np(w->signal));
	(void)kill(pid, w->signal);
}

/* Adopted by the keeper, and none of ours. */
static void sweep_stranger(pid_t pid, void *data)
{
	const struct sweep *w = data;
	struct proc_stat st;

	if (proc_stat_read(pid, &st) == 0 && st.ppid == w->s->keeper_pid && st.state != 'Z' && !is_ours(w->s, pid))
		sweep_one(pid, data);
}

static void sweep_group(const char *name, void *data)
{
	const struct sweep *w = data;

	if (is_program(name))
		(void)cgroup_each(w->s->cgroup, name, sweep_one, data);
}

unsigned tree_sweep(struct supervisor *s, int signal)
{
	struct sweep w = { s, signal, 0 };

	if (!s->orphan && s->keeper_pid)	/* else the keeper's pid may be another's by now */
		(void)proc_each(sweep_stranger, &w);
	if (s->cgroup >= 0)
		(void)cgroup_groups(s->cgroup, sweep_group, &w);
	return w.n;
}
