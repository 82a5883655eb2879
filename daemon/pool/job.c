/* See job.h. */
#include "job.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "wire/bulk.h"

enum {
	READ_SIZE = 256 << 10,
	BACKLOG_MAX = 4 << 20,		/* bytes of results that a client may leave unread before its tasks wait */
	TASKS_PER_TURN = 8192,
	HELD_MAX = 32 << 10,		/* bytes of results that may wait for more, to be written together */
};

static const double held_time = 0.001;	/* seconds for which they may */
static const double look_time = 1;	/* seconds between two looks whether a client that is not read from is still there */

struct job {
	LIST_ENTRY(job) link;		/* pool::jobs */
	struct pool *pool;
	unsigned long long number;
	struct job_options options;
	int fd;				/* -1: the client is gone */
	ev_io reader, writer;
	ev_timer held, look;
	struct bytes in, out;
	size_t frame_left;		/* bytes of the present TASKS frame that have not been taken */
	size_t skip;			/* bytes of a task that is too large */
	uint64_t next_index;
	size_t unfinished;
	bool holding;			/* `held` runs, or has just ended */
	bool input_ended, cancelled, faulted, done_sent;
	struct task_list parked;
};

size_t jobs_count(const struct pool *pool)
{
	const struct job *job;
	size_t n = 0;

	LIST_FOREACH(job, &pool->jobs, link)
		n++;
	return n;
}

static void job_free(struct job *job)
{
	if (job->fd >= 0) {
		ev_io_stop(job->pool->loop, &job->reader);
		ev_io_stop(job->pool->loop, &job->writer);
		(void)close(job->fd);
	}
	ev_timer_stop(job->pool->loop, &job->held);
	ev_timer_stop(job->pool->loop, &job->look);
	LIST_REMOVE(job, link);
	bytes_free(&job->in);
	bytes_free(&job->out);
	free(job);
}

/* ---- results ---- */

static void put_frame(struct job *job, enum bulk_type type, const void *head, size_t head_length, size_t length)
{
	struct bulk_header header = { .length = (uint32_t)length, .type = type };

	if (job->fd < 0 || bytes_reserve(&job->out, sizeof header + length) < 0)
		return;
	(void)bytes_add(&job->out, &header, sizeof header);
	(void)bytes_add(&job->out, head, head_length);
}

static void put_result(struct job *job, uint64_t index, uint64_t id, const struct result *r)
{
	struct bulk_result head = {
		.index = index,
		.id = id,
		.state = (uint8_t)r->state,
		.flags = (uint8_t)((r->truncated_out ? BULK_TRUNCATED_OUT : 0) | (r->truncated_err ? BULK_TRUNCATED_ERR : 0)),
		.exit = (int16_t)r->exit,
		.attempts = (uint16_t)r->attempts,
		.why_length = (uint16_t)(r->why ? strlen(r->why) : 0),
		.slot = r->slot,
		.pid = r->pid,
		.started = r->started,
		.ended = r->ended,
		.user_time = r->user_time,
		.system_time = r->system_time,
		.max_rss = r->max_rss,
		.out_length = (uint32_t)r->out_length,
		.err_length = (uint32_t)r->err_length,
	};

	if (job->fd < 0)
		return;
	put_frame(job, BULK_RESULTS, &head, sizeof head, sizeof head + r->out_length + r->err_length + head.why_length);
	(void)bytes_add(&job->out, r->out, r->out_length);
	(void)bytes_add(&job->out, r->err, r->err_length);
	(void)bytes_add(&job->out, r->why, head.why_length);
}

void job_result(struct job *job, const struct task *task, const struct result *result)
{
	job->unfinished--;
	put_result(job, task->index, task->id, result);
}

static void refuse(struct job *job, uint64_t index, const char *why)
{
	struct result result = { .state = TASK_FAILED, .exit = 125, .why = why, .ended = ev_now(job->pool->loop) };

	put_result(job, index, 0, &result);
	job->pool->counters.failed++;
	job->pool->counters.unsuccessful++;
}

void job_refused(struct job *job, const struct task *task, const char *why)
{
	job->unfinished--;
	refuse(job, task->index, why);
}

bool job_cancelled(const struct job *job)
{
	return job->cancelled || (job->fd < 0 && !job->options.detach) || (job->faulted && !job->options.detach);
}

/* ---- clients that do not read ---- */

bool job_stalled(const struct job *job)
{
	return job->fd >= 0 && bytes_length(&job->out) > BACKLOG_MAX;
}

void job_park(struct job *job, struct task *task)
{
	task->place = PLACE_PARKED;
	TAILQ_INSERT_TAIL(&job->parked, task, link);
}

void job_unpark(struct job *job, struct task *task)
{
	TAILQ_REMOVE(&job->parked, task, link);
}

static void unpark_all(struct job *job)
{
	struct task *task;

	if (TAILQ_EMPTY(&job->parked) || job_stalled(job))
		return;
	while ((task = TAILQ_LAST(&job->parked, task_list))) {
		TAILQ_REMOVE(&job->parked, task, link);
		task->place = PLACE_READY;
		(void)ready_push_front(&job->pool->ready, task);	/* its level exists: it was there before */
	}
	pool_wake(job->pool);
}

/* ---- the end of a client ---- */

/* Without a client. Its tasks go on by themselves, or are dropped. */
static void client_gone(struct job *job)
{
	struct pool *pool = job->pool;

	if (job->fd < 0)
		return;
	ev_io_stop(pool->loop, &job->reader);
	ev_io_stop(pool->loop, &job->writer);
	ev_timer_stop(pool->loop, &job->look);
	(void)close(job->fd);
	job->fd = -1;
	job->input_ended = true;
	bytes_free(&job->in);
	bytes_free(&job->out);
	unpark_all(job);
	pool_wake(pool);
	if (!job->options.detach) {
		pool_cancel_job(pool, job);
		return;
	}
	for (size_t i = 0; i < pool->tasks.size; i++)
		for (struct task *t = pool->tasks.bucket[i]; t; t = t->hash_next)
			if (t->job == job) {
				t->job = NULL;
				t->index = 0;
				job->unfinished--;
			}
}

void jobs_fault(struct pool *pool, const char *text)
{
	struct job *job;

	LIST_FOREACH(job, &pool->jobs, link) {
		if (job->faulted)
			continue;
		job->faulted = true;
		job->input_ended = true;
		job->options.detach = job->options.detach || pool->stopping;
		put_frame(job, BULK_FAULT, text, strlen(text), strlen(text));
		if (!job->options.detach)
			pool_cancel_job(pool, job);
	}
}

/* ---- tasks ---- */

static bool may_read(const struct job *job)
{
	return job->fd >= 0 && !job->input_ended && !job->pool->stopping && job->unfinished < job->options.inflight &&
	       !job_stalled(job);
}

static void submit(struct job *job, const char *words, const struct bulk_task *head)
{
	struct pool *pool = job->pool;
	uint64_t index = job->next_index++;
	struct error err;
	struct task *task;

	if (pool_check(pool, words, head->length, &err) < 0) {
		refuse(job, index, err.text);
		return;
	}
	task = task_new(words, head->length, head->bare != 0, NULL);
	if (!task) {
		refuse(job, index, "out of memory");
		return;
	}
	task->job = job;
	task->index = index;
	task->priority = (int16_t)job->options.priority;
	task->retries = (uint16_t)job->options.retries;
	task->timeout = (float)job->options.timeout;
	task->chunk = job->options.chunk > 1 ? (uint32_t)(index / job->options.chunk) + 1 : 0;
	job->unfinished++;
	pool_submit(pool, task, NULL);
}

/* A record that can be taken whole. False: more bytes are needed. */
static bool take_task(struct job *job)
{
	struct bytes *b = &job->in;
	size_t have = bytes_length(b);
	struct bulk_task head;

	if (job->skip) {
		size_t n = job->skip < have ? job->skip : have;

		bytes_drop(b, n);
		job->skip -= n;
		job->frame_left -= n;
		return n > 0;
	}
	if (have < sizeof head)
		return false;
	memcpy(&head, bytes_at(b), sizeof head);
	if (job->frame_left < sizeof head + head.length) {
		client_gone(job);
		return false;
	}
	if (head.length > (size_t)job->pool->settings.pool.max_task_bytes) {
		refuse(job, job->next_index++, "the task is larger than max_task_bytes");
		bytes_drop(b, sizeof head);
		job->frame_left -= sizeof head;
		job->skip = head.length;
		return true;
	}
	if (have < sizeof head + head.length)
		return false;
	submit(job, bytes_at(b) + sizeof head, &head);
	bytes_drop(b, sizeof head + head.length);
	job->frame_left -= sizeof head + head.length;
	return true;
}

static bool take_frame(struct job *job)
{
	struct bulk_header header;

	if (bytes_length(&job->in) < sizeof header)
		return false;
	memcpy(&header, bytes_at(&job->in), sizeof header);
	bytes_drop(&job->in, sizeof header);
	switch (header.type) {
	case BULK_TASKS:
		job->frame_left = header.length;
		return true;
	case BULK_END:
		job->input_ended = true;
		return true;
	case BULK_CANCEL:
		job->input_ended = job->cancelled = true;
		pool_cancel_job(job->pool, job);
		return true;
	default:
		client_gone(job);
		return false;
	}
}

static void take_input(struct job *job)
{
	int n = 0;

	while (may_read(job) && (job->frame_left ? take_task(job) : take_frame(job)))
		if (++n == TASKS_PER_TURN) {
			pool_wake(job->pool);
			break;
		}
}

/* After END a client sends nothing but CANCEL. Nothing is kept of what can mean nothing any more. */
static void take_late(struct job *job)
{
	struct bulk_header header;

	while (!job->cancelled && !job->faulted && bytes_length(&job->in) >= sizeof header) {
		memcpy(&header, bytes_at(&job->in), sizeof header);
		if (header.type != BULK_CANCEL) {
			client_gone(job);
			return;
		}
		(void)take_frame(job);
	}
	if (job->cancelled || job->faulted)
		bytes_free(&job->in);
}

static void take(struct job *job)
{
	take_input(job);
	if (job->input_ended)
		take_late(job);
}

static void job_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct job *job = watcher->data;
	long n = bytes_read(&job->in, job->fd, READ_SIZE);

	(void)loop;
	(void)events;
	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		client_gone(job);
		return;
	}
	take(job);
}

static void job_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
	(void)loop;
	(void)events;
	(void)watcher;	/* the turn that follows writes */
}

static void look_for_client(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct job *job = timer->data;
	struct pollfd client = { .fd = job->fd };

	(void)loop;
	(void)events;
	if (poll(&client, 1, 0) > 0 && client.revents & (POLLHUP | POLLERR))
		client_gone(job);
}

/* Nothing is read while the job has its fill; that its client has left is seen in every case. */
static void watch_input(struct job *job)
{
	bool wanted = job->fd >= 0 && (may_read(job) ? bytes_length(&job->in) < READ_SIZE * 2 :
					 job->input_ended || bytes_length(&job->in) < READ_SIZE);

	if (job->fd < 0)
		return;
	if (wanted && !ev_is_active(&job->reader)) {
		ev_io_start(job->pool->loop, &job->reader);
		ev_timer_stop(job->pool->loop, &job->look);
	} else if (!wanted && ev_is_active(&job->reader)) {
		ev_io_stop(job->pool->loop, &job->reader);
		ev_timer_again(job->pool->loop, &job->look);
	}
}

static void held_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)timer;
	(void)events;	/* the turn that follows writes */
}

/*
 * While tasks wait for workers, the client is in no hurry: results are written together, instead of waking it for each.
 */
static bool may_hold(struct job *job)
{
	struct pool *pool = job->pool;
	size_t length = bytes_length(&job->out);

	if (!length || length > HELD_MAX || !pool->ready.n || job->done_sent || job->faulted || ev_is_active(&job->writer)) {
		ev_timer_stop(pool->loop, &job->held);
		return false;
	}
	if (!ev_is_active(&job->held) && !job->holding) {
		job->holding = true;
		ev_timer_set(&job->held, held_time, 0);
		ev_timer_start(pool->loop, &job->held);
	}
	return ev_is_active(&job->held);
}

/* False: the job is over and has been freed. */
static bool job_flush(struct job *job)
{
	int r;

	if (!job->done_sent && !job->faulted && job->input_ended && !job->unfinished && job->fd >= 0) {
		job->done_sent = true;
		put_frame(job, BULK_DONE, NULL, 0, 0);
	}
	if (job->fd >= 0 && may_hold(job))
		return true;
	job->holding = false;
	r = job->fd >= 0 ? bytes_write(&job->out, job->fd) : 0;
	if (r == -EAGAIN) {
		ev_io_start(job->pool->loop, &job->writer);
	} else if (r < 0) {
		client_gone(job);
	} else if (job->fd >= 0) {
		ev_io_stop(job->pool->loop, &job->writer);
		if (job->done_sent || job->faulted)
			client_gone(job);
	}
	if (job->fd < 0 && !job->unfinished) {
		job_free(job);
		return false;
	}
	return true;
}

void jobs_flush(struct pool *pool)
{
	struct job *job, *next;

	for (job = LIST_FIRST(&pool->jobs); job; job = next) {
		next = LIST_NEXT(job, link);
		if (!job_flush(job))
			continue;
		unpark_all(job);
		if (bytes_length(&job->in))
			take(job);
		watch_input(job);
	}
}

struct job *job_new(struct pool *pool, const struct job_options *options, struct varlink_upgraded *connection)
{
	struct job *job = calloc(1, sizeof *job);

	if (!job) {
		(void)close(connection->fd);
		bytes_free(&connection->received);
		bytes_free(&connection->unsent);
		return NULL;
	}
	job->in = connection->received;
	job->out = connection->unsent;
	job->pool = pool;
	job->options = *options;
	job->number = pool->last_job;
	job->fd = connection->fd;
	TAILQ_INIT(&job->parked);
	ev_io_init(&job->reader, job_readable, job->fd, EV_READ);
	ev_io_init(&job->writer, job_writable, job->fd, EV_WRITE);
	ev_timer_init(&job->held, held_over, held_time, 0);
	ev_timer_init(&job->look, look_for_client, look_time, look_time);
	job->reader.data = job->writer.data = job->look.data = job;
	LIST_INSERT_HEAD(&pool->jobs, job, link);
	ev_io_start(pool->loop, &job->reader);
	pool_wake(pool);
	return job;
}

void jobs_free(struct pool *pool)
{
	struct job *job;

	for (size_t i = 0; i < pool->tasks.size; i++)
		for (struct task *t = pool->tasks.bucket[i]; t; t = t->hash_next)
			t->job = NULL;
	while ((job = LIST_FIRST(&pool->jobs))) {
		(void)bytes_write(&job->out, job->fd);
		job_free(job);
	}
}
