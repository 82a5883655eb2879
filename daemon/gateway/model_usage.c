/*
 * See model_parts.h. Cpu and memory of each process's tree, as /proc has them: now for who asks, and every SAMPLE_SECONDS for the curves.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/base.h"
#include "curves.h"
#include "model_parts.h"
#include "process/proc.h"

/* Without a pid here, or in the list that /proc gave: not running. */
static void note_usage(struct model_process *p, const struct proc_usage *u)
{
	double grown;

	p->memory = u->root ? u->rss : 0;
	p->members = u->root ? u->processes : 0;
	if (!p->members)
		return;
	grown = p->measured == u->root ? u->cpu_time - p->cpu_before : u->cpu_time;
	if (grown > 0)			/* members that nobody waited for take what they used with them */
		p->cpu_seconds += grown;
	p->cpu_before = u->cpu_time;
	p->measured = u->root;
}

void model_measure(struct model *m, double max_age)
{
	_cleanup_(freep) struct proc_usage *usage = NULL;
	double now = clock_now();

	if (m->n == 0 || now - m->usage_time < max_age)
		return;
	usage = calloc(m->n, sizeof *usage);
	if (!usage)
		return;
	for (size_t i = 0; i < m->n; i++)
		usage[i].root = model_process_pid(m->list[i]);
	if (proc_tree_usage(usage, m->n) < 0)
		return;
	m->usage_time = now;
	for (size_t i = 0; i < m->n; i++)
		note_usage(m->list[i], &usage[i]);
}

static bool has_news(const struct model_process *p)
{
	return p->members || p->starts || p->crashes || p->stops;
}

/* CPU: in cores, since the last tick. */
static void add_sample(struct model *m, struct model_process *p, uint64_t number, double cpu)
{
	if (!p->samples && has_news(p))
		p->samples = curves_add(m->curves, p->namespec);
	if (p->samples && has_news(p))
		samples_put(p->samples, number, (struct sample){ p->members ? (float)cpu : -1, (uint32_t)(p->memory >> 10), p->starts,
								 p->crashes, p->stops });
	p->starts = p->crashes = p->stops = 0;
}

json_t *model_sample(const struct model *m)
{
	json_t *rows = json_object();

	for (size_t i = 0; i < m->n; i++) {
		const struct model_process *p = m->list[i];
		struct sample at = samples_at(p->samples, m->newest);

		if (at.cpu >= 0)
			(void)json_object_set_new(rows, p->namespec,
						  json_pack("[I, I, i]", (json_int_t)lroundf(at.cpu * 1000), (json_int_t)at.memory,
							    (int)p->members));
	}
	return json_pack("{s:f, s:o}", "t", m->newest_time, "rows", rows);
}

static void tick(struct ev_loop *loop, ev_timer *w, int events)
{
	struct model *m = w->data;
	double now = clock_now(), since;
	uint64_t number = (uint64_t)((now - curves_began(m->curves)) / SAMPLE_SECONDS + 0.5);
	_cleanup_(freep) double *before = calloc(m->n ? m->n : 1, sizeof *before);
	json_t *sample;

	(void)loop;
	(void)events;
	if (!before || number <= m->newest)
		return;
	since = now - m->usage_time;
	for (size_t i = 0; i < m->n; i++)
		before[i] = m->list[i]->cpu_seconds;
	model_measure(m, 0);
	for (size_t i = 0; i < m->n; i++) {
		struct model_process *p = m->list[i];

		add_sample(m, p, number, (p->cpu_seconds - before[i]) / (since > 0.1 ? since : SAMPLE_SECONDS));
	}
	m->newest = number;
	m->newest_time = clock_wall();
	curves_set_newest(m->curves, m->newest, m->newest_time);
	sample = model_sample(m);
	model_tell(m, "sample", sample);
	json_decref(sample);
}

json_t *model_history(const struct model *m, const char *names)
{
	json_t *series = json_object();
	char name[520];

	for (const char *at = names; *at;) {
		size_t n = strcspn(at, "\n");
		const struct model_process *p = NULL;

		if (n < sizeof name) {
			memcpy(name, at, n);
			name[n] = '\0';
			p = model_find(m, name);
		}
		if (p) {
			json_t *one = samples_json(p->samples, m->newest);

			(void)json_object_set(one, "marks", p->marks);
			(void)json_object_set_new(series, name, one);
		}
		at += n + (at[n] == '\n');
	}
	return json_pack("{s:f, s:i, s:i, s:o}", "t", m->newest_time, "step", SAMPLE_SECONDS, "slots", SAMPLES, "series", series);
}

int model_usage_start(struct model *m, int curves)
{
	double into;

	m->curves = curves_open(curves);
	if (!m->curves)
		return -ENOMEM;
	m->newest = curves_newest(m->curves, &m->newest_time);
	m->counted = m->newest ? m->newest_time : clock_wall();
	into = fmod(clock_now() - curves_began(m->curves), SAMPLE_SECONDS);
	ev_timer_init(&m->tick, tick, SAMPLE_SECONDS - into, SAMPLE_SECONDS);
	m->tick.data = m;
	ev_timer_start(m->loop, &m->tick);
	return 0;
}

void model_usage_stop(struct model *m)
{
	ev_timer_stop(m->loop, &m->tick);
	curves_close(m->curves);
}
