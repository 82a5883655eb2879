/* See pool_process.h. */
#include "pool_process.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "conf/dump.h"
#include "conf/keys.h"
#include "control/control.h"
#include "generation.h"
#include "varlink/address.h"
#include "varlink/varlink.h"

static int pool_path(const struct process *p, const char *suffix, char path[4200])
{
	int n = snprintf(path, 4200, "%s/pool/%s.%s", p->supervisor->rundir, p->conf->name, suffix);

	return n < 4200 ? 0 : -ENAMETOOLONG;
}

/* As reeve-pool reads it (daemon/pool/settings.h). */
static json_t *settings_json(const struct process *p)
{
	const struct process_conf *c = p->conf;
	const struct supervisord_conf *daemon = &p->supervisor->loaded->config->supervisord;
	char **words = command_split(c->command, NULL);
	json_t *j = json_object(), *argv = json_array();

	for (char **w = words; w && *w; w++)
		(void)json_array_append_new(argv, json_string(*w));
	strv_free(words);
	dump_table(j, pool_keys, c->pool);
	(void)json_object_set_new(j, "name", json_string(c->name));
	(void)json_object_set_new(j, "argv", argv);
	(void)json_object_set_new(j, "stopsignal", json_integer(c->stopsignal));
	(void)json_object_set_new(j, "stopwaitsecs", json_integer(c->stopwaitsecs > 0 ? c->stopwaitsecs : 0));
	(void)json_object_set_new(j, "startsecs", json_integer(c->startsecs > 0 ? c->startsecs : 0));
	(void)json_object_set_new(j, "startretries", json_integer(c->startretries > 0 ? c->startretries : 0));
	(void)json_object_set_new(j, "access", json_string(daemon->control_access));
	(void)json_object_set_new(j, "access_group", json_integer(control_socket_group(p->supervisor) == (gid_t)-1 ?
									  -1 :
									  (json_int_t)control_socket_group(p->supervisor)));
	return j;
}

/* The file with the present settings, open for reading; the same file at every time, because a running pool has it open. -errno. */
static int write_settings(const struct process *p)
{
	_cleanup_(closep) int fd = -1;
	char path[4200];
	json_t *json;
	int r = pool_path(p, "json", path);

	if (r < 0)
		return r;
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	json = settings_json(p);
	if (ftruncate(fd, 0) < 0)
		r = -errno;
	else if (!json || json_dumpfd(json, fd, JSON_INDENT(1) | JSON_REAL_PRECISION(12)) < 0)
		r = -EIO;
	json_decref(json);
	if (r == 0) {
		r = fd;
		fd = -1;
	}
	return r;
}

/* The directory of the pools' sockets. What a daemon that ran as another user has left there is not trusted: a user could change it still. */
static int make_directory(const struct process *p, const char *path, struct error *err)
{
	char settings[4200];
	struct stat st;

	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return error_set(err, errno, "%s: cannot make the directory: %s", path, errno_name(errno));
	if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) || (st.st_uid != geteuid() && lchown(path, geteuid(), (gid_t)-1) < 0))
		return error_set(err, EPERM, "%s: this is no directory of ours; remove it", path);
	if (pool_path(p, "json", settings) == 0)
		(void)unlink(settings);
	return 0;
}

int pool_start_make(const struct process *p, uid_t uid, struct pool_start *ret, struct error *err)
{
	struct supervisor *s = p->supervisor;
	char path[4200];
	int r;

	*ret = (struct pool_start){
		.argv = { (char *)"reeve-pool", (char *)"--listen", (char *)"3", (char *)"--settings", (char *)"/proc/self/fd/4" },
		.listen_fd = -1, .settings_fd = -1,
	};
	/* Installed, in a build directory, or where libexec is. */
	if (asprintf(&ret->beside[0], "%s/reeve-pool", s->executable_dir) < 0 ||
	    asprintf(&ret->beside[1], "%s/pool/reeve-pool", s->executable_dir) < 0)
		return error_set(err, ENOMEM, "out of memory");
	ret->files[0] = ret->beside[0];
	ret->files[1] = ret->beside[1];
	ret->files[2] = REEVE_LIBEXECDIR "/reeve-pool";
	(void)snprintf(path, sizeof path, "%s/pool", s->rundir);
	if (make_directory(p, path, err) < 0)
		return -err->code;
	ret->settings_fd = write_settings(p);
	if (ret->settings_fd < 0)
		return error_set(err, -ret->settings_fd, "cannot write the pool's settings below %s: %s", path, errno_name(-ret->settings_fd));
	r = pool_path(p, "sock", path);
	if (r < 0)
		return error_set(err, -r, "%s: the path is too long", path);
	ret->listen_fd = varlink_listen(path, control_socket_mode(s), uid, control_socket_group(s), err);
	if (ret->listen_fd < 0)
		return ret->listen_fd;
	if (fchown(ret->settings_fd, uid, (gid_t)-1) < 0)
		return error_set(err, errno, "cannot give the settings to user %u: %s", (unsigned)uid, errno_name(errno));
	return 0;
}

void pool_start_fini(struct pool_start *start)
{
	free(start->beside[0]);
	free(start->beside[1]);
	closep(&start->listen_fd);
	closep(&start->settings_fd);
}

void pool_process_reconfigure(struct process *p)
{
	int fd = process_pid(p) ? write_settings(p) : -1;

	if (fd >= 0)
		(void)process_signal(p, SIGURG, false);
	else if (process_pid(p))
		supervisor_log(p->supervisor, LOGLEVEL_ERROR, "%s: cannot tell it its new settings: %s", p->conf->namespec,
			       errno_name(-fd));
	closep(&fd);
}

int pool_process_connect(const struct process *p)
{
	char path[4200];
	struct address a;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r = fd < 0 ? -errno : pool_path(p, "sock", path);

	if (r == 0)
		r = address_init(&a, path);
	if (r == 0) {
		r = connect(fd, (struct sockaddr *)&a.un, a.length) < 0 ? -errno : 0;
		address_fini(&a);
	}
	if (r < 0)
		closep(&fd);
	return r < 0 ? r : fd;
}

void pool_process_remove_files(const struct process *p)
{
	static const char *const suffixes[] = { "sock", "json" };
	char path[4200];

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
		if (pool_path(p, suffixes[i], path) == 0)
			(void)unlink(path);
}
