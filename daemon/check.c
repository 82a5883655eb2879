/* See check.h. Beyond what the parser finds: what hurts on this machine. */
#include "check.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "conf/dump.h"
#include "conf/ini.h"
#include "conf/value.h"
#include "supervisor/http_socket.h"

void check_print(const struct config *config, bool warnings)
{
	for (size_t i = 0; i < config->diagnostics.n; i++) {
		const struct diagnostic *d = &config->diagnostics.list[i];

		if (d->severity == DIAGNOSTIC_WARNING && !warnings)
			continue;
		diagnostic_print(d, stderr);
		(void)fputc('\n', stderr);
	}
}

/* ---- findings ---- */

struct machine {
	struct config *config;
	bool strict;			/* what supervisord refuses is an error */
};

enum weight { WARN, REFUSE };		/* REFUSE: supervisord does not start with it */

static void find(struct machine *m, enum weight weight, const char *section, const char *key, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
static void found_in(struct machine *m, enum weight weight, const struct process_conf *p, const char *key, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

static void add(struct machine *m, enum weight weight, const char *file, int line, const char *section, const char *key, const char *format,
		va_list ap)
{
	bool is_error = weight == REFUSE && m->strict;
	char text[1200];

	(void)vsnprintf(text, sizeof text, format, ap);
	diagnostic_add(&m->config->diagnostics, is_error ? DIAGNOSTIC_ERROR : DIAGNOSTIC_WARNING, file, line, section, key, "%s", text);
	if (!is_error || m->config->first_error)
		return;
	if (strncmp(section, "program:", 8) != 0)
		m->config->first_error = strdup(text);
	else if (asprintf(&m->config->first_error, "%s in section '%s' (file: '%s')", text, section, file) < 0)
		m->config->first_error = NULL;
}

/* About a section of the daemon, whose place in the file is not kept. */
static void find(struct machine *m, enum weight weight, const char *section, const char *key, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	add(m, weight, m->config->path, 0, section, key, format, ap);
	va_end(ap);
}

/* About the section of a process; said once for all processes of it. */
static void found_in(struct machine *m, enum weight weight, const struct process_conf *p, const char *key, const char *format, ...)
{
	static const char *const kinds[] = { "program", "eventlistener", "fcgi-program", "pool" };
	char section[300];
	va_list ap;

	(void)snprintf(section, sizeof section, "%s:%s", kinds[p->kind], p->program);
	va_start(ap, format);
	add(m, weight, p->file, p->line, section, key, format, ap);
	va_end(ap);
}

/* ---- files, directories, users ---- */

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Is there a directory to hold the file PATH? A bare name lies in the working directory. */
static bool has_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_(freep) char *directory = slash && slash != path ? strndup(path, (size_t)(slash - path)) : NULL;

	return !directory || is_directory(directory);
}

bool check_place(const char *key, const char *value, struct error *err)
{
	bool file = strcmp(key, "logfile") == 0 || strcmp(key, "pidfile") == 0;
	bool directory = strcmp(key, "directory") == 0 || strcmp(key, "childlogdir") == 0;
	_cleanup_(freep) char *path = file || directory ? expand_user(value) : NULL;

	if (!path || strcmp(value, "syslog") == 0 || (directory ? is_directory(path) : has_directory(path)))
		return false;
	if (directory)
		(void)error_set(err, ENOENT, "%s is not an existing directory", value);
	else
		(void)error_set(err, ENOENT, "The directory named as part of the path %s does not exist", value);
	return true;
}

static bool is_number(const char *text)
{
	return *text && strspn(text, "0123456789") == strlen(text);
}

static const struct passwd *find_user(const char *name)
{
	return is_number(name) ? getpwuid((uid_t)strtoul(name, NULL, 10)) : getpwnam(name);
}

static bool group_exists(const char *name)
{
	return is_number(name) || getgrnam(name);
}

/* "user[:group]". */
static bool owner_exists(const char *owner)
{
	size_t n = strcspn(owner, ":");
	_cleanup_(freep) char *user = strndup(owner, n);

	return user && (is_number(user) || find_user(user)) && (!owner[n] || group_exists(owner + n + 1));
}

static void check_files(struct machine *m)
{
	const char *const *paths;
	size_t n = sources_files(m->config->sources, &paths);

	for (size_t i = 0; i < n; i++) {
		struct stat st;

		if (geteuid() == 0 && stat(paths[i], &st) == 0 && (st.st_mode & 022))
			diagnostic_add(&m->config->diagnostics, DIAGNOSTIC_WARNING, paths[i], 0, NULL, NULL,
				       "writable by others than its owner, and read by root; chmod go-w it");
	}
}

static void check_daemon(struct machine *m)
{
	const struct supervisord_conf *c = &m->config->supervisord;
	const struct passwd *user = c->user ? find_user(c->user) : NULL;
	const struct {
		const char *key, *value;
	} places[] = { { "directory", c->directory }, { "childlogdir", c->childlogdir }, { "logfile", c->logfile }, { "pidfile", c->pidfile } };
	struct error err;

	if (c->user && !user)
		find(m, REFUSE, "supervisord", "user", "Invalid user %s %s", is_number(c->user) ? "id" : "name", c->user);
	else if (user && geteuid() != 0 && user->pw_uid != geteuid())
		find(m, REFUSE, "supervisord", "user", "Can't drop privilege as nonroot user");
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (places[i].value && check_place(places[i].key, places[i].value, &err))
			find(m, REFUSE, "supervisord", places[i].key, "%s", err.text);
	if (c->control_group && !group_exists(c->control_group))
		find(m, WARN, "supervisord", "control_group", "there is no such group: %s", c->control_group);
	for (size_t i = 0; i < m->config->n_servers; i++) {
		const struct server_conf *v = &m->config->servers[i];

		if (v->chown && !owner_exists(v->chown))
			find(m, REFUSE, v->section, "chown", "Invalid sockchown value %s", v->chown);
		if (http_socket_is_public(v) && !v->insecure && !(v->username && *v->username && v->password))
			find(m, WARN, v->section, "password",
			     "other machines can reach this port, and there is no password: it is served only with insecure=true, or to a "
			     "daemon called as supervisord");
		if (v->is_unix && v->file && !has_directory(v->file))
			find(m, WARN, v->section, "file", "the directory of %s does not exist", v->file);
	}
}

/* ---- processes ---- */

static bool on_path(const struct process_conf *p, const char *file)
{
	const char *path = getenv("PATH");
	char full[4096];

	for (char **e = p->environment; e && *e; e++)
		if (strncmp(*e, "PATH=", 5) == 0)
			path = *e + 5;
	while (path && *path) {
		size_t n = strcspn(path, ":");

		(void)snprintf(full, sizeof full, "%.*s/%s", (int)n, path, file);
		if (access(full, X_OK) == 0 && !is_directory(full))
			return true;
		path += n + (path[n] == ':');
	}
	return false;
}

static void check_command(struct machine *m, const struct process_conf *p)
{
	struct error err;
	char **words = command_split(p->command, &err);
	const char *file = words ? words[0] : NULL;

	if (!words)
		found_in(m, WARN, p, "command", "it cannot be split into words, so it cannot start: %s", err.text);
	else if (!file)
		found_in(m, WARN, p, "command", "it is empty, so it cannot start");
	else if (!strchr(file, '/') && !on_path(p, file))
		found_in(m, WARN, p, "command", "there is no %s on the PATH; write where it is", file);
	else if (file[0] == '/' && access(file, F_OK) < 0)
		found_in(m, WARN, p, "command", "there is no %s", file);
	else if (file[0] == '/' && is_directory(file))
		found_in(m, WARN, p, "command", "%s is a directory", file);
	else if (file[0] == '/' && access(file, X_OK) < 0)
		found_in(m, WARN, p, "command", "%s is not executable; chmod +x it", file);
	strv_free(words);
}

static void check_process(struct machine *m, const struct process_conf *p)
{
	static const char *const keys[N_CHANNELS] = { "stdout_logfile", "stderr_logfile" };
	const struct passwd *user = p->user ? find_user(p->user) : NULL;

	if (p->kind != GROUP_POOL || *p->command)
		check_command(m, p);
	if (p->directory && !is_directory(p->directory))
		found_in(m, WARN, p, "directory", "%s is not an existing directory, so it cannot start", p->directory);
	if (p->user && !user)
		found_in(m, REFUSE, p, "user", "Invalid user %s %s", is_number(p->user) ? "id" : "name", p->user);
	else if (user && geteuid() != 0 && user->pw_uid != geteuid())
		found_in(m, WARN, p, "user", "only root can start a program as %s, so it cannot start", p->user);
	for (int i = 0; i < N_CHANNELS; i++)
		if (p->channel[i].logfile && !has_directory(p->channel[i].logfile))
			found_in(m, REFUSE, p, keys[i], "The directory named as part of the path %s does not exist", p->channel[i].logfile);
}

/* ---- two processes that write into one file ---- */

struct log_user {
	const char *file;
	const struct process_conf *process;
	int channel;
};

static int by_file(const void *a, const void *b)
{
	const struct log_user *x = a, *y = b;
	int r = strcmp(x->file, y->file);

	return r ? r : (x->process > y->process) - (x->process < y->process);
}

static size_t collect_logs(const struct config *c, struct log_user *list)
{
	size_t n = 0;

	for (size_t g = 0; g < c->n_groups; g++)
		for (size_t i = 0; i < c->groups[g]->n_processes; i++)
			for (int k = 0; k < N_CHANNELS; k++) {
				const struct process_conf *p = c->groups[g]->processes[i];
				const char *file = p->channel[k].logfile;

				if (!file || strncmp(file, "/dev/", 5) == 0)
					continue;
				if (list)
					list[n] = (struct log_user){ file, p, k };
				n++;
			}
	return n;
}

/* One warning for each further section that writes into a file, or for a section with several processes. */
static void check_shared_logs(struct machine *m)
{
	static const char *const keys[N_CHANNELS] = { "stdout_logfile", "stderr_logfile" };
	size_t n = collect_logs(m->config, NULL);
	_cleanup_(freep) struct log_user *list = calloc(n + 1, sizeof *list);
	const struct process_conf *told = NULL;		/* its section has been told of this file */

	if (!list)
		return;
	(void)collect_logs(m->config, list);
	qsort(list, n, sizeof *list, by_file);
	for (size_t i = 1; i < n; i++) {
		const struct process_conf *p = list[i].process, *before = list[i - 1].process;

		if (strcmp(list[i].file, list[i - 1].file) != 0)
			told = NULL;
		else if (p != before && !(told && told->file == p->file && told->line == p->line))
			found_in(m, WARN, told = p, keys[list[i].channel], "%s is the log of %s too: their lines will be mixed", list[i].file,
				 before->namespec);
	}
}

enum { SAMPLES = 20 };		/* processes of one section that are looked at: the others differ in a number */

void check_machine(struct config *config, bool strict)
{
	struct machine m = { config, strict };

	check_files(&m);
	check_daemon(&m);
	for (size_t g = 0; g < config->n_groups; g++) {
		const struct group_conf *group = config->groups[g];

		size_t alike = 0;

		for (size_t i = 0; i < group->n_processes; i++) {
			alike = i && group->processes[i]->line == group->processes[i - 1]->line ? alike + 1 : 0;
			if (alike < SAMPLES)
				check_process(&m, group->processes[i]);
		}
		if (group->socket.owner && !owner_exists(group->socket.owner))
			find(&m, REFUSE, group->name, "socket_owner", "Invalid socket_owner value %s", group->socket.owner);
	}
	check_shared_logs(&m);
}

static int print_dump(const struct config *config)
{
	json_t *dump = config_dump(config);
	int r = dump ? json_dumpf(dump, stdout, JSON_INDENT(1) | JSON_ENSURE_ASCII) : -1;

	if (r < 0)
		(void)fprintf(stderr, "reeved: the configuration cannot be printed: %s\n", errno_name(errno));
	(void)putchar('\n');
	json_decref(dump);
	return r;
}

int check_run(const struct options *o, const char *path)
{
	struct sources *sources;
	struct config *config = NULL;
	struct error err;
	int r;

	if (sources_read(path, &sources, &err) < 0) {
		(void)fprintf(stderr, "%s: %s\n", path, err.text);
		return EXIT_CONFIG;
	}
	r = config_parse(sources, o->overrides, o->n_overrides, &config, &err);
	if (r == 0)
		check_machine(config, false);
	if (config)
		check_print(config, true);
	else
		(void)fprintf(stderr, "%s: %s\n", path, err.text);
	if (r == 0)
		r = config->diagnostics.n_errors ? -EINVAL : o->dump ? print_dump(config) : 0;
	config_free(config);
	return r ? EXIT_CONFIG : 0;
}
