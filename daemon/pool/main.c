/*
 * reeve-pool: one process pool. Started by reeved for each [pool:NAME], by `reevectl pool run` for one map, or by hand:
 * its settings are one JSON object, in a file or in the environment. SIGURG says that the file has changed: of all signals, because it
 * does nothing to a process that does not listen to it yet.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "control.h"
#include "pool.h"
#include "slots.h"
#include "varlink/varlink.h"

enum { EXIT_USAGE = 2, EXIT_SETTINGS = 78 };

struct options {
	const char *settings;		/* path, or NULL: environment */
	const char *socket;
	int listen_fd;			/* a listening socket; -1: none given */
	int fd;				/* a connected socket: one client, and the pool ends with it */
};

/* What the settings were, to see what is new in them. */
struct reload {
	ev_signal watcher;
	struct pool *pool;
	const char *path;
	json_t *told;			/* owned */
};

static const char usage[] =
	"usage: reeve-pool [--settings FILE] {--socket PATH | --listen FD | --fd FD} [--version]\n"
	"Runs one process pool. Without --settings the variable REEVE_POOL_SETTINGS holds the JSON.\n";

/* -1: go on; else the exit status. */
static int read_options(int argc, char **argv, struct options *o)
{
	static const struct option list[] = {
		{ "settings", required_argument, NULL, 's' }, { "socket", required_argument, NULL, 'S' },
		{ "fd", required_argument, NULL, 'f' },	      { "listen", required_argument, NULL, 'l' },
		{ "version", no_argument, NULL, 'v' },	      { "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", list, NULL)) != -1) {
		switch (option) {
		case 's':
			o->settings = optarg;
			break;
		case 'S':
			o->socket = optarg;
			break;
		case 'f':
			o->fd = atoi(optarg);
			break;
		case 'l':
			o->listen_fd = atoi(optarg);
			break;
		case 'v':
			(void)printf("reeve-pool %s\n", REEVE_VERSION);
			return 0;
		case 'h':
			(void)fputs(usage, stdout);
			return 0;
		default:
			(void)fputs(usage, stderr);
			return EXIT_USAGE;
		}
	}
	if (optind == argc && (o->socket != NULL) + (o->listen_fd >= 0) + (o->fd >= 0) == 1)
		return -1;
	(void)fputs(usage, stderr);
	return EXIT_USAGE;
}

/* The caller's, or NULL with ERR. */
static json_t *load_settings(const char *path, struct error *err)
{
	const char *text = path ? NULL : getenv("REEVE_POOL_SETTINGS");
	json_error_t where;
	json_t *json;

	if (!path && !text) {
		(void)error_set(err, EINVAL, "there are no settings: give --settings or REEVE_POOL_SETTINGS");
		return NULL;
	}
	json = path ? json_load_file(path, 0, &where) : json_loads(text, 0, &where);
	if (!json)
		(void)error_set(err, EINVAL, "%s:%d: %s", path ? path : "REEVE_POOL_SETTINGS", where.line,
				where.text[0] ? where.text : "out of memory");
	return json;
}

static void settings_changed(struct ev_loop *loop, ev_signal *watcher, int events)
{
	struct reload *reload = watcher->data;
	struct error err = { 0 };
	json_t *now = reload->path ? load_settings(reload->path, &err) : NULL;

	(void)loop;
	(void)events;
	if (now && settings_update(&reload->pool->settings, reload->told, now, &err) == 0) {
		json_decref(reload->told);
		reload->told = TAKE(now);
		slots_adjust(reload->pool);
		pool_wake(reload->pool);
	}
	if (err.code)
		pool_log(reload->pool, "the new settings are not used: %s", err.text);
	json_decref(now);
}

/* Our own lines must not wait for a full pipe, while workers shall keep theirs as it is: a description of our own. */
static int open_log(void)
{
	int fd = open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

	return fd >= 0 ? fd : STDERR_FILENO;
}

/* Descriptors 0 to 2 exist, so that no pipe gets their numbers. */
static void keep_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= 2);
	if (fd > 2)
		(void)close(fd);
}

static int serve(struct pool *pool, const struct options *o, struct error *err)
{
	int given = o->listen_fd >= 0 ? o->listen_fd : o->fd, listen_fd = o->listen_fd, r;

	if (o->socket) {
		listen_fd = varlink_listen(o->socket, 0600, (uid_t)-1, (gid_t)-1, err);
		if (listen_fd < 0)
			return listen_fd;
	} else if (fcntl(given, F_SETFD, FD_CLOEXEC) < 0 || fcntl(given, F_SETFL, O_NONBLOCK) < 0) {
		return error_set(err, errno, "descriptor %d: %s", given, errno_name(errno));
	}
	pool->transient = o->fd >= 0;
	r = pool_init(pool, pool->loop, pool->settings.pool.queue, err);
	if (r == 0)
		r = control_open(pool, listen_fd, o->fd, &pool->control, err);
	if (r < 0)
		return r;
	slots_adjust(pool);
	ev_run(pool->loop, 0);
	if (o->socket)
		(void)unlink(o->socket);
	return 0;
}

int main(int argc, char **argv)
{
	struct options options = { .listen_fd = -1, .fd = -1 };
	struct pool pool = { .null_fd = -1 };
	struct reload reload = { .pool = &pool };
	struct error err = { 0 };
	int status = read_options(argc, argv, &options);

	if (status >= 0)
		return status;
	keep_standard_fds();
	pool.log_fd = open_log();
	pool.loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	if (!pool.loop)
		return 1;
	/* Before the file is read: no change of it is missed. */
	ev_signal_init(&reload.watcher, settings_changed, SIGURG);
	reload.watcher.data = &reload;
	ev_signal_start(pool.loop, &reload.watcher);
	reload.path = options.settings;
	reload.told = load_settings(options.settings, &err);
	if (!reload.told || settings_read(reload.told, &pool.settings, &err) < 0) {
		(void)fprintf(stderr, "reeve-pool: %s\n", err.text);
		return EXIT_SETTINGS;
	}
	status = serve(&pool, &options, &err) < 0;
	if (status)
		pool_log(&pool, "%s", err.text);
	pool_fini(&pool);
	json_decref(reload.told);
	ev_signal_stop(pool.loop, &reload.watcher);
	ev_loop_destroy(pool.loop);
	return status;
}
