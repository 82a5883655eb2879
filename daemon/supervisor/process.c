/* See process.h. */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "environment.h"
#include "group.h"
#include "listener/pool.h"
#include "logger_link.h"
#include "names.h"
#include "pipes.h"
#include "pool_process.h"
#include "shared_socket.h"
#include "shutdown.h"
#include "tree.h"
#include "process/proc.h"
#include "wire/keeper.h"

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

static bool start_failed(const struct process *p)
{
	return p->record->failure.stage != SPAWN_NONE;
}

static bool exit_is_expected(int code, const void *data)
{
	const struct process_conf *c = data;

	for (size_t i = 0; i < c->n_exitcodes; i++)
		if (c->exitcodes[i] == code)
			return true;
	return false;
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
		.expected = exit_is_expected,
		.data = c,
	};
}

/* ---- by pid ---- */

static struct process **bucket(struct supervisor *s, pid_t pid)
{
	return &s->by_pid[(unsigned)pid % ARRAY_LEN(s->by_pid)];
}

struct process *process_by_pid(struct supervisor *s, pid_t pid)
{
	for (struct process *p = *bucket(s, pid); p; p = p->by_pid)
		if (p->record->pid == pid)
			return p;
	return NULL;
}

static void hash_add(struct process *p)
{
	struct process **b = bucket(p->supervisor, p->record->pid);

	p->by_pid = *b;
	*b = p;
}

static void hash_remove(struct process *p)
{
	for (struct process **at = bucket(p->supervisor, p->record->pid); *at; at = &(*at)->by_pid)
		if (*at == p) {
			*at = p->by_pid;
			return;
		}
}

/* ---- by name ---- */

static struct process **name_bucket(struct supervisor *s, const char *namespec, size_t length)
{
	uint32_t hash = 2166136261u;	/* FNV-1a */

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)namespec[i]) * 16777619u;
	return &s->by_namespec[hash % ARRAY_LEN(s->by_namespec)];
}

struct process *process_by_namespec(struct supervisor *s, const char *namespec, size_t length)
{
	for (struct process *p = *name_bucket(s, namespec, length); p; p = p->by_namespec)
		if (strncmp(p->conf->namespec, namespec, length) == 0 && p->conf->namespec[length] == '\0')
			return p;
	return NULL;
}

static void name_add(struct process *p)
{
	struct process **b = name_bucket(p->supervisor, p->conf->namespec, strlen(p->conf->namespec));

	p->by_namespec = *b;
	*b = p;
}

static void name_remove(struct process *p)
{
	struct process **at = name_bucket(p->supervisor, p->conf->namespec, strlen(p->conf->namespec));

	for (; *at; at = &(*at)->by_namespec)
		if (*at == p) {
			*at = p->by_namespec;
			return;
		}
}

/* ---- words ---- */

/* As Python's repr of a string: in double quotes if it has single ones only. */
static const char *quote_for(const char *text)
{
	return strchr(text, '\'') && !strchr(text, '"') ? "\"" : "'";
}

static void first_word(const char *command, char *buffer, size_t size)
{
	char **words = command_split(command, NULL);

	(void)snprintf(buffer, size, "%s", words && words[0] ? words[0] : command);
	strv_free(words);
}

static char *failure_text(const struct process *p, char *buffer, size_t size)
{
	const volatile struct spawn_failure *f = &p->record->failure;
	char word[256];
	const char *q;

	first_word(p->conf->pool ? "reeve-pool" : p->conf->command, word, sizeof word);
	q = quote_for(word);
	if (f->stage == SPAWN_EXEC && f->error == ENOENT && p->conf->pool)
		(void)snprintf(buffer, size, "reeve-pool is not installed (the build option `pool`)");
	else if (f->stage == SPAWN_EXEC && f->error == ENOENT)
		(void)snprintf(buffer, size, "can't find command %s%s%s", q, word, q);
	else if (f->stage == SPAWN_EXEC && f->error == EISDIR)
		(void)snprintf(buffer, size, "command at %s%s%s is a directory", q, word, q);
	else if (f->stage == SPAWN_EXEC && f->error == EACCES)
		(void)snprintf(buffer, size, "command at %s%s%s is not executable", q, word, q);
	else if (f->stage == SPAWN_EXEC)
		(void)snprintf(buffer, size, "couldn't exec %s: %s", word, errno_name(f->error));
	else if (f->stage == SPAWN_DIRECTORY)
		(void)snprintf(buffer, size, "couldn't chdir to %s: %s", p->conf->directory, errno_name(f->error));
	else if (f->stage == SPAWN_USER || f->stage == SPAWN_GROUP || f->stage == SPAWN_GROUPS)
		(void)snprintf(buffer, size, "couldn't setuid to %s: %s: %s", p->conf->user ? p->conf->user : "?",
			       spawn_stage_name(f->stage), errno_name(f->error));
	else
		(void)snprintf(buffer, size, "couldn't start: %s: %s", spawn_stage_name(f->stage), errno_name(f->error));
	return buffer;
}

char *process_spawnerr(const struct process *p, char *buffer, size_t size)
{
	const struct lifecycle *life = &p->now.life;

	buffer[0] = '\0';
	if (p->trouble)
		(void)snprintf(buffer, size, "%s", p->trouble);
	else if (start_failed(p))
		(void)failure_text(p, buffer, size);
	else if ((life->state == STATE_BACKOFF || life->state == STATE_FATAL) && life->ended)
		(void)snprintf(buffer, size, "Exited too quickly (process log may have details)");
	else if (life->state == STATE_EXITED && !life->exit.signal && !exit_is_expected(life->exit.code, p->conf))
		(void)snprintf(buffer, size, "Bad exit code %d", life->exit.code);
	else if (life->state == STATE_EXITED && life->exit.signal)
		(void)snprintf(buffer, size, "Bad exit code -1");
	return buffer;
}

static void describe_uptime(double seconds, pid_t pid, char *buffer, size_t size)
{
	long up = seconds > 0 ? (long)seconds : 0;
	long days = up / 86400;
	char day_part[32] = "";

	if (days)
		(void)snprintf(day_part, sizeof day_part, "%ld day%s, ", days, days == 1 ? "" : "s");
	(void)snprintf(buffer, size, "pid %d, uptime %s%ld:%02ld:%02ld", (int)pid, day_part, up % 86400 / 3600, up % 3600 / 60,
		       up % 60);
}

static void describe_stop(double at, bool started, char *buffer, size_t size)
{
	time_t t = (time_t)at;
	struct tm tm;

	if (!started) {
		(void)snprintf(buffer, size, "Not started");
		return;
	}
	(void)localtime_r(&t, &tm);
	if (strftime(buffer, size, "%b %d %I:%M %p", &tm) == 0)
		buffer[0] = '\0';
}

char *process_description(const struct process *p, double now, char *buffer, size_t size)
{
	char text[400];

	buffer[0] = '\0';
	switch (process_state(p)) {
	case STATE_RUNNING:
		describe_uptime(now - p->now.life.started, process_pid(p), buffer, size);
		break;
	case STATE_BACKOFF:
	case STATE_FATAL:
		if (!*process_spawnerr(p, buffer, size))
			(void)snprintf(buffer, size, "unknown error (try \"tail %s\")", p->conf->name);
		break;
	case STATE_STOPPED:
	case STATE_EXITED:
		describe_stop(p->now.stop_time, p->now.start_time > 0, buffer, size);
		break;
	case STATE_STARTING:
	case STATE_STOPPING:
	case STATE_UNKNOWN:
		break;
	}
	if (p->left.n) {
		size_t n = strlen(buffer);

		(void)snprintf(buffer + n, size - n, "%s%s", n ? "; " : "", tree_text(p, text, sizeof text));
	}
	return buffer;
}

/* ---- telling everybody ---- */

static void publish(struct process *p, enum process_state from, enum process_state to, bool expected)
{
	struct event_bus *bus = p->supervisor->events;
	const char *from_name = process_state_name(from);
	char type[40];
	int pid = p->now.life.spawned ? (int)p->record->pid : 0;

	(void)snprintf(type, sizeof type, "PROCESS_STATE_%s", process_state_name(to));
	switch (to) {
	case STATE_STARTING:
	case STATE_BACKOFF:
		event_publish_text(bus, type, "processname:%s groupname:%s from_state:%s tries:%u", p->conf->name,
				   p->conf->group, from_name, p->now.life.backoff);
		break;
	case STATE_RUNNING:
	case STATE_STOPPING:
	case STATE_STOPPED:
		event_publish_text(bus, type, "processname:%s groupname:%s from_state:%s pid:%d", p->conf->name, p->conf->group,
				   from_name, pid);
		break;
	case STATE_EXITED:
		event_publish_text(bus, type, "processname:%s groupname:%s from_state:%s expected:%d pid:%d", p->conf->name,
				   p->conf->group, from_name, expected, pid);
		break;
	case STATE_FATAL:
	case STATE_UNKNOWN:
		event_publish_text(bus, type, "processname:%s groupname:%s from_state:%s", p->conf->name, p->conf->group,
				   from_name);
		break;
	}
}

/* supervisord's line for this transition, where it has one. */
static void announce(const struct process *p, enum lifecycle_event event, const struct lifecycle_step *step)
{
	const struct supervisor *s = p->supervisor;
	const char *name = p->conf->name;
	char text[512], status[64];

	exit_status_text(&p->now.life.exit, status, sizeof status);
	switch (step->next) {
	case STATE_RUNNING:
		supervisor_log(s, LOGLEVEL_INFO,
			       "success: %s entered RUNNING state, process has stayed up for > than %lld seconds (startsecs)", name,
			       p->conf->startsecs);
		break;
	case STATE_EXITED:
		if (event == EVENT_EXIT)
			supervisor_log(s, step->unexpected ? LOGLEVEL_WARN : LOGLEVEL_INFO, "exited: %s (%s; %s)", name, status,
				       step->unexpected ? "not expected" : "expected");
		break;
	case STATE_BACKOFF:
		if (event == EVENT_EXIT)
			supervisor_log(s, LOGLEVEL_WARN, "exited: %s (%s; not expected)", name, status);
		if (event != EVENT_EXIT || start_failed(p))
			supervisor_log(s, LOGLEVEL_INFO, "spawnerr: %s%s%s%s%s%s", process_spawnerr(p, text, sizeof text),
				       start_failed(p) ? " (" : "", start_failed(p) ? spawn_stage_name(p->record->failure.stage) : "",
				       start_failed(p) ? ": " : "",
				       start_failed(p) ? errno_name(p->record->failure.error) : "", start_failed(p) ? ")" : "");
		break;
	case STATE_FATAL:
		supervisor_log(s, LOGLEVEL_INFO, "gave up: %s entered FATAL state, too many start retries too quickly", name);
		break;
	case STATE_STOPPED:
		if (event == EVENT_EXIT || event == EVENT_EMPTY)
			supervisor_log(s, exit_is_expected(p->now.life.exit.code, p->conf) ? LOGLEVEL_INFO : LOGLEVEL_WARN,
				       "stopped: %s (%s)", name, status);
		break;
	case STATE_STOPPING:
		if (step->action == DO_KILL)
			supervisor_log(s, LOGLEVEL_WARN, "killing '%s' (%d) with SIGKILL", name, (int)process_pid(p));
		break;
	case STATE_UNKNOWN:
		supervisor_log(s, LOGLEVEL_CRITICAL, "unknown problem sending signal to %s (%d)", name, (int)process_pid(p));
		break;
	case STATE_STARTING:
		break;
	}
}

/* ---- a spawn ---- */

static void set_trouble(struct process *p, const char *text)
{
	free(p->trouble);
	p->trouble = text ? strdup(text) : NULL;
}

static int spawn_plan_fill(struct process *p, struct spawn_plan *plan, const struct identity *user, char **argv, char **envp,
			   char **files, int fds[POOL_N_FDS], struct spawn_limit limits[2])
{
	struct supervisor *s = p->supervisor;

	fds[0] = p->socket ? shared_socket_fd(p) : p->in;
	fds[1] = p->out[CHANNEL_STDOUT];
	fds[2] = p->conf->redirect_stderr ? p->out[CHANNEL_STDOUT] : p->out[CHANNEL_STDERR];
	limits[0] = (struct spawn_limit){ RLIMIT_NOFILE, s->nofile };
	limits[1] = (struct spawn_limit){ RLIMIT_NPROC, s->nproc };
	*plan = (struct spawn_plan){
		.files = (const char *const *)files,
		.argv = argv,
		.envp = envp,
		.fds = fds,
		.n_fds = 3,
		.directory = p->conf->directory && *p->conf->directory ? p->conf->directory : NULL,
		.umask = p->conf->umask,
		.change_user = user != NULL,
		.uid = user ? user->uid : 0,
		.gid = user ? user->gid : 0,
		.groups = user ? user->groups : NULL,
		.n_groups = user ? (size_t)user->n_groups : 0,
		.limits = limits,
		.n_limits = 2,
		.cgroup_fd = tree_group(p),
		.reset_oom_score = s->oom_score_adj != 0,
		.sibling = true,
	};
	return 0;
}

static void become_pool(struct spawn_plan *plan, const struct pool_start *pool, int fds[POOL_N_FDS])
{
	fds[POOL_FD_LISTEN] = pool->listen_fd;
	fds[POOL_FD_SETTINGS] = pool->settings_fd;
	plan->argv = pool->argv;
	plan->files = pool->files;
	plan->n_fds = POOL_N_FDS;
}

static bool is_shortage(int error)
{
	return error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOSPC;
}

/* The command as words, or an event that says why not. */
static char **split(struct process *p)
{
	struct error err;
	char text[600];
	char **argv = command_split(p->conf->command, &err);
	const char *q = quote_for(p->conf->command);

	if (!argv) {
		(void)snprintf(text, sizeof text, "can't parse command %s%.300s%s: %.200s", q, p->conf->command, q, err.text);
		set_trouble(p, text);
	} else if (!argv[0]) {
		set_trouble(p, "command is empty");
		strv_free(argv);
		argv = NULL;
	}
	return argv;
}

static enum lifecycle_event no_start(struct process *p, struct cause *cause, int error, const char *text)
{
	char line[512];

	cause->kind = is_shortage(error) ? CAUSE_SHORTAGE : CAUSE_START_FAILED;
	cause->error = (int16_t)error;
	if (is_shortage(error)) {
		(void)snprintf(line, sizeof line, "no resources to start '%s': %s (%s); trying again", p->conf->name, text,
			       errno_name(error));
		text = line;
	}
	set_trouble(p, text);
	return is_shortage(error) ? EVENT_SHORTAGE : EVENT_NO_START;
}

/* A group that cannot be used costs the group, not the run. */
static int spawn_in_group(struct process *p, struct spawn_plan *plan)
{
	int r = spawn(plan, &p->record->pid, &p->record->failure);

	if (r < 0 && plan->cgroup_fd >= 0 && !is_shortage(-r)) {
		supervisor_log(p->supervisor, LOGLEVEL_WARN, "%s: runs without a control group of its own: %s", p->conf->namespec,
			       errno_name(-r));
		closep(&plan->cgroup_fd);
		plan->cgroup_fd = -1;
		r = spawn(plan, &p->record->pid, &p->record->failure);
	}
	closep(&plan->cgroup_fd);
	return r;
}

static enum lifecycle_event try_spawn(struct process *p, struct cause *cause)
{
	struct supervisor *s = p->supervisor;
	struct identity identity;
	const struct identity *user = NULL;	/* NULL: we stay who we are */
	struct spawn_plan plan;
	struct spawn_limit limits[2];
	struct pool_start pool = { .listen_fd = -1, .settings_fd = -1 };
	struct error err = { 0 };
	char **argv, **envp, **files;
	int fds[POOL_N_FDS], r;
	enum lifecycle_event event = EVENT_NONE;

	if (s->orphan)
		return no_start(p, cause, ESHUTDOWN, "the keeper is gone");
	argv = split(p);
	if (!argv) {
		cause->kind = CAUSE_START_FAILED;
		cause->error = EINVAL;
		return EVENT_NO_START;
	}
	if (p->conf->user && names_user(s, p->conf->user, &identity, &err) < 0) {
		strv_free(argv);
		return no_start(p, cause, err.code, err.text);
	}
	if (p->conf->user && identity.uid != geteuid())
		user = &identity;	/* else as supervisord: nothing to change */
	r = pipes_make(p);
	if (r < 0) {
		strv_free(argv);
		return no_start(p, cause, -r, "pipes");
	}
	if (shared_socket_attach(p, &err) < 0) {
		strv_free(argv);
		return no_start(p, cause, err.code, err.text);
	}
	pipes_forget_input(p);
	envp = environment_make(s, p->conf, p->now.life.run, user);
	files = spawn_search(argv[0], environment_path(p->conf, s));
	if (!envp || !files) {
		event = no_start(p, cause, ENOMEM, "memory");
	} else if (p->conf->pool && pool_start_make(p, user ? user->uid : geteuid(), &pool, &err) < 0) {
		event = no_start(p, cause, err.code, err.text);
	} else {
		(void)spawn_plan_fill(p, &plan, user, argv, envp, files, fds, limits);
		if (p->conf->pool)
			become_pool(&plan, &pool, fds);
		r = spawn_in_group(p, &plan);
		if (r < 0)
			event = no_start(p, cause, -r, "fork");
	}
	pool_start_fini(&pool);
	free(files);
	free(envp);
	strv_free(argv);
	return event;
}

/*
 * Before: the record says that a run with number N begins, with no pid; the kernel then writes the pid. So a successor that
 * finds STARTING and a pid knows that the child exists, and one that finds none knows that it never did.
 */
static enum lifecycle_event act_spawn(struct process *p, struct cause *cause)
{
	enum lifecycle_event event;

	set_trouble(p, NULL);
	p->now.start_time = clock_wall();
	p->taken_over = 0;
	event = try_spawn(p, cause);
	if (event != EVENT_NONE)
		return event;
	p->now.life.spawned = 1;
	hash_add(p);
	logger_link_pid(p->supervisor->logger, p);
	listener_started(p);
	supervisor_log(p->supervisor, LOGLEVEL_INFO, "spawned: '%s' with pid %d", p->conf->name, (int)p->record->pid);
	return EVENT_NONE;
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
		return act_spawn(p, cause);
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

			announce(p, EVENT_TIMEOUT, &up);
			remember(p, from, STATE_RUNNING, &(struct cause){ .kind = CAUSE_STAYED_UP });
			publish(p, from, STATE_RUNNING, false);
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
			announce(p, event, &step);
			if (from != step.next)
				publish(p, from, step.next, !step.unexpected);
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
	process_event(p, EVENT_TIMEOUT, NULL);
}

/* The two lines that supervisord's child writes to its stderr when it cannot become the program. */
static void write_failure(struct process *p)
{
	char text[512], line[700];
	int fd = p->conf->redirect_stderr || p->out[CHANNEL_STDERR] < 0 ? p->out[CHANNEL_STDOUT] : p->out[CHANNEL_STDERR];
	int n = snprintf(line, sizeof line, "supervisor: %s\nsupervisor: child process was not spawned\n",
			 failure_text(p, text, sizeof text));

	if (fd >= 0 && n > 0)
		pipes_write(fd, line, (size_t)n);
}

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

	hash_remove(p);
	p->now.life.exit = *status;
	p->now.life.ended = 1;
	p->now.stop_time = clock_wall();
	if (start_failed(p)) {
		cause.kind = CAUSE_START_FAILED;
		cause.stage = (uint8_t)p->record->failure.stage;
		cause.error = (int16_t)p->record->failure.error;
		write_failure(p);
		/* Its user has too many processes, there is no memory: no fault of the program either. */
		if (is_shortage(p->record->failure.error) && process_state(p) == STATE_STARTING)
			event = no_start(p, &cause, p->record->failure.error, spawn_stage_name(p->record->failure.stage));
	}
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
	name_add(p);
	return p;
}

/* The predecessor wrote down a transition, and died before it told anybody. */
static void tell_again(struct process *p)
{
	const struct transition *t = history_get(&p->record->history, 0);
	const struct exit_status *exit = &p->now.life.exit;

	if (t && p->record->told != p->now.life.epoch && t->from != t->to)
		publish(p, (enum process_state)t->from, (enum process_state)t->to,
			!exit->signal && exit_is_expected(exit->code, p->conf));
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
			if (act_spawn(p, &(struct cause){ 0 }) != EVENT_NONE) {
				life->started = clock_now();
				process_event(p, EVENT_SHORTAGE, &(struct cause){ .kind = CAUSE_SHORTAGE, .error = EAGAIN });
			}
		}
		state_record_write(p->record, &p->now);
	}
	if (process_pid(p))
		p->taken_over = clock_wall();
	if (process_pid(p) && !process_by_pid(p->supervisor, process_pid(p)))
		hash_add(p);
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
		hash_remove(p);
	name_remove(p);
	tree_forget(p);
	pipes_close(p);
	shared_socket_detach(p, false);
	free(p->trouble);
	free(p->last_words);
	for (int c = 0; c < N_CHANNELS; c++)
		free(p->logfile[c]);
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
