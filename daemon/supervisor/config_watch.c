/* See config_watch.h. */
#include "config_watch.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

#include "aside.h"
#include "control/control.h"
#include "generation.h"

static const double quiet = 1;	/* seconds without a change after which the files are read */
static const double later = 10;	/* seconds until files that did not answer are read again */

struct directory {
	int watch;			/* -1: not, or not yet */
	char *path;			/* owned */
};

struct watching;

struct config_watch {
	struct supervisor *s;
	int fd;
	ev_io reader;
	ev_timer timer;
	struct directory *directories;
	size_t n;
	struct watching *watching;	/* under way, or NULL */
	bool failing;			/* the files did not answer when last read */
};

/* ---- what is watched ---- */

static bool is_watched(const struct config_watch *w, const char *path)
{
	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->directories[i].path, path) == 0)
			return true;
	return false;
}

static const uint32_t events_of_interest = IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ONLYDIR;

/* Seeing to it that they are watched, aside: a directory may lie on a dead disk. */
struct watching {
	struct config_watch *watch;	/* NULL: nobody is interested any more */
	struct aside *aside;
};

/* In the child, which shares our inotify descriptor: what is watched by it is watched by us. */
static void watch_aside(void *data, int channel, int fd)
{
	const struct config_watch *w = ((struct watching *)data)->watch;

	for (size_t i = 0; i < w->n; i++) {
		int watch;

		aside_doing(w->directories[i].path);
		watch = inotify_add_watch(fd, w->directories[i].path, events_of_interest);
		aside_tell(channel, watch < 0 ? -errno : watch, w->directories[i].path, -1);
	}
}

static void directory_watched(void *data, int number, const char *path, int fd)
{
	struct config_watch *w = ((struct watching *)data)->watch;

	closep(&fd);
	if (w && number < 0)
		supervisor_log(w->s, LOGLEVEL_WARN, "autoupdate: cannot watch %s: %s", path, errno_name(-number));
	for (size_t i = 0; w && i < w->n; i++)
		if (strcmp(w->directories[i].path, path) == 0)
			w->directories[i].watch = number;
}

static void look_soon(struct config_watch *w)
{
	w->timer.repeat = quiet;
	ev_timer_again(w->s->loop, &w->timer);
}

static void all_watched(void *data, int error)
{
	struct watching *t = data;
	struct config_watch *w = t->watch;

	if (w && error == -ETIMEDOUT)
		supervisor_log(w->s, LOGLEVEL_WARN, "autoupdate: cannot watch %s: it does not answer", aside_at(t->aside));
	if (w) {
		w->watching = NULL;
		if (error != -ECANCELED)
			look_soon(w);	/* what has changed before we looked, for instance between two supervisors */
	}
	free(t);
}

static void watch_all(struct config_watch *w)
{
	static const struct aside_job job = { .work = watch_aside, .told = directory_watched, .ended = all_watched,
					      .patience = 10 /* seconds that all directories together have */ };
	struct watching *t = calloc(1, sizeof *t);
	struct error err = { .code = ENOMEM, .text = "out of memory" };

	if (t) {
		t->watch = w;
		t->aside = aside_begin(w->s, &job, t, w->fd, &err);
	}
	if (t && t->aside) {
		w->watching = t;
		return;
	}
	free(t);
	supervisor_log(w->s, LOGLEVEL_WARN, "autoupdate: cannot watch the files: %s", err.text);
	look_soon(w);
}

static void watch_directory(struct config_watch *w, const char *path)
{
	struct directory *grown;

	if (is_watched(w, path))
		return;
	grown = realloc(w->directories, (w->n + 1) * sizeof *grown);
	if (!grown)
		return;
	w->directories = grown;
	grown[w->n] = (struct directory){ -1, strdup(path) };
	w->n += grown[w->n].path != NULL;
}

/* The directory of PATH up to its first component with a wildcard. */
static void watch_directory_of(struct config_watch *w, const char *path)
{
	_cleanup_(freep) char *directory = strndup(path, strcspn(path, "*?["));
	char *slash = directory ? strrchr(directory, '/') : NULL;

	if (!slash)
		return;
	slash[slash == directory] = '\0';
	watch_directory(w, directory);
}

/* ---- what happens ---- */

/* A file of the configuration, one that a pattern would include, or something new that a link may lead to. */
static bool concerns(const struct config_watch *w, const struct inotify_event *e)
{
	const struct sources *sources = w->s->loaded->config->sources;
	const char *const *list[2];
	size_t n[2] = { sources_files(sources, &list[0]), sources_patterns(sources, &list[1]) };
	char path[4400];

	if (e->mask & (IN_MOVED_TO | IN_CREATE | IN_Q_OVERFLOW))
		return true;
	for (size_t i = 0; e->len && i < w->n; i++) {
		if (w->directories[i].watch != e->wd)
			continue;
		(void)snprintf(path, sizeof path, "%s/%s", w->directories[i].path, e->name);
		for (int kind = 0; kind < 2; kind++)
			for (size_t k = 0; k < n[kind]; k++)
				if (fnmatch(list[kind][k], path, FNM_PATHNAME) == 0 || strcmp(list[kind][k], path) == 0)
					return true;
	}
	return false;
}

static void readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct config_watch *w = watcher->data;
	char buffer[16 << 10] __attribute__((aligned(8)));
	bool changed = false;
	ssize_t n;

	(void)events;
	while ((n = read(w->fd, buffer, sizeof buffer)) > 0)
		for (char *at = buffer; at < buffer + n; at += sizeof(struct inotify_event) + ((struct inotify_event *)at)->len)
			changed |= concerns(w, (const struct inotify_event *)at);
	(void)loop;
	if (changed)
		look_soon(w);
}

static void be_quiet(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct config_watch *w = timer->data;

	(void)events;
	ev_timer_stop(loop, timer);
	if (!w->s->shutdown)
		control_update_if_changed(w->s);
}

/* ---- its life ---- */

static struct config_watch *watch_new(struct supervisor *s)
{
	struct config_watch *w = calloc(1, sizeof *w);

	if (!w)
		return NULL;
	w->s = s;
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0) {
		supervisor_log(s, LOGLEVEL_ERROR, "autoupdate: cannot watch files: %s", errno_name(errno));
		free(w);
		return NULL;
	}
	ev_io_init(&w->reader, readable, w->fd, EV_READ);
	ev_timer_init(&w->timer, be_quiet, 0, quiet);
	w->reader.data = w->timer.data = w;
	ev_io_start(s->loop, &w->reader);
	return w;
}

bool config_watch_failed(struct supervisor *s)
{
	struct config_watch *w = s->watch;
	bool first = w && !w->failing;

	if (!w)
		return true;
	w->failing = true;
	w->timer.repeat = later;
	ev_timer_again(s->loop, &w->timer);
	return first;
}

void config_watch_worked(struct supervisor *s)
{
	if (s->watch)
		s->watch->failing = false;
}

void config_watch_free(struct supervisor *s)
{
	struct config_watch *w = TAKE(s->watch);

	if (!w)
		return;
	ev_io_stop(s->loop, &w->reader);
	ev_timer_stop(s->loop, &w->timer);
	if (w->watching)
		w->watching->watch = NULL;
	for (size_t i = 0; i < w->n; i++)
		free(w->directories[i].path);
	free(w->directories);
	(void)close(w->fd);
	free(w);
}

/* Anew: what the old one had noticed and not told yet is seen by the look that comes at the end. */
void config_watch_update(struct supervisor *s)
{
	const struct config *c = s->loaded->config;
	const char *const *list;
	size_t n;

	config_watch_free(s);
	if (c->supervisord.autoupdate)
		s->watch = watch_new(s);
	if (!s->watch)
		return;
	n = sources_files(c->sources, &list);
	for (size_t i = 0; i < n; i++)
		watch_directory_of(s->watch, list[i]);
	n = sources_patterns(c->sources, &list);
	for (size_t i = 0; i < n; i++)
		watch_directory_of(s->watch, list[i]);
	watch_all(s->watch);
}
