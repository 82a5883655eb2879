/*
 * A whole pool but for its processes: what clients send (varlink, bulk streams of maps) and what workers answer (lines, frames, whatever).
 * Workers are pairs of pipes here. The input is a mode byte and then operations: a byte that chooses, a length, as many bytes.
 * Seeds: tests/fuzz/seeds/pool.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "control.h"
#include "slots.h"
#include "varlink/varlink.h"
#include "worker_modes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WORKERS_MAX = 64, CLIENTS_MAX = 4, SINK = 1 << 16 };

/* The far ends of a worker's pipes. */
static struct fake {
	struct worker *worker;		/* NULL: none here */
	int in, out;
	bool dying;
} fakes[WORKERS_MAX];
static int clients[CLIENTS_MAX], n_clients;
static pid_t last_pid;
static char sink[SINK];

/* ---- in the place of worker.c and worker_exec.c ---- */

static struct fake *fake_of(const struct worker *w)
{
	for (size_t i = 0; i < WORKERS_MAX; i++)
		if (fakes[i].worker == w)
			return &fakes[i];
	return NULL;
}

static void killed(struct worker *w)
{
	w->last = true;
	if (fake_of(w))
		fake_of(w)->dying = true;
}

void worker_abandon(struct worker *w)
{
	w->abandoned = true;
	killed(w);
}

void worker_kill(struct worker *w, enum task_state verdict)
{
	if (w->verdict || w->protocol_error)
		return;
	w->verdict = verdict;
	w->protocol_error = !verdict;
	killed(w);
}

void worker_kill_now(struct worker *w, enum task_state verdict)
{
	worker_kill(w, verdict);
	killed(w);
}

void workers_reap(struct pool *pool)
{
	(void)pool;
}

void workers_sweep(struct pool *pool)
{
	(void)pool;
}

static void timer_fired(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)events;
	worker_kill(timer->data, TASK_TIMEOUT);
}

struct worker *worker_start(struct slot *slot, enum worker_kind kind, struct task *task, struct error *err)
{
	struct worker *w = calloc(1, sizeof *w);
	struct fake *f = fake_of(NULL);
	int in[2], out[2];

	(void)task;
	if (!w || !f || pipe2(in, O_CLOEXEC | O_NONBLOCK) < 0 || pipe2(out, O_CLOEXEC | O_NONBLOCK) < 0) {
		free(w);
		(void)error_set(err, EAGAIN, "no more of them");
		return NULL;
	}
	*f = (struct fake){ .worker = w, .in = in[0], .out = out[1] };
	w->pool = slot->pool;
	w->slot = slot;
	w->number = slot->number;
	w->kind = kind;
	w->in = w->out.fd = w->err.fd = -1;
	w->pid = ++last_pid;
	w->born = ev_now(w->pool->loop);
	TAILQ_INIT(&w->tasks);
	LIST_INSERT_HEAD(&w->pool->workers[(unsigned)w->pid % ARRAY_LEN(w->pool->workers)], w, by_pid);
	w->pool->n_workers++;
	ev_timer_init(&w->timer, timer_fired, 0, 0);
	w->timer.data = w;
	stream_open(w, in[1], out[0]);
	return w;
}

static void fake_end(struct fake *f, int status)
{
	struct worker *w = f->worker;
	struct exit_status s = exit_status_from(status & 1 ? CLD_KILLED : CLD_EXITED, status & 1 ? SIGKILL : status >> 1);

	(void)close(f->in);
	(void)close(f->out);
	f->worker = NULL;
	LIST_REMOVE(w, by_pid);
	w->pool->n_workers--;
	ev_timer_stop(w->pool->loop, &w->timer);
	stream_ended(w, &s);
	ev_timer_stop(w->pool->loop, &w->timer);
	stream_close_input(w);
	capture_close(w, &w->out);
	bytes_free(&w->to);
	bytes_free(&w->out.data);
	free(w);
}

/* ---- operations ---- */

static void new_client(struct pool *pool)
{
	int pair[2];

	if (n_clients == CLIENTS_MAX || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return;
	clients[n_clients++] = pair[1];
	(void)control_add(pool->control, pair[0]);
}

static void drain(void)
{
	for (int i = 0; i < n_clients; i++)
		while (recv(clients[i], sink, sizeof sink, MSG_DONTWAIT) > 0)
			;
}

static void put(int fd, const uint8_t *data, size_t size)
{
	(void)!write(fd, data, size);
}

/* As a good worker would: what was asked is answered by itself. */
static void echo(struct fake *f)
{
	ssize_t n = read(f->in, sink, sizeof sink);

	if (n > 0)
		put(f->out, (uint8_t *)sink, (size_t)n);
}

static void operate(struct pool *pool, uint8_t op, const uint8_t *data, size_t size)
{
	struct fake *f = &fakes[(op >> 3) % 4];
	int client = n_clients ? clients[(op >> 3) % n_clients] : -1;

	switch (op & 7) {
	case 0:
		put(client, data, size);
		put(client, (const uint8_t *)"", 1);
		break;
	case 1:
		put(client, data, size);
		break;
	case 2:
		if (f->worker)
			put(f->out, data, size);
		break;
	case 3:
		if (f->worker)
			fake_end(f, size ? data[0] : 0);
		break;
	case 4:
		if (f->worker)
			echo(f);
		break;
	case 5:
		new_client(pool);
		break;
	case 6:
		drain();
		break;
	case 7:
		if (f->worker && size && data[0] & 1) {
			(void)close(f->in);
			f->in = open("/dev/null", O_RDONLY | O_CLOEXEC);
		} else if (n_clients && size) {
			(void)close(clients[--n_clients]);
		}
		break;
	}
}

static void settle(struct pool *pool)
{
	for (int round = 0; round < 3; round++) {
		ev_run(pool->loop, EVRUN_NOWAIT);
		for (size_t i = 0; i < WORKERS_MAX; i++)
			if (fakes[i].worker && fakes[i].dying)
				fake_end(&fakes[i], 1);
	}
}

static json_t *settings_of(uint8_t mode)
{
	return json_pack("{s:s, s:[s], s:s, s:i, s:i, s:i, s:s, s:b, s:i, s:i, s:f, s:i, s:i}", "name", "f", "argv", "true", "mode",
			 mode & 1 ? "line" : "frame", "workers", 2, "window", mode & 2 ? 4 : 1, "max_tasks_per_worker", mode & 4 ? 2 : 0,
			 "error_prefix", mode & 8 ? "!" : "", "ready", mode & 16, "retries", mode & 32 ? 1 : 0, "max_result_bytes", 100,
			 "retry_delay", 0.0, "max_task_bytes", 1000, "stopwaitsecs", 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pool pool = { .null_fd = -1, .log_fd = -1 };
	struct error err;
	json_t *settings;

	if (size < 1)
		return 0;
	settings = settings_of(data[0]);
	pool.loop = ev_loop_new(EVFLAG_AUTO);
	if (settings_read(settings, &pool.settings, &err) < 0 || pool_init(&pool, pool.loop, "memory", &err) < 0 ||
	    control_open(&pool, -1, -1, &pool.control, &err) < 0)
		abort();
	json_decref(settings);
	slots_adjust(&pool);
	new_client(&pool);
	for (size_t at = 1; at + 3 <= size;) {
		size_t length = data[at + 1] | (size_t)data[at + 2] << 8;
		uint8_t op = data[at];

		at += 3;
		length = length < size - at ? length : size - at;
		operate(&pool, op, data + at, length);
		settle(&pool);
		at += length;
	}
	while (n_clients)
		(void)close(clients[--n_clients]);
	settle(&pool);
	for (size_t i = 0; i < WORKERS_MAX; i++)
		if (fakes[i].worker)
			fake_end(&fakes[i], 1);
	pool.stopping = true;
	for (size_t i = 0; i < WORKERS_MAX; i++)
		if (fakes[i].worker)
			fake_end(&fakes[i], 1);
	pool_fini(&pool);
	ev_loop_destroy(pool.loop);
	return 0;
}

/* exec mode is not reached. */
void exec_open(struct worker *w, int out, int err_fd)
{
	(void)w, (void)out, (void)err_fd;
}

void exec_ended(struct worker *w, const struct exit_status *status)
{
	(void)w, (void)status;
}
