/* See operation.h. Start, Stop, Restart, Wait, and (answered at once) Signal and SendStdin. */
#include "operation.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "../group.h"
#include "handlers.h"

static const double exec_patience = 0.5;	/* seconds that an answer waits for a child's exec */

enum goal { GOAL_STARTED, GOAL_STOPPED, GOAL_EXITED, GOAL_RUNNING };

/* One process of an operation. It may be removed meanwhile: hence by name. */
struct entry {
	char *namespec, *name, *group;	/* owned */
	long long group_priority, priority;	/* for the order */
	bool single;			/* named by itself, not through a group */
	bool settled;
	enum goal goal;
	uint32_t run;			/* GOAL_STARTED: the run that was begun; GOAL_STOPPED: the one that is to end */
	bool then_start;		/* Restart: what comes when it is stopped */
	enum fault result;
	char extra[300];
};

struct operation {
	struct operation *next;		/* supervisor::operations */
	struct supervisor *s;
	struct varlink_call *call;	/* NULL: the client has left */
	struct cause cause;
	bool wait, waiting_for_state;	/* Wait answers with processes, the others with results */
	double since;			/* unix time when this was first asked, perhaps of a supervisor that has died over it; 0: now */
	json_t *results;
	struct entry *entries;		/* owned */
	size_t n, size;
	ev_timer timer;			/* Wait's timeout */
	bool timed_out;
	bool answered;
};

/* ---- results ---- */

static json_t *result_json(const char *name, const char *group, const char *namespec, enum fault code, const char *extra)
{
	char text[400];

	if (code == FAULT_SUCCESS)
		(void)snprintf(text, sizeof text, "OK");
	else
		fault_text(code, extra, text, sizeof text);
	return json_pack("{s:s, s:s, s:s, s:i, s:s}", "name", name, "group", group, "namespec", namespec, "status", (int)code,
			 "description", text);
}

static void add_result(struct operation *op, const char *phase, const struct entry *e)
{
	json_t *result = result_json(e->name, e->group, e->namespec, e->result, e->extra[0] ? e->extra : e->namespec);

	if (!result)
		return;
	if (phase)
		(void)json_object_set_new(result, "phase", json_string(phase));
	(void)json_array_append(op->results, result);
	if (op->call && varlink_call_more(op->call))
		(void)varlink_reply_more(op->call, json_pack("{s:o}", "result", result));
	else
		json_decref(result);
}

static void settle_entry(struct operation *op, struct entry *e, enum fault result, const char *extra)
{
	e->result = result;
	(void)snprintf(e->extra, sizeof e->extra, "%s", extra ? extra : "");
	e->settled = !(e->then_start && e->goal == GOAL_STOPPED);
	if (!op->waiting_for_state)
		add_result(op, e->then_start || op->cause.command[0] == 'R' ? e->goal == GOAL_STOPPED ? "stop" : "start" : NULL, e);
}

/* ---- an operation's life ---- */

static void operation_free(struct operation *op)
{
	for (struct operation **at = &op->s->operations; *at; at = &(*at)->next)
		if (*at == op) {
			*at = op->next;
			break;
		}
	ev_timer_stop(op->s->loop, &op->timer);
	for (size_t i = 0; i < op->n; i++) {
		free(op->entries[i].namespec);
		free(op->entries[i].name);
		free(op->entries[i].group);
	}
	free(op->entries);
	json_decref(op->results);
	free(op);
}

static void client_left(void *data)
{
	struct operation *op = data;

	op->call = NULL;
	op->s->changed = true;
}

static struct operation *operation_new(struct supervisor *s, struct varlink_call *call, bool wait)
{
	struct operation *op = calloc(1, sizeof *op);

	if (!op) {
		reply_fault(call, FAULT_FAILED, "out of memory");
		return NULL;
	}
	*op = (struct operation){ .next = s->operations, .s = s, .call = call, .cause = cause_of(call), .wait = wait,
				  .results = json_array() };
	s->operations = op;
	varlink_call_on_gone(call, client_left, op);
	return op;
}

static struct entry *entry_add(struct operation *op, const char *namespec, const char *name, const char *group)
{
	struct entry *e;

	if (op->n == op->size) {
		size_t size = op->size ? 2 * op->size : 8;
		struct entry *entries = realloc(op->entries, size * sizeof *entries);

		if (!entries)
			return NULL;
		op->entries = entries;
		op->size = size;
	}
	e = &op->entries[op->n];
	*e = (struct entry){ .namespec = strdup(namespec), .name = strdup(name), .group = strdup(group) };
	if (!e->namespec || !e->name || !e->group) {
		free(e->namespec);
		free(e->name);
		free(e->group);
		return NULL;
	}
	op->n++;
	return e;
}

static void see_process(struct process *p, bool single, void *data)
{
	struct entry *e = entry_add(data, p->conf->namespec, p->conf->name, p->conf->group);

	if (!e)
		return;
	e->single = single;
	e->group_priority = p->group->conf->priority;
	e->priority = p->conf->priority;
}

static void see_missing(const char *name, void *data)
{
	const char *colon = strchr(name, ':');
	char group[300];
	struct entry *e;

	(void)snprintf(group, sizeof group, "%.*s", (int)(colon ? colon - name : (long)strlen(name)), name);
	e = entry_add(data, name, colon ? colon + 1 : name, group);
	if (e)
		settle_entry(data, e, FAULT_BAD_NAME, name);
}

static int by_priority(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->group_priority != y->group_priority)
		return x->group_priority < y->group_priority ? -1 : 1;
	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	return 0;
}

/* Merge sort would be needed for stability; insertion keeps equal ones in order and lists are nearly sorted already. */
static void sort_entries(struct operation *op)
{
	for (size_t i = 1; i < op->n; i++) {
		struct entry e = op->entries[i];
		size_t k = i;

		for (; k > 0 && by_priority(&op->entries[k - 1], &e) > 0; k--)
			op->entries[k] = op->entries[k - 1];
		op->entries[k] = e;
	}
}

/* Fill OP from the parameter "names" (in its order for single names, by priority within "all" and groups). */
static bool take_names(struct operation *op, json_t *parameters)
{
	size_t n;
	const char **names = string_list(op->call, parameters, "names", &n);

	if (!names) {
		operation_free(op);
		return false;
	}
	processes_named(op->s, names, n, see_process, see_missing, op);
	if (n == 1)
		sort_entries(op);
	free(names);
	return true;
}

/* ---- looking ---- */

static enum fault start_fault(const struct process *p, char *extra, size_t size)
{
	const volatile struct spawn_failure *f = &p->record->failure;

	extra[0] = '\0';
	if (f->stage == SPAWN_EXEC && f->error != ENOEXEC) {
		(void)process_spawnerr(p, extra, size);
		return f->error == ENOENT ? FAULT_NO_FILE : FAULT_NOT_EXECUTABLE;
	}
	if (p->trouble && !p->now.life.spawned && !p->now.life.shortages &&
	    (strncmp(p->trouble, "can't parse", 11) == 0 || strcmp(p->trouble, "command is empty") == 0)) {
		(void)process_spawnerr(p, extra, size);
		return FAULT_NOT_EXECUTABLE;
	}
	return FAULT_SPAWN_ERROR;
}

static void look_again(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	((struct operation *)w->data)->s->changed = true;
}

/*
 * Who does not wait for RUNNING still hears of a program that could not be executed: the answer waits until the child has gone that
 * far, which takes about a millisecond, but never long.
 */
static bool is_on_its_way(struct operation *op, const struct process *p)
{
	pid_t pid = process_pid(p);
	bool on_its_way = pid && (spawn_pending(pid) || p->record->failure.stage != SPAWN_NONE);

	if (!on_its_way || clock_now() - p->now.life.started > exec_patience)
		return false;
	if (!ev_is_active(&op->timer)) {
		ev_timer_init(&op->timer, look_again, 0.002, 0);
		op->timer.data = op;
		ev_timer_start(op->s->loop, &op->timer);
	}
	return true;
}

static void look_started(struct operation *op, struct entry *e, struct process *p)
{
	char extra[300];

	switch (process_state(p)) {
	case STATE_STARTING:
		if (!op->wait && !is_on_its_way(op, p))
			settle_entry(op, e, FAULT_SUCCESS, NULL);
		break;
	case STATE_RUNNING:
		settle_entry(op, e, FAULT_SUCCESS, NULL);
		break;
	case STATE_EXITED:		/* it has been RUNNING since */
		settle_entry(op, e, p->now.life.run >= e->run ? FAULT_SUCCESS : FAULT_ABNORMAL_TERMINATION, NULL);
		break;
	case STATE_BACKOFF:
	case STATE_FATAL:
		settle_entry(op, e, start_fault(p, extra, sizeof extra), extra);
		break;
	case STATE_STOPPED:
	case STATE_STOPPING:
	case STATE_UNKNOWN:
		settle_entry(op, e, FAULT_ABNORMAL_TERMINATION, NULL);
		break;
	}
}

static void begin_start(struct operation *op, struct entry *e, struct process *p)
{
	e->goal = GOAL_STARTED;
	process_event(p, EVENT_START, &op->cause);
	e->run = p->now.life.run;
	look_started(op, e, p);
}

static void look_stopped(struct operation *op, struct entry *e, struct process *p)
{
	bool next = e->then_start && p->now.life.run != e->run;	/* start_after_stop was faster than we look */

	if (op->wait && !next && !process_state_is_stopped(process_state(p)))
		return;
	settle_entry(op, e, process_state(p) == STATE_UNKNOWN ? FAULT_FAILED : FAULT_SUCCESS, NULL);
	if (!e->then_start)
		return;
	if (!op->wait) {
		e->goal = GOAL_STARTED;
		settle_entry(op, e, FAULT_SUCCESS, NULL);
	} else if (next) {
		e->goal = GOAL_STARTED;
		e->run = p->now.life.run;
		look_started(op, e, p);
	} else {
		begin_start(op, e, p);
	}
}

static bool never_ran_or_ended(const struct process *p)
{
	return process_state_is_stopped(process_state(p));
}

static void look_entry(struct operation *op, struct entry *e)
{
	struct process *p = process_by_name(op->s, e->namespec);

	if (!p) {
		e->then_start = false;
		settle_entry(op, e, e->goal == GOAL_STOPPED || e->goal == GOAL_EXITED ? FAULT_SUCCESS : FAULT_BAD_NAME, NULL);
		return;
	}
	switch (e->goal) {
	case GOAL_STARTED:
		look_started(op, e, p);
		break;
	case GOAL_STOPPED:
		look_stopped(op, e, p);
		break;
	case GOAL_EXITED:
		if (never_ran_or_ended(p) && p->now.life.deadline <= 0)
			settle_entry(op, e, FAULT_SUCCESS, NULL);
		break;
	case GOAL_RUNNING:
		if (process_state(p) == STATE_RUNNING)
			settle_entry(op, e, FAULT_SUCCESS, NULL);
		break;
	}
}

static bool all_settled(const struct operation *op)
{
	for (size_t i = 0; i < op->n; i++)
		if (!op->entries[i].settled)
			return false;
	return true;
}

static json_t *processes_of(const struct operation *op)
{
	json_t *list = json_array();

	for (size_t i = 0; i < op->n; i++) {
		struct process *p = process_by_name(op->s, op->entries[i].namespec);

		if (p)
			(void)json_array_append_new(list, process_json(p));
	}
	return list;
}

static void answer(struct operation *op)
{
	struct varlink_call *call = op->call;

	op->call = NULL;
	if (!call)
		return;
	if (op->waiting_for_state)
		(void)varlink_reply(call, json_pack("{s:o, s:b}", "processes", processes_of(op), "timed_out", (int)op->timed_out));
	else
		(void)varlink_reply(call, json_pack("{s:O}", "results", op->results));
}

static void operation_step(struct operation *op)
{
	for (size_t i = 0; i < op->n; i++)
		if (!op->entries[i].settled)
			look_entry(op, &op->entries[i]);
	if (!all_settled(op) && !op->timed_out)
		return;
	answer(op);
	operation_free(op);
}

void operations_step(struct supervisor *s)
{
	struct operation *next;

	for (struct operation *op = s->operations; op; op = next) {
		next = op->next;
		operation_step(op);
	}
}

void operations_free(struct supervisor *s)
{
	while (s->operations)
		operation_free(s->operations);
}

/* ---- the methods ---- */

static bool flag(json_t *parameters, const char *key, bool otherwise)
{
	json_t *value = json_object_get(parameters, key);

	return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

static struct operation *begin(struct varlink_call *call, json_t *parameters, void *data)
{
	struct supervisor *s = data;
	struct operation *op;

	if (refused(s, call))
		return NULL;
	op = operation_new(s, call, flag(parameters, "wait", true));
	if (!op || !take_names(op, parameters))
		return NULL;
	op->since = json_number_value(json_object_get(parameters, "since"));
	return op;
}

/* ---- what a predecessor has already done for the same call: it is waited for, not done again ---- */

static bool started_since(const struct operation *op, const struct process *p)
{
	return op->since > 0 && p->now.life.run && p->now.start_time >= op->since;
}

static bool stopped_since(const struct operation *op, const struct process *p)
{
	double entered = clock_wall() - (clock_now() - p->now.life.since);

	return op->since > 0 && entered >= op->since &&
	       (process_state(p) == STATE_STOPPED || process_state(p) == STATE_STOPPING);
}

/* ---- each method for one process ---- */

/* What a process does not need done: said for one that was named by itself, passed over for one of many. */
static void needless(struct operation *op, struct entry *e, enum fault code)
{
	if (e->single) {
		settle_entry(op, e, code, NULL);
	} else {
		e->settled = true;
	}
}

/* BEGIN_ONE for each process that the call names, then look whether anything is left to wait for. */
static void for_each(struct varlink_call *call, json_t *parameters, void *data,
		     void (*begin_one)(struct operation *op, struct entry *e, struct process *p))
{
	struct operation *op = begin(call, parameters, data);

	for (size_t i = 0; op && i < op->n; i++) {
		struct entry *e = &op->entries[i];
		struct process *p = e->settled ? NULL : process_by_name(op->s, e->namespec);

		if (p)
			begin_one(op, e, p);
	}
	if (op)
		operation_step(op);
}

static void start_one(struct operation *op, struct entry *e, struct process *p)
{
	if (started_since(op, p)) {
		e->goal = GOAL_STARTED;
		e->run = p->now.life.run;
	} else if (process_state_is_running(process_state(p)))
		needless(op, e, FAULT_ALREADY_STARTED);
	else if (process_state(p) == STATE_UNKNOWN)
		settle_entry(op, e, FAULT_FAILED, NULL);
	else if (process_state(p) == STATE_STOPPING)
		settle_entry(op, e, FAULT_ABNORMAL_TERMINATION, NULL);
	else
		begin_start(op, e, p);
}

static void stop_one(struct operation *op, struct entry *e, struct process *p)
{
	enum process_state before = process_state(p);

	e->goal = GOAL_STOPPED;
	if (stopped_since(op, p))
		return;
	process_event(p, EVENT_STOP, &op->cause);	/* also if it does not run: it may be about to be started again */
	if (process_state_is_running(before))
		return;
	if (before == STATE_STOPPING || process_state(p) != STATE_STOPPING)	/* else something was left of it */
		needless(op, e, FAULT_NOT_RUNNING);
}

static void restart_one(struct operation *op, struct entry *e, struct process *p)
{
	e->goal = GOAL_STOPPED;
	e->then_start = true;
	if (started_since(op, p)) {
		e->run = p->now.life.run - 1;
		return;
	}
	if (stopped_since(op, p) && p->now.start_after_stop) {
		e->run = p->now.life.run;
		return;
	}
	if (process_state_is_running(process_state(p)) || process_state(p) == STATE_STOPPING) {
		e->run = p->now.life.run;
		process_restart(p, &op->cause);	/* in the record: should we die now, our successor starts it */
		return;
	}
	if (e->single)
		settle_entry(op, e, FAULT_NOT_RUNNING, NULL);
	begin_start(op, e, p);
}

void method_start(struct varlink_call *call, json_t *parameters, void *data)
{
	for_each(call, parameters, data, start_one);
}

void method_stop(struct varlink_call *call, json_t *parameters, void *data)
{
	for_each(call, parameters, data, stop_one);
}

void method_restart(struct varlink_call *call, json_t *parameters, void *data)
{
	for_each(call, parameters, data, restart_one);
}

static void wait_over(struct ev_loop *loop, ev_timer *w, int events)
{
	struct operation *op = w->data;

	(void)loop;
	(void)events;
	op->timed_out = true;
	operation_step(op);
}

void method_wait(struct varlink_call *call, json_t *parameters, void *data)
{
	struct supervisor *s = data;
	const char *until = json_string_value(json_object_get(parameters, "until"));
	json_t *timeout = json_object_get(parameters, "timeout");
	enum goal goal = !until || strcmp(until, "exited") == 0 ? GOAL_EXITED
			 : strcmp(until, "stopped") == 0	? GOAL_STOPPED
								: GOAL_RUNNING;
	struct operation *op;

	if (until && goal == GOAL_RUNNING && strcmp(until, "running") != 0) {
		(void)varlink_invalid_parameter(call, "until");
		return;
	}
	op = operation_new(s, call, true);
	if (!op || !take_names(op, parameters))
		return;
	op->waiting_for_state = true;
	for (size_t i = 0; i < op->n; i++) {
		if (op->entries[i].settled) {
			op->call = NULL;
			reply_fault(call, FAULT_BAD_NAME, op->entries[i].namespec);
			operation_free(op);
			return;
		}
		op->entries[i].goal = goal;
	}
	if (json_is_number(timeout)) {
		ev_timer_init(&op->timer, wait_over, json_number_value(timeout) > 0 ? json_number_value(timeout) : 0, 0);
		op->timer.data = op;
		ev_now_update(s->loop);
		ev_timer_start(s->loop, &op->timer);
	}
	operation_step(op);
}

/* ---- Signal, SendStdin ---- */

struct signalling {
	struct supervisor *s;
	json_t *results;
	int signal;
	bool whole;
};

static void signal_process(struct process *p, bool single, void *data)
{
	struct signalling *g = data;
	enum fault code = FAULT_SUCCESS;

	if (!process_state_is_signallable(process_state(p))) {
		if (!single)
			return;
		code = FAULT_NOT_RUNNING;
	} else if (process_signal(p, g->signal, g->whole) < 0) {
		code = FAULT_FAILED;
	}
	(void)json_array_append_new(g->results,
				    result_json(p->conf->name, p->conf->group, p->conf->namespec, code, p->conf->namespec));
}

static void signal_missing(const char *name, void *data)
{
	struct signalling *g = data;

	(void)json_array_append_new(g->results, result_json(name, name, name, FAULT_BAD_NAME, name));
}

void method_signal(struct varlink_call *call, json_t *parameters, void *data)
{
	struct supervisor *s = data;
	const char *text = json_string_value(json_object_get(parameters, "signal"));
	struct signalling g = { .s = s, .whole = flag(parameters, "whole", false) };
	const char **names;
	size_t n;

	if (refused(s, call))
		return;
	g.signal = text ? signal_parse(text) : -1;
	if (g.signal < 0) {
		reply_fault(call, FAULT_BAD_SIGNAL, text);
		return;
	}
	names = string_list(call, parameters, "names", &n);
	if (!names)
		return;
	g.results = json_array();
	processes_named(s, names, n, signal_process, signal_missing, &g);
	free(names);
	(void)varlink_reply(call, json_pack("{s:o}", "results", g.results));
}

void method_send_stdin(struct varlink_call *call, json_t *parameters, void *data)
{
	struct supervisor *s = data;
	const char *name = json_string_value(json_object_get(parameters, "name"));
	json_t *text = json_object_get(parameters, "data");
	struct process *p = name ? process_by_name(s, name) : NULL;
	int r;

	if (refused(s, call))
		return;
	if (!json_is_string(text)) {
		(void)varlink_invalid_parameter(call, "data");
		return;
	}
	if (!p) {
		reply_fault(call, FAULT_BAD_NAME, name);
		return;
	}
	if (!process_pid(p) || process_state(p) == STATE_STOPPING) {
		reply_fault(call, FAULT_NOT_RUNNING, name);
		return;
	}
	r = process_write_stdin(p, json_string_value(text), json_string_length(text));
	if (r == -EPIPE)
		reply_fault(call, FAULT_NO_FILE, name);
	else if (r < 0)
		reply_fault(call, FAULT_FAILED, "its stdin is full: it does not read");
	else
		(void)varlink_reply(call, NULL);
}
