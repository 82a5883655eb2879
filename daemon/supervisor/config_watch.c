/* See config_watch.h. */
#include "config_watch.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

#include "control/control.h"
#include "generation.h"

static const double quiet = 1;	/* seconds without a change after which the files are read */

struct directory {
	int watch;
	char *path;			/* owned */
};

struct config_watch {
	struct supervisor *s;
	int fd;
	ev_io reader;
	ev_timer timer;
	struct directory *directories;
	size_t n;
};

/* ---- what is watched ---- */

static bool is_watched(const struct config_watch *w, const char *path)
{
	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->directories[i].path, path) == 0)
			return true;
	return false;
}

static void watch_directory(struct config_watch *w, const char *path)
{
	static const uint32_t mask = IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ONLYDIR;
	struct directory *grown;
	int watch;

	if (is_watched(w, path))
		return;
	watch = inotify_add_watch(w->fd, path, mask);
	if (watch < 0) {
		supervisor_log(w->s, LOGLEVEL_WARN, "autoupdate: cannot watch %s: %s", path, errno_name(errno));
		return;
	}
	grown = realloc(w->directories, (w->n + 1) * sizeof *grown);
	if (!grown)
		return;
	w->directories = grown;
	grown[w->n] = (struct directory){ watch, strdup(path) };
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
	if (changed) {
		w->timer.repeat = quiet;
		ev_timer_again(loop, &w->timer);
	}
}

static void be_quiet(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct config_watch *w = timer->data;
	struct supervisor *s = w->s;
	struct sources *now;
	struct error err;
	bool same;

	(void)events;
	ev_timer_stop(loop, timer);
	if (s->shutdown)
		return;
	if (sources_read(s->config_path, &now, &err) < 0) {
		supervisor_log(s, LOGLEVEL_WARN, "autoupdate: %s: the configuration stays as it is", err.text);
		return;
	}
	same = sources_equal(now, s->loaded->config->sources);
	sources_free(now);
	if (same)
		return;
	supervisor_log(s, LOGLEVEL_INFO, "autoupdate: applying the configuration on disk");
	control_update(s);
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

static void forget_directories(struct config_watch *w)
{
	for (size_t i = 0; i < w->n; i++) {
		(void)inotify_rm_watch(w->fd, w->directories[i].watch);
		free(w->directories[i].path);
	}
	free(TAKE(w->directories));
	w->n = 0;
}

void config_watch_update(struct supervisor *s)
{
	const struct config *c = s->loaded->config;
	const char *const *list;
	size_t n;

	if (!c->supervisord.autoupdate) {
		config_watch_free(s);
		return;
	}
	if (!s->watch)
		s->watch = watch_new(s);
	if (!s->watch)
		return;
	forget_directories(s->watch);
	n = sources_files(c->sources, &list);
	for (size_t i = 0; i < n; i++)
		watch_directory_of(s->watch, list[i]);
	n = sources_patterns(c->sources, &list);
	for (size_t i = 0; i < n; i++)
		watch_directory_of(s->watch, list[i]);
	/* What has changed before we looked, for instance between two supervisors. */
	ev_timer_again(s->loop, &s->watch->timer);
}

void config_watch_free(struct supervisor *s)
{
	struct config_watch *w = TAKE(s->watch);

	if (!w)
		return;
	ev_io_stop(s->loop, &w->reader);
	ev_timer_stop(s->loop, &w->timer);
	forget_directories(w);
	(void)close(w->fd);
	free(w);
}
