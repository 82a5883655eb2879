/* See latency.h. */
#include "latency.h"

#include "base/base.h"

static void wake(struct ev_loop *loop, ev_check *w, int events)
{
	struct latency *l = w->data;

	(void)loop;
	(void)events;
	l->woken = clock_now();
}

static void fall_asleep(struct ev_loop *loop, ev_prepare *w, int events)
{
	struct latency *l = w->data;
	double now = clock_now(), turn = l->woken > 0 ? now - l->woken : 0;

	(void)loop;
	(void)events;
	if (now - l->begun > LATENCY_WINDOW) {
		l->worst_before = now - l->begun > 2 * LATENCY_WINDOW ? 0 : l->worst;
		l->worst = 0;
		l->begun = now;
	}
	if (turn > l->worst)
		l->worst = turn;
}

void latency_start(struct latency *l, struct ev_loop *loop)
{
	*l = (struct latency){ .begun = clock_now() };
	ev_check_init(&l->wake, wake);
	ev_prepare_init(&l->sleep, fall_asleep);
	ev_set_priority(&l->wake, EV_MAXPRI);
	ev_set_priority(&l->sleep, EV_MINPRI);
	l->wake.data = l->sleep.data = l;
	ev_check_start(loop, &l->wake);
	ev_prepare_start(loop, &l->sleep);
}

void latency_stop(struct latency *l, struct ev_loop *loop)
{
	ev_check_stop(loop, &l->wake);
	ev_prepare_stop(loop, &l->sleep);
}

double latency_worst(const struct latency *l)
{
	return l->worst > l->worst_before ? l->worst : l->worst_before;
}
