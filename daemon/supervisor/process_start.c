/* See process_parts.h. */
#include "process_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "environment.h"
#include "group.h"
#include "listener/pool.h"
#include "logger_link.h"
#include "names.h"
#include "pipes.h"
#include "pool_process.h"
#include "shared_socket.h"
#include "tree.h"

/* What a start needs besides the process. */
struct start {
	char **argv, **envp, **files;	/* owned */
	struct identity identity;
	const struct identity *user;	/* that, or NULL: we stay who we are */
	int fds[POOL_N_FDS];
	struct spawn_limit limits[2];
	struct pool_start pool;
};

static void set_trouble(struct process *p, const char *text)
{
	free(p->trouble);
	p->trouble = text ? strdup(text) : NULL;
}

static bool is_shortage(int error)
{
	return error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOSPC;
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

/* The command as words. */
static int split(const struct process *p, struct start *a, struct error *err)
{
	const char *command = p->conf->command, *q = process_quote(command);
	struct error why;

	a->argv = command_split(command, &why);
	if (!a->argv)
		return error_set(err, why.code, "can't parse command %s%.300s%s: %.150s", q, command, q, why.text);
	return a->argv[0] ? 0 : error_set(err, EINVAL, "command is empty");
}

static int prepare(struct process *p, struct start *a, struct error *err)
{
	struct supervisor *s = p->supervisor;
	int r = split(p, a, err);

	if (r < 0)
		return r;
	if (p->conf->user) {
		r = names_user(s, p->conf->user, &a->identity, err);
		if (r < 0)
			return r;
		a->user = a->identity.uid != geteuid() ? &a->identity : NULL;	/* as supervisord: else there is nothing to change */
	}
	r = pipes_make(p);
	if (r < 0)
		return error_set(err, -r, "pipes");
	r = shared_socket_attach(p, err);
	if (r < 0)
		return r;
	pipes_forget_input(p);
	a->envp = environment_make(s, p->conf, p->now.life.run, a->user);
	a->files = spawn_search(a->argv[0], environment_path(p->conf, s));
	if (!a->envp || !a->files)
		return error_set(err, ENOMEM, "memory");
	return p->conf->pool ? pool_start_make(p, a->user ? a->user->uid : geteuid(), &a->pool, err) : 0;
}

static void start_fini(struct start *a)
{
	pool_start_fini(&a->pool);
	free(a->files);
	free(a->envp);
	strv_free(a->argv);
}

static void become_pool(struct start *a, struct spawn_plan *plan)
{
	a->fds[POOL_FD_LISTEN] = a->pool.listen_fd;
	a->fds[POOL_FD_SETTINGS] = a->pool.settings_fd;
	plan->argv = a->pool.argv;
	plan->files = a->pool.files;
	plan->n_fds = POOL_N_FDS;
}

static void fill_plan(struct process *p, struct start *a, struct spawn_plan *plan)
{
	const struct supervisor *s = p->supervisor;
	const struct identity *user = a->user;

	a->fds[0] = p->socket ? shared_socket_fd(p) : p->in;
	a->fds[1] = p->out[CHANNEL_STDOUT];
	a->fds[2] = p->conf->redirect_stderr ? p->out[CHANNEL_STDOUT] : p->out[CHANNEL_STDERR];
	a->limits[0] = (struct spawn_limit){ RLIMIT_NOFILE, s->nofile };
	a->limits[1] = (struct spawn_limit){ RLIMIT_NPROC, s->nproc };
	*plan = (struct spawn_plan){
		.files = (const char *const *)a->files,
		.argv = a->argv,
		.envp = a->envp,
		.fds = a->fds,
		.n_fds = 3,
		.directory = p->conf->directory && *p->conf->directory ? p->conf->directory : NULL,
		.umask = p->conf->umask,
		.change_user = user != NULL,
		.uid = user ? user->uid : 0,
		.gid = user ? user->gid : 0,
		.groups = user ? user->groups : NULL,
		.n_groups = user ? (size_t)user->n_groups : 0,
		.limits = a->limits,
		.n_limits = 2,
		.cgroup_fd = tree_group(p),
		.reset_oom_score = s->oom_score_adj != 0,
		.sibling = true,
	};
	if (p->conf->pool)
		become_pool(a, plan);
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

static enum lifecycle_event try_start(struct process *p, struct cause *cause)
{
	struct start a = { .pool = { .listen_fd = -1, .settings_fd = -1 } };
	enum lifecycle_event event = EVENT_NONE;
	struct spawn_plan plan;
	struct error err = { 0 };
	int r;

	if (p->supervisor->orphan)
		return no_start(p, cause, ESHUTDOWN, "the keeper is gone");
	if (prepare(p, &a, &err) < 0) {
		event = no_start(p, cause, err.code, err.text);
	} else {
		fill_plan(p, &a, &plan);
		r = spawn_in_group(p, &plan);
		if (r < 0)
			event = no_start(p, cause, -r, "fork");
	}
	start_fini(&a);
	return event;
}

enum lifecycle_event process_start(struct process *p, struct cause *cause)
{
	enum lifecycle_event event;

	set_trouble(p, NULL);
	p->now.start_time = clock_wall();
	p->taken_over = 0;
	event = try_start(p, cause);
	if (event != EVENT_NONE)
		return event;
	p->now.life.spawned = 1;
	process_add_pid(p);
	logger_link_pid(p->supervisor->logger, p);
	listener_started(p);
	supervisor_log(p->supervisor, LOGLEVEL_INFO, "spawned: '%s' with pid %d", p->conf->name, (int)p->record->pid);
	return EVENT_NONE;
}

/* The two lines that supervisord's child writes to its stderr when it cannot become the program. */
static void write_failure(struct process *p)
{
	char text[512], line[700];
	int fd = p->conf->redirect_stderr || p->out[CHANNEL_STDERR] < 0 ? p->out[CHANNEL_STDOUT] : p->out[CHANNEL_STDERR];
	int n = snprintf(line, sizeof line, "supervisor: %s\nsupervisor: child process was not spawned\n",
			 process_failure(p, text, sizeof text));

	if (fd >= 0 && n > 0)
		pipes_write(fd, line, (size_t)n);
}

enum lifecycle_event process_start_ended(struct process *p, struct cause *cause)
{
	const volatile struct spawn_failure *f = &p->record->failure;

	cause->kind = CAUSE_START_FAILED;
	cause->stage = (uint8_t)f->stage;
	cause->error = (int16_t)f->error;
	write_failure(p);
	/* Its user has too many processes, there is no memory: no fault of the program either. */
	if (is_shortage(f->error) && process_state(p) == STATE_STARTING)
		return no_start(p, cause, f->error, spawn_stage_name((enum spawn_stage)f->stage));
	return EVENT_EXIT;
}
