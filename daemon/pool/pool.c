/* See pool.h and pool_parts.h. */
#include "pool_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "process/spawn.h"

enum { OWN_VARIABLES = 4 };		/* places behind environ: see worker.c */

static const double rate_window = 3;	/* seconds over which the rate is smoothed */

void pool_log(const struct pool *pool, const char *format, ...)
{
	char line[1024];
	va_list ap;
	int n = snprintf(line, sizeof line, "reeve-pool: %s: ", pool->settings.name ? pool->settings.name : "?");

	va_start(ap, format);
	n += vsnprintf(line + n, sizeof line - (size_t)n - 1, format, ap);
	va_end(ap);
	if ((size_t)n > sizeof line - 2)
		n = sizeof line - 2;
	line[n++] = '\n';
	(void)!write(pool->log_fd, line, (size_t)n);
}

const char *pool_state_name(const struct pool *pool)
{
	static const char *const names[] = { [POOL_RUN] = "run", [POOL_CLOSED] = "closed", [POOL_TERMINATING] = "terminating",
					     [POOL_ENDED] = "ended" };

	if (pool->fatal && pool->state == POOL_RUN)
		return "fatal";
	if (pool->paused && pool->state == POOL_RUN)
		return "paused";
	return names[pool->state];
}

size_t pool_queued(const struct pool *pool)
{
	struct queue_counts counts;

	pool->queue->ops->count(pool->queue, &counts);
	return pool->ready.n + pool->n_claimed + pool->n_claiming + pool->n_delayed + (size_t)counts.queued;
}

bool pool_drained(const struct pool *pool)
{
	return !pool->n_pending && !pool->n_running && !pool->n_recording && !pool_queued(pool);
}

bool pool_idle(const struct pool *pool)
{
	return pool_drained(pool) && LIST_EMPTY(&pool->jobs);
}

/* Called when asked, and once in a while when tasks end: no timer of its own. */
double pool_rate(struct pool *pool)
{
	double now = clock_now(), span = now - pool->rate_since, weight;

	if (span >= 0.2) {
		weight = exp(-span / rate_window);
		pool->rate = pool->rate * weight + (double)pool->rate_ended / span * (1 - weight);
		pool->rate_since = now;
		pool->rate_ended = 0;
	}
	return pool->rate;
}

void pool_trouble(struct pool *pool, const char *text)
{
	if (pool->fatal)
		return;
	if (text && strcmp(pool->trouble, text) != 0)
		pool_log(pool, "%s", text);
	else if (!text && pool->trouble[0])
		pool_log(pool, "the queue can be reached again");
	(void)snprintf(pool->trouble, sizeof pool->trouble, "%s", text ? text : "");
}

/* ---- start and end ---- */

static void child_ended(struct ev_loop *loop, ev_signal *signal, int events)
{
	(void)loop;
	(void)events;
	workers_reap(signal->data);
}

static void asked_to_stop(struct ev_loop *loop, ev_signal *signal, int events)
{
	(void)loop;
	(void)events;
	pool_stop(signal->data);
}

/* Ours without what is meant for us alone, and room for what each worker gets. */
static int make_environ(struct pool *pool)
{
	static const char *const ours[] = { "REEVE_POOL_SETTINGS=", "NOTIFY_SOCKET=", "WATCHDOG_", "LISTEN_" };
	size_t n = 0;
	char *name;

	while (environ[n])
		n++;
	if (asprintf(&name, "REEVE_POOL=%s", pool->settings.name) < 0)
		return -ENOMEM;
	pool->environ = calloc(n + 2 + OWN_VARIABLES, sizeof *pool->environ);
	if (!pool->environ) {
		free(name);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		bool skip = false;

		for (size_t k = 0; k < ARRAY_LEN(ours); k++)
			skip = skip || strncmp(environ[i], ours[k], strlen(ours[k])) == 0;
		if (!skip)
			pool->environ[pool->n_environ++] = environ[i];
	}
	pool->environ[pool->n_environ++] = name;	/* owned, unlike the others */
	return 0;
}

/* We need descriptors for each worker; they get the limit that was meant for them. */
static void raise_limits(struct pool *pool)
{
	struct rlimit all;

	if (getrlimit(RLIMIT_NOFILE, &pool->nofile) < 0)
		pool->nofile = (struct rlimit){ 1024, 1024 };
	all = (struct rlimit){ pool->nofile.rlim_max, pool->nofile.rlim_max };
	(void)setrlimit(RLIMIT_NOFILE, &all);
}

static int find_files(struct pool *pool)
{
	const char *path = getenv("PATH");

	pool->files[0] = spawn_search(pool->settings.argv[0], path);
	if (pool->settings.initializer)
		pool->files[1] = spawn_search(pool->settings.initializer[0], path);
	return pool->files[0] && (!pool->settings.initializer || pool->files[1]) ? 0 : -ENOMEM;
}

static void init_watchers(struct pool *pool)
{
	ev_signal_init(&pool->child, child_ended, SIGCHLD);
	ev_signal_init(&pool->term, asked_to_stop, SIGTERM);
	ev_signal_init(&pool->intr, asked_to_stop, SIGINT);
	pool->child.data = pool->term.data = pool->intr.data = pool;
	ev_signal_start(pool->loop, &pool->child);
	ev_signal_start(pool->loop, &pool->term);
	ev_signal_start(pool->loop, &pool->intr);
}

int pool_init(struct pool *pool, struct ev_loop *loop, const char *queue_url, struct error *err)
{
	pool->loop = loop;
	pool->since = ev_now(loop);
	pool->rate_since = clock_now();
	LIST_INIT(&pool->jobs);
	for (size_t i = 0; i < ARRAY_LEN(pool->workers); i++)
		LIST_INIT(&pool->workers[i]);
	init_watchers(pool);
	pool_dispatch_start(pool);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	raise_limits(pool);
	if (pool_tasks_init(pool) < 0)
		return error_set(err, ENOMEM, "out of memory");
	pool->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (pool->null_fd < 0)
		return error_set(err, errno, "/dev/null: %s", errno_name(errno));
	if (make_environ(pool) < 0 || find_files(pool) < 0)
		return error_set(err, ENOMEM, "out of memory");
	return queue_open(pool, queue_url, &pool->queue, err);
}

void pool_fini(struct pool *pool)
{
	pool_dispatch_stop(pool);	/* the queue may run the loop to say goodbye */
	jobs_free(pool);
	pool_tasks_release(pool);
	if (pool->queue)
		pool->queue->ops->close(pool->queue);
	pool->queue = NULL;
	control_free(pool->control);
	pool->control = NULL;
	slots_free(pool);
	workers_sweep(pool);
	spawn_collect();
	pool_tasks_free(pool);
	if (pool->environ)
		free(pool->environ[pool->n_environ - 1]);
	free(pool->environ);
	free(pool->files[0]);
	free(pool->files[1]);
	closep(&pool->null_fd);
	ev_signal_stop(pool->loop, &pool->child);
	ev_signal_stop(pool->loop, &pool->term);
	ev_signal_stop(pool->loop, &pool->intr);
	ev_timer_stop(pool->loop, &pool->stop_timer);
	settings_free(&pool->settings);
}
