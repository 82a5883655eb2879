/*
 * Workers of line and frame mode: one process for many tasks. It answers in order (frames may overtake each other: they carry an id), so
 * when it dies only the first unanswered task is suspect; the others go back. Whether it had begun at all is not guessed: what its
 * stdin still holds tells whether it ever read a byte.
 *
 * A frame, both ways, little-endian: u32 length of what follows, u32 status (0: good), u64 id, payload.
 */
#include <endian.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "worker_modes.h"

enum {
	CHUNK = 64 << 10,
	HEADER = 16,			/* bytes of a frame before the payload */
	STATUS_MAX = 255,
};

static const char ready_line[] = "ready";

static void input_writable(struct ev_loop *loop, ev_io *watcher, int events);
static void input_closed(struct ev_loop *loop, ev_io *watcher, int events);
static void output_readable(struct ev_loop *loop, ev_io *watcher, int events);

void stream_open(struct worker *w, int in, int out)
{
	w->in = in;
	ev_io_init(&w->in_watcher, input_writable, in, EV_WRITE);
	/* The writing end of a pipe becomes readable, by an error, when the last reader has gone. */
	ev_io_init(&w->in_closed, input_closed, in, EV_READ);
	w->in_watcher.data = w->in_closed.data = w;
	ev_io_start(w->pool->loop, &w->in_closed);
	capture_open(w, &w->out, out, output_readable);
	w->ready = !w->pool->settings.pool.ready;
}

void stream_close_input(struct worker *w)
{
	if (w->in < 0)
		return;
	ev_io_stop(w->pool->loop, &w->in_watcher);
	ev_io_stop(w->pool->loop, &w->in_closed);
	(void)close(w->in);
	w->in = -1;
}

/* ---- tasks to it ---- */

size_t worker_room(const struct worker *w)
{
	const struct pool_conf *s = &w->pool->settings.pool;
	unsigned long long most = (unsigned long long)s->max_tasks_per_worker;
	size_t room = w->n_tasks < (size_t)s->window ? (size_t)s->window - w->n_tasks : 0;

	if (!w->ready || w->last)
		return 0;
	if (most && room > most - w->given)
		room = (size_t)(most - w->given);
	return room;
}

/* What TASK is on the way to a worker. */
static size_t task_bytes(const struct worker *w, const struct task *task)
{
	return task->length + (w->pool->settings.pool.mode == MODE_LINE ? 1 : HEADER);
}

static int put_line(struct worker *w, const struct task *task)
{
	char *to;

	if (bytes_reserve(&w->to, task->length + 1) < 0)
		return -ENOMEM;
	to = w->to.data + w->to.end;
	memcpy(to, task->words, task->length);
	to[task->length] = '\n';
	if (memchr(to, '\0', task->length))
		for (size_t i = 0; i < task->length; i++)
			if (!to[i])
				to[i] = '\t';
	w->to.end += task->length + 1;
	return 0;
}

static int put_frame(struct worker *w, const struct task *task)
{
	uint32_t head[2] = { htole32((uint32_t)(task->length + HEADER - 4)), 0 };
	uint64_t id = htole64(task->id);

	if (bytes_reserve(&w->to, HEADER + task->length) < 0)
		return -ENOMEM;
	(void)bytes_add(&w->to, head, sizeof head);
	(void)bytes_add(&w->to, &id, sizeof id);
	return bytes_add(&w->to, task->words, task->length);
}

/* The first of its tasks begins now. */
static void stream_head(struct worker *w)
{
	const struct task *task = TAILQ_FIRST(&w->tasks);

	w->head_since = ev_now(w->pool->loop);
	if (w->verdict || w->protocol_error || w->abandoned)
		return;
	if (ev_is_active(&w->timer))
		ev_timer_stop(w->pool->loop, &w->timer);
	if (task && task->timeout > 0) {
		ev_timer_set(&w->timer, (double)task->timeout, 0);
		ev_timer_start(w->pool->loop, &w->timer);
	}
}

void worker_give(struct worker *w, struct task *task)
{
	int r = w->pool->settings.pool.mode == MODE_LINE ? put_line(w, task) : put_frame(w, task);

	if (r < 0) {
		w->pool->n_running--;
		pool_task_release(w->pool, task);
		return;
	}
	task->attempts++;
	w->given++;
	w->n_tasks++;
	TAILQ_INSERT_TAIL(&w->tasks, task, link);
	if (w->n_tasks == 1)
		stream_head(w);
	if (w->pool->settings.pool.max_tasks_per_worker && w->given >= (unsigned long long)w->pool->settings.pool.max_tasks_per_worker)
		w->last = w->expected = true;
}

/* All is answered and nothing more will come: end of input, and a limit to its patience. */
static void finish_if_done(struct worker *w)
{
	if (!w->last || w->n_tasks || w->in < 0 || bytes_length(&w->to))
		return;
	stream_close_input(w);
	if (w->verdict || w->protocol_error)
		return;
	ev_timer_stop(w->pool->loop, &w->timer);
	ev_timer_set(&w->timer, w->pool->settings.stop_timeout, 0);
	ev_timer_start(w->pool->loop, &w->timer);
}

/* Bytes that were written to it and that it has not read. */
static unsigned long long unread_bytes(const struct worker *w)
{
	int unread = 0;

	return w->in >= 0 && ioctl(w->in, FIONREAD, &unread) == 0 ? (unsigned long long)unread : 0;
}

/*
 * It has closed its stdin, or has ended: then its end is on the way. One that has read all it was given may still answer; what it
 * has not read, or what we could not even write, it will never do.
 */
static void input_gone(struct worker *w)
{
	ev_io_stop(w->pool->loop, &w->in_watcher);
	ev_io_stop(w->pool->loop, &w->in_closed);
	w->last = true;
	if (!w->n_tasks || bytes_length(&w->to) || unread_bytes(w) || w->in < 0)
		worker_abandon(w);
	bytes_free(&w->to);
	slot_worker_ready(w);
}

void worker_flush(struct worker *w)
{
	size_t had = bytes_length(&w->to);
	int r = w->in < 0 ? -EPIPE : bytes_write(&w->to, w->in);

	w->written += had - bytes_length(&w->to);
	if (r == -EAGAIN) {
		ev_io_start(w->pool->loop, &w->in_watcher);
		return;
	}
	if (w->in >= 0)
		ev_io_stop(w->pool->loop, &w->in_watcher);
	if (r < 0) {
		input_gone(w);
		return;
	}
	finish_if_done(w);
}

static void input_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
	(void)loop;
	(void)events;
	worker_flush(watcher->data);
}

static void input_closed(struct ev_loop *loop, ev_io *watcher, int events)
{
	(void)loop;
	(void)events;
	input_gone(watcher->data);
}

void worker_finish(struct worker *w)
{
	w->last = w->expected = true;
	finish_if_done(w);
}

/* ---- answers ---- */

/* TASK (one of W's) is answered by LENGTH bytes at TEXT. */
static void answered(struct worker *w, struct task *task, const char *text, size_t length, unsigned status, bool truncated)
{
	bool head = task == TAILQ_FIRST(&w->tasks);
	struct result result = { .state = status ? TASK_FAILED : TASK_DONE, .exit = status > STATUS_MAX ? STATUS_MAX : (int)status,
				 .out = text, .out_length = length, .truncated_out = truncated, .attempts = task->attempts,
				 .slot = w->number, .pid = w->pid, .started = w->head_since,
				 .ended = ev_now(w->pool->loop) };

	TAILQ_REMOVE(&w->tasks, task, link);
	w->n_tasks--;
	w->answered++;
	w->done_with += task_bytes(w, task);
	w->pool->answered = result.ended;
	w->pool->task_time += (result.ended - result.started - w->pool->task_time) / 16;
	w->pool->n_running--;
	if (w->slot)
		w->slot->failures = 0;
	if (head)
		stream_head(w);
	pool_task_ended(w->pool, task, &result);
}

static void broken(struct worker *w, const char *what)
{
	pool_log(w->pool, "worker %u (pid %d) %s: it is replaced", w->number, w->pid, what);
	capture_close(w, &w->out);
	bytes_free(&w->out.data);
	worker_kill(w, 0);
}

static bool is_ready_line(const char *text, size_t length)
{
	return length == sizeof ready_line - 1 && memcmp(text, ready_line, length) == 0;
}

/* One line without its newline. False: the worker is broken. */
static bool take_line(struct worker *w, const char *text, size_t length, bool truncated)
{
	struct task *task = TAILQ_FIRST(&w->tasks);
	const char *prefix = w->pool->settings.pool.error_prefix;
	size_t n = strlen(prefix);

	if (!w->ready && is_ready_line(text, length)) {
		w->ready = true;
		return true;
	}
	if (!task) {
		broken(w, w->ready ? "wrote something that nobody had asked for" : "wrote something else than \"ready\" at its start");
		return false;
	}
	answered(w, task, text, length, n && length >= n && memcmp(text, prefix, n) == 0, truncated);
	return true;
}

static void take_lines(struct worker *w)
{
	size_t most = (size_t)w->pool->settings.pool.max_result_bytes;
	struct bytes *b = &w->out.data;

	while (bytes_length(b)) {
		char *begin = bytes_at(b);
		char *end = memchr(begin, '\n', bytes_length(b));
		size_t length = end ? (size_t)(end - begin) : bytes_length(b);
		bool keep = length <= most;

		if (!end && !w->n_tasks && w->ready) {
			broken(w, "wrote something that nobody had asked for");
			return;
		}
		if (!end && keep)
			return;
		if (!end) {
			/* The rest of this line is dropped as it comes: the kept part stays in front. */
			w->out.truncated = true;
			b->end = b->start + most;
			return;
		}
		if (!take_line(w, begin, keep ? length : most, w->out.truncated || !keep))
			return;
		w->out.truncated = false;
		bytes_drop(b, length + 1);
	}
}

static struct task *task_by_id(struct worker *w, uint64_t id)
{
	struct task *task;

	TAILQ_FOREACH(task, &w->tasks, link)
		if (task->id == id)
			return task;
	return NULL;
}

/* One frame that has come whole. False: the worker is broken. */
static bool take_frame(struct worker *w, unsigned status, uint64_t id, const char *payload, size_t length, bool truncated)
{
	struct task *task;

	if (!w->ready && id == 0 && length == 0) {
		w->ready = true;
		return true;
	}
	task = task_by_id(w, id);
	if (!task) {
		broken(w, "answered a task that it does not have");
		return false;
	}
	answered(w, task, payload, length, status, truncated);
	return true;
}

/* The frame that is coming is longer than what is kept of one: the rest is dropped as it comes. */
static void cut_frame(struct worker *w, size_t most)
{
	struct bytes *b = &w->out.data;

	if (bytes_length(b) <= HEADER + most)
		return;
	w->out.dropped += bytes_length(b) - (HEADER + most);
	b->end = b->start + HEADER + most;
}

static void take_frames(struct worker *w)
{
	size_t most = (size_t)w->pool->settings.pool.max_result_bytes;
	struct bytes *b = &w->out.data;

	while (bytes_length(b) >= HEADER) {
		const char *at = bytes_at(b);
		uint32_t length, status;
		uint64_t id;
		size_t kept;

		memcpy(&length, at, sizeof length);
		memcpy(&status, at + 4, sizeof status);
		memcpy(&id, at + 8, sizeof id);
		length = le32toh(length);
		if (length < HEADER - 4 || length > (1U << 30)) {
			broken(w, "wrote a frame of impossible length");
			return;
		}
		if (bytes_length(b) + w->out.dropped < length + 4UL) {
			cut_frame(w, most);
			return;
		}
		kept = length + 4UL - w->out.dropped;	/* header included */
		if (!take_frame(w, le32toh(status), le64toh(id), at + HEADER, kept - HEADER < most ? kept - HEADER : most,
				length + 4UL - HEADER > most))
			return;
		w->out.dropped = 0;
		bytes_drop(b, kept);
	}
}

/* With a line that is being cut, read into the room behind what is kept and look for the end of the line there. */
static long read_cut_line(struct worker *w)
{
	struct bytes *b = &w->out.data;
	size_t kept = bytes_length(b);
	long n = bytes_read(b, w->out.fd, CHUNK);
	char *begin, *end;

	if (n <= 0)
		return n;
	begin = bytes_at(b) + kept;
	end = memchr(begin, '\n', (size_t)n);
	if (end) {
		memmove(begin, end, (size_t)(begin + n - end));
		b->end -= (size_t)(end - begin);
	} else {
		b->end -= (size_t)n;
	}
	return n;
}

static long read_answers(struct worker *w)
{
	long n = w->out.truncated ? read_cut_line(w) : bytes_read(&w->out.data, w->out.fd, CHUNK);

	if (n > 0 && w->pool->settings.pool.mode == MODE_LINE)
		take_lines(w);
	else if (n > 0)
		take_frames(w);
	return n;
}

static void output_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct worker *w = watcher->data;
	bool was_ready = w->ready;
	long n = read_answers(w);

	(void)loop;
	(void)events;
	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		capture_close(w, &w->out);
		worker_abandon(w);
		return;
	}
	if (w->ready && !was_ready && w->slot)
		w->slot->failures = 0;
	finish_if_done(w);
	if (w->out.fd >= 0 || w->last)
		slot_worker_ready(w);
	if (!w->n_tasks)
		pool_worker_dry(w->pool);
}

/* ---- end ---- */

/* Has it read anything of the tasks that it has not answered? */
static bool has_read(const struct worker *w)
{
	return w->in < 0 || w->written - unread_bytes(w) > w->done_with;
}

static void head_lost(struct worker *w, struct task *task, const struct exit_status *status)
{
	char text[96], why[160];
	struct result result = { .state = w->verdict ? w->verdict : TASK_LOST, .exit = exit_status_number(status),
				 .slot = w->number, .pid = w->pid, .started = w->head_since,
				 .ended = ev_now(w->pool->loop), .attempts = task->attempts, .why = why };

	(void)snprintf(why, sizeof why, "%s: %s",
		       w->verdict == TASK_TIMEOUT   ? "took too long, worker killed" :
		       w->verdict == TASK_CANCELLED ? "cancelled, worker killed" :
		       w->protocol_error	    ? "worker broke the protocol" :
						      "worker died",
		       exit_status_text(status, text, sizeof text));
	pool_task_ended(w->pool, task, &result);
}

/* Back to the head of the queue in their order: the last one first. */
static void release_all(struct worker *w)
{
	struct task *task;

	while ((task = TAILQ_LAST(&w->tasks, task_list))) {
		TAILQ_REMOVE(&w->tasks, task, link);
		w->n_tasks--;
		w->pool->n_running--;
		task->attempts--;
		pool_task_release(w->pool, task);
	}
}

void stream_ended(struct worker *w, const struct exit_status *status)
{
	bool begun = has_read(w);
	bool good = w->expected && !w->protocol_error && !w->verdict && !status->signal && status->code == 0 && !w->failure.stage;
	bool lived = w->answered || (w->ready && w->pool->settings.pool.ready) ||
		     ev_now(w->pool->loop) - w->born >= w->pool->settings.start_seconds;
	struct task *head;
	char text[96], why[256];

	for (int i = 0; i < 64 && w->out.fd >= 0 && read_answers(w) > 0; i++)
		;
	lived = lived || w->answered;
	head = TAILQ_FIRST(&w->tasks);
	if (w->failure.stage)
		(void)snprintf(why, sizeof why, "%s: %s: %s", w->pool->settings.argv[0],
			       spawn_stage_name((enum spawn_stage)w->failure.stage), errno_name(w->failure.error));
	else
		(void)snprintf(why, sizeof why, "worker %u (pid %d): %s", w->number, w->pid,
			       exit_status_text(status, text, sizeof text));
	if (head && !w->failure.stage && (begun || w->verdict)) {
		TAILQ_REMOVE(&w->tasks, head, link);
		w->n_tasks--;
		w->pool->n_running--;
		head_lost(w, head, status);
		lived = true;
	}
	release_all(w);
	if (!good && !w->pool->stopping && w->verdict != TASK_CANCELLED)
		pool_log(w->pool, "%s%s", why, head ? ", with a task" : "");
	if (good || w->verdict)
		slot_worker_gone(w, true, NULL);
	else
		slot_worker_gone(w, lived, why);
}
