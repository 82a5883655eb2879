/* See reading.h. A child reads; what it has found comes in memory that both have open. */
#include "reading.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static const double patience = 2;	/* seconds */

enum { MAIN, ALL, N_PARTS };		/* the main file alone; with those that it includes */

struct shared {
	int part[N_PARTS];		/* memfds with the sources */
	int channel[2];			/* a pipe: "m", "a", or "e" and a text, each a write of its own */
};

/* ---- the child ---- */

static void say(const struct shared *s, char what, const char *text)
{
	char line[600];
	int n = snprintf(line, sizeof line, "%c%s", what, text);

	if (write(s->channel[1], line, (size_t)n) != n)
		_exit(1);
}

static int hand_on(const struct shared *s, int part, const struct sources *sources, struct error *err)
{
	if (sources_save(sources, s->part[part]) < 0)
		return error_set(err, EIO, "the configuration is too large");
	say(s, part == MAIN ? 'm' : 'a', "");
	return 0;
}

/* Without anything open that somebody could wait for the end of, when this one hangs. */
static void child(const struct shared *s, const char *path)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct sources *sources;
	struct error err;
	int r;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int fd = 0; fd < 3; fd++)
		(void)dup2(null, fd);
	r = sources_read_main(path, &sources, &err);
	if (r == 0)
		r = hand_on(s, MAIN, sources, &err);
	if (r == 0)
		r = sources_read_included(sources, path, &err);
	if (r == 0)
		r = hand_on(s, ALL, sources, &err);
	if (r < 0)
		say(s, 'e', err.text);
	_exit(0);
}

/* ---- ourselves ---- */

/* The part that is there; -errno with ERR. *RET_LATE: it is not all. */
static int listen_to(const struct shared *s, bool *ret_late, struct error *err)
{
	double until = clock_now() + patience;
	int part = -ETIMEDOUT;

	for (;;) {
		struct pollfd fd = { .fd = s->channel[0], .events = POLLIN };
		double left = until - clock_now();
		char text[601];
		ssize_t n;

		*ret_late = poll(&fd, 1, left > 0 ? (int)(left * 1000) + 1 : 0) <= 0;
		if (*ret_late && left > 0 && errno == EINTR)
			continue;
		if (*ret_late)
			return part;
		n = read(s->channel[0], text, sizeof text - 1);
		if (n <= 0)
			return part == -ETIMEDOUT ? error_set(err, EIO, "the configuration cannot be read") : part;
		text[n] = '\0';
		for (const char *c = text; *c; c++) {
			if (*c == 'e')
				return error_set(err, EINVAL, "%s", c + 1);
			part = *c == 'm' ? MAIN : ALL;
		}
		if (part == ALL)
			return part;
	}
}

static int share(struct shared *s)
{
	s->part[MAIN] = memfd_create("reevectl", MFD_CLOEXEC);
	s->part[ALL] = memfd_create("reevectl", MFD_CLOEXEC);
	return s->part[MAIN] < 0 || s->part[ALL] < 0 || pipe2(s->channel, O_CLOEXEC) < 0 ? -errno : 0;
}

static void unshare_all(struct shared *s)
{
	for (int i = 0; i < N_PARTS; i++) {
		closep(&s->part[i]);
		closep(&s->channel[i]);
	}
}

static int load(const struct shared *s, int part, const char *path, bool late, bool quiet, struct sources **ret, struct error *err)
{
	if (part == -ETIMEDOUT)
		return error_set(err, ETIMEDOUT, "could not read config file %s: its disk does not answer; name the daemon with -s", path);
	if (part < 0)
		return part;
	if (late && !quiet)
		(void)fprintf(stderr, "note: %s: the included files do not answer; going on without them\n", path);
	part = sources_load(s->part[part], ret, err);
	if (part == 0)
		sources_may_ask(*ret);
	return part;
}

int reading(const char *path, bool quiet, struct sources **ret, struct error *err)
{
	struct shared s = { { -1, -1 }, { -1, -1 } };
	pid_t pid = share(&s) < 0 ? -1 : fork();
	bool late = false;
	int r;

	if (pid == 0)
		child(&s, path);
	if (pid < 0) {
		unshare_all(&s);
		return sources_read(path, ret, err);
	}
	(void)close(s.channel[1]);
	s.channel[1] = -1;
	r = listen_to(&s, &late, err);
	r = load(&s, r, path, late, quiet, ret, err);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, late ? WNOHANG : 0);	/* one that hangs may do so for ever */
	unshare_all(&s);
	return r;
}
