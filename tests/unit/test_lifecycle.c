/* The state machine: a row per promise, and a walk over every state and event. A clock of our own; nothing sleeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "history.h"
#include "lifecycle.h"

static bool only_zero(int code, const void *data)
{
	(void)data;
	return code == 0;
}

static const struct lifecycle_policy unexpected = { .startsecs = 1, .stopwaitsecs = 10, .startretries = 3,
						    .restart_unexpected = true, .expected = only_zero };
static const struct lifecycle_policy always = { .startsecs = 1, .stopwaitsecs = 10, .startretries = 3, .restart_expected = true,
						.restart_unexpected = true, .expected = only_zero };
static const struct lifecycle_policy never = { .startsecs = 1, .stopwaitsecs = 10, .startretries = 0, .expected = only_zero };
static const struct lifecycle_policy killer = { .startsecs = 1, .stopwaitsecs = 10, .kill_leftovers = true, .expected = only_zero };
static const struct lifecycle_policy at_once = { .startsecs = 0, .stopwaitsecs = 0, .restart_expected = true,
						 .restart_unexpected = true, .expected = only_zero };

static const struct {
	const char *promise;
	enum process_state from;
	enum lifecycle_event event;
	const struct lifecycle_policy *policy;
	double lived;			/* seconds since the spawn */
	int code, signal;		/* EXIT */
	unsigned backoff, shortages;
	bool wanted;
	bool leftovers, clearing, main_gone, killed;
	bool enter;
	enum process_state to;
	enum lifecycle_action action;
	double after;
} rows[] = {
	{ "a start command spawns", STATE_STOPPED, EVENT_START, &unexpected, .enter = true, .to = STATE_STARTING, .action = DO_SPAWN, .after = 1 },
	{ "so it does from EXITED", STATE_EXITED, EVENT_START, &unexpected, .enter = true, .to = STATE_STARTING, .action = DO_SPAWN, .after = 1 },
	{ "and from FATAL", STATE_FATAL, EVENT_START, &unexpected, .enter = true, .to = STATE_STARTING, .action = DO_SPAWN, .after = 1 },
	{ "but not from UNKNOWN", STATE_UNKNOWN, EVENT_START, &unexpected },
	{ "a running one is not started", STATE_RUNNING, EVENT_START, &unexpected },
	{ "startsecs make it RUNNING", STATE_STARTING, EVENT_TIMEOUT, &unexpected, 1, .enter = true, .to = STATE_RUNNING, .after = -1 },
	{ "an early exit backs off, whatever its code", STATE_STARTING, EVENT_EXIT, &unexpected, 0.5, .enter = true, .to = STATE_BACKOFF, .after = 1 },
	{ "longer each time", STATE_STARTING, EVENT_EXIT, &unexpected, 0.5, .backoff = 2, .enter = true, .to = STATE_BACKOFF, .after = 3 },
	{ "after the last retry it does not wait", STATE_STARTING, EVENT_EXIT, &unexpected, 0.5, .backoff = 3, .enter = true, .to = STATE_BACKOFF },
	{ "an exit after startsecs is none that is early", STATE_STARTING, EVENT_EXIT, &unexpected, 1, .wanted = true, .enter = true,
	  .to = STATE_EXITED, .after = -1 },
	{ "a try that cannot be made is an early death", STATE_STARTING, EVENT_NO_START, &unexpected, .enter = true, .to = STATE_BACKOFF, .after = 1 },
	{ "a shortage waits too", STATE_STARTING, EVENT_SHORTAGE, &unexpected, .enter = true, .to = STATE_BACKOFF, .after = 1 },
	{ "longer each time, up to 30 s", STATE_STARTING, EVENT_SHORTAGE, &unexpected, .shortages = 20, .enter = true, .to = STATE_BACKOFF, .after = 30 },
	{ "BACKOFF tries again", STATE_BACKOFF, EVENT_TIMEOUT, &unexpected, .backoff = 3, .enter = true, .to = STATE_STARTING, .action = DO_SPAWN, .after = 1 },
	{ "and gives up", STATE_BACKOFF, EVENT_TIMEOUT, &unexpected, .backoff = 4, .enter = true, .to = STATE_FATAL, .after = -1 },
	{ "but not because of a shortage", STATE_BACKOFF, EVENT_TIMEOUT, &never, .backoff = 4, .shortages = 9, .enter = true,
	  .to = STATE_STARTING, .action = DO_SPAWN, .after = 1 },
	{ "stop in BACKOFF is at once", STATE_BACKOFF, EVENT_STOP, &unexpected, .enter = true, .to = STATE_STOPPED, .after = -1 },
	{ "shutdown in BACKOFF is FATAL", STATE_BACKOFF, EVENT_SHUTDOWN, &unexpected, .enter = true, .to = STATE_FATAL, .after = -1 },
	{ "stop signals", STATE_RUNNING, EVENT_STOP, &unexpected, .enter = true, .to = STATE_STOPPING, .action = DO_STOP, .after = 10 },
	{ "also a starting one", STATE_STARTING, EVENT_SHUTDOWN, &unexpected, .enter = true, .to = STATE_STOPPING, .action = DO_STOP, .after = 10 },
	{ "stopwaitsecs end in SIGKILL", STATE_STOPPING, EVENT_TIMEOUT, &unexpected, .enter = true, .to = STATE_STOPPING, .action = DO_KILL, .after = 10 },
	{ "which is repeated, but not in a loop", STATE_STOPPING, EVENT_TIMEOUT, &at_once, .enter = true, .to = STATE_STOPPING, .action = DO_KILL, .after = 1 },
	{ "an exit while stopping is STOPPED", STATE_STOPPING, EVENT_EXIT, &always, .enter = true, .to = STATE_STOPPED, .after = -1 },
	{ "autorestart=true starts again at once", STATE_RUNNING, EVENT_EXIT, &always, 9, .wanted = true, .enter = true, .to = STATE_EXITED },
	{ "unexpected: not after an expected code", STATE_RUNNING, EVENT_EXIT, &unexpected, 9, .wanted = true, .enter = true, .to = STATE_EXITED, .after = -1 },
	{ "unexpected: after another code", STATE_RUNNING, EVENT_EXIT, &unexpected, 9, .code = 2, .wanted = true, .enter = true, .to = STATE_EXITED },
	{ "unexpected: after a signal", STATE_RUNNING, EVENT_EXIT, &unexpected, 9, .code = -1, .signal = 9, .wanted = true, .enter = true, .to = STATE_EXITED },
	{ "autorestart=false: never", STATE_RUNNING, EVENT_EXIT, &never, 9, .code = 2, .wanted = true, .enter = true, .to = STATE_EXITED, .after = -1 },
	{ "startsecs=0 pauses before it starts a short-lived one again", STATE_RUNNING, EVENT_EXIT, &at_once, 0.01, .wanted = true, .enter = true,
	  .to = STATE_EXITED, .after = 0.1 },
	{ "a signal that fails is UNKNOWN", STATE_RUNNING, EVENT_KILL_FAILED, &unexpected, .enter = true, .to = STATE_UNKNOWN, .after = -1 },
	{ "a start first ends what the last run left", STATE_STOPPED, EVENT_START, &unexpected, .leftovers = true, .enter = true,
	  .to = STATE_STARTING, .action = DO_STOP_TREE, .after = 10 },
	{ "at once, where leftovers=kill", STATE_FATAL, EVENT_START, &killer, .leftovers = true, .enter = true,
	  .to = STATE_STARTING, .action = DO_KILL_TREE, .after = 10 },
	{ "so does a restart", STATE_EXITED, EVENT_TIMEOUT, &always, .wanted = true, .leftovers = true, .enter = true,
	  .to = STATE_STARTING, .action = DO_STOP_TREE, .after = 10 },
	{ "and a retry", STATE_BACKOFF, EVENT_TIMEOUT, &unexpected, .leftovers = true, .enter = true,
	  .to = STATE_STARTING, .action = DO_STOP_TREE, .after = 10 },
	{ "what ignores it is killed", STATE_STARTING, EVENT_TIMEOUT, &unexpected, .leftovers = true, .clearing = true, .enter = true,
	  .to = STATE_STARTING, .action = DO_KILL_TREE, .after = 10 },
	{ "when all are gone it spawns", STATE_STARTING, EVENT_EMPTY, &unexpected, .clearing = true, .enter = true,
	  .to = STATE_STARTING, .action = DO_SPAWN, .after = 1 },
	{ "a stop meanwhile waits for them", STATE_STARTING, EVENT_STOP, &unexpected, .leftovers = true, .clearing = true, .enter = true,
	  .to = STATE_STOPPING, .after = 1 },
	{ "a stop is not over while something lives", STATE_STOPPING, EVENT_EXIT, &unexpected, .leftovers = true, .main_gone = true,
	  .enter = true, .to = STATE_STOPPING, .action = DO_STOP_TREE, .after = 1 },
	{ "after SIGKILL the rest is killed too", STATE_STOPPING, EVENT_EXIT, &unexpected, .leftovers = true, .main_gone = true,
	  .killed = true, .enter = true, .to = STATE_STOPPING, .action = DO_KILL_TREE, .after = 10 },
	{ "the rest has until stopwaitsecs", STATE_STOPPING, EVENT_TIMEOUT, &unexpected, .leftovers = true, .main_gone = true,
	  .enter = true, .to = STATE_STOPPING, .action = DO_KILL_TREE, .after = 10 },
	{ "and then it is over", STATE_STOPPING, EVENT_EMPTY, &unexpected, .main_gone = true, .enter = true, .to = STATE_STOPPED, .after = -1 },
	{ "but not while the main process lives", STATE_STOPPING, EVENT_EMPTY, &unexpected },
	{ "an exit by itself leaves them alone", STATE_RUNNING, EVENT_EXIT, &never, 9, .wanted = true, .leftovers = true, .main_gone = true,
	  .enter = true, .to = STATE_EXITED, .after = -1 },
	{ "until a stop", STATE_EXITED, EVENT_STOP, &never, .leftovers = true, .main_gone = true, .enter = true,
	  .to = STATE_STOPPING, .action = DO_STOP_TREE, .after = 10 },
	{ "or the end of the daemon", STATE_FATAL, EVENT_SHUTDOWN, &never, .leftovers = true, .main_gone = true, .enter = true,
	  .to = STATE_STOPPING, .action = DO_STOP_TREE, .after = 10 },
	{ "until its end is seen", STATE_UNKNOWN, EVENT_EXIT, &unexpected, .enter = true, .to = STATE_STOPPED, .after = -1 },
};

static void test_promises(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct lifecycle life = { .state = rows[i].from, .backoff = rows[i].backoff, .shortages = rows[i].shortages,
					  .wanted = rows[i].wanted, .started = 100, .deadline = 101, .spawned = 1, .ended = rows[i].main_gone || rows[i].clearing,
					  .leftovers = rows[i].leftovers, .clearing = rows[i].clearing, .killing = rows[i].killed,
					  .exit = { .code = rows[i].code, .signal = rows[i].signal } };
		struct lifecycle_step s = lifecycle_step(&life, rows[i].policy, rows[i].event, 100 + rows[i].lived);

		if (s.enter != rows[i].enter || (s.enter && (s.next != rows[i].to || s.action != rows[i].action || s.after != rows[i].after)))
			fail_msg("%s: enter %d next %d action %d after %g", rows[i].promise, s.enter, s.next, s.action, s.after);
	}
}

#define X(name, number) STATE_##name,
static const enum process_state all_states[] = { PROCESS_STATES(X) };
#undef X

/* No pair is decided by accident: what is entered is consistent with what runs. */
static void test_every_pair(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(all_states); i++)
		for (int event = EVENT_NONE; event <= EVENT_EMPTY; event++) {
			enum process_state from = all_states[i];
			struct lifecycle life = { .state = (int32_t)from, .wanted = 1, .started = 100, .deadline = 101 };
			struct lifecycle_step s = lifecycle_step(&life, &always, (enum lifecycle_event)event, 200);
			bool had_process = from == STATE_STARTING || from == STATE_RUNNING || from == STATE_STOPPING;

			if (s.action == DO_SPAWN)
				assert_true(s.next == STATE_STARTING && !had_process);
			if (s.action == DO_STOP || s.action == DO_KILL)
				assert_true(s.next == STATE_STOPPING && had_process);
			if (s.enter && s.next == STATE_STARTING)
				assert_int_equal(s.action, DO_SPAWN);
			if (event == EVENT_NONE)
				assert_false(s.enter);
			if (event == EVENT_EXIT && had_process)
				assert_true(s.enter && s.next != STATE_STARTING && s.next != STATE_RUNNING && s.next != STATE_STOPPING);
			if (s.enter && s.next == STATE_STOPPING)
				assert_true(s.after >= 0);
		}
}

static void test_stop_does_not_lose_against_restart(void **state)
{
	struct lifecycle life = { .state = STATE_RUNNING, .wanted = 1, .started = 0 };
	struct lifecycle_step s;

	(void)state;
	s = lifecycle_step(&life, &always, EVENT_EXIT, 50);
	lifecycle_enter(&life, &s, EVENT_EXIT, 50);
	assert_int_equal(life.state, STATE_EXITED);
	s = lifecycle_step(&life, &always, EVENT_STOP, 50);
	lifecycle_enter(&life, &s, EVENT_STOP, 50);
	s = lifecycle_step(&life, &always, EVENT_TIMEOUT, 50);
	assert_false(s.enter);
}

static void test_counters(void **state)
{
	struct lifecycle life = { 0 };
	struct lifecycle_step s = lifecycle_step(&life, &unexpected, EVENT_START, 10);

	(void)state;
	lifecycle_enter(&life, &s, EVENT_START, 10);
	assert_true(life.run == 1 && life.restarts == 0 && life.wanted && life.deadline == 11 && life.since == 10);
	s = lifecycle_step(&life, &unexpected, EVENT_EXIT, 10.5);
	lifecycle_enter(&life, &s, EVENT_EXIT, 10.5);
	assert_int_equal(life.backoff, 1);
	s = lifecycle_step(&life, &unexpected, EVENT_TIMEOUT, 11.5);
	lifecycle_enter(&life, &s, EVENT_TIMEOUT, 11.5);
	assert_true(life.run == 2 && life.restarts == 1);
	s = lifecycle_step(&life, &unexpected, EVENT_TIMEOUT, 12.5);
	lifecycle_enter(&life, &s, EVENT_TIMEOUT, 12.5);
	assert_true(life.state == STATE_RUNNING && life.backoff == 0 && life.deadline == 0);
}

static void test_history_ring(void **state)
{
	struct history h = { 0 };

	(void)state;
	assert_null(history_get(&h, 0));
	for (uint32_t i = 1; i <= 20; i++)
		history_add(&h, &(struct transition){ .run = i });
	for (unsigned i = 0; i < HISTORY_LENGTH - 1; i++)
		assert_int_equal(history_get(&h, i)->run, 20 - i);
	assert_null(history_get(&h, HISTORY_LENGTH - 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_promises),
		cmocka_unit_test(test_every_pair),
		cmocka_unit_test(test_stop_does_not_lose_against_restart),
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_history_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
