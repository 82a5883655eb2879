/*
 * See worker.h: starting, killing and collecting. Every worker leads a session and process group of its own, so that what it leaves behind
 * can be killed with it; the group is killed while the leader is a zombie, when its number cannot have been taken by another.
 */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "exec_argv.h"
#include "process/proc.h"
#include "worker_modes.h"

enum { ENVIRON_OWN = 4 /* places that are filled per start */ };

static const double grace = 0.2;	/* seconds that a worker without stdout has to exit by itself */
static const double sweep_time = 3;	/* seconds to wait for killed leftovers at the end */

static struct worker_list *bucket(struct pool *pool, pid_t pid)
{
	return &pool->workers[(unsigned)pid % ARRAY_LEN(pool->workers)];
}

static struct worker *find(struct pool *pool, pid_t pid)
{
	struct worker *w;

	LIST_FOREACH(w, bucket(pool, pid), by_pid)
		if (w->pid == pid)
			return w;
	return NULL;
}

/* A pipe whose end for us does not block: ends[0] reads, ends[1] writes. OURS: 0 or 1. */
static int make_pipe(int ends[2], int ours)
{
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	(void)fcntl(ends[ours], F_SETFL, O_NONBLOCK | (ours ? O_WRONLY : O_RDONLY));
	return 0;
}

static void worker_free(struct worker *w)
{
	ev_timer_stop(w->pool->loop, &w->timer);
	stream_close_input(w);
	capture_close(w, &w->out);
	capture_close(w, &w->err);
	bytes_free(&w->to);
	bytes_free(&w->out.data);
	bytes_free(&w->err.data);
	free(w);
}

/* ---- start ---- */

/* The variables of this start behind the common ones. TEXT has room for all of them. */
static void fill_environ(struct worker *w, const struct task *task, char *text, size_t size)
{
	char **at = w->pool->environ + w->pool->n_environ;
	char *end = text + size;

	*at++ = text;
	text += snprintf(text, (size_t)(end - text), "REEVE_WORKER=%u", w->number) + 1;
	if (task) {
		*at++ = text;
		text += snprintf(text, (size_t)(end - text), "REEVE_TASK=%llu", (unsigned long long)task->id) + 1;
		*at++ = text;
		(void)snprintf(text, (size_t)(end - text), "REEVE_ATTEMPT=%u", task->attempts + 1U);
	}
	*at = NULL;
}

static int start_process(struct worker *w, const struct task *task, const int fds[3])
{
	struct pool *pool = w->pool;
	char *const *command = w->kind == WORKER_INITIALIZER ? pool->settings.initializer : pool->settings.argv;
	_cleanup_(freep) char **argv = task ? exec_argv(command, task) : NULL;
	_cleanup_(freep) char **files = NULL;
	const struct spawn_limit limit = { RLIMIT_NOFILE, pool->nofile };
	char own[128];
	struct spawn_plan plan = {
		.argv = argv ? argv : (char **)command,
		.envp = pool->environ,
		.fds = fds,
		.n_fds = 3,
		.umask = -1,
		.limits = &limit,
		.n_limits = 1,
		.cgroup_fd = -1,
		.batch = pool->settings.pool.batch_scheduling,
		.parent_death_signal = w->kind == WORKER_STREAM ? SIGTERM : SIGKILL,
	};

	if (task && !argv)
		return -ENOMEM;
	if (exec_has_place(command[0])) {
		files = spawn_search(plan.argv[0], getenv("PATH"));
		if (!files)
			return -ENOMEM;
		plan.files = (const char *const *)files;
	} else {
		plan.files = (const char *const *)pool->files[w->kind == WORKER_INITIALIZER];
	}
	fill_environ(w, task, own, sizeof own);
	return spawn(&plan, &w->pid, &w->failure);
}

/* Pipes for KIND: what the child gets, and our ends (-1: none). */
static int make_pipes(struct worker *w, int child[3], int ours[3])
{
	int ends[2], r;

	if (w->kind == WORKER_STREAM) {
		r = make_pipe(ends, 1);
		if (r < 0)
			return r;
		child[0] = ends[0];
		ours[0] = ends[1];
	} else {
		child[0] = w->pool->null_fd;
	}
	for (int i = 1; i <= 2; i++) {
		if (i == 2 && w->kind == WORKER_STREAM) {
			child[2] = STDERR_FILENO;
			break;
		}
		if (w->kind == WORKER_INITIALIZER) {
			child[i] = STDERR_FILENO;
			continue;
		}
		r = make_pipe(ends, 0);
		if (r < 0)
			return r;
		child[i] = ends[1];
		ours[i] = ends[0];
	}
	return 0;
}

static void close_ends(struct worker *w, int fds[3])
{
	for (int i = 0; i < 3; i++)
		if (fds[i] > STDERR_FILENO && fds[i] != w->pool->null_fd)
			(void)close(fds[i]);
}

static void timer_fired(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct worker *w = timer->data;

	(void)loop;
	(void)events;
	if (w->verdict || w->protocol_error)
		worker_kill_now(w, w->verdict);
	else if (TAILQ_EMPTY(&w->tasks) || w->abandoned)
		worker_kill(w, 0);
	else
		worker_kill(w, TASK_TIMEOUT);
}

struct worker *worker_start(struct slot *slot, enum worker_kind kind, struct task *task, struct error *err)
{
	struct pool *pool = slot->pool;
	struct worker *w = calloc(1, sizeof *w);
	int child[3] = { -1, -1, -1 }, ours[3] = { -1, -1, -1 };
	int r;

	if (!w) {
		(void)error_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	w->pool = pool;
	w->slot = slot;
	w->number = slot->number;
	w->kind = kind;
	w->in = w->out.fd = w->err.fd = -1;
	TAILQ_INIT(&w->tasks);
	r = make_pipes(w, child, ours);
	if (r == 0)
		r = start_process(w, task, child);
	close_ends(w, child);
	if (r < 0) {
		close_ends(w, ours);
		free(w);
		(void)error_set(err, -r, "cannot start a worker: %s", errno_name(-r));
		return NULL;
	}
	w->born = ev_now(pool->loop);
	w->head_since = w->born;
	LIST_INSERT_HEAD(bucket(pool, w->pid), w, by_pid);
	pool->n_workers++;
	ev_timer_init(&w->timer, timer_fired, 0, 0);
	w->timer.data = w;
	if (kind == WORKER_STREAM) {
		stream_open(w, ours[0], ours[1]);
	} else if (kind == WORKER_TASK) {
		TAILQ_INSERT_TAIL(&w->tasks, task, link);
		w->n_tasks = 1;
		task->attempts++;
		exec_open(w, ours[1], ours[2]);
	}
	return w;
}

/* ---- end ---- */

void worker_abandon(struct worker *w)
{
	w->last = true;
	if (w->verdict || w->protocol_error || w->abandoned)
		return;
	w->abandoned = true;
	ev_timer_stop(w->pool->loop, &w->timer);
	ev_timer_set(&w->timer, grace, 0);
	ev_timer_start(w->pool->loop, &w->timer);
}

static void send_signal(struct worker *w, int number)
{
	/* Before its setsid() there is no such group yet. */
	if (kill(-w->pid, number) < 0)
		(void)kill(w->pid, number);
}

void worker_kill(struct worker *w, enum task_state verdict)
{
	if (w->verdict || w->protocol_error)
		return;
	w->verdict = verdict;
	w->protocol_error = !verdict;
	w->last = true;
	ev_timer_stop(w->pool->loop, &w->timer);
	if (w->pool->settings.stop_timeout <= 0) {
		worker_kill_now(w, verdict);
		return;
	}
	send_signal(w, w->pool->settings.stop_signal);
	(void)kill(-w->pid, SIGCONT);	/* a stopped one would not hear it */
	ev_timer_set(&w->timer, w->pool->settings.stop_timeout, 0);
	ev_timer_start(w->pool->loop, &w->timer);
}

/* Processes and their parents, as /proc had them in one walk. */
struct family {
	struct {
		pid_t pid, parent;
	} *list;
	size_t n, size;
};

static void family_see(pid_t pid, void *data)
{
	struct family *f = data;
	struct proc_stat stat;

	if (proc_stat_read(pid, &stat) < 0)
		return;
	if (f->n == f->size) {
		size_t size = f->size ? f->size * 2 : 256;
		void *list = realloc(f->list, size * sizeof *f->list);

		if (!list)
			return;
		f->list = list;
		f->size = size;
	}
	f->list[f->n].pid = pid;
	f->list[f->n++].parent = stat.ppid;
}

static void kill_descendants(const struct family *f, pid_t root, int depth)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->list[i].parent == root && f->list[i].pid != root) {
			if (depth < 64)
				kill_descendants(f, f->list[i].pid, depth + 1);
			(void)kill(f->list[i].pid, SIGKILL);
		}
}

/* What left W's session: its descendants, and orphans of its task that have become our children. */
static void kill_escaped(struct worker *w)
{
	struct family f = { 0 };
	const struct task *task = w->kind == WORKER_TASK ? TAILQ_FIRST(&w->tasks) : NULL;
	char mark[48];

	(void)proc_each(family_see, &f);
	kill_descendants(&f, w->pid, 0);
	if (task) {
		(void)snprintf(mark, sizeof mark, "REEVE_TASK=%llu", (unsigned long long)task->id);
		for (size_t i = 0; i < f.n; i++)
			if (f.list[i].parent == getpid() && !find(w->pool, f.list[i].pid) &&
			    proc_has_environment(f.list[i].pid, mark)) {
				kill_descendants(&f, f.list[i].pid, 0);
				(void)kill(f.list[i].pid, SIGKILL);
			}
	}
	free(f.list);
}

void worker_kill_now(struct worker *w, enum task_state verdict)
{
	if (!w->verdict)
		w->verdict = verdict;
	w->protocol_error = !w->verdict;
	w->last = true;
	w->forced = true;
	ev_timer_stop(w->pool->loop, &w->timer);
	kill_escaped(w);
	send_signal(w, SIGKILL);
}

static struct exit_status status_of(int status, const struct rusage *usage)
{
	struct exit_status s = WIFSIGNALED(status) ?
				       exit_status_from(WCOREDUMP(status) ? CLD_DUMPED : CLD_KILLED, WTERMSIG(status)) :
				       exit_status_from(CLD_EXITED, WEXITSTATUS(status));

	s.user_time = (double)usage->ru_utime.tv_sec + (double)usage->ru_utime.tv_usec / 1e6;
	s.system_time = (double)usage->ru_stime.tv_sec + (double)usage->ru_stime.tv_usec / 1e6;
	s.max_rss = (int32_t)usage->ru_maxrss;
	return s;
}

static void initializer_ended(struct worker *w, const struct exit_status *status)
{
	char text[96], why[160];
	bool good = !w->failure.stage && !status->signal && status->code == 0;

	(void)snprintf(why, sizeof why, "the initializer: %s", exit_status_text(status, text, sizeof text));
	if (w->failure.stage)
		(void)snprintf(why, sizeof why, "the initializer: %s: %s", spawn_stage_name((enum spawn_stage)w->failure.stage),
			       errno_name(w->failure.error));
	slot_worker_gone(w, good, good ? NULL : why);
}

static void worker_ended(struct worker *w, const struct exit_status *status)
{
	LIST_REMOVE(w, by_pid);
	w->pool->n_workers--;
	ev_timer_stop(w->pool->loop, &w->timer);
	switch (w->kind) {
	case WORKER_TASK:
		exec_ended(w, status);
		break;
	case WORKER_STREAM:
		stream_ended(w, status);
		break;
	case WORKER_INITIALIZER:
		initializer_ended(w, status);
		break;
	}
	worker_free(w);
}

void workers_reap(struct pool *pool)
{
	for (;;) {
		siginfo_t si = { 0 };
		struct rusage usage;
		struct worker *w;
		int status;

		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || si.si_pid == 0)
			return;
		w = find(pool, si.si_pid);
		if (w && !w->forced)
			(void)kill(-si.si_pid, SIGKILL);
		if (wait4(si.si_pid, &status, WNOHANG, &usage) <= 0)
			return;
		if (w) {
			struct exit_status s = status_of(status, &usage);

			worker_ended(w, &s);
		}
	}
}

static void kill_child_of_ours(pid_t pid, void *data)
{
	struct proc_stat stat;

	if (proc_stat_read(pid, &stat) == 0 && stat.ppid == *(pid_t *)data)
		(void)kill(pid, SIGKILL);
}

void workers_sweep(struct pool *pool)
{
	double deadline = clock_now() + sweep_time;
	pid_t self = getpid();

	(void)pool;
	/* Each round makes the children of those just killed ours. */
	while (clock_now() < deadline) {
		struct timespec pause = { .tv_nsec = 2000000 };
		siginfo_t si = { 0 };

		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0)
			return;
		(void)proc_each(kill_child_of_ours, &self);
		(void)nanosleep(&pause, NULL);
	}
}
