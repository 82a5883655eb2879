/*
 * reeved: options, the one early look at the configuration, and what must happen before the keeper begins: run directory, lock, user, limits,
 * background. Then it executes itself as the keeper, with a clean heap. The same binary is the supervisor (see docs/architecture.md).
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/command_line.h"
#include "base/place.h"
#include "check.h"
#include "conf/config.h"
#include "keeper/keeper.h"
#include "options.h"
#include "process/cgroup.h"
#include "supervisor/http_socket.h"
#include "supervisor/supervisor.h"

static const char keeper_role[] = "reeve-keeper", supervisor_role[] = "reeve-supervisor", rehearsal_role[] = SUPERVISOR_REHEARSAL;
enum {
	MORE_FILES = 65536,		/* open files that we want for ourselves, where we may have them */
	LOCK_FD = 10,			/* or higher: out of the way of descriptors with fixed numbers */
};
static const char started_in[] = "started_in";

/*
 * The arguments of all roles, in order: rundir, heartbeat, nofile soft, nofile hard, nproc soft, nproc hard, configuration, then
 * KEY VALUE pairs of overrides; the pair of the key started_in is the directory that relative paths mean. After an upgrade another version reads them: they stay as they are.
 */
enum { ARG_RUNDIR = 1, ARG_HEARTBEAT, ARG_NOFILE, ARG_NPROC = 5, ARG_CONFIG = 7, ARG_OVERRIDES };

/* Among the overrides, though no key: the daemon was called as supervisord. */
static const char compatible_key[] = "compatible";

static int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int fail(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)fprintf(stderr, "reeved: ");
	(void)vfprintf(stderr, format, ap);
	(void)fputc('\n', stderr);
	va_end(ap);
	return 1;
}

/* ---- the two roles ---- */

static struct rlimit limit_from(char **argv)
{
	return (struct rlimit){ strtoull(argv[0], NULL, 10), strtoull(argv[1], NULL, 10) };
}

static int run_supervisor(int argc, char **argv)
{
	static struct override overrides[OVERRIDES_MAX];
	struct supervisor_settings s = { .overrides = overrides };

	if (argc < ARG_OVERRIDES)
		return 2;
	s.rundir = argv[ARG_RUNDIR];
	s.nofile = limit_from(argv + ARG_NOFILE);
	s.nproc = limit_from(argv + ARG_NPROC);
	s.config_path = argv[ARG_CONFIG];
	for (int i = ARG_OVERRIDES; i + 1 < argc && s.n_overrides < OVERRIDES_MAX; i += 2) {
		s.compatible |= strcmp(argv[i], compatible_key) == 0;
		if (strcmp(argv[i], started_in) == 0)
			sources_relative_to(argv[i + 1]);
		else
			overrides[s.n_overrides++] = (struct override){ argv[i], argv[i + 1] };
	}
	return strcmp(argv[0], rehearsal_role) == 0 ? rehearsal_run(&s) : supervisor_run(&s);
}

static int run_keeper(int argc, char **argv)
{
	struct keeper_settings k = { .supervisor_argv = argv, .handover = -1, .previous = -1 };

	if (argc < ARG_OVERRIDES)
		return 2;
	k.heartbeat = strtod(argv[ARG_HEARTBEAT], NULL);
	k.executable = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	if (k.executable < 0)
		return fail("/proc/self/exe: %s; is /proc mounted?", errno_name(errno));
	(void)sscanf(argv[0], KEEPER_AGAIN "%d,%d", &k.handover, &k.previous);
	if (k.previous >= 0)
		(void)fcntl(k.previous, F_SETFD, FD_CLOEXEC);
	argv[0] = (char *)supervisor_role;
	return keeper_run(&k);
}

/* ---- start-up ---- */

/* Can only root have put PATH where it is? Then it may belong to whom it likes: root has given it away, and may take it back. */
static bool is_roots_place(const char *path)
{
	const char *name;
	_cleanup_(closep) int fd = place_open(path, &name);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == 0 && !(st.st_mode & (S_IWGRP | S_IWOTH)) && geteuid() == 0;
}

/*
 * The directory of the sockets, ours alone (or the control group's to enter), and OWNER's (NULL: ours) in the end. Its place may be one where
 * everybody can make one before us, such as /tmp: whose it is decides, and who laid the links that lead to it.
 */
static int make_rundir(const char *rundir, bool shared, const struct passwd *owner)
{
	_cleanup_(closep) int fd = -1;
	_cleanup_(freep) char *inside = NULL;
	uid_t uid = owner ? owner->pw_uid : geteuid();
	gid_t gid = owner ? owner->pw_gid : (gid_t)-1;
	mode_t mode = shared ? 0711 : 0700;
	const char *name;
	struct stat st;

	if (mkdir(rundir, mode) < 0 && errno != EEXIST)
		return fail("%s: cannot make the run directory: %s; set rundir in [supervisord] to a place that can be written", rundir,
			    errno_name(errno));
	if (asprintf(&inside, "%s/", rundir) < 0)
		return fail("out of memory");
	fd = place_open(inside, &name);
	if (fd == -ENOTDIR)
		return fail("%s: the run directory is not a directory", rundir);
	if (fd == -EPERM)
		return fail("%s: a symbolic link of another user leads to the run directory; remove it or set rundir", rundir);
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail("%s: cannot open the run directory: %s", rundir, errno_name(fd < 0 ? -fd : errno));
	if (st.st_uid != geteuid() && st.st_uid != uid && !is_roots_place(rundir))
		return fail("%s: the run directory belongs to uid %u; remove it or set rundir", rundir, (unsigned)st.st_uid);
	if (st.st_mode & S_IWOTH)	/* anybody could put a socket of his own in the place of ours */
		return fail("%s: everybody can write in the run directory; chmod o-w it, or set rundir", rundir);
	if ((owner || st.st_uid != uid) && fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
		return fail("%s: cannot give it to uid %u: %s", rundir, (unsigned)uid, errno_name(errno));
	return 0;
}

/*
 * One daemon per run directory. The descriptor is the keeper's to keep, and the supervisor's, who needs time when the keeper dies: it is not
 * closed at exec.
 */
static int take_lock(const char *rundir)
{
	char path[4200];
	struct stat st;
	int fd, high;

	(void)snprintf(path, sizeof path, "%s/lock", rundir);
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd < 0)
		return -fail("%s: cannot open the lock: %s", path, errno_name(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -fail("%s: the lock is not a regular file; remove it", path);
	high = fcntl(fd, F_DUPFD, LOCK_FD);
	if (high >= 0) {
		(void)close(fd);
		fd = high;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -fail("another reeved already runs with the run directory %s; stop it first (reevectl shutdown), or use another rundir",
			     rundir);
	return fd;
}

/*
 * A subtree of control groups, made while we still may. Named after the run directory as it lies on its disk, so that a daemon finds
 * what a dead one with the same directory left, and two containers never share a name.
 */
static void enter_cgroup(const char *rundir, const struct supervisord_conf *c)
{
	const struct passwd *pw = c->user && geteuid() == 0 ? getpwnam(c->user) : NULL;
	struct stat st;
	char name[64];
	int r;

	if (stat(rundir, &st) < 0)
		return;
	(void)snprintf(name, sizeof name, "reeve-%llx-%llx", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	r = cgroup_enter(name, c->cgroups == CGROUPS_ON, pw ? pw->pw_uid : geteuid(), pw ? pw->pw_gid : getegid());
	if (r < 0 && c->cgroups == CGROUPS_ON)
		(void)fprintf(stderr, "reeved: no control groups can be made here (%s), though cgroups=on asks for them\n",
			      errno_name(-r));
}

static const struct passwd *find_user(const char *user)
{
	bool number = *user && strspn(user, "0123456789") == strlen(user);

	return number ? getpwuid((uid_t)strtoul(user, NULL, 10)) : getpwnam(user);
}

/* The change of user leaves the inheritable ones. */
static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };

	if (geteuid() != 0)
		(void)syscall(SYS_capset, &header, none);
}

static int change_user(const struct options *o, const char *user)
{
	const struct passwd *pw;
	char text[300];

	if (!user)
		return 0;
	pw = find_user(user);
	if (!pw) {
		(void)snprintf(text, sizeof text, "Invalid user name %s", user);
		return command_line_error(o->argv0, "%s", text);
	}
	if (pw->pw_uid == geteuid())
		return 0;
	if (geteuid() != 0)
		return command_line_error(o->argv0, "Can't drop privilege as nonroot user");
	if (initgroups(pw->pw_name, pw->pw_gid) < 0 || setgid(pw->pw_gid) < 0 || setuid(pw->pw_uid) < 0)
		return fail("cannot become user %s: %s", user, errno_name(errno));
	drop_capabilities();
	return 0;
}

/* ---- another daemon with the same servers ---- */

/* A gateway whose keeper was killed holds its sockets for a moment after the lock of the run directory is free. */
static bool stays_taken(const struct server_conf *server)
{
	const struct timespec pause = { 0, 50000000 };
	double deadline = clock_now() + 2;

	while (http_socket_is_taken(server)) {
		if (clock_now() > deadline)
			return true;
		(void)nanosleep(&pause, NULL);
	}
	return false;
}

/*
 * Most likely a supervisord that runs the same programs, which would then run twice. Called as supervisord we refuse, as it does; else
 * the place may be anybody's, and one is told.
 */
static int look_for_others(const struct options *o, const struct config *config)
{
	char place[4300];

	for (size_t i = 0; i < config->n_servers; i++) {
		const struct server_conf *server = &config->servers[i];

		if (!stays_taken(server))
			continue;
		http_socket_place(server, place, sizeof place);
		(void)fprintf(stderr, "reeved: %s[%s]: another program serves %s already%s\n", o->compatible ? "" : "warning: ",
			      server->section, place, o->compatible ? "" : "; if it is a supervisord with the same programs, they run "
			      "twice now: stop one of the two");
		if (o->compatible)
			return command_line_error(o->argv0, "Another program is already listening on a port that one of our HTTP servers is "
					   "configured to use.  Shut this program down first before starting supervisord.");
	}
	return 0;
}

/* What programs get: the limits we were started with, the soft one raised to MINIMUM. Then we take more for ourselves. */
static int raise_limit(const struct options *o, int resource, long long minimum, rlim_t wanted, struct rlimit *ret)
{
	bool files = resource == RLIMIT_NOFILE;
	struct rlimit own;
	char text[300];

	if (getrlimit(resource, ret) < 0)
		return fail("getrlimit: %s", errno_name(errno));
	if (minimum > 0 && ret->rlim_cur != RLIM_INFINITY && ret->rlim_cur < (rlim_t)minimum) {
		ret->rlim_cur = (rlim_t)minimum;
		if (ret->rlim_max != RLIM_INFINITY && ret->rlim_max < ret->rlim_cur)
			ret->rlim_max = ret->rlim_cur;
		if (setrlimit(resource, ret) < 0) {
			(void)snprintf(text, sizeof text,
				       "the limit of %s cannot be raised to %lld (%s); lower %s in [supervisord], or raise the hard limit",
				       files ? "open files" : "processes", minimum, errno_name(errno), files ? "minfds" : "minprocs");
			return o->compatible ? command_line_error(o->argv0, "%s", text) : fail("%s", text);
		}
	}
	own = *ret;
	if (own.rlim_cur != RLIM_INFINITY && own.rlim_cur < wanted) {
		if (own.rlim_max != RLIM_INFINITY && own.rlim_max < wanted && geteuid() == 0)
			own.rlim_max = wanted;
		own.rlim_cur = own.rlim_max != RLIM_INFINITY && own.rlim_max < wanted ? own.rlim_max : wanted;
		if (setrlimit(resource, &own) < 0) {	/* not even root may, in some containers */
			own = *ret;
			own.rlim_cur = own.rlim_max;
			(void)setrlimit(resource, &own);
		}
	}
	return 0;
}

static int go_to_background(const struct supervisord_conf *c)
{
	int null;
	pid_t pid = fork();

	if (pid < 0)
		return fail("cannot go to the background: fork: %s", errno_name(errno));
	if (pid > 0)
		_exit(0);
	(void)setsid();
	if (c->directory && chdir(c->directory) < 0)
		return fail("can't chdir into '%s': %s", c->directory, errno_name(errno));
	(void)umask((mode_t)c->umask);
	null = open("/dev/null", O_RDWR);
	for (int fd = 0; fd < 3 && null >= 0; fd++)
		(void)dup2(null, fd);
	if (null > 2)
		(void)close(null);
	return 0;
}

/* Descriptors 0 to 2 are always there: nothing of ours may take their place. */
static void fill_stdio(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= 2 && fcntl(fd, F_SETFD, 0) == 0);
	if (fd > 2)
		(void)close(fd);
}

static char *number(unsigned long long n)
{
	char *text;

	return asprintf(&text, "%llu", n) < 0 ? NULL : text;
}

/* DIRECTORY: where we were started, if we are somewhere else now; or NULL. */
static int become_keeper(const struct config *config, const struct options *o, char *rundir, char *directory, const struct rlimit *nofile,
			 const struct rlimit *nproc)
{
	char *argv[ARG_OVERRIDES + 2 * OVERRIDES_MAX + 3] = { 0 };
	int n = ARG_OVERRIDES;

	argv[0] = (char *)keeper_role;
	argv[ARG_RUNDIR] = rundir;
	argv[ARG_HEARTBEAT] = number((unsigned long long)config->supervisord.heartbeat);
	argv[ARG_NOFILE] = number(nofile->rlim_cur);
	argv[ARG_NOFILE + 1] = number(nofile->rlim_max);
	argv[ARG_NPROC] = number(nproc->rlim_cur);
	argv[ARG_NPROC + 1] = number(nproc->rlim_max);
	argv[ARG_CONFIG] = config->path;
	for (int i = ARG_HEARTBEAT; i < ARG_CONFIG; i++)
		if (!argv[i])
			return fail("out of memory");
	for (size_t i = 0; i < o->n_overrides; i++) {
		argv[n++] = (char *)o->overrides[i].key;
		argv[n++] = (char *)o->overrides[i].value;
	}
	if (directory) {
		argv[n++] = (char *)started_in;
		argv[n++] = directory;
	}
	(void)execv("/proc/self/exe", argv);
	return fail("cannot execute itself: %s; is /proc mounted?", errno_name(errno));
}

static int start(struct options *o, struct config *config)
{
	const struct supervisord_conf *c = &config->supervisord;
	char *rundir = config_rundir(config), *directory;
	struct rlimit nofile, nproc;
	bool background = o->daemon || (o->compatible && !c->nodaemon);
	int lock, r;

	if (!rundir)
		return fail("out of memory");
	/* The run directory may lie where only root may write: made before the change of user, and given to it. */
	r = make_rundir(rundir, c->control_group != NULL, c->user && geteuid() == 0 ? find_user(c->user) : NULL);
	if (r == 0 && c->cgroups != CGROUPS_OFF)
		enter_cgroup(rundir, c);
	if (r == 0)
		r = change_user(o, c->user);
	if (r == 0)
		r = raise_limit(o, RLIMIT_NOFILE, c->minfds, MORE_FILES, &nofile);
	if (r == 0)
		r = raise_limit(o, RLIMIT_NPROC, c->minprocs, 0, &nproc);
	lock = r == 0 ? take_lock(rundir) : -1;
	if (lock >= 0)
		r = look_for_others(o, config);
	if (lock < 0 || r) {
		free(rundir);
		return r ? r : 1;
	}
	if (!background)
		o->overrides[o->n_overrides++] = (struct override){ "nodaemon", "true" };
	if (o->compatible)
		o->overrides[o->n_overrides++] = (struct override){ compatible_key, "true" };
	directory = background && c->directory ? getcwd(NULL, 0) : NULL;
	r = background ? go_to_background(c) : 0;
	r = r ? r : become_keeper(config, o, rundir, directory, &nofile, &nproc);
	free(directory);
	free(rundir);
	return r;
}

/* Messages name the file as it was given with -c. The caller frees. */
static char *as_given(const char *text, const char *absolute, const char *given)
{
	const char *at = strstr(text, absolute);
	char *ret;

	if (!at)
		return strdup(text);
	if (asprintf(&ret, "%.*s%s%s", (int)(at - text), text, given, at + strlen(absolute)) < 0)
		return NULL;
	return ret;
}

/* Called as supervisord: its words for the first error. */
static int refuse(const struct options *o, const char *text, const char *absolute, const char *given)
{
	_cleanup_(freep) char *shown = as_given(text ? text : "the configuration has errors", absolute, given);

	return command_line_error(o->argv0, "%s", shown ? shown : "out of memory");
}

static int load_and_start(struct options *o, const char *path)
{
	struct sources *sources;
	struct config *config = NULL;
	struct error err;
	int r;

	if (sources_read(path, &sources, &err) < 0)
		return command_line_error(o->argv0, "%s", err.text);
	r = config_parse(sources, o->overrides, o->n_overrides, &config, &err);
	if (r == 0 && o->compatible)
		check_machine(config, true);
	if (config)
		check_print(config, false);
	if (r < 0)
		(void)refuse(o, err.text, config ? config->path : path, path);
	/* Called as supervisord, any error is one of usage; for ourselves the other programs are worth starting. */
	else if (config->diagnostics.n_errors && o->compatible)
		r = -refuse(o, config->first_error, config->path, path);
	r = r < 0 ? (o->compatible ? 2 : EXIT_CONFIG) : start(o, config);
	config_free(config);
	return r && o->compatible ? 2 : r;	/* supervisord has one status for all that keeps it from starting */
}

int main(int argc, char **argv)
{
	struct options o;
	struct error err = { .code = ENOMEM, .text = "out of memory" };
	char *path;
	int r;

	if (strcmp(argv[0], supervisor_role) == 0)
		return run_supervisor(argc, argv);
	if (strcmp(argv[0], rehearsal_role) == 0)
		return run_supervisor(argc, argv);
	if (strcmp(argv[0], keeper_role) == 0 || strncmp(argv[0], KEEPER_AGAIN, strlen(KEEPER_AGAIN)) == 0)
		return run_keeper(argc, argv);
	fill_stdio();
	r = options_parse(argc, argv, &o);
	if (r)
		return r;
	if (o.help) {
		options_help(&o);
		return 0;
	}
	if (o.version) {
		(void)puts(o.compatible ? "4.2.5" : REEVE_VERSION);
		return 0;
	}
	if (o.print)
		return options_print(&o);
	if (o.dump && (!o.check || strcmp(o.dump, "json") != 0))
		return command_line_error(o.argv0, "--dump=json goes with --check");
	path = o.configuration ? strdup(o.configuration) : config_find(argv[0], &err);
	if (!path)
		return command_line_error(o.argv0, "%s", o.configuration ? "out of memory" : err.text);
	r = o.check ? check_run(&o, path) : load_and_start(&o, path);
	free(path);
	return r;
}
