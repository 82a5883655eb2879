/* See check.h. Beyond what the parser finds: what hurts on this machine. */
#include "check.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "conf/dump.h"

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

static void warn(const struct config *c, const char *what, const char *name, const char *text)
{
	(void)fprintf(stderr, "%s: [%s] warning: %s%s\n", c->path, name, what, text);
}

static void check_files(const struct config *c)
{
	const char *const *paths;
	size_t n = sources_files(c->sources, &paths);

	for (size_t i = 0; i < n; i++) {
		struct stat st;

		if (geteuid() == 0 && stat(paths[i], &st) == 0 && (st.st_mode & 022))
			(void)fprintf(stderr, "%s: warning: writable by others than its owner, and read by root; chmod go-w it\n", paths[i]);
	}
}

static bool on_path(const struct process_conf *p, const char *file)
{
	const char *path = getenv("PATH");
	char full[4096];

	for (char **e = p->environment; e && *e; e++)
		if (strncmp(*e, "PATH=", 5) == 0)
			path = *e + 5;
	if (strchr(file, '/'))
		return access(file, X_OK) == 0;
	while (path && *path) {
		size_t n = strcspn(path, ":");

		(void)snprintf(full, sizeof full, "%.*s/%s", (int)n, path, file);
		if (access(full, X_OK) == 0)
			return true;
		path += n + (path[n] == ':');
	}
	return false;
}

static void check_process(const struct config *c, const struct process_conf *p)
{
	struct error err;
	char **words = command_split(p->command, &err);
	struct stat st;

	if (!words)
		warn(c, "command: ", p->namespec, err.text);
	else if (!words[0])
		warn(c, "command: it is empty", p->namespec, "");
	else if (!on_path(p, words[0]) && !(p->directory && words[0][0] == '.'))
		warn(c, "command: cannot be executed here: ", p->namespec, words[0]);
	strv_free(words);
	if (p->directory && (stat(p->directory, &st) < 0 || !S_ISDIR(st.st_mode)))
		warn(c, "directory: there is no such directory: ", p->namespec, p->directory);
	if (p->user && !getpwnam(p->user) && strspn(p->user, "0123456789") != strlen(p->user))
		warn(c, "user: there is no such user: ", p->namespec, p->user);
	for (int i = 0; i < N_CHANNELS; i++) {
		const char *file = p->channel[i].logfile, *slash = file ? strrchr(file, '/') : NULL;
		char directory[4096];

		if (!slash || slash == file)
			continue;
		(void)snprintf(directory, sizeof directory, "%.*s", (int)(slash - file), file);
		if (stat(directory, &st) < 0)
			warn(c, "The directory named as part of the path does not exist: ", p->namespec, file);
	}
}

/* Two processes in one log file; lines of both are mixed. */
static void check_shared_logs(const struct config *c)
{
	const char **seen = NULL;
	size_t n = 0;

	for (size_t g = 0; g < c->n_groups; g++)
		for (size_t i = 0; i < c->groups[g]->n_processes; i++)
			for (int k = 0; k < N_CHANNELS; k++) {
				const struct process_conf *p = c->groups[g]->processes[i];
				const char *file = p->channel[k].logfile, **list;

				if (!file || strncmp(file, "/dev/", 5) == 0 || (k && p->channel[0].logfile && strcmp(file, p->channel[0].logfile) == 0))
					continue;
				for (size_t j = 0; j < n && n < 4000; j++)
					if (strcmp(seen[j], file) == 0) {
						warn(c, "its log file is another process's too: ", p->namespec, file);
						break;
					}
				list = realloc(seen, (n + 1) * sizeof *seen);
				if (!list)
					break;
				seen = list;
				seen[n++] = file;
			}
	free(seen);
}

static void check_machine(const struct config *c)
{
	check_files(c);
	for (size_t g = 0; g < c->n_groups; g++)
		for (size_t i = 0; i < c->groups[g]->n_processes; i++)
			check_process(c, c->groups[g]->processes[i]);
	check_shared_logs(c);
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
	if (config)
		check_print(config, true);
	else
		(void)fprintf(stderr, "%s: %s\n", path, err.text);
	if (r == 0 && config->diagnostics.n_errors == 0) {
		check_machine(config);
		if (o->dump) {
			json_t *dump = config_dump(config);

			(void)json_dumpf(dump, stdout, JSON_INDENT(1) | JSON_ENSURE_ASCII);
			(void)putchar('\n');
			json_decref(dump);
		}
	} else {
		r = EXIT_CONFIG;
	}
	config_free(config);
	return r ? EXIT_CONFIG : 0;
}
