/* See live.h. Most keys are read from the loaded configuration whenever they are needed; here are those that somebody must be told of. */
#include "live.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "conf/plan.h"
#include "control/control.h"
#include "logger_link.h"
#include "varlink/varlink.h"

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

void live_write_pidfile(struct supervisor *s)
{
	const char *path = s->loaded->config->supervisord.pidfile;
	char text[16];
	int fd = path ? open_pidfile(path) : -1;
	int n = snprintf(text, sizeof text, "%d\n", (int)s->keeper_pid);
	int error = fd < 0 ? -fd : write(fd, text, (size_t)n) != n ? errno : 0;

	if (path && error)
		supervisor_log(s, LOGLEVEL_CRITICAL, "could not write pidfile %s: %s", path, errno_name(error));
	closep(&fd);
}

void live_remove_pidfile(struct supervisor *s)
{
	const char *path = s->loaded->config->supervisord.pidfile;
	struct stat st;

	if (path && lstat(path, &st) == 0 && S_ISREG(st.st_mode))
		(void)unlink(path);
}

/* The sockets and their directory follow control_group. */
static void open_to_group(struct supervisor *s)
{
	static const char *const names[] = { "control.sock", "log.sock" };
	gid_t group = control_socket_group(s);
	mode_t mode = control_socket_mode(s);
	int error = chmod(s->rundir, group == (gid_t)-1 ? 0700 : 0711) < 0 ? errno : 0;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char path[4200];
		int r;

		(void)snprintf(path, sizeof path, "%s/%s", s->rundir, names[i]);
		r = varlink_socket_give(path, mode, (uid_t)-1, group);
		error = r < 0 ? -r : error;
	}
	if (error)
		supervisor_log(s, LOGLEVEL_ERROR, "the sockets in %s cannot be given to control_group: %s", s->rundir, errno_name(error));
}

/* Keys that the logger is told of, with the logs that they are about. */
static bool is_of_logger(const char *key)
{
	static const char *const keys[] = { "logfile", "logfile_maxbytes", "logfile_backups", "loglevel", "nodaemon", "silent", "strip_ansi", "identifier",
					    "childlogdir", "control_group", "control_access" };

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (strcmp(keys[i], key) == 0)
			return true;
	return false;
}

static bool is_key(const struct plan_key *k, const char *name)
{
	return k->key && strcmp(k->section, "supervisord") == 0 && strcmp(k->key, name) == 0;
}

void live_apply(struct supervisor *s, const struct config *old)
{
	bool announce = false;
	size_t n;
	struct plan_key *keys = plan_daemon(old, s->loaded->config, &n);

	s->loglevel = s->loaded->config->supervisord.loglevel;
	for (size_t i = 0; i < n; i++) {
		const struct plan_key *k = &keys[i];

		announce |= k->key && is_of_logger(k->key) && strcmp(k->section, "supervisord") == 0;
		if (is_key(k, "pidfile")) {
			(void)unlink(old->supervisord.pidfile);
			live_write_pidfile(s);
		}
		if (is_key(k, "control_group"))
			open_to_group(s);
		if (k->change == CHANGE_DAEMON)
			supervisor_log(s, LOGLEVEL_WARN, "[%s]%s%s changed: takes effect when the daemon is restarted", k->section,
				       k->key ? " " : "", k->key ? k->key : "");
	}
	if (announce && s->logger)
		logger_link_announce(s->logger);
	free(keys);
}
