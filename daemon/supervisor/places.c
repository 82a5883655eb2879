/* See places.h. */
#include "places.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "aside.h"
#include "http_socket.h"

enum { PATIENCE = 10 };			/* seconds */

/* ---- sockets ---- */

struct place {
	struct place *next;		/* supervisor::places */
	char name[KEEPER_NAME_SIZE];
	const struct server_conf *conf;	/* for the child alone */
	struct aside *aside;		/* NULL: what there is to know is known */
	int fd;				/* or -1 */
	struct error err;		/* why not; code 0: it is not known yet */
};

static void make_socket(void *data, int channel, int keep)
{
	const struct place *p = data;
	struct error err = { 0 };
	int fd = http_socket_make(p->conf, &err);

	(void)keep;
	aside_tell(channel, fd < 0 ? err.code : 0, fd < 0 ? err.text : "", fd);
}

static void socket_told(void *data, int number, const char *text, int fd)
{
	struct place *p = data;

	closep(&p->fd);
	p->fd = fd;
	/* Listening again makes us the ones whom clients see behind it. */
	if (fd >= 0 && listen(fd, 1024) < 0)
		(void)error_set(&p->err, errno, "%s", errno_name(errno));
	else
		(void)error_set(&p->err, number, "%s", text);
}

static void socket_ended(void *data, int error)
{
	struct place *p = data;

	if (p->fd < 0 && !p->err.code)
		(void)error_set(&p->err, EAGAIN, error == -ETIMEDOUT ? "its file system, or the name service, does not answer" : "it could not be made");
	p->aside = NULL;
}

static struct place *place_find(struct supervisor *s, const char *name)
{
	struct place *p = s->places;

	while (p && strcmp(p->name, name) != 0)
		p = p->next;
	return p;
}

static void place_free(struct supervisor *s, struct place *place)
{
	for (struct place **at = &s->places; *at; at = &(*at)->next)
		if (*at == place) {
			*at = place->next;
			break;
		}
	closep(&place->fd);
	free(place);
}

static struct place *place_new(struct supervisor *s, const char *name, const struct server_conf *conf, struct error *err)
{
	static const struct aside_job job = { .work = make_socket, .told = socket_told, .ended = socket_ended, .patience = PATIENCE };
	struct place *p = calloc(1, sizeof *p);

	if (!p) {
		(void)error_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	*p = (struct place){ .next = s->places, .conf = conf, .fd = -1 };
	(void)snprintf(p->name, sizeof p->name, "%s", name);
	s->places = p;
	p->aside = aside_begin(s, &job, p, -1, err);
	if (p->aside) {
		(void)aside_wait(p->aside, ASIDE_MOMENT);
		return p;
	}
	place_free(s, p);
	return NULL;
}

int place_socket(struct supervisor *s, const char *name, const struct server_conf *conf, struct error *err)
{
	struct place *p = place_find(s, name);
	int fd;

	if (!p)
		p = place_new(s, name, conf, err);
	if (!p)
		return -err->code;
	p->conf = NULL;
	if (p->aside)
		return error_set(err, EAGAIN, "it is not made yet: its file system, or the name service, does not answer");
	fd = p->fd;
	if (fd < 0)
		*err = p->err;
	p->fd = -1;
	place_free(s, p);
	return fd < 0 ? -err->code : fd;
}

void places_free(struct supervisor *s)
{
	while (s->places)
		place_free(s, s->places);
}

/* ---- other deeds ---- */

struct deed {
	struct supervisor *s;
	const struct server_conf *conf;	/* of the rest each kind uses its own, and only the child does */
	const char *path;
	bool regular;
	pid_t pid;
	uid_t uid;
	int fd;				/* what the child has opened, or -1 */
	struct error err;		/* what it says; code 0: all is well */
	bool forgotten;			/* by the one who began it: freed at its end, an error goes to the log */
};

static void deed_told(void *data, int number, const char *text, int fd)
{
	struct deed *d = data;

	closep(&d->fd);
	d->fd = fd;
	(void)error_set(&d->err, number, "%s", text);
}

static void deed_free(struct deed *d)
{
	closep(&d->fd);
	free(d);
}

static void deed_ended(void *data, int error)
{
	struct deed *d = data;

	if (error == -ETIMEDOUT && !d->err.code)
		(void)error_set(&d->err, ETIMEDOUT, "the file system does not answer");
	if (!d->forgotten)
		return;
	if (d->err.code)
		supervisor_log(d->s, LOGLEVEL_CRITICAL, "%s", d->err.text);
	deed_free(d);
}

/* Have JOB done with a copy of WHAT, and wait a moment. 0: it is done; -errno with ERR; -EAGAIN: not yet. *RET_FD, unless NULL: what it has opened. */
static int do_deed(const struct deed *what, const struct aside_job *job, int *ret_fd, struct error *err)
{
	struct deed *d = malloc(sizeof *d);
	struct aside *a;

	if (!d)
		return error_set(err, ENOMEM, "out of memory");
	*d = *what;
	d->fd = -1;
	a = aside_begin(d->s, job, d, -1, err);
	if (!a) {
		deed_free(d);
		return -err->code;
	}
	if (!aside_wait(a, ASIDE_MOMENT)) {
		d->forgotten = true;
		return error_set(err, EAGAIN, "its file system, or the name service, does not answer");
	}
	*err = d->err;
	if (ret_fd) {
		*ret_fd = d->fd;
		d->fd = -1;
	}
	deed_free(d);
	return -err->code;
}

static void give_socket(void *data, int channel, int keep)
{
	const struct deed *d = data;
	struct error err;

	(void)keep;
	if (http_socket_give(d->conf, &err) < 0)
		aside_tell(channel, err.code, err.text, -1);
}

int place_give_socket(struct supervisor *s, const struct server_conf *conf, struct error *err)
{
	static const struct aside_job job = { .work = give_socket, .told = deed_told, .ended = deed_ended, .patience = PATIENCE };

	return do_deed(&(struct deed){ .s = s, .conf = conf }, &job, NULL, err);
}

/* A file with one name, empty now, or a device (/dev/null): what else lies there is a mistake, or a trap. */
static int open_pidfile(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0644);
	struct stat st;
	int r;

	if (fd < 0)
		return -errno;
	r = fstat(fd, &st) < 0 ? -errno : S_ISCHR(st.st_mode) ? 0 : !S_ISREG(st.st_mode) ? -EINVAL : st.st_nlink != 1 ? -EMLINK : 0;
	if (r == 0 && S_ISREG(st.st_mode) && ftruncate(fd, 0) < 0)
		r = -errno;
	if (r < 0)
		closep(&fd);
	return r < 0 ? r : fd;
}

static void write_pid(void *data, int channel, int keep)
{
	const struct deed *d = data;
	char text[16], line[600];
	int fd = open_pidfile(d->path);
	int n = snprintf(text, sizeof text, "%d\n", (int)d->pid);
	int error = fd < 0 ? -fd : write(fd, text, (size_t)n) != n ? errno : 0;

	(void)keep;
	(void)snprintf(line, sizeof line, "could not write pidfile %.500s: %s", d->path, errno_name(error));
	if (error)
		aside_tell(channel, error, line, -1);
	closep(&fd);
}

void place_write_pid(struct supervisor *s, const char *path, pid_t pid)
{
	static const struct aside_job job = { .work = write_pid, .told = deed_told, .ended = deed_ended, .patience = PATIENCE };
	struct error err;
	int r = path ? do_deed(&(struct deed){ .s = s, .path = path, .pid = pid }, &job, NULL, &err) : 0;

	if (r < 0)
		supervisor_log(s, LOGLEVEL_CRITICAL, "%s%s%s", r == -EAGAIN ? path : "", r == -EAGAIN ? ": " : "", err.text);
}

static void remove_file(void *data, int channel, int keep)
{
	const struct deed *d = data;
	struct stat st;

	(void)channel;
	(void)keep;
	if (!d->regular || (lstat(d->path, &st) == 0 && S_ISREG(st.st_mode)))
		(void)unlink(d->path);
}

void place_remove(struct supervisor *s, const char *path, bool regular)
{
	static const struct aside_job job = { .work = remove_file, .told = deed_told, .ended = deed_ended, .patience = PATIENCE };
	struct error err;

	if (path && do_deed(&(struct deed){ .s = s, .path = path, .regular = regular }, &job, NULL, &err) < 0)
		supervisor_log(s, LOGLEVEL_WARN, "cannot remove %s: %s", path, err.text);
}

/* Others than root and ourselves may only name what root or we have put there. */
static int open_checked(const char *path, uid_t peer, struct error *err)
{
	struct stat st;
	int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return error_set(err, errno, "%s: %s", path, errno_name(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !(st.st_mode & 0111)) {
		(void)close(fd);
		return error_set(err, EACCES, "%s is not an executable file", path);
	}
	if (peer != 0 && peer != geteuid() && ((st.st_uid != 0 && st.st_uid != geteuid()) || st.st_mode & 022)) {
		(void)close(fd);
		return error_set(err, EPERM, "%s does not belong to root or the daemon's user, or others may write it", path);
	}
	return fd;
}

static void open_executable(void *data, int channel, int keep)
{
	const struct deed *d = data;
	struct error err = { 0 };
	int fd = open_checked(d->path, d->uid, &err);

	(void)keep;
	aside_tell(channel, err.code, err.text, fd);
}

int place_open_executable(struct supervisor *s, const char *path, uid_t uid, struct error *err)
{
	static const struct aside_job job = { .work = open_executable, .told = deed_told, .ended = deed_ended, .patience = PATIENCE };
	int fd, r = do_deed(&(struct deed){ .s = s, .path = path, .uid = uid }, &job, &fd, err);

	if (r == -EAGAIN)
		return error_set(err, EAGAIN, "%s: its file system does not answer", path);
	if (r == 0 && fd < 0)
		return error_set(err, EIO, "%s cannot be opened", path);
	return r < 0 ? r : fd;
}
