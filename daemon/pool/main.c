/*
 * reeve-pool: one process pool. Started by reeved for each [pool:NAME], by `reevectl pool run` for one map, or by hand:
 * its settings are one JSON object, in a file or in the environment.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
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
	int fd;				/* a connected socket: one client, and the pool ends with it */
	const char *group;		/* gid of the socket, or NULL */
};

static const char usage[] =
	"usage: reeve-pool [--settings FILE] [--socket PATH | --fd N] [--socket-group GID] [--version]\n"
	"Runs one process pool. Without --settings the variable REEVE_POOL_SETTINGS holds the JSON.\n";

/* -1: go on; else the exit status. */
static int read_options(int argc, char **argv, struct options *o)
{
	static const struct option list[] = {
		{ "settings", required_argument, NULL, 's' }, { "socket", required_argument, NULL, 'S' },
		{ "fd", required_argument, NULL, 'f' },	      { "socket-group", required_argument, NULL, 'g' },
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
		case 'g':
			o->group = optarg;
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
	if (optind == argc && (o->socket || o->fd >= 0))
		return -1;
	(void)fputs(usage, stderr);
	return EXIT_USAGE;
}

static int load_settings(const struct options *o, struct settings *ret, struct error *err)
{
	const char *text = getenv("REEVE_POOL_SETTINGS");
	json_error_t where;
	json_t *json;
	int r;

	if (o->settings)
		json = json_load_file(o->settings, 0, &where);
	else if (text)
		json = json_loads(text, 0, &where);
	else
		return error_set(err, EINVAL, "there are no settings: give --settings or REEVE_POOL_SETTINGS");
	if (!json)
		return error_set(err, EINVAL, "%s:%d: %s", o->settings ? o->settings : "REEVE_POOL_SETTINGS", where.line, where.text);
	r = settings_read(json, ret, err);
	json_decref(json);
	return r;
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
	int listen_fd = -1, r;

	if (o->socket) {
		listen_fd = varlink_listen(o->socket, o->group ? 0660 : 0600, (uid_t)-1,
					   o->group ? (gid_t)strtoul(o->group, NULL, 10) : (gid_t)-1, err);
		if (listen_fd < 0)
			return listen_fd;
	} else {
		(void)fcntl(o->fd, F_SETFD, FD_CLOEXEC);
		(void)fcntl(o->fd, F_SETFL, O_NONBLOCK);
		pool->transient = true;
	}
	r = pool_init(pool, pool->loop, pool->settings.queue, err);
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
	struct options options = { .fd = -1 };
	struct pool pool = { .null_fd = -1 };
	struct error err = { 0 };
	int status = read_options(argc, argv, &options);

	if (status >= 0)
		return status;
	keep_standard_fds();
	pool.log_fd = open_log();
	if (load_settings(&options, &pool.settings, &err) < 0) {
		(void)fprintf(stderr, "reeve-pool: %s\n", err.text);
		return EXIT_SETTINGS;
	}
	pool.loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	if (!pool.loop)
		return 1;
	status = serve(&pool, &options, &err) < 0;
	if (status)
		pool_log(&pool, "%s", err.text);
	pool_fini(&pool);
	ev_loop_destroy(pool.loop);
	return status;
}
