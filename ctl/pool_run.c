/* `reevectl pool run`: a pool of our own for one map, as people use xargs -P. It ends with its only connection: this one. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "pool.h"
#include "process/spawn.h"

enum { CHILD_FD = 3 };

/* Beside reevectl, in the build's or the installed place, or in PATH. One block to free(). */
static char **pool_binary(void)
{
	static const char *const places[] = { "%.*s/reeve-pool", "%.*s/../daemon/pool/reeve-pool" };
	char self[4096], path[4200];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	const char *chosen = REEVE_LIBEXECDIR "/reeve-pool";

	if (n > 0) {
		self[n] = '\0';
		for (size_t i = 0; i < ARRAY_LEN(places); i++) {
			(void)snprintf(path, sizeof path, places[i], (int)(strrchr(self, '/') - self), self);
			if (access(path, X_OK) == 0) {
				chosen = path;
				break;
			}
		}
	}
	return spawn_search(access(chosen, X_OK) == 0 ? chosen : "reeve-pool", getenv("PATH"));
}

static bool is_there(char *const *files)
{
	for (; *files; files++)
		if (access(*files, X_OK) == 0)
			return true;
	return false;
}

/* Our environment and the settings behind it; the last entry is owned. */
static char **make_environ(json_t *settings)
{
	char *text = json_dumps(settings, JSON_COMPACT), *entry = NULL;
	size_t n = 0;
	char **envp;

	while (environ[n])
		n++;
	envp = calloc(n + 2, sizeof *envp);
	if (!text || !envp || asprintf(&entry, "REEVE_POOL_SETTINGS=%s", text) < 0) {
		free(text);
		free(envp);
		return NULL;
	}
	free(text);
	/* First: should there be one already, this one counts. */
	envp[0] = entry;
	memcpy(envp + 1, environ, n * sizeof *envp);
	return envp;
}

/* Start the pool. Its pid, or 0 after a line; *RET_FD is our end. */
static pid_t start_pool(struct ctl *ctl, json_t *settings, int *ret_fd)
{
	static struct spawn_failure failure;
	static volatile pid_t pid;
	char fd_text[] = "3";
	char *argv[] = { (char *)"reeve-pool", (char *)"--fd", fd_text, NULL };
	_cleanup_(freep) char **files = pool_binary();
	char **envp;
	int ends[2], r;

	if (files && !is_there(files)) {
		pool_fail(ctl, CTL_POOL, "reeve-pool is not installed (the build option `pool`)");
		return 0;
	}
	envp = make_environ(settings);
	if (!files || !envp || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
		pool_fail(ctl, CTL_POOL, "cannot start a pool: %s", errno_name(errno));
		return 0;
	}
	const int fds[] = { STDIN_FILENO, STDERR_FILENO, STDERR_FILENO, ends[1] };
	const struct spawn_plan plan = { .files = (const char *const *)files, .argv = argv, .envp = envp, .fds = fds,
					 .n_fds = ARRAY_LEN(fds), .umask = -1, .cgroup_fd = -1 };

	r = spawn(&plan, &pid, &failure);
	(void)close(ends[1]);
	free(envp[0]);
	free(envp);
	if (r < 0) {
		(void)close(ends[0]);
		pool_fail(ctl, CTL_POOL, "cannot start a pool: %s", errno_name(-r));
		return 0;
	}
	*ret_fd = ends[0];
	return pid;
}

static void number(json_t *settings, const char *key, long long value)
{
	if (value >= 0)
		(void)json_object_set_new(settings, key, json_integer(value));
}

static void seconds(json_t *settings, const char *key, double value)
{
	if (value >= 0)
		(void)json_object_set_new(settings, key, json_real(value));
}

void pool_run(struct ctl *ctl, int argc, char **argv)
{
	struct map_options options = { .results = ctl->json ? "json" : NULL };
	const char *mode = "exec", *queue = "memory", *file = NULL;
	long long workers = -1, window = -1, recycle = -1, limit = -1;
	double stop_timeout = -1;
	bool star = false, initial_ready = false;
	struct option_row rows[32] = { { 0 } };
	size_t at = 0;
	const struct option_row own[] = {
		{ "--workers", OPTION_NUMBER, &workers, "N", "Processes at a time; else one for each CPU." },
		{ "--mode", OPTION_TEXT, &mode, "exec|line|frame", "How tasks reach the command: see \"Three kinds of workers\"." },
		{ "--queue", OPTION_TEXT, &queue, "URL", "Where tasks are kept: memory, sqlite:FILE, redis://..." },
		{ "--window", OPTION_NUMBER, &window, "N", "Tasks before one worker (line, frame)." },
		{ "--max-tasks-per-worker", OPTION_NUMBER, &recycle, "N", "A new worker after so many." },
		{ "--max-result-bytes", OPTION_NUMBER, &limit, "N", "Cut longer results." },
		{ "--stop-timeout", OPTION_SECONDS, &stop_timeout, "S", "From the stop signal to SIGKILL." },
		{ "--ready", OPTION_FLAG, &initial_ready, NULL, "A worker gets tasks after it has written the line `ready`." },
		{ "--star", OPTION_FLAG, &star, NULL, "Lines hold several words, as for starmap." },
		{ "--file", OPTION_TEXT, &file, "FILE", "Read FILE, not stdin." },
		{ 0 },
	};
	struct varlink_client *client = NULL;
	json_t *settings;
	pid_t pid;
	int n, fd = -1;

	map_option_rows(&options, rows);
	while (rows[at].name)
		at++;
	memcpy(rows + at, own, sizeof own);
	n = pool_options(ctl, rows, argc, argv);
	if (n < 0)
		return;
	if (n == 0) {
		pool_fail(ctl, CTL_USAGE, "pool run: which command? Write it behind --");
		return;
	}
	options.star = star;
	options.file = file;
	settings = json_pack("{s:s, s:o, s:s, s:s}", "name", "run", "argv", ctl_words(n, argv), "mode", mode, "queue", queue);
	number(settings, "workers", workers);
	number(settings, "window", window);
	number(settings, "max_tasks_per_worker", recycle);
	number(settings, "max_result_bytes", limit);
	seconds(settings, "stopwaitsecs", stop_timeout);
	if (initial_ready)
		(void)json_object_set_new(settings, "ready", json_true());
	pid = start_pool(ctl, settings, &fd);
	json_decref(settings);
	if (!pid)
		return;
	if (varlink_client_on(fd, &client) == 0)
		map_run(ctl, client, &options);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	spawn_collect();
}
