/* See status.h. */
#include "status.h"

#include <stdio.h>
#include <unistd.h>

#include "conf/value.h"
#include "job.h"
#include "queue.h"
#include "worker.h"

static void set_number(json_t *json, const char *name, unsigned long long value)
{
	(void)json_object_set_new(json, name, json_integer((json_int_t)value));
}

/* Resident bytes of this process; 0: not known. */
static unsigned long long resident(void)
{
	unsigned long long size, pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f && fscanf(f, "%llu %llu", &size, &pages) != 2)
		pages = 0;
	if (f)
		(void)fclose(f);
	return pages * (unsigned long long)sysconf(_SC_PAGESIZE);
}

static const char *slot_state(const struct slot *slot)
{
	const struct worker *w = slot->worker;

	if (slot->failed)
		return "failed";
	if (ev_is_active(&slot->backoff))
		return "backoff";
	if (!w)
		return "idle";
	if (w->kind == WORKER_INITIALIZER || !w->ready)
		return "starting";
	if (w->verdict || w->protocol_error)
		return "stopping";
	return w->n_tasks ? "busy" : "idle";
}

static json_t *slot_json(const struct slot *slot)
{
	const struct worker *w = slot->worker;

	return json_pack("{s:i, s:i, s:s, s:I, s:i, s:f}", "slot", (int)slot->number, "pid", w ? (int)w->pid : 0, "state",
			 slot_state(slot), "tasks", (json_int_t)slot->tasks, "running", w ? (int)w->n_tasks : 0, "since",
			 w ? w->born : 0.0);
}

static void set_workers(struct pool *pool, json_t *json)
{
	json_t *slots = json_array();
	unsigned busy = 0;

	for (size_t i = 0; i < pool->n_slots; i++) {
		busy += pool->slots[i]->worker && pool->slots[i]->worker->n_tasks;
		(void)json_array_append_new(slots, slot_json(pool->slots[i]));
	}
	set_number(json, "workers", (unsigned long long)pool->settings.pool.workers);
	set_number(json, "alive", pool->n_workers);
	set_number(json, "busy", busy);
	(void)json_object_set_new(json, "slots", slots);
}

static void set_counters(struct pool *pool, json_t *json)
{
	const struct counters *c = &pool->counters;

	set_number(json, "done", c->done);
	set_number(json, "failed", c->failed);
	set_number(json, "lost", c->lost);
	set_number(json, "timeout", c->timeout);
	set_number(json, "cancelled", c->cancelled);
	set_number(json, "retried", c->retried);
	set_number(json, "executions", c->executions);
	set_number(json, "recycled", c->recycled);
	set_number(json, "worker_deaths", c->worker_deaths);
	set_number(json, "start_failures", c->start_failures);
}

json_t *pool_status(struct pool *pool)
{
	double rate = pool_rate(pool);
	struct queue_counts counts;
	size_t queued = pool_queued(pool);
	json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:b, s:s, s:i, s:f, s:f, s:f}", "name", pool->settings.name, "state",
				 pool_state_name(pool), "mode", pool_mode_name(pool->settings.pool.mode), "queue",
				 pool->queue->ops->name, "claim", (int)pool->settings.pool.claim, "trouble", pool->trouble, "pid",
				 (int)getpid(), "now", clock_wall(), "since", pool->since, "rate", rate);

	pool->queue->ops->count(pool->queue, &counts);
	set_workers(pool, json);
	set_counters(pool, json);
	set_number(json, "window", (unsigned long long)pool->settings.pool.window);
	set_number(json, "pending", pool->n_pending);
	set_number(json, "queued", queued);
	set_number(json, "delayed", pool->n_delayed);
	set_number(json, "running", pool->n_running);
	set_number(json, "kept_results", pool->n_kept + counts.kept);
	set_number(json, "maps", jobs_count(pool));
	set_number(json, "memory", resident());
	(void)json_object_set_new(json, "eta",
				  rate > 0 ? json_real((double)(queued + pool->n_running) / rate) :
				  queued	? json_null() :
						  json_real(0));
	return json;
}
