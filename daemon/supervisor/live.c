/* See live.h. Most keys are read from the loaded configuration whenever they are needed; here are those that somebody must be told of. */
#include "live.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "conf/plan.h"
#include "control/control.h"
#include "logger_link.h"
#include "places.h"
#include "varlink/varlink.h"

void live_write_pidfile(struct supervisor *s)
{
	place_write_pid(s, s->loaded->config->supervisord.pidfile, s->keeper_pid);
}

void live_remove_pidfile(struct supervisor *s)
{
	place_remove(s, s->loaded->config->supervisord.pidfile, true);
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
			place_remove(s, old->supervisord.pidfile, false);
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
