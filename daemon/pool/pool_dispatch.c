/*
 * See pool_parts.h. What happens at the end of each turn of the loop: tasks are handed to workers, the queue is asked for more, what was
 * collected for it and for clients goes out.
 */
#include <malloc.h>
#include <sched.h>

#include "pool_parts.h"

enum {
	READ_AHEAD = 4096,		/* tasks that the pool asks a queue for, at least */
	FEEDS_PER_TURN = 4096,		/* so that a long queue does not keep the loop from its sockets */
};

static const double quick_task = 100e-6, spin_time = 200e-6;	/* seconds */

/* ---- when ---- */

/*
 * Are answers coming so fast that going to sleep and being woken would cost more than the tasks themselves? Then the loop looks again
 * instead, and lets workers run between two looks; at most for `spin_time` after the last answer.
 */
static bool is_hot(const struct pool *pool)
{
	return pool->n_running && pool->ready.n && pool->task_time < quick_task && ev_now(pool->loop) - pool->answered < spin_time;
}

/* Called when nothing else has happened. */
static void woken(struct ev_loop *loop, ev_idle *idle, int events)
{
	(void)events;
	if (is_hot(idle->data))
		(void)sched_yield();
	else
		ev_idle_stop(loop, idle);
}

void pool_wake(struct pool *pool)
{
	ev_idle_start(pool->loop, &pool->again);
}

/* ---- who gets what ---- */

/* What the queue has not loaded yet has priority 0: it goes before what has less. */
static bool must_wait(const struct pool *pool, const struct task *task)
{
	struct queue_counts counts = { 0 };

	if (task->priority < 0 && !pool->queue->ops->shared)
		pool->queue->ops->count(pool->queue, &counts);
	return counts.queued > 0;
}

/* The first ready task that may be handed out; those whose clients do not read are set aside. */
static struct task *take_ready(struct pool *pool)
{
	struct task *task;

	while ((task = ready_first(&pool->ready)) && !must_wait(pool, task)) {
		ready_remove(&pool->ready, task);
		task->place = PLACE_NONE;
		if (!task->job || !job_stalled(task->job))
			return task;
		job_park(task->job, task);
	}
	return NULL;
}

struct task *pool_next_task(struct pool *pool)
{
	struct task *task = TAILQ_FIRST(&pool->claimed);

	if (task)
		pool_unplace(pool, task);
	else if (!pool->settings.pool.claim)
		task = take_ready(pool);
	return task;
}

struct task *pool_next_of_chunk(struct pool *pool, const struct job *job, uint32_t chunk)
{
	struct task *task = pool->settings.pool.claim ? TAILQ_FIRST(&pool->claimed) : ready_first(&pool->ready);

	if (!task || task->job != job || task->chunk != chunk)
		return NULL;
	pool_unplace(pool, task);
	return task;
}

static void claim_ahead(struct pool *pool)
{
	size_t most = slots_appetite(pool);
	struct task *task;

	while (pool->n_claiming + pool->n_claimed < most && (task = take_ready(pool))) {
		task->place = PLACE_CLAIMING;
		pool->n_claiming++;
		pool->queue->ops->claim(pool->queue, task);
	}
}

static bool may_dispatch(const struct pool *pool)
{
	return !pool->paused && !pool->stopping && !pool->fatal && pool->state != POOL_TERMINATING;
}

static void dispatch(struct pool *pool)
{
	struct slot *slot;
	struct task *task;
	int n = 0;

	if (!may_dispatch(pool))
		return;
	if (pool->settings.pool.claim)
		claim_ahead(pool);
	while ((slot = slots_hungry(pool)) && (task = pool_next_task(pool))) {
		slot_feed(slot, task);
		if (++n == FEEDS_PER_TURN) {
			pool_wake(pool);
			break;
		}
	}
}

void pool_worker_dry(struct pool *pool)
{
	if (pool->ready.n > pool->n_slots * (size_t)pool->settings.pool.window)
		dispatch(pool);
}

/* Ask the queue for more before the last one has gone. */
static void ask_for_more(struct pool *pool)
{
	size_t least = (size_t)pool->settings.pool.workers * (size_t)pool->settings.pool.window;
	/* What is taken from a shared queue others cannot do. */
	size_t most = pool->queue->ops->shared ? least : 4 * least > READ_AHEAD ? 4 * least : READ_AHEAD;
	size_t have = ready_at_least(&pool->ready, 0);	/* what waits in the queue has no priority, or a higher one */

	if (!may_dispatch(pool) || pool->wanting || have >= most / 2 + 1)
		return;
	pool->queue->ops->want(pool->queue, most - have);
}

/* While we start nothing, others shall have what we have taken from a shared queue. */
static void give_back(struct pool *pool)
{
	struct task *task, *next;

	for (size_t i = 0; i < pool->remote.size; i++)
		for (task = pool->remote.bucket[i]; task; task = next) {
			next = task->hash_next;
			if (task->place != PLACE_READY)
				continue;
			pool_unplace(pool, task);
			pool->queue->ops->release(pool->queue, task);
			task_table_remove(&pool->remote, task);
			task_free(task);
		}
}

static void check_end(struct pool *pool)
{
	if (pool->state == POOL_CLOSED && pool_idle(pool))
		slots_finish(pool);
	if ((pool->state == POOL_CLOSED || pool->state == POOL_TERMINATING) && pool_idle(pool) && !pool->n_workers)
		pool->state = POOL_ENDED;
	if (pool->stopping && !pool->n_workers && (!pool->n_recording || pool->impatient))
		ev_break(pool->loop, EVBREAK_ALL);
	if (pool->transient && !pool->stopping && !control_connections(pool->control) && !jobs_count(pool))
		pool_stop(pool);
}

static void turn(struct ev_loop *loop, ev_prepare *prepare, int events)
{
	struct pool *pool = prepare->data;

	(void)loop;
	(void)events;
	if (pool->fatal && !LIST_EMPTY(&pool->jobs))
		jobs_fault(pool, pool->trouble);
	if (pool->queue->ops->shared && !may_dispatch(pool))
		give_back(pool);
	dispatch(pool);
	ask_for_more(pool);
	pool->queue->ops->turn(pool->queue);
	jobs_flush(pool);
	check_end(pool);
	if (pool->control)
		control_check(pool->control);	/* last: nothing may follow that they wait for */
	if (is_hot(pool))
		pool_wake(pool);
	if (pool->swollen && !pool->ready.n) {
		pool->swollen = false;
		(void)malloc_trim(0);
	}
}

void pool_dispatch_start(struct pool *pool)
{
	TAILQ_INIT(&pool->hungry);
	ev_prepare_init(&pool->prepare, turn);
	ev_idle_init(&pool->again, woken);
	pool->prepare.data = pool->again.data = pool;
	ev_prepare_start(pool->loop, &pool->prepare);
}

void pool_dispatch_stop(struct pool *pool)
{
	ev_prepare_stop(pool->loop, &pool->prepare);
	ev_idle_stop(pool->loop, &pool->again);
}
