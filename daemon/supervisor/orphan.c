/* See orphan.h. */
#include "orphan.h"

#include <signal.h>

#include "gateway_link.h"
#include "group.h"
#include "logger_link.h"
#include "process/proc.h"

static const double look_every = 0.1;	/* seconds */
static const struct exit_status unknown = { .code = EXIT_UNKNOWN };

struct orphan {
	ev_timer timer;
};

/* What we started leads a session of its own: a stranger with the same pid hardly does. */
static bool is_there(pid_t pid)
{
	struct proc_stat st;

	return proc_stat_read(pid, &st) == 0 && st.state != 'Z' && (st.session == pid || st.session == 0 || spawn_pending(pid));
}

static void look(struct ev_loop *loop, ev_timer *w, int events)
{
	struct supervisor *s = w->data;
	pid_t gateway = gateway_link_process(s->gateway), logger = logger_link_process(s->logger);

	(void)loop;
	(void)events;
	for (struct group *g = s->groups; g; g = g->next)
		for (size_t i = 0; i < g->n_processes; i++) {
			pid_t pid = process_pid(g->processes[i]);

			if (pid && !is_there(pid))
				process_exited(g->processes[i], &unknown);
		}
	if (gateway && !is_there(gateway))
		(void)gateway_link_exited(s->gateway, gateway, &unknown);
	if (logger && !is_there(logger))
		(void)logger_link_exited(s->logger, logger, &unknown);
	s->changed = true;
}

void orphan_begin(struct supervisor *s)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };

	s->orphan = calloc(1, sizeof *s->orphan);
	supervisor_log(s, LOGLEVEL_CRITICAL, "the keeper is gone: stopping everything");
	/* There is no successor now: whoever wants to end us is to wait for the programs. */
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		(void)signal(signals[i], SIG_IGN);
	if (!s->orphan) {
		ev_break(s->loop, EVBREAK_ALL);
		return;
	}
	ev_timer_init(&s->orphan->timer, look, 0, look_every);
	s->orphan->timer.data = s;
	ev_timer_start(s->loop, &s->orphan->timer);
	if (s->shutdown)
		s->changed = true;
	else
		supervisor_shutdown(s, false);
}

void orphan_free(struct supervisor *s)
{
	if (!s->orphan)
		return;
	ev_timer_stop(s->loop, &s->orphan->timer);
	free(s->orphan);
	s->orphan = NULL;
}
