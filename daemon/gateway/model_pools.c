/*
 * See model_parts.h. How the pools are: each is asked itself, often while somebody watches, else with every sample.
 */
#include <string.h>

#include "base/base.h"
#include "model_parts.h"

static const double pool_seconds = 2;		/* while somebody watches */

static bool is_pool(const struct model_process *p)
{
	return strcmp(text_of(p->about, "kind"), "pool") == 0;
}

/* STATUS (stolen; NULL: not running) is news unless only its clock went on. */
static void set_pool(struct model_process *p, json_t *status)
{
	json_t *news;

	(void)json_object_del(status, "now");
	(void)json_object_del(status, "slots");
	if (status == p->pool || (status && p->pool && json_equal(status, p->pool))) {
		json_decref(status);
		return;
	}
	json_decref(p->pool);
	p->pool = status;
	news = json_pack("{s:s, s:O?}", "namespec", p->namespec, "status", status);
	model_tell(p->model, "pool", news);
	json_decref(news);
}

static void got_pool(void *data, json_t *parameters, const char *error, bool continues)
{
	struct model_process *p = data;

	(void)continues;
	p->asking_pool = NULL;
	set_pool(p, error ? NULL : json_copy(json_object_get(parameters, "status")));
}

void model_ask_pools(struct model *m)
{
	m->pools_asked = clock_now();
	for (size_t i = 0; i < m->n; i++) {
		struct model_process *p = m->list[i];

		if (p->asking_pool || !is_pool(p))
			continue;
		if (model_process_pid(p))
			p->asking_pool = backend_call_pool(m->backend, text_of(p->about, "name"), "io.reeve.Pool.GetStatus", NULL, got_pool, p);
		else
			set_pool(p, NULL);
	}
}

static void pools_due(struct ev_loop *loop, ev_timer *w, int events)
{
	struct model *m = w->data;

	(void)loop;
	(void)events;
	if (m->streaming && (m->watched || clock_now() - m->pools_asked > SAMPLE_SECONDS - 1))
		model_ask_pools(m);
}

void model_pools_start(struct model *m)
{
	ev_timer_init(&m->pool_timer, pools_due, pool_seconds, pool_seconds);
	m->pool_timer.data = m;
	ev_timer_start(m->loop, &m->pool_timer);
}
