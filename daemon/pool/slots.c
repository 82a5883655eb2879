/* See slots.h. */
#include "slots.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "worker.h"

static const double first_pause = 0.1, longest_pause = 10;	/* seconds between failed starts */

static bool streaming(const struct pool *pool)
{
	return pool->settings.pool.mode != MODE_EXEC;
}

static bool ending(const struct pool *pool)
{
	return pool->stopping || pool->state == POOL_TERMINATING || pool->state == POOL_ENDED;
}

static bool can_take(const struct slot *slot)
{
	const struct pool *pool = slot->pool;
	size_t room;

	if (slot->surplus || slot->failed || ev_is_active(&slot->backoff) || ending(pool))
		return false;
	if (!streaming(pool))
		return !slot->worker && slot->prepared;
	if (!slot->worker || slot->worker->kind != WORKER_STREAM)
		return false;
	room = worker_room(slot->worker);
	/* Refilled by halves, so that one write carries several tasks. */
	return room && (room * 2 >= (size_t)pool->settings.pool.window || !slot->worker->n_tasks);
}

/* The slot is, or is not, able to take a task: put it into the list or take it out. */
static void slot_update(struct slot *slot)
{
	struct pool *pool = slot->pool;
	bool can = can_take(slot);

	if (can == slot->is_hungry)
		return;
	slot->is_hungry = can;
	if (can) {
		TAILQ_INSERT_TAIL(&pool->hungry, slot, hungry);
		pool->n_hungry++;
	} else {
		TAILQ_REMOVE(&pool->hungry, slot, hungry);
		pool->n_hungry--;
	}
}

struct slot *slots_hungry(struct pool *pool)
{
	return TAILQ_FIRST(&pool->hungry);
}

size_t slots_appetite(const struct pool *pool)
{
	return pool->n_hungry * (streaming(pool) ? (size_t)pool->settings.pool.window : 1);
}

/* ---- starts ---- */

static void check_fatal(struct pool *pool, const char *why)
{
	for (size_t i = 0; i < pool->n_slots; i++)
		if (!pool->slots[i]->failed && !pool->slots[i]->surplus)
			return;
	pool->fatal = true;
	(void)snprintf(pool->trouble, sizeof pool->trouble, "no worker can be started: %s", why);
	pool_log(pool, "fatal: %s; correct it, then `reopen` the pool", pool->trouble);
	pool_wake(pool);
}

/* A start came to nothing. COUNTS: it is the command's fault, which will not go away by itself. */
static void start_failed(struct slot *slot, bool counts, const char *why)
{
	struct pool *pool = slot->pool;
	double pause = first_pause;

	slot->failures++;
	pool->counters.start_failures++;
	pool_log(pool, "worker %u did not start (%u of %lld tries): %s", slot->number, slot->failures,
		 pool->settings.start_retries + 1, why);
	if (counts && slot->failures > pool->settings.start_retries) {
		slot->failed = true;
		check_fatal(pool, why);
		slot_update(slot);
		return;
	}
	for (unsigned i = 1; i < slot->failures && pause < longest_pause; i++)
		pause *= 2;
	ev_timer_stop(pool->loop, &slot->backoff);
	ev_timer_set(&slot->backoff, pause < longest_pause ? pause : longest_pause, 0);
	ev_timer_start(pool->loop, &slot->backoff);
	slot_update(slot);
}

/* Start in *PLACE (the slot's worker or next) what is due: the initializer, or a worker. */
static void start_in(struct slot *slot, struct worker **place, bool initialized)
{
	struct pool *pool = slot->pool;
	bool initialize = pool->settings.initializer && !initialized;
	struct error err = { 0 };

	if (!initialize && !streaming(pool)) {
		slot->prepared = true;
		slot_update(slot);
		return;
	}
	*place = worker_start(slot, initialize ? WORKER_INITIALIZER : WORKER_STREAM, NULL, &err);
	if (!*place)
		start_failed(slot, false, err.text);
	slot_update(slot);
}

static void slot_start(struct slot *slot)
{
	struct pool *pool = slot->pool;

	if (slot->worker || slot->surplus || slot->failed || ending(pool) || ev_is_active(&slot->backoff))
		return;
	if (pool->state == POOL_CLOSED && pool_idle(pool))
		return;
	start_in(slot, &slot->worker, slot->prepared);
}

static void backoff_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct slot *slot = timer->data;

	(void)loop;
	(void)events;
	slot_start(slot);
	slot_update(slot);
}

static struct slot *slot_new(struct pool *pool, unsigned number)
{
	struct slot *slot = calloc(1, sizeof *slot);

	if (!slot)
		return NULL;
	slot->pool = pool;
	slot->number = number;
	ev_timer_init(&slot->backoff, backoff_over, 0, 0);
	slot->backoff.data = slot;
	return slot;
}

static void slot_free(struct slot *slot)
{
	slot->surplus = true;
	slot_update(slot);
	ev_timer_stop(slot->pool->loop, &slot->backoff);
	free(slot);
}

static void detach(struct worker *w)
{
	if (!w)
		return;
	w->slot = NULL;
	w->expected = true;
	if (w->kind == WORKER_STREAM)
		worker_finish(w);
	else if (w->kind == WORKER_INITIALIZER)
		worker_kill(w, 0);
}

/* Remove surplus slots from the end. Their workers finish what they have. */
static void shrink(struct pool *pool, size_t target)
{
	while (pool->n_slots > target) {
		struct slot *slot = pool->slots[--pool->n_slots];

		detach(slot->worker);
		detach(slot->next);
		slot->worker = slot->next = NULL;
		slot_free(slot);
	}
}

void slots_adjust(struct pool *pool)
{
	size_t target = (size_t)pool->settings.pool.workers;
	struct slot **slots;

	shrink(pool, target);
	slots = target > pool->n_slots ? realloc(pool->slots, target * sizeof(struct slot *)) : pool->slots;
	if (target > pool->n_slots && slots) {
		pool->slots = slots;
		while (pool->n_slots < target) {
			struct slot *slot = slot_new(pool, (unsigned)pool->n_slots);

			if (!slot)
				break;
			pool->slots[pool->n_slots++] = slot;
		}
	}
	for (size_t i = 0; i < pool->n_slots; i++) {
		slot_start(pool->slots[i]);
		slot_update(pool->slots[i]);
	}
}

void slots_finish(struct pool *pool)
{
	for (size_t i = 0; i < pool->n_slots; i++) {
		struct slot *slot = pool->slots[i];

		ev_timer_stop(pool->loop, &slot->backoff);
		if (slot->worker && slot->worker->kind == WORKER_STREAM)
			worker_finish(slot->worker);
		if (slot->next && slot->next->kind == WORKER_STREAM)
			worker_finish(slot->next);
		slot_update(slot);
	}
}

void slots_kill(struct pool *pool, enum task_state verdict, bool now)
{
	for (size_t i = 0; i < ARRAY_LEN(pool->workers); i++) {
		struct worker *w;

		LIST_FOREACH(w, &pool->workers[i], by_pid)
			if (now)
				worker_kill_now(w, verdict);
			else
				worker_kill(w, verdict);
	}
	for (size_t i = 0; i < pool->n_slots; i++)
		slot_update(pool->slots[i]);
}

void slots_revive(struct pool *pool)
{
	pool->fatal = false;
	pool->trouble[0] = '\0';
	for (size_t i = 0; i < pool->n_slots; i++) {
		struct slot *slot = pool->slots[i];

		slot->failed = false;
		slot->failures = 0;
		ev_timer_stop(pool->loop, &slot->backoff);
	}
	slots_adjust(pool);
}

void slots_free(struct pool *pool)
{
	for (size_t i = 0; i < pool->n_slots; i++)
		slot_free(pool->slots[i]);
	free(pool->slots);
	pool->slots = NULL;
	pool->n_slots = 0;
}

/* ---- tasks ---- */

/* The worker has been given its last task: start the one that follows, so that nobody waits for it. */
static void start_ahead(struct slot *slot)
{
	if (slot->worker && slot->worker->last && slot->worker->expected && !slot->next && !slot->surplus &&
	    !ending(slot->pool) && slot->pool->state == POOL_RUN)
		start_in(slot, &slot->next, false);
}

static void give(struct slot *slot, struct task *task)
{
	task->place = PLACE_WORKER;
	task->state = TASK_RUNNING;
	slot->pool->n_running++;
	worker_give(slot->worker, task);
}

static void feed_stream(struct slot *slot, struct task *task)
{
	struct pool *pool = slot->pool;
	size_t room = worker_room(slot->worker), share = pool->ready.n / (pool->n_hungry ? pool->n_hungry : 1) + 1;
	const struct job *job;
	uint32_t chunk;

	/* What is there is shared evenly: a long window must not starve the others. */
	if (room > share)
		room = share;
	for (; task && room; room--) {
		job = task->job;
		chunk = task->chunk;
		give(slot, task);
		while (chunk && !slot->worker->last && (task = pool_next_of_chunk(pool, job, chunk)))
			give(slot, task);
		task = room > 1 ? pool_next_task(pool) : NULL;
	}
	worker_flush(slot->worker);
	start_ahead(slot);
}

static void feed_exec(struct slot *slot, struct task *task)
{
	struct pool *pool = slot->pool;
	struct error err = { 0 };

	slot->worker = worker_start(slot, WORKER_TASK, task, &err);
	if (!slot->worker) {
		pool_task_release(pool, task);
		start_failed(slot, false, err.text);
		return;
	}
	task->place = PLACE_WORKER;
	task->state = TASK_RUNNING;
	pool->n_running++;
}

void slot_feed(struct slot *slot, struct task *task)
{
	struct pool *pool = slot->pool;

	if (streaming(pool))
		feed_stream(slot, task);
	else
		feed_exec(slot, task);
	slot_update(slot);
	if (slot->is_hungry) {
		/* Others first. */
		TAILQ_REMOVE(&pool->hungry, slot, hungry);
		TAILQ_INSERT_TAIL(&pool->hungry, slot, hungry);
	}
}

/* ---- what workers tell ---- */

/* The worker has answered its last task: the next one takes its place. */
static void promote(struct slot *slot)
{
	struct worker *old = slot->worker;

	old->slot = NULL;
	slot->worker = slot->next;
	slot->next = NULL;
	slot->pool->counters.recycled++;
	if (!slot->worker)
		slot_start(slot);
}

void slot_worker_ready(struct worker *w)
{
	struct slot *slot = w->slot;

	if (!slot || slot->worker != w)
		return;
	if (w->last && w->expected && !w->n_tasks && slot->pool->state == POOL_RUN && !slot->pool->stopping)
		promote(slot);
	slot_update(slot);
}

static void initializer_gone(struct slot *slot, struct worker **place, bool good, const char *why)
{
	if (!good) {
		start_failed(slot, true, why);
		return;
	}
	if (!ending(slot->pool))
		start_in(slot, place, true);
}

void slot_worker_gone(struct worker *w, bool started, const char *why)
{
	struct slot *slot = w->slot;
	struct worker **place;

	if (why && started)
		w->pool->counters.worker_deaths++;
	pool_wake(w->pool);
	if (!slot)
		return;
	place = slot->worker == w ? &slot->worker : &slot->next;
	*place = NULL;
	if (w->kind == WORKER_INITIALIZER) {
		initializer_gone(slot, place, started, why);
	} else if (!started && why) {
		start_failed(slot, true, why);
	} else {
		slot->failures = 0;
		if (place == &slot->worker && slot->next) {
			slot->worker = slot->next;
			slot->next = NULL;
		}
		if (streaming(w->pool))
			slot_start(slot);
	}
	slot_update(slot);
}
