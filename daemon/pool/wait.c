/* See wait.h. */
#include "wait.h"

#include <errno.h>
#include <stdint.h>

#include "queue.h"
#include "task_json.h"

enum {
	BUCKETS = 4096,
	LOOK_AGAIN = 64,		/* tasks of a call that are asked for again at a time */
};

static const double look_again = 0.25;	/* seconds between two looks at a task that another pool may end */

/* A call that waits for tasks. */
struct group {
	LIST_ENTRY(group) link;		/* waits::groups */
	struct waits *waits;
	struct varlink_call *call;
	enum wait_kind kind;
	json_t *tasks;			/* array: ended ones */
	size_t missing;
	size_t asking;			/* questions to the queue under way */
	bool gone;			/* answered or left; freed when nothing is under way */
	ev_timer timer, again;
	LIST_HEAD(, waiter) waiters;
};

struct waiter {
	LIST_ENTRY(waiter) by_id;	/* waits::bucket */
	LIST_ENTRY(waiter) link;	/* group::waiters */
	struct group *group;
	uint64_t id;
};

/* A call that waits for the pool. */
struct pool_waiter {
	LIST_ENTRY(pool_waiter) link;
	struct waits *waits;
	struct varlink_call *call;
	enum pool_wait kind;
	size_t count;
	ev_timer timer;
};

struct waits {
	struct pool *pool;
	LIST_HEAD(, waiter) bucket[BUCKETS];
	LIST_HEAD(, group) groups;
	LIST_HEAD(, pool_waiter) pool_waiters;
};

/* ---- tasks ---- */

static void waiter_free(struct waiter *w)
{
	LIST_REMOVE(w, by_id);
	LIST_REMOVE(w, link);
	free(w);
}

/* The call has been answered, or is lost. */
static void group_end(struct group *g)
{
	struct waiter *w;

	g->gone = true;
	while ((w = LIST_FIRST(&g->waiters)))
		waiter_free(w);
	ev_timer_stop(g->waits->pool->loop, &g->timer);
	ev_timer_stop(g->waits->pool->loop, &g->again);
	if (g->asking)
		return;
	LIST_REMOVE(g, link);
	json_decref(g->tasks);
	free(g);
}

static void group_left(void *data)
{
	group_end(data);
}

static void group_reply(struct group *g, bool timed_out)
{
	struct varlink_call *call = g->call;

	varlink_call_on_gone(call, NULL, NULL);
	if (g->kind == WAIT_ALL)
		(void)varlink_reply(call, json_pack("{s:O, s:b}", "tasks", g->tasks, "timed_out", timed_out));
	else if (timed_out)
		(void)varlink_error(call, "io.reeve.Pool.TimedOut", json_object());
	else
		(void)varlink_reply(call, json_pack("{s:O}", "task", json_array_get(g->tasks, 0)));
	group_end(g);
}

static void group_timed_out(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	group_reply(timer->data, true);
}

static struct waiter *group_waiter(struct group *g, uint64_t id)
{
	struct waiter *w;

	LIST_FOREACH(w, &g->waits->bucket[id % BUCKETS], by_id)
		if (w->group == g && w->id == id)
			return w;
	return NULL;
}

/* One of G's tasks has ended. */
static void group_take(struct group *g, struct waiter *w, const struct task *task, const struct result *result)
{
	waiter_free(w);
	(void)json_array_append_new(g->tasks, task_json(task, result, g->kind != WAIT_ALL));
	if (--g->missing == 0)
		group_reply(g, false);
}

static void ask_queue(struct group *g, uint64_t id);

/* The queue says what has become of a task that is not in memory. */
static void looked_up(struct queue_request *request)
{
	struct group *g = request->data;
	struct waiter *w = g->gone ? NULL : group_waiter(g, request->id);
	struct task *task = request->n_tasks ? request->tasks[0] : NULL;

	g->asking--;
	if (g->gone) {
		if (!g->asking)
			group_end(g);
	} else if (w && request->error == -ENOENT && !task_table_find(&g->waits->pool->tasks, request->id)) {
		struct varlink_call *call = g->call;

		varlink_call_on_gone(call, NULL, NULL);
		(void)varlink_error(call, "io.reeve.Pool.NoSuchTask", json_pack("{s:I}", "id", (json_int_t)request->id));
		group_end(g);
	} else if (w && task && task_ended(task) && task->result) {
		group_take(g, w, task, task->result);
	} else if (w && !ev_is_active(&g->again) && g->waits->pool->queue->ops->shared) {
		ev_timer_set(&g->again, look_again, 0);
		ev_timer_start(g->waits->pool->loop, &g->again);
	}
	queue_request_free(request);
}

static void ask_queue(struct group *g, uint64_t id)
{
	struct queue *queue = g->waits->pool->queue;
	struct queue_request *request = calloc(1, sizeof *request);

	if (!request)
		return;
	*request = (struct queue_request){ .kind = g->kind == WAIT_RESULT ? REQUEST_FETCH : REQUEST_LOOKUP, .id = id,
					   .done = looked_up, .data = g };
	g->asking++;
	queue->ops->ask(queue, request);
}

/* Up to MOST of those that somebody else may have ended meanwhile. Questions may be answered at once and end G. */
static void look(struct group *g, size_t most)
{
	struct waits *waits = g->waits;
	_cleanup_(freep) uint64_t *ids = calloc(g->missing < most ? g->missing + 1 : most, sizeof *ids);
	size_t n = 0;
	struct waiter *w;

	LIST_FOREACH(w, &g->waiters, link)
		if (ids && n < most && (waits->pool->queue->ops->shared || !task_table_find(&waits->pool->tasks, w->id)))
			ids[n++] = w->id;
	g->asking++;	/* keeps G */
	for (size_t i = 0; i < n && !g->gone; i++)
		ask_queue(g, ids[i]);
	g->asking--;
	if (g->gone && !g->asking)
		group_end(g);
}

static void look_again_now(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	look(timer->data, LOOK_AGAIN);
}

void waits_look(struct waits *waits)
{
	struct group *g, *next;

	LIST_FOREACH(g, &waits->groups, link)
		g->asking++;	/* none may vanish while the list is walked */
	LIST_FOREACH(g, &waits->groups, link)
		if (!g->gone)
			look(g, SIZE_MAX);
	for (g = LIST_FIRST(&waits->groups); g; g = next) {
		next = LIST_NEXT(g, link);
		g->asking--;
		if (g->gone && !g->asking)
			group_end(g);
	}
}

/* Those in memory that have ended already. */
static void take_kept(struct group *g, const uint64_t *ids, size_t n)
{
	struct pool *pool = g->waits->pool;

	for (size_t i = 0; i < n && !g->gone; i++) {
		struct task *task = task_table_find(&pool->tasks, ids[i]);
		struct waiter *w = group_waiter(g, ids[i]);
		bool forget = g->kind == WAIT_RESULT;

		if (!task || !w || !task_ended(task) || !task->result)
			continue;
		group_take(g, w, task, task->result);
		if (forget)
			pool_forget(pool, task);
	}
}

static bool add_waiters(struct group *g, const uint64_t *ids, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct waiter *w;

		if (group_waiter(g, ids[i]))
			continue;
		w = calloc(1, sizeof *w);
		if (!w)
			return false;
		w->group = g;
		w->id = ids[i];
		LIST_INSERT_HEAD(&g->waits->bucket[w->id % BUCKETS], w, by_id);
		LIST_INSERT_HEAD(&g->waiters, w, link);
		g->missing++;
	}
	return true;
}

void waits_add(struct waits *waits, struct varlink_call *call, const uint64_t *ids, size_t n, double timeout,
	       enum wait_kind kind)
{
	struct group *g = calloc(1, sizeof *g);

	if (!g) {
		control_error(call, "Unavailable", "out of memory");
		return;
	}
	g->waits = waits;
	g->call = call;
	g->kind = kind;
	g->tasks = json_array();
	LIST_INIT(&g->waiters);
	LIST_INSERT_HEAD(&waits->groups, g, link);
	ev_timer_init(&g->timer, group_timed_out, timeout, 0);
	ev_timer_init(&g->again, look_again_now, 0, 0);
	g->timer.data = g->again.data = g;
	varlink_call_on_gone(call, group_left, g);
	if (!add_waiters(g, ids, n)) {
		varlink_call_on_gone(call, NULL, NULL);
		control_error(call, "Unavailable", "out of memory");
		group_end(g);
		return;
	}
	g->asking++;	/* keeps G while its tasks are gone through */
	if (!g->missing)
		group_reply(g, false);
	else
		take_kept(g, ids, n);
	if (!g->gone)
		look(g, SIZE_MAX);
	g->asking--;
	if (g->gone) {
		if (!g->asking)
			group_end(g);
	} else if (timeout >= 0) {
		ev_timer_start(waits->pool->loop, &g->timer);
	}
}

bool waits_ended(struct waits *waits, const struct task *task, const struct result *result)
{
	struct waiter *w, *next;
	bool taken = false;

	for (w = LIST_FIRST(&waits->bucket[task->id % BUCKETS]); w; w = next) {
		next = LIST_NEXT(w, by_id);
		if (w->id != task->id)
			continue;
		taken = taken || w->group->kind == WAIT_RESULT;
		group_take(w->group, w, task, result);
		/* The group may have gone, and other waiters of it: begin anew. */
		next = LIST_FIRST(&waits->bucket[task->id % BUCKETS]);
	}
	return taken;
}

/* ---- the pool ---- */

static void pool_waiter_free(struct pool_waiter *w)
{
	LIST_REMOVE(w, link);
	ev_timer_stop(w->waits->pool->loop, &w->timer);
	free(w);
}

static void pool_waiter_left(void *data)
{
	pool_waiter_free(data);
}

static void pool_waiter_reply(struct pool_waiter *w, bool timed_out)
{
	struct varlink_call *call = w->call;
	json_t *reply = NULL;

	switch (w->kind) {
	case WAIT_DRAINED:
		reply = json_pack("{s:b}", "timed_out", timed_out);
		break;
	case WAIT_JOINED:
		reply = json_pack("{s:b, s:I}", "timed_out", timed_out, "failed",
				  (json_int_t)w->waits->pool->counters.unsuccessful);
		break;
	case WAIT_TERMINATED:
		reply = json_pack("{s:I}", "cancelled", (json_int_t)w->count);
		break;
	}
	varlink_call_on_gone(call, NULL, NULL);
	(void)varlink_reply(call, reply);
	pool_waiter_free(w);
}

static void pool_waiter_timed_out(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	pool_waiter_reply(timer->data, true);
}

void waits_pool(struct waits *waits, struct varlink_call *call, enum pool_wait kind, double timeout, size_t count)
{
	struct pool_waiter *w = calloc(1, sizeof *w);

	if (!w) {
		control_error(call, "Unavailable", "out of memory");
		return;
	}
	w->waits = waits;
	w->call = call;
	w->kind = kind;
	w->count = count;
	LIST_INSERT_HEAD(&waits->pool_waiters, w, link);
	ev_timer_init(&w->timer, pool_waiter_timed_out, timeout, 0);
	w->timer.data = w;
	varlink_call_on_gone(call, pool_waiter_left, w);
	if (timeout >= 0)
		ev_timer_start(waits->pool->loop, &w->timer);
	pool_wake(waits->pool);
}

/* Nobody will do the tasks: those who wait for a result are told. */
static void tell_fatal(struct waits *waits)
{
	struct group *g, *next;

	for (g = LIST_FIRST(&waits->groups); g; g = next) {
		next = LIST_NEXT(g, link);
		if (g->gone || g->kind == WAIT_ALL)
			continue;
		varlink_call_on_gone(g->call, NULL, NULL);
		control_error(g->call, "Fatal", waits->pool->trouble);
		group_end(g);
	}
}

void waits_check(struct waits *waits)
{
	struct pool *pool = waits->pool;
	struct pool_waiter *w, *next;

	for (w = LIST_FIRST(&waits->pool_waiters); w; w = next) {
		bool there = w->kind == WAIT_DRAINED ? pool_drained(pool) : pool->state == POOL_ENDED;

		next = LIST_NEXT(w, link);
		if (w->kind == WAIT_DRAINED && pool->fatal) {
			struct varlink_call *call = w->call;

			varlink_call_on_gone(call, NULL, NULL);
			control_error(call, "Fatal", pool->trouble);
			pool_waiter_free(w);
		} else if (there) {
			pool_waiter_reply(w, false);
		}
	}
	if (pool->fatal)
		tell_fatal(waits);
}

/* ---- life ---- */

struct waits *waits_new(struct pool *pool)
{
	struct waits *waits = calloc(1, sizeof *waits);

	if (!waits)
		return NULL;
	waits->pool = pool;
	for (size_t i = 0; i < BUCKETS; i++)
		LIST_INIT(&waits->bucket[i]);
	LIST_INIT(&waits->groups);
	LIST_INIT(&waits->pool_waiters);
	return waits;
}

void waits_free(struct waits *waits)
{
	struct pool_waiter *w;
	struct group *g;

	if (!waits)
		return;
	/* The server, which goes first, has told all calls that they are gone. */
	while ((w = LIST_FIRST(&waits->pool_waiters)))
		pool_waiter_free(w);
	while ((g = LIST_FIRST(&waits->groups))) {
		g->asking = 0;
		group_end(g);
	}
	free(waits);
}
