/* See pipes.h. */
#include "pipes.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include "logger_link.h"
#include "wire/keeper.h"

/* Descriptors that no program gets: for clients, and for our successor, who needs as many as we have and a few more to begin with. */
enum { RESERVE = 24 };

static const char *const prefixes[3] = { "in", "out", "err" };

int pipe_reopen(int fd, int flags)
{
	char path[40];
	int again;

	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	again = open(path, flags | O_CLOEXEC);
	return again < 0 ? -errno : again;
}

int pipe_new(void)
{
	int ends[2], both;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	both = pipe_reopen(ends[0], O_RDWR);
	(void)close(ends[0]);
	(void)close(ends[1]);
	return both;
}

static void stored_name(const struct process *p, int which, char name[KEEPER_NAME_SIZE])
{
	(void)snprintf(name, KEEPER_NAME_SIZE, "%s/%u", prefixes[which],
		       (unsigned)state_record_index(&p->supervisor->state, p->record) % STATE_RECORDS);
}

static int *slot_of(struct process *p, int which)
{
	return which == 0 ? &p->in : &p->out[which - 1];
}

static bool needed(const struct process *p, int which)
{
	return which == 0 ? !p->conf->socket : which == 1 || !p->conf->redirect_stderr;
}

/* Of the stdin pipe we keep both ends (we write, each run gets it to read), of the others the write end. */
static int take_end(struct process *p, int which, int both)
{
	int end = which == 0 ? fcntl(both, F_DUPFD_CLOEXEC, 3) : pipe_reopen(both, O_WRONLY);

	if (end < 0)
		return end == -1 ? -errno : end;
	*slot_of(p, which) = end;
	return 0;
}

static bool into_reserve(int fd)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) == 0 && (rlim_t)fd + RESERVE >= limit.rlim_cur;
}

static int make_one(struct process *p, int which)
{
	char name[KEEPER_NAME_SIZE];
	int both = pipe_new(), r;

	if (both < 0)
		return both;
	r = into_reserve(both) ? -EMFILE : take_end(p, which, both);
	if (r == 0) {
		stored_name(p, which, name);
		supervisor_tell(p->supervisor, KEEPER_STORE, 0, 0, name, both);
	}
	(void)close(both);
	return r;
}

/* A thousand programs have two thousand pipes: each is opened anew when it is first needed so, not while everybody waits for a successor. */
static int take_ends(struct process *p)
{
	for (int which = 0; which < 3; which++)
		if (p->adopted & 1U << which) {
			int both = *slot_of(p, which);
			int r = take_end(p, which, both);

			if (r < 0)
				return r;
			(void)close(both);
			p->adopted &= ~(1U << which);
		}
	return 0;
}

int pipes_make(struct process *p)
{
	int taken = take_ends(p);

	if (taken < 0)
		return taken;
	for (int which = 0; which < 3; which++)
		if (needed(p, which) && *slot_of(p, which) < 0) {
			int r = make_one(p, which);

			if (r < 0)
				return r;
			p->piped = false;
		}
	if (!p->piped) {
		p->piped = true;
		logger_link_stream(p->supervisor->logger, p);
	}
	return 0;
}

int pipes_adopt(struct process *p, const char *name, int fd)
{
	for (int which = 0; which < 3; which++) {
		char mine[KEEPER_NAME_SIZE];

		stored_name(p, which, mine);
		if (strcmp(name, mine) != 0)
			continue;
		*slot_of(p, which) = fd;
		p->adopted |= which == 0 ? 0 : 1U << which;
		p->piped = true;
		return 1;
	}
	return 0;
}

void pipes_forget_input(struct process *p)
{
	char waste[4096];
	int unread = 0, fd;

	if (p->in < 0 || ioctl(p->in, FIONREAD, &unread) < 0 || !unread)
		return;
	fd = pipe_reopen(p->in, O_RDONLY | O_NONBLOCK);
	while (fd >= 0 && read(fd, waste, sizeof waste) > 0)
		continue;
	closep(&fd);
}

void pipes_close(struct process *p)
{
	for (int which = 0; which < 3; which++) {
		closep(slot_of(p, which));
		*slot_of(p, which) = -1;
	}
}

void pipes_drop(struct process *p)
{
	char name[KEEPER_NAME_SIZE];

	for (int which = 0; which < 3; which++)
		if (*slot_of(p, which) >= 0) {
			stored_name(p, which, name);
			supervisor_tell(p->supervisor, KEEPER_DROP, 0, 0, name, -1);
		}
}

int pipes_write(int fd, const char *data, size_t length)
{
	int unread = 0;
	long size = fcntl(fd, F_GETPIPE_SZ);

	/* Only what surely fits: the end we hold may be a blocking one, shared with a program. */
	if (size < 0 || ioctl(fd, FIONREAD, &unread) < 0)
		return -errno;
	if ((long)length + unread + 4096 > size)
		return -EAGAIN;
	return write(fd, data, length) == (ssize_t)length ? 0 : -EPIPE;
}
