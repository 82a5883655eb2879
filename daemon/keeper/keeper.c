/*
 * See keeper.h. One poll loop over a signalfd and the supervisor's socket. Exits are peeked (WNOWAIT) and sent one at a time; the
 * zombie is the storage until the supervisor has noted it.
 */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "base/logline.h"
#include "handover.h"
#include "process/cgroup.h"
#include "manager.h"
#include "process/proc.h"
#include "store.h"
#include "wire/keeper.h"

static const double deadline_min = 5;	/* seconds of silence that are never judged */
static const double backoff_max = 30;	/* seconds between two successors that die at once */
static const double quick = 0.02;	/* seconds before the successor of one that had begun its work */
static const double long_life = 1;	/* seconds after which a death is no reason to wait at all */
static const double logger_deadline = 10;	/* seconds that the logger has to finish when all is over */
static const double trial_deadline = 15;	/* seconds until another executable must be ready, unless SUCCEED says so */
static const double probation = 3;	/* seconds that it must then stay alive */

struct keeper {
	const struct keeper_settings *settings;
	int signals;			/* signalfd */
	int state;			/* memfd */
	int executable;			/* of the supervisor */
	struct store store;

	/* an upgrade under way */
	int candidate;			/* the executable that is tried; -1: none */
	double patience;		/* seconds until it must be ready */
	bool on_trial;			/* it is the present supervisor */
	double trial_until;		/* when it must be ready; when it is, the end of its probation */
	char returned[KEEPER_TEXT_SIZE];	/* why the last one was given up; told to the next supervisor */

	/* the present supervisor */
	pid_t supervisor;		/* 0: none */
	int socket;			/* -1: none */
	bool begun;			/* it has had all descriptors */
	bool worked;			/* and has said that it is in charge */
	size_t next_stored;		/* to be sent to it */
	pid_t outstanding;		/* exit that it has not noted yet; 0: none */
	double started;
	double backoff, start_at;	/* when the next one may start */
	int number;			/* of supervisors so far */

	/* heartbeat */
	double ping_at;			/* next look */
	double pinged;			/* when the unanswered ping was sent; 0: none */
	double cpu_wait;		/* as of then */
	int lenient;			/* looks that were forgiven in a row */

	double watchdog;		/* seconds between keep-alives to the service manager; 0: none */
	double watchdog_at;

	/* the end */
	bool finishing;
	int exit_status;
	pid_t logger;			/* waited for at the end; 0: none */
	double finish_by;

	sigset_t pending;		/* signals that no supervisor has acted on yet */
	bool draining;			/* the last words of a dead supervisor are being read */
};

static void say(const struct keeper *k, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void say(const struct keeper *k, int level, const char *format, ...)
{
	int fd = store_get(&k->store, "log");
	va_list ap;

	va_start(ap, format);
	(void)logline_write(fd >= 0 ? fd : STDERR_FILENO, level, format, ap);
	va_end(ap);
}


/* ---- the supervisor's start and end ---- */

/* By descriptor: the file may have been replaced or removed since. Returns only if it fails. */
static void execute(int executable, char **argv)
{
	(void)syscall(SYS_execveat, executable, "", argv, environ, 0x1000 /* AT_EMPTY_PATH */);
}

static void supervisor_exec(const struct keeper *k, int socket)
{
	/* Out of the way of what is put at KEEPER_FD. */
	int executable = fcntl(k->candidate >= 0 ? k->candidate : k->executable, F_DUPFD_CLOEXEC, KEEPER_FD + 1);
	sigset_t none;

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setsid();
	if (dup2(socket, KEEPER_FD) < 0 || (socket == KEEPER_FD && fcntl(KEEPER_FD, F_SETFD, 0) < 0))
		_exit(127);
	execute(executable, k->settings->supervisor_argv);
	_exit(127);
}

static void say_hello(struct keeper *k)
{
	struct keeper_message m = { .type = KEEPER_HELLO, .number = k->number++, .uid = KEEPER_USUAL };

	if (k->on_trial)
		m.uid = KEEPER_TRIAL;
	else if (k->returned[0])
		m.uid = KEEPER_RETURNED;
	(void)snprintf(m.text, sizeof m.text, "%s", k->returned);
	k->returned[0] = '\0';
	if (keeper_send(k->socket, &m, k->state, MSG_DONTWAIT) < 0)
		(void)kill(k->supervisor, SIGKILL);
}

static void supervisor_start(struct keeper *k)
{
	int pair[2];
	pid_t pid;

	k->started = clock_now();
	k->backoff = k->backoff > 0 ? (k->backoff < backoff_max / 2 ? 2 * k->backoff : backoff_max) : 0.05;
	k->start_at = k->started + k->backoff;	/* should it not work */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		say(k, 50, "cannot start the supervisor: socketpair: %s; trying again", errno_name(errno));
		return;
	}
	pid = fork();
	if (pid == 0)
		supervisor_exec(k, pair[1]);
	(void)close(pair[1]);
	if (pid < 0) {
		say(k, 50, "cannot start the supervisor: fork: %s; trying again", errno_name(errno));
		(void)close(pair[0]);
		return;
	}
	k->supervisor = pid;
	k->socket = pair[0];
	k->begun = k->worked = false;
	k->next_stored = 0;
	k->outstanding = 0;
	k->pinged = 0;
	k->lenient = 0;
	k->ping_at = k->started + k->settings->heartbeat;
	k->on_trial = k->candidate >= 0;
	k->trial_until = k->started + k->patience;
	say_hello(k);
}

/* ---- another executable ---- */

/* It has failed: the next supervisor is of the executable before it. */
static void give_up_candidate(struct keeper *k, const char *why)
{
	say(k, 50, "the new executable %s; the one before it returns", why);
	(void)snprintf(k->returned, sizeof k->returned, "%s", why);
	(void)close(k->candidate);
	k->candidate = -1;
	k->on_trial = false;
}

static void keep_candidate(struct keeper *k)
{
	(void)close(k->executable);
	k->executable = k->candidate;
	k->candidate = -1;
	k->on_trial = false;
}

static struct handover handover_of(struct keeper *k)
{
	return (struct handover){
		.state = k->state, .socket = k->socket, .executable = k->executable, .supervisor = k->supervisor,
		.outstanding = k->outstanding, .number = k->number, .begun = k->begun, .worked = k->worked,
		.next_stored = (int)k->next_stored, .pending = k->pending, .store = &k->store,
	};
}

/*
 * Execute NEXT in our place. PREVIOUS is what it returns to if it cannot go on; -1: it is that already. If this returns nothing has
 * happened. Signals stay blocked and pending, zombies stay ours.
 */
static void become(struct handover *h, int fd, int next, int previous, char **argv)
{
	char role[64];
	char *old = argv[0];

	(void)snprintf(role, sizeof role, KEEPER_AGAIN "%d,%d", fd, previous);
	argv[0] = role;
	handover_inherit(h, true);
	(void)fcntl(fd, F_SETFD, 0);
	if (previous >= 0)
		(void)fcntl(previous, F_SETFD, 0);
	execute(next, argv);
	handover_inherit(h, false);
	argv[0] = old;
}

/* The supervisor of the new executable has proved itself: now it is our turn. */
static void succeed_ourselves(struct keeper *k)
{
	int previous = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	struct handover h;
	int fd;

	keep_candidate(k);
	h = handover_of(k);
	fd = previous < 0 ? -1 : handover_write(&h);
	if (fd >= 0)
		become(&h, fd, k->executable, previous, k->settings->supervisor_argv);
	say(k, 40, "the keeper goes on as it was: %s", errno_name(errno));
	closep(&fd);
	closep(&previous);
}

static void on_probation(struct keeper *k, double now)
{
	if (now < k->trial_until)
		return;
	if (k->worked) {
		succeed_ourselves(k);
		return;
	}
	give_up_candidate(k, "was not ready in time");
	(void)kill(k->supervisor, SIGKILL);
}

static void supervisor_ended(struct keeper *k, const struct exit_status *status)
{
	char text[64], why[100];

	if (k->socket >= 0)
		(void)close(k->socket);
	k->socket = -1;
	k->worked |= k->on_trial;
	exit_status_text(status, text, sizeof text);
	if (k->on_trial) {
		(void)snprintf(why, sizeof why, "ended: %s", text);
		give_up_candidate(k, why);
	} else if (k->candidate >= 0) {
		say(k, 30, "supervisor (pid %d) has made way for another executable", (int)k->supervisor);
	} else if (!k->finishing) {
		say(k, 50, "supervisor (pid %d) ended: %s; its programs run on; starting a successor", (int)k->supervisor, text);
	}
	if (k->worked)
		k->backoff = quick;
	k->start_at = clock_now() + (k->worked && clock_now() - k->started > long_life ? 0 : k->backoff);
	k->supervisor = 0;
	k->outstanding = 0;
}

/* ---- exits ---- */

/* libc's waitid has no rusage. */
static int peek(idtype_t type, pid_t pid, siginfo_t *info, struct rusage *usage)
{
	info->si_pid = 0;
	return (int)syscall(SYS_waitid, type, pid, info, WEXITED | WNOWAIT | WNOHANG, usage);
}

static struct exit_status status_of(const siginfo_t *info, const struct rusage *usage)
{
	struct exit_status s = exit_status_from(info->si_code, info->si_status);

	s.user_time = (double)usage->ru_utime.tv_sec + (double)usage->ru_utime.tv_usec / 1e6;
	s.system_time = (double)usage->ru_stime.tv_sec + (double)usage->ru_stime.tv_usec / 1e6;
	s.max_rss = (int32_t)usage->ru_maxrss;
	return s;
}

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static bool converse(struct keeper *k);

/*
 * The supervisor's own end is looked for by its pid: its zombie may lie behind one that nobody has noted. What it had sent is heard
 * first: its successor depends on the descriptors.
 */
static void look_for_supervisor(struct keeper *k)
{
	siginfo_t info;
	struct rusage usage;
	struct exit_status status;

	if (k->draining || !k->supervisor || peek(P_PID, k->supervisor, &info, &usage) < 0 || info.si_pid == 0)
		return;
	status = status_of(&info, &usage);
	k->draining = true;
	while (k->socket >= 0 && converse(k))
		;
	k->draining = false;
	reap(k->supervisor);
	supervisor_ended(k, &status);
}

static void look_for_exits(struct keeper *k)
{
	siginfo_t info;
	struct rusage usage;

	if (k->draining)
		return;			/* nobody is there to be told; the next one is */
	look_for_supervisor(k);
	while (k->begun && k->socket >= 0 && !k->outstanding) {
		struct keeper_message m = { .type = KEEPER_EXITED };

		if (peek(P_ALL, 0, &info, &usage) < 0 || info.si_pid == 0)
			return;
		if (info.si_pid == k->supervisor) {
			look_for_supervisor(k);
			continue;
		}
		m.pid = info.si_pid;
		m.exit = status_of(&info, &usage);
		if (keeper_send(k->socket, &m, -1, MSG_DONTWAIT) < 0)
			return;		/* it is gone or stuck; asked again for its successor */
		k->outstanding = info.si_pid;
	}
}

static void noted(struct keeper *k, pid_t pid)
{
	if (pid != k->outstanding)
		return;
	reap(pid);
	k->outstanding = 0;
	look_for_exits(k);
}

/* ---- the conversation ---- */

/* Pending until it is noted: a supervisor may die with it unread. */
static void forward_signal(struct keeper *k, int signal, pid_t pid, uid_t uid, bool again)
{
	struct keeper_message m = { .type = KEEPER_SIGNAL, .number = signal, .pid = pid, .uid = (int32_t)uid };

	if (again)
		(void)snprintf(m.text, sizeof m.text, "again");
	sigaddset(&k->pending, signal);
	if (k->begun && k->socket >= 0)
		(void)keeper_send(k->socket, &m, -1, MSG_DONTWAIT);
}

/* As much as the socket takes; the rest when it is writable again. */
static void send_stored(struct keeper *k)
{
	while (!k->begun) {
		struct keeper_message m = { .type = KEEPER_BEGIN };
		int fd = -1;

		if (k->next_stored < k->store.n) {
			m.type = KEEPER_STORED;
			memcpy(m.text, k->store.list[k->next_stored].name, KEEPER_NAME_SIZE);
			fd = k->store.list[k->next_stored].fd;
		}
		if (keeper_send(k->socket, &m, fd, MSG_DONTWAIT) < 0)
			return;
		if (fd >= 0)
			k->next_stored++;
		else
			k->begun = true;
	}
	for (int s = 1; s < NSIG; s++)
		if (sigismember(&k->pending, s) == 1)
			forward_signal(k, s, 0, 0, true);
	look_for_exits(k);
}

static void succeed(struct keeper *k, int executable, int seconds)
{
	if (k->on_trial)		/* one that is on probation has a successor already: it counts as proved */
		keep_candidate(k);
	closep(&k->candidate);
	k->candidate = executable;
	k->patience = seconds > 0 ? seconds : trial_deadline;
	k->worked = true;
	if (k->supervisor)
		(void)kill(k->supervisor, SIGKILL);
}

static void ready(struct keeper *k)
{
	if (k->on_trial && !k->worked)
		k->trial_until = clock_now() + probation;
	k->worked = true;
}

static void finish(struct keeper *k, int exit_status, pid_t logger)
{
	k->finishing = true;
	k->exit_status = exit_status;
	k->logger = logger;
	k->finish_by = clock_now() + logger_deadline;
	manager_forget(NULL);		/* an orderly end leaves nothing */
	store_close_all(&k->store);	/* the logger sees the end of its pipes */
}

static void handle(struct keeper *k, const struct keeper_message *m, int fd)
{
	k->pinged = 0;			/* any message is a sign of life */
	switch (m->type) {
	case KEEPER_NOTED:
		if (m->pid)
			noted(k, m->pid);
		else if (m->number > 0 && m->number < NSIG)
			sigdelset(&k->pending, m->number);
		break;
	case KEEPER_STORE:
		if (fd >= 0)
			manager_keep(m->text, fd);
		if (fd >= 0 && store_put(&k->store, m->text, fd) < 0)
			say(k, 40, "cannot keep descriptor %s: the table of %zu is full; raise the limit of open files", m->text,
			    k->store.size);
		return;			/* the store's now */
	case KEEPER_DROP:
		manager_forget(m->text);
		store_drop(&k->store, m->text);
		break;
	case KEEPER_NOTIFY:
		manager_notify(m->text);
		break;
	case KEEPER_SUCCEED:
		succeed(k, fd, m->number);
		return;			/* the trial's now */
	case KEEPER_FINISH:
		finish(k, m->number, m->pid);
		break;
	case KEEPER_PONG:
		ready(k);
		break;
	default:			/* whatever a newer supervisor may say */
		break;
	}
	if (fd >= 0)
		(void)close(fd);
}

/* True: there may be more to hear. */
static bool converse(struct keeper *k)
{
	for (int i = 0; i < 4096 && k->socket >= 0; i++) {
		struct keeper_message m;
		int fd;
		int r = keeper_receive(k->socket, &m, &fd, MSG_DONTWAIT);

		if (r == -EAGAIN)
			return false;
		if (r == 0) {		/* its end is closed; the exit follows, and should it not: */
			(void)close(k->socket);
			k->socket = -1;
			if (k->supervisor && !k->finishing)
				(void)kill(k->supervisor, SIGKILL);
			return false;
		}
		if (r > 0)
			handle(k, &m, fd);
	}
	return true;
}

static void take_signals(struct keeper *k)
{
	struct signalfd_siginfo info;

	while (read(k->signals, &info, sizeof info) == sizeof info)
		if (info.ssi_signo != SIGCHLD)
			forward_signal(k, (int)info.ssi_signo, (pid_t)info.ssi_pid, info.ssi_uid, false);
	if (!k->finishing)
		look_for_exits(k);
}

/* ---- the heartbeat ---- */

/*
 * Has the silent supervisor had a fair chance? Not while the machine itself stood still (our own timer was late), and not, once,
 * while it waited for a CPU; a debugger may hold it as long as it likes.
 */
static bool forgive(struct keeper *k, double now)
{
	struct proc_stat st;

	if (now - k->pinged < deadline_min)
		return true;
	if (now - k->ping_at > 1)
		return true;
	if (proc_stat_read(k->supervisor, &st) == 0 && st.state == 't')
		return true;
	return k->lenient++ == 0 && proc_cpu_wait(k->supervisor) - k->cpu_wait > (now - k->pinged) / 2;
}

static void beat(struct keeper *k, double now)
{
	if (k->on_trial && !k->worked) {
		/* has a deadline of its own */
	} else if (k->pinged > 0 && !forgive(k, now)) {
		say(k, 50, "supervisor (pid %d) has not answered for %.0f seconds; replacing it", (int)k->supervisor,
		    now - k->pinged);
		(void)kill(k->supervisor, SIGKILL);
		k->pinged = 0;
	} else if (k->pinged <= 0) {
		k->lenient = 0;
		k->cpu_wait = proc_cpu_wait(k->supervisor);
		(void)keeper_send(k->socket, &(struct keeper_message){ .type = KEEPER_PING }, -1, MSG_DONTWAIT);
		k->pinged = now;
	}
	k->ping_at = now + k->settings->heartbeat;
}

/* ---- the loop ---- */

static double min_positive(double a, double b)
{
	return a < b ? a : b;
}

/* What is due now; returns the seconds until something will be. Negative: nothing is planned. */
static double timers(struct keeper *k)
{
	double now = clock_now(), next = 1e9;

	if (k->finishing)
		return k->finish_by - now > 0 ? k->finish_by - now : 0;
	if (!k->supervisor && now >= k->start_at)
		supervisor_start(k);
	if (!k->supervisor)
		next = min_positive(next, k->start_at - now);
	if (k->supervisor && k->socket >= 0) {
		if (now >= k->ping_at)
			beat(k, now);
		next = min_positive(next, k->ping_at - now);
		if (k->on_trial)
			on_probation(k, now);
		if (k->on_trial)
			next = min_positive(next, k->trial_until - now);
	}
	if (k->watchdog > 0) {
		if (now >= k->watchdog_at) {
			manager_notify("WATCHDOG=1");
			k->watchdog_at = now + k->watchdog;
		}
		next = min_positive(next, k->watchdog_at - now);
	}
	return next < 1e9 ? next : -1;
}

/* At the end: reap all that comes, until supervisor and logger are gone. */
static bool finished(struct keeper *k)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		if (pid == k->supervisor)
			k->supervisor = 0;
		if (pid == k->logger)
			k->logger = 0;
	}
	if (pid < 0 && errno == ECHILD)
		return true;
	if (clock_now() >= k->finish_by) {
		if (k->supervisor)
			(void)kill(k->supervisor, SIGKILL);
		if (k->logger)
			(void)kill(k->logger, SIGKILL);
		return true;
	}
	return !k->supervisor && !k->logger;
}

static void keeper_loop(struct keeper *k)
{
	while (!k->finishing || !finished(k)) {
		struct pollfd fds[2] = { { .fd = k->signals, .events = POLLIN }, { .fd = -1 } };
		double wait = timers(k);

		if (k->socket >= 0)
			fds[1] = (struct pollfd){ .fd = k->socket, .events = (short)(POLLIN | (k->begun ? 0 : POLLOUT)) };
		if (poll(fds, 2, wait < 0 ? -1 : (int)(wait * 1000) + 1) <= 0)
			continue;
		if (fds[1].revents & (POLLIN | POLLHUP | POLLERR))
			(void)converse(k);
		if (fds[1].revents & POLLOUT && k->socket >= 0 && !k->finishing)
			send_stored(k);
		if (fds[0].revents)
			take_signals(k);
	}
}

/* Go on where the keeper before us in this process has stopped. */
static int take_over(struct keeper *k, int fd)
{
	struct handover h = { .store = &k->store };
	int r = handover_read(&h, fd);

	if (r < 0)
		return r;
	(void)close(fd);
	handover_inherit(&h, false);
	(void)close(k->executable);
	k->executable = h.executable;
	k->state = h.state;
	k->socket = h.socket;
	k->supervisor = h.supervisor;
	k->outstanding = h.outstanding;
	k->number = h.number;
	k->begun = h.begun;
	k->worked = h.worked;
	k->next_stored = (size_t)h.next_stored;
	k->pending = h.pending;
	k->backoff = quick;
	k->started = clock_now();
	k->ping_at = k->started + k->settings->heartbeat;
	say(k, 20, "the keeper goes on as %s", REEVE_VERSION);
	look_for_exits(k);
	return 0;
}

/* What was handed over to us still lies there. */
static void return_to_previous(const struct keeper_settings *settings)
{
	char role[64];

	(void)snprintf(role, sizeof role, KEEPER_AGAIN "%d,-1", settings->handover);
	settings->supervisor_argv[0] = role;
	execute(settings->previous, settings->supervisor_argv);
}

static void take_listener(const char *name, int fd, void *data)
{
	struct keeper *k = data;

	(void)store_put(&k->store, name, fd);
}

static int keeper_init(struct keeper *k)
{
	static const int signals[] = { SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR2 };
	struct rlimit files = { 1024, 1024 };
	sigset_t set;

	sigemptyset(&k->pending);
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaddset(&set, signals[i]);
	if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
		return -errno;
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	(void)prctl(PR_SET_NAME, "reeve-keeper");
	(void)getrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_cur > 1 << 20)
		files.rlim_cur = 1 << 20;
	k->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (k->signals < 0)
		return -errno;
	if (store_init(&k->store, files.rlim_cur) < 0)
		return -ENOMEM;
	if (k->settings->handover >= 0)
		return take_over(k, k->settings->handover);
	manager_listeners(take_listener, k);
	k->state = memfd_create("reeve-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return k->state < 0 ? -errno : 0;
}

int keeper_run(const struct keeper_settings *settings)
{
	struct keeper k = { .settings = settings, .executable = settings->executable, .socket = -1, .candidate = -1 };
	int r = keeper_init(&k);

	if (r < 0) {
		say(&k, 50, "cannot start: %s", errno_name(-r));
		if (settings->previous >= 0)
			return_to_previous(settings);
		return 1;
	}
	if (settings->previous >= 0)
		(void)close(settings->previous);
	k.watchdog = manager_watchdog();
	keeper_loop(&k);
	cgroup_leave();
	free(k.store.list);
	return k.exit_status;
}
