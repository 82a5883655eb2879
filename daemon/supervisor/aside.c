/* See aside.h. Children are made by fork(2), not by spawn(): they run our code. The kernel reaps them (SIGCHLD is ignored). */
#include "aside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "wire/packet.h"

enum { OF_ONE_KIND = 6 };		/* children with the same job at the same time, those that hang included */

struct aside {
	struct aside *next;		/* supervisor::asides */
	struct supervisor *s;
	const struct aside_job *job;
	void *data;
	pid_t pid;
	int channel;
	ev_io reader;
	ev_timer limit;
	double deadline;
	char *doing;			/* a page that the child shares with us */
	bool waited_for;		/* in vain */
	bool given_up;			/* nobody hears of it any more; we only watch for its end */
};

struct message {
	int32_t number;
	char text[ASIDE_TEXT];		/* as much of it as there is */
};

static const double glance = 0.02;	/* seconds that a child is waited for while another one hangs */
static char *doing_page;		/* in the child */
enum { DOING_SIZE = 4096 };

/* ---- the child ---- */

void aside_tell(int channel, int number, const char *text, int fd)
{
	static struct message m;

	m.number = number;
	(void)snprintf(m.text, sizeof m.text, "%s", text);
	(void)packet_send(channel, &m, offsetof(struct message, text) + strlen(m.text) + 1, fd, 0);
}

void aside_doing(const char *what)
{
	if (doing_page)
		(void)snprintf(doing_page, DOING_SIZE, "%s", what);
}

/* An old kernel has no close_range(2). */
static void close_listed(int a, int b)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (fd > 2 && fd != a && fd != b && fd != dirfd(dir))
			(void)close(fd);
	}
	if (dir)
		(void)closedir(dir);
}

/* All but A and B: a lock, a socket or a pipe that stayed open here would look as if we lived on. */
static void close_others(int a, int b)
{
	int low = a < b ? a : b, high = a < b ? b : a;
	bool failed = false;

	if (low > 3)
		failed |= syscall(SYS_close_range, 3, low - 1, 0) < 0;
	if (low + 1 < high && low >= 3)
		failed |= syscall(SYS_close_range, low + 1, high - 1, 0) < 0;
	else if (low < 3 && high > 3)
		failed |= syscall(SYS_close_range, 3, high - 1, 0) < 0;
	failed |= syscall(SYS_close_range, high + 1, ~0U, 0) < 0;
	if (failed)
		close_listed(a, b);
}

static void child(const struct aside *a, int channel, int keep, pid_t parent)
{
	int null;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	(void)prctl(PR_SET_NAME, "reeve-aside");
	close_others(channel, keep);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd < 3 && null >= 0; fd++)
		(void)dup2(null, fd);
	doing_page = a->doing;
	a->job->work(a->data, channel, keep);
	_exit(0);
}

/* ---- ourselves ---- */

static void aside_free(struct aside *a)
{
	for (struct aside **at = &a->s->asides; *at; at = &(*at)->next)
		if (*at == a) {
			*at = a->next;
			break;
		}
	ev_io_stop(a->s->loop, &a->reader);
	ev_timer_stop(a->s->loop, &a->limit);
	closep(&a->channel);
	if (a->doing)
		(void)munmap(a->doing, DOING_SIZE);
	free(a);
}

static void end(struct aside *a, int error)
{
	if (!a->given_up)
		a->job->ended(a->data, error);
	a->given_up = true;
	if (error != -ETIMEDOUT) {
		aside_free(a);
		return;
	}
	/* It may be beyond signals until the disk is back. The end of the channel is its own. */
	(void)kill(a->pid, SIGKILL);
}

/* What it has told so far. True: it has ended, and A is gone. */
static bool take(struct aside *a)
{
	static struct message m;

	for (;;) {
		int fd;
		ssize_t n = packet_receive(a->channel, &m, sizeof m - 1, &fd, MSG_DONTWAIT);

		if (n == -EAGAIN)
			return false;
		if (n <= 0) {
			end(a, 0);
			return true;
		}
		((char *)&m)[n] = '\0';
		if (a->given_up || n <= (ssize_t)offsetof(struct message, text))
			closep(&fd);
		else
			a->job->told(a->data, m.number, m.text, fd);
	}
}

static void readable(struct ev_loop *loop, ev_io *w, int events)
{
	(void)loop;
	(void)events;
	(void)take(w->data);
}

static void overdue(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	if (!take(w->data))
		end(w->data, -ETIMEDOUT);
}

static size_t count(const struct supervisor *s, const struct aside_job *job)
{
	size_t n = 0;

	for (const struct aside *a = s->asides; a; a = a->next)
		n += a->job == job;
	return n;
}

static struct aside *aside_new(struct supervisor *s, const struct aside_job *job, void *data, int channel)
{
	struct aside *a = calloc(1, sizeof *a);

	if (!a)
		return NULL;
	*a = (struct aside){ .next = s->asides, .s = s, .job = job, .data = data, .channel = channel };
	s->asides = a;
	a->doing = mmap(NULL, DOING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (a->doing == MAP_FAILED)
		a->doing = NULL;
	ev_io_init(&a->reader, readable, channel, EV_READ);
	ev_timer_init(&a->limit, overdue, 0, 0);
	a->reader.data = a->limit.data = a;
	return a;
}

struct aside *aside_begin(struct supervisor *s, const struct aside_job *job, void *data, int keep, struct error *err)
{
	pid_t ourselves = getpid();
	struct aside *a;
	int pair[2];

	if (count(s, job) >= OF_ONE_KIND) {
		(void)error_set(err, EAGAIN, "too many earlier attempts still hang");
		return NULL;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		(void)error_set(err, errno, "cannot make a socket: %s", errno_name(errno));
		return NULL;
	}
	a = aside_new(s, job, data, pair[0]);
	if (!a) {
		(void)close(pair[0]);
		(void)close(pair[1]);
		(void)error_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	a->pid = fork();
	if (a->pid == 0)
		child(a, pair[1], keep, ourselves);
	(void)close(pair[1]);
	if (a->pid < 0) {
		(void)error_set(err, errno, "cannot fork: %s", errno_name(errno));
		aside_free(a);
		return NULL;
	}
	ev_io_start(s->loop, &a->reader);
	aside_hasten(a, job->patience);
	return a;
}

void aside_hasten(struct aside *a, double seconds)
{
	a->deadline = clock_now() + seconds;
	ev_timer_stop(a->s->loop, &a->limit);
	ev_now_update(a->s->loop);
	ev_timer_set(&a->limit, seconds, 0);
	ev_timer_start(a->s->loop, &a->limit);
}

const char *aside_at(const struct aside *a)
{
	return a->doing ? a->doing : "";
}

/* True: it has ended, and A is gone. */
static bool take_until(struct aside *a, double until)
{
	for (;;) {
		struct pollfd fd = { .fd = a->channel, .events = POLLIN };
		double left = until - clock_now();

		if (take(a))
			return true;
		if (left <= 0)
			return false;
		(void)poll(&fd, 1, (int)(left * 1000) + 1);
	}
}

bool aside_wait(struct aside *a, double seconds)
{
	for (const struct aside *other = a->s->asides; other; other = other->next)
		if (other->waited_for && seconds > glance)
			seconds = glance;
	if (take_until(a, a->waited_for ? 0 : clock_now() + seconds))
		return true;
	a->waited_for = true;
	return false;
}

void aside_finish(struct aside *a)
{
	/* What it tells may give it another deadline. */
	while (!take_until(a, clock_now() + 0.1 < a->deadline ? clock_now() + 0.1 : a->deadline))
		if (clock_now() >= a->deadline) {
			end(a, -ETIMEDOUT);
			return;
		}
}

void asides_free(struct supervisor *s)
{
	struct aside *a;

	while ((a = s->asides)) {
		(void)kill(a->pid, SIGKILL);
		end(a, -ECANCELED);
	}
}
