/* See lifecycle.h, whose opening comment tells the whole story. */
#include "lifecycle.h"

#include <assert.h>
#include <stdlib.h>

static const double restart_pause = 0.1;	/* seconds before a program with startsecs=0 that died young is started again */
static const double shortage_max = 30;		/* seconds between two tries while we are short of something */

const char *process_state_name(enum process_state state)
{
	switch (state) {
#define X(name, number)                                                                                                \
	case STATE_##name:                                                                                             \
		return #name;
		PROCESS_STATES(X)
#undef X
	}
	return "UNKNOWN";
}

bool process_state_is_running(enum process_state s)
{
	return s == STATE_STARTING || s == STATE_RUNNING || s == STATE_BACKOFF;
}

bool process_state_is_stopped(enum process_state s)
{
	return s == STATE_STOPPED || s == STATE_EXITED || s == STATE_FATAL || s == STATE_UNKNOWN;
}

bool process_state_is_signallable(enum process_state s)
{
	return s == STATE_STARTING || s == STATE_RUNNING || s == STATE_STOPPING;
}

static struct lifecycle_step stay(void)
{
	return (struct lifecycle_step){ .enter = false, .after = -1 };
}

static struct lifecycle_step go(enum process_state next, enum lifecycle_action action, double after)
{
	return (struct lifecycle_step){ .next = next, .action = action, .after = after, .enter = true };
}

static enum lifecycle_action end_tree(const struct lifecycle_policy *p)
{
	return p->kill_leftovers ? DO_KILL_TREE : DO_STOP_TREE;
}

/* SIGKILL is repeated for as long as it takes, but not in a loop. */
static double kill_pause(const struct lifecycle_policy *p)
{
	return p->stopwaitsecs >= 1 ? p->stopwaitsecs : 1;
}

static bool main_lives(const struct lifecycle *life)
{
	return life->spawned && !life->ended;
}

static struct lifecycle_step go_clearing(enum lifecycle_action action, double after)
{
	struct lifecycle_step s = go(STATE_STARTING, action, after);

	s.clearing = true;
	return s;
}

/* Never beside an old run. */
static struct lifecycle_step go_start(const struct lifecycle *life, const struct lifecycle_policy *p)
{
	if (life->leftovers)
		return go_clearing(end_tree(p), p->stopwaitsecs > 0 ? p->stopwaitsecs : 0);
	return go(STATE_STARTING, DO_SPAWN, p->startsecs > 0 ? p->startsecs : 0);
}

static struct lifecycle_step go_stop(const struct lifecycle_policy *p)
{
	return go(STATE_STOPPING, DO_STOP, p->stopwaitsecs > 0 ? p->stopwaitsecs : 0);
}

/* The main process has gone, or was not there: the rest is given the same time, or what is left of it. */
static struct lifecycle_step go_stop_tree(const struct lifecycle_policy *p, double after)
{
	return go(STATE_STOPPING, end_tree(p), after > 0 ? after : 0);
}

/* The n-th early death is followed by n seconds of rest; the one after the last retry by FATAL, at once. */
static struct lifecycle_step go_backoff(const struct lifecycle *life, const struct lifecycle_policy *p)
{
	unsigned deaths = life->backoff + 1;

	return go(STATE_BACKOFF, DO_NOTHING, deaths <= p->startretries ? deaths : 0);
}

static struct lifecycle_step go_shortage(const struct lifecycle *life)
{
	double wait = life->shortages < 5 ? (double)(1U << life->shortages) : shortage_max;

	return go(STATE_BACKOFF, DO_NOTHING, wait);
}

static bool exit_expected(const struct lifecycle *life, const struct lifecycle_policy *p)
{
	return !life->exit.signal && p->expected && p->expected(life->exit.code, p->data);
}

static struct lifecycle_step go_exited(const struct lifecycle *life, const struct lifecycle_policy *p, double now)
{
	bool expected = exit_expected(life, p);
	bool again = life->wanted && (expected ? p->restart_expected : p->restart_unexpected);
	bool young = p->startsecs <= 0 && now - life->started < 1;
	struct lifecycle_step s = go(STATE_EXITED, DO_NOTHING, !again ? -1 : young ? restart_pause : 0);

	s.unexpected = !expected;
	return s;
}

/* STARTING, but what the last run left behind comes first. */
static struct lifecycle_step step_clearing(const struct lifecycle *life, const struct lifecycle_policy *p,
					   enum lifecycle_event event, double now)
{
	switch (event) {
	case EVENT_EMPTY:
		return go_start(life, p);
	case EVENT_TIMEOUT:
		return life->leftovers ? go_clearing(DO_KILL_TREE, kill_pause(p)) : go_start(life, p);
	case EVENT_STOP:
	case EVENT_SHUTDOWN:
		if (!life->leftovers)
			return go(STATE_STOPPED, DO_NOTHING, -1);
		return go(STATE_STOPPING, DO_NOTHING, life->deadline > now ? life->deadline - now : 0);
	case EVENT_NONE:
	case EVENT_START:
	case EVENT_EXIT:
	case EVENT_NO_START:
	case EVENT_SHORTAGE:
	case EVENT_KILL_FAILED:
		break;
	}
	return stay();
}

static struct lifecycle_step step_starting(const struct lifecycle *life, const struct lifecycle_policy *p,
					   enum lifecycle_event event, double now)
{
	struct lifecycle_step s;

	if (life->clearing)
		return step_clearing(life, p, event, now);
	switch (event) {
	case EVENT_TIMEOUT:
		return go(STATE_RUNNING, DO_NOTHING, -1);
	case EVENT_STOP:
	case EVENT_SHUTDOWN:
		return go_stop(p);
	case EVENT_EXIT:
		if (now - life->started < p->startsecs)
			return go_backoff(life, p);
		s = go_exited(life, p, now);
		s.through_running = true;
		return s;
	case EVENT_NO_START:
		return go_backoff(life, p);
	case EVENT_SHORTAGE:
		return go_shortage(life);
	case EVENT_KILL_FAILED:
		return go(STATE_UNKNOWN, DO_NOTHING, -1);
	case EVENT_NONE:
	case EVENT_START:
	case EVENT_EMPTY:
		break;
	}
	return stay();
}

static struct lifecycle_step step_running(const struct lifecycle *life, const struct lifecycle_policy *p,
					  enum lifecycle_event event, double now)
{
	switch (event) {
	case EVENT_STOP:
	case EVENT_SHUTDOWN:
		return go_stop(p);
	case EVENT_EXIT:
		return go_exited(life, p, now);
	case EVENT_KILL_FAILED:
		return go(STATE_UNKNOWN, DO_NOTHING, -1);
	case EVENT_NONE:
	case EVENT_START:
	case EVENT_NO_START:
	case EVENT_SHORTAGE:
	case EVENT_TIMEOUT:
	case EVENT_EMPTY:
		break;
	}
	return stay();
}

static struct lifecycle_step step_backoff(const struct lifecycle *life, const struct lifecycle_policy *p,
					  enum lifecycle_event event)
{
	switch (event) {
	case EVENT_TIMEOUT:
		if (!life->shortages && life->backoff > p->startretries)
			return go(STATE_FATAL, DO_NOTHING, -1);
		return go_start(life, p);
	case EVENT_STOP:
		return life->leftovers ? go_stop_tree(p, p->stopwaitsecs) : go(STATE_STOPPED, DO_NOTHING, -1);
	case EVENT_SHUTDOWN:
		return life->leftovers ? go_stop_tree(p, p->stopwaitsecs) : go(STATE_FATAL, DO_NOTHING, -1);
	case EVENT_NONE:
	case EVENT_START:
	case EVENT_EXIT:
	case EVENT_NO_START:
	case EVENT_SHORTAGE:
	case EVENT_KILL_FAILED:
	case EVENT_EMPTY:
		break;
	}
	return stay();
}

static struct lifecycle_step step_stopping(const struct lifecycle *life, const struct lifecycle_policy *p,
					   enum lifecycle_event event, double now)
{
	switch (event) {
	case EVENT_EXIT:
		if (!life->leftovers)
			return go(STATE_STOPPED, DO_NOTHING, -1);
		return life->killing ? go(STATE_STOPPING, DO_KILL_TREE, kill_pause(p)) : go_stop_tree(p, life->deadline - now);
	case EVENT_EMPTY:
		return main_lives(life) ? stay() : go(STATE_STOPPED, DO_NOTHING, -1);
	case EVENT_TIMEOUT:
		if (main_lives(life))
			return go(STATE_STOPPING, DO_KILL, kill_pause(p));
		return life->leftovers ? go(STATE_STOPPING, DO_KILL_TREE, kill_pause(p)) : go(STATE_STOPPED, DO_NOTHING, -1);
	case EVENT_KILL_FAILED:
		return go(STATE_UNKNOWN, DO_NOTHING, -1);
	case EVENT_NONE:
	case EVENT_START:
	case EVENT_STOP:
	case EVENT_SHUTDOWN:
	case EVENT_NO_START:
	case EVENT_SHORTAGE:
		break;
	}
	return stay();
}

/* STOPPED, EXITED, FATAL, UNKNOWN: nothing runs, as far as anybody knows. */
static struct lifecycle_step step_down(const struct lifecycle *life, const struct lifecycle_policy *p,
				       enum lifecycle_event event)
{
	switch (event) {
	case EVENT_START:
		if (life->state != STATE_UNKNOWN)
			return go_start(life, p);
		break;
	case EVENT_TIMEOUT:	/* EXITED with autorestart */
		if (life->state == STATE_EXITED && life->wanted)
			return go_start(life, p);
		break;
	case EVENT_STOP:
	case EVENT_SHUTDOWN:
		if (life->leftovers && life->state != STATE_UNKNOWN)
			return go_stop_tree(p, p->stopwaitsecs);
		/* EXITED and about to be started again: not any more */
		if (life->state == STATE_EXITED && life->deadline > 0)
			return go(STATE_EXITED, DO_NOTHING, -1);
		break;
	case EVENT_EXIT:	/* what could not be signalled has ended by itself */
		if (life->state == STATE_UNKNOWN)
			return go(STATE_STOPPED, DO_NOTHING, -1);
		break;
	case EVENT_NONE:
	case EVENT_NO_START:
	case EVENT_SHORTAGE:
	case EVENT_KILL_FAILED:
	case EVENT_EMPTY:
		break;
	}
	return stay();
}

struct lifecycle_step lifecycle_step(const struct lifecycle *life, const struct lifecycle_policy *policy,
				     enum lifecycle_event event, double now)
{
	switch ((enum process_state)life->state) {
	case STATE_STARTING:
		return step_starting(life, policy, event, now);
	case STATE_RUNNING:
		return step_running(life, policy, event, now);
	case STATE_BACKOFF:
		return step_backoff(life, policy, event);
	case STATE_STOPPING:
		return step_stopping(life, policy, event, now);
	case STATE_STOPPED:
	case STATE_EXITED:
	case STATE_FATAL:
	case STATE_UNKNOWN:
		return step_down(life, policy, event);
	}
	assert(!"a state that does not exist");
	return stay();
}

/* Counters, by where we come from and why. */
static void count(struct lifecycle *life, const struct lifecycle_step *step, enum lifecycle_event event)
{
	if (step->next == STATE_BACKOFF) {
		if (event == EVENT_SHORTAGE) {
			life->shortages++;
		} else {
			life->shortages = 0;
			life->backoff++;
		}
	}
	if (step->next == STATE_RUNNING || step->next == STATE_EXITED || step->next == STATE_FATAL)
		life->backoff = life->shortages = 0;
	if (event == EVENT_START)
		life->backoff = life->shortages = 0;	/* somebody asked: a full set of tries */
	if (step->action == DO_SPAWN) {
		life->run++;
		if (event == EVENT_TIMEOUT)
			life->restarts++;
		life->killing = life->spawned = life->ended = 0;
		life->exit = (struct exit_status){ 0 };
	}
	if (step->clearing && event == EVENT_TIMEOUT && !life->clearing)
		life->restarts++;
	if (step->action == DO_STOP_TREE)
		life->killing = 0;
	if (step->action == DO_KILL || step->action == DO_KILL_TREE)
		life->killing = 1;
}

void lifecycle_enter(struct lifecycle *life, const struct lifecycle_step *step, enum lifecycle_event event, double now)
{
	if (event == EVENT_START)
		life->wanted = 1;
	if (event == EVENT_STOP || event == EVENT_SHUTDOWN)
		life->wanted = 0;
	if (!step->enter)
		return;
	count(life, step, event);
	if (step->action == DO_SPAWN)
		life->started = now;
	if ((enum process_state)life->state != step->next)
		life->since = now;
	life->state = step->next;
	life->clearing = step->clearing;
	life->epoch++;
	life->deadline = step->after < 0 ? 0 : now + step->after;
}
