/* Workers of exec mode: a process for one task, with its stdout and stderr captured up to a limit. See worker.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "exec_argv.h"
#include "worker_modes.h"

enum {
	CHUNK = 64 << 10,
	FINAL_READS = 64,		/* pieces read after the end: what a pipe can hold, not what a leftover keeps writing */
};

/* One piece from C into its buffer as far as the limit goes. False: nothing more to read now. */
static bool capture_piece(struct worker *w, struct capture *c)
{
	static char piece[CHUNK];
	size_t most = (size_t)w->pool->settings.pool.max_result_bytes, have = bytes_length(&c->data);
	size_t room = most > have ? most - have : 0;
	ssize_t n = read(c->fd, piece, sizeof piece);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		capture_close(w, c);
	if (n <= 0)
		return false;
	if ((size_t)n > room || bytes_add(&c->data, piece, (size_t)n) < 0) {
		(void)bytes_add(&c->data, piece, (size_t)n < room ? (size_t)n : room);
		c->truncated = true;
	}
	return n == CHUNK;
}

static void out_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct worker *w = watcher->data;

	(void)loop;
	(void)events;
	(void)capture_piece(w, &w->out);
}

static void err_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct worker *w = watcher->data;

	(void)loop;
	(void)events;
	(void)capture_piece(w, &w->err);
}

void exec_open(struct worker *w, int out, int err)
{
	const struct task *task = TAILQ_FIRST(&w->tasks);

	capture_open(w, &w->out, out, out_readable);
	capture_open(w, &w->err, err, err_readable);
	w->ready = true;
	if (task->timeout > 0) {
		ev_timer_set(&w->timer, (double)task->timeout, 0);
		ev_timer_start(w->pool->loop, &w->timer);
	}
}

static void capture_rest(struct worker *w, struct capture *c)
{
	for (int i = 0; i < FINAL_READS && c->fd >= 0 && capture_piece(w, c); i++)
		;
	capture_close(w, c);
}

/* The task did not run. Is that its own fault (its words make the command), or that of the pool's command? */
static bool failed_by_itself(const struct worker *w)
{
	return w->failure.stage == SPAWN_EXEC &&
	       (w->failure.error == E2BIG || exec_has_place(w->pool->settings.argv[0]));
}

static void start_failed(struct worker *w, struct task *task)
{
	char why[256];

	(void)snprintf(why, sizeof why, "%s: %s: %s", w->pool->settings.argv[0],
		       spawn_stage_name((enum spawn_stage)w->failure.stage), errno_name(w->failure.error));
	if (failed_by_itself(w)) {
		struct result result = { .state = TASK_FAILED, .exit = w->failure.error == ENOENT ? 127 : 126, .why = why,
					 .slot = w->number, .pid = w->pid, .attempts = task->attempts,
					 .started = w->head_since, .ended = ev_now(w->pool->loop) };

		pool_task_ended(w->pool, task, &result);
		slot_worker_gone(w, true, NULL);
		return;
	}
	task->attempts--;
	pool_task_release(w->pool, task);
	slot_worker_gone(w, false, why);
}

void exec_ended(struct worker *w, const struct exit_status *status)
{
	struct task *task = TAILQ_FIRST(&w->tasks);
	struct result result = { .exit = exit_status_number(status), .slot = w->number, .pid = w->pid,
				 .user_time = (float)status->user_time, .system_time = (float)status->system_time,
				 .max_rss = (uint32_t)status->max_rss };

	TAILQ_INIT(&w->tasks);
	w->n_tasks = 0;
	w->pool->n_running--;
	if (w->failure.stage) {
		start_failed(w, task);
		return;
	}
	capture_rest(w, &w->out);
	capture_rest(w, &w->err);
	result.state = w->verdict ? w->verdict : status->signal ? TASK_LOST : status->code ? TASK_FAILED : TASK_DONE;
	result.attempts = task->attempts;
	result.started = w->head_since;
	result.ended = ev_now(w->pool->loop);
	result.out = bytes_length(&w->out.data) ? bytes_at(&w->out.data) : NULL;
	result.out_length = bytes_length(&w->out.data);
	result.truncated_out = w->out.truncated;
	result.err = bytes_length(&w->err.data) ? bytes_at(&w->err.data) : NULL;
	result.err_length = bytes_length(&w->err.data);
	result.truncated_err = w->err.truncated;
	pool_task_ended(w->pool, task, &result);
	slot_worker_gone(w, true, NULL);
}
