/*
 * Why: the causal record of a process as data and as sentences: its state and since when, who or what caused it, the
 * transitions before, the last lines of stderr before it last ended, what happens next and when.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../generation.h"
#include "../group.h"
#include "../tree.h"
#include "handlers.h"

enum { TAIL_LINES = 10 };

/* ---- as data ---- */

static void add_client(json_t *j, const struct cause *c)
{
	(void)json_object_set_new(j, "uid", json_integer(c->uid));
	(void)json_object_set_new(j, "pid", json_integer(c->pid));
	(void)json_object_set_new(j, "command", text_json(c->command));
	(void)json_object_set_new(j, "client", text_json(c->client));
}

static json_t *cause_json(const struct cause *c)
{
	char text[200];
	json_t *j = json_pack("{s:s, s:o, s:i}", "kind", cause_kind_name(c->kind), "text",
			      text_json(cause_text(c, text, sizeof text)), "generation", (int)c->generation);

	if (cause_has_client(c))
		add_client(j, c);
	if (c->kind == CAUSE_EXIT)
		(void)json_object_set_new(j, "exitcode", json_integer(exit_status_number(&c->exit)));
	if (c->kind == CAUSE_EXIT && c->stage != OOM_NO)
		(void)json_object_set_new(j, "oom", json_string(c->stage == OOM_OWN_GROUP ? "own" : "shared"));
	if (c->kind == CAUSE_START_FAILED)
		(void)json_object_set_new(j, "stage", json_string(spawn_stage_name(c->stage)));
	if (c->error)
		(void)json_object_set_new(j, "errno", json_string(errno_name(c->error)));
	return j;
}

static json_t *transition_json(const struct transition *t)
{
	return json_pack("{s:f, s:s, s:s, s:I, s:o}", "time", t->time, "from", process_state_name(t->from), "to",
			 process_state_name(t->to), "run", (json_int_t)t->run, "cause", cause_json(&t->cause));
}

json_t *transitions_json(const struct process *p)
{
	json_t *list = json_array();

	for (unsigned i = HISTORY_LENGTH; i-- > 0;) {
		const struct transition *t = history_get(&p->record->history, i);

		if (t)
			(void)json_array_append_new(list, transition_json(t));
	}
	return list;
}

/* ---- what comes ---- */

static const char *when_it_ends(const struct process *p)
{
	if (p->now.start_after_stop)
		return "is started again when it has ended";
	switch (p->conf->autorestart) {
	case AUTORESTART_TRUE:
		return "is started again if it ends (autorestart=true)";
	case AUTORESTART_UNEXPECTED:
		return "is started again if it ends unexpectedly (autorestart=unexpected)";
	case AUTORESTART_FALSE:
		return "stays down if it ends (autorestart=false)";
	}
	return "";
}

/* Seconds until the timer of the present state; 0: none. */
static double time_left(const struct process *p)
{
	double left = p->now.life.deadline > 0 ? p->now.life.deadline - clock_now() : 0;

	return left > 0 ? left : 0;
}

static void next_text(const struct process *p, char *buffer, size_t size)
{
	const struct lifecycle *life = &p->now.life;
	double left = time_left(p);
	time_t then = (time_t)(clock_wall() + left);
	char at[16];
	struct tm tm;

	(void)localtime_r(&then, &tm);
	(void)strftime(at, sizeof at, "%H:%M:%S", &tm);
	switch (process_state(p)) {
	case STATE_STARTING:
		if (life->clearing)
			(void)snprintf(buffer, size,
				       "started when what its last run left behind has ended; SIGKILL in %.1f s, at %s "
				       "(stopwaitsecs=%lld)",
				       left, at, p->conf->stopwaitsecs);
		else
			(void)snprintf(buffer, size, "counts as RUNNING in %.1f s, at %s (startsecs=%lld)", left, at,
				       p->conf->startsecs);
		break;
	case STATE_BACKOFF:
		if (life->shortages)
			(void)snprintf(buffer, size, "next try in %.1f s, at %s; this does not use up startretries",
				       left, at);
		else
			(void)snprintf(buffer, size, "try %u of %lld in %.1f s, at %s, then FATAL", life->backoff + 1,
				       p->conf->startretries + 1, left, at);
		break;
	case STATE_STOPPING:
		(void)snprintf(buffer, size, "SIGKILL in %.1f s, at %s (stopwaitsecs=%lld)%s", left, at,
			       p->conf->stopwaitsecs, p->now.start_after_stop ? ", then started again" : "");
		break;
	case STATE_EXITED:
		(void)snprintf(buffer, size,
			       life->deadline > 0 ? "started again at once" : "stays down until a start command");
		break;
	case STATE_STOPPED:
	case STATE_FATAL:
		(void)snprintf(buffer, size, "stays down until a start command");
		break;
	case STATE_RUNNING:
		(void)snprintf(buffer, size, "runs on; %s", when_it_ends(p));
		break;
	case STATE_UNKNOWN:
		(void)snprintf(buffer, size, "nothing is planned: look at the process by hand");
		break;
	}
	if (supervisor_state(p->supervisor) != DAEMON_RUNNING)
		(void)snprintf(buffer, size, "the daemon is shutting down");
}

/* ---- as sentences ---- */

static void print_time(char *buffer, size_t size, double time)
{
	time_t at = (time_t)time;
	struct tm tm;

	(void)localtime_r(&at, &tm);
	(void)strftime(buffer, size, "%Y-%m-%d %H:%M:%S", &tm);
}

static json_t *sentence(const struct transition *t)
{
	char when[32], text[200], line[500];

	print_time(when, sizeof when, t->time);
	(void)snprintf(line, sizeof line, "%s  %s -> %s: %s (run %u, configuration %u)", when,
		       process_state_name(t->from), process_state_name(t->to), cause_text(&t->cause, text, sizeof text),
		       t->run, t->cause.generation);
	return text_json(line);
}

/* "It stayed up" and "it ended" say little: who had it started or stopped? NULL: the last transition says it all. */
static const struct transition *origin(const struct process *p, const struct transition *last)
{
	const struct transition *t;
	bool started = last->cause.kind == CAUSE_STAYED_UP;

	if (!started && last->from != STATE_STOPPING)
		return NULL;
	for (unsigned i = 1; (t = history_get(&p->record->history, i)); i++)
		if (t->to == (started ? STATE_STARTING : STATE_STOPPING) && t->cause.kind != CAUSE_STOP_OVERDUE)
			return t;
	return NULL;
}

static void origin_sentence(const struct process *p, const struct transition *last, json_t *sentences)
{
	const struct transition *t = origin(p, last);
	char text[300], line[400];

	if (!t)
		return;
	(void)snprintf(line, sizeof line, "It was %s, because %s", t->to == STATE_STARTING ? "started" : "stopped",
		       cause_text(&t->cause, text, sizeof text));
	(void)json_array_append_new(sentences, text_json(line));
}

/* A main process that ends at once and well, while what it started lives on. */
static bool put_itself_in_background(const struct process *p)
{
	const struct lifecycle *life = &p->now.life;

	return life->ended && !life->exit.signal && life->exit.code == 0 &&
	       (life->state == STATE_FATAL || life->state == STATE_BACKOFF);
}

static void first_sentences(const struct process *p, json_t *sentences)
{
	const struct transition *last = history_get(&p->record->history, 0);
	char text[600], line[900], when[32];
	pid_t pid = process_pid(p);

	if (last) {
		print_time(when, sizeof when, last->time);
		(void)snprintf(line, sizeof line, "%s is %s since %s (%.0f s), because %s", p->conf->namespec,
			       process_state_name(process_state(p)), when, clock_wall() - last->time,
			       cause_text(&last->cause, text, sizeof text));
	} else {
		(void)snprintf(line, sizeof line, "%s is %s: it has never been started", p->conf->namespec,
			       process_state_name(process_state(p)));
	}
	(void)json_array_append_new(sentences, text_json(line));
	if (last)
		origin_sentence(p, last, sentences);
	if (pid && p->taken_over > 0) {
		print_time(when, sizeof when, p->taken_over);
		(void)snprintf(line, sizeof line,
			       "A new supervisor took it over at %s while it ran (pid %d), without touching it", when,
			       (int)pid);
		(void)json_array_append_new(sentences, text_json(line));
	}
	if (*process_spawnerr(p, text, sizeof text)) {
		(void)snprintf(line, sizeof line, "What went wrong: %s", text);
		(void)json_array_append_new(sentences, text_json(line));
	}
	for (int c = 0; c < N_CHANNELS; c++) {
		if (!p->log_trouble[c])
			continue;
		(void)snprintf(line, sizeof line, "Its %s log cannot be written: %s; output is dropped until it can be",
			       c == CHANNEL_STDERR ? "stderr" : "stdout", p->log_trouble[c]);
		(void)json_array_append_new(sentences, text_json(line));
	}
	if (*tree_text(p, text, sizeof text)) {
		(void)snprintf(line, sizeof line, "Left behind: %s", text);
		(void)json_array_append_new(sentences, text_json(line));
		if (put_itself_in_background(p))
			(void)json_array_append_new(
				sentences, json_string("It looks as if the command puts itself in the background: "
						       "tell it to stay in the foreground"));
	}
}

/* ---- stderr ---- */

/* The lines of its stderr (or of both, where they share a log) before it last ended, as the logger told us then. */
static json_t *stderr_tail(const struct process *p)
{
	json_t *lines = json_array();
	_cleanup_(freep) char *text = p->last_words ? strdup(p->last_words) : NULL;
	char *rest = NULL;

	for (char *line = text ? strtok_r(text, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest)) {
		(void)json_array_append_new(lines, text_json(line));
		if (json_array_size(lines) > TAIL_LINES)
			(void)json_array_remove(lines, 0);
	}
	return lines;
}

/* ---- the method ---- */

static void why_invalid(struct varlink_call *call, const struct group_conf *g)
{
	(void)varlink_reply(call, json_pack("{s:o, s:[], s:[], s:b, s:s, s:[s]}", "process", invalid_json(g),
					    "transitions", "stderr_tail", "stderr_before_exit", 0, "next",
					    "nothing starts until its section is mended", "sentences", g->invalid));
}

void method_why(struct varlink_call *call, json_t *parameters, void *data)
{
	struct supervisor *s = data;
	const char *name = json_string_value(json_object_get(parameters, "name"));
	struct process *p = name ? process_by_name(s, name) : NULL;
	const struct group_conf *g = name && !p ? config_group(s->loaded->config, name) : NULL;
	json_t *sentences;
	char next[200];

	if (g && g->invalid && !group_find(s, name)) {
		why_invalid(call, g);
		return;
	}
	if (!p) {
		reply_fault(call, FAULT_BAD_NAME, name);
		return;
	}
	sentences = json_array();
	first_sentences(p, sentences);
	for (unsigned i = HISTORY_LENGTH; i-- > 0;) {
		const struct transition *t = history_get(&p->record->history, i);

		if (t)
			(void)json_array_append_new(sentences, sentence(t));
	}
	next_text(p, next, sizeof next);
	(void)varlink_reply(call, json_pack("{s:o, s:o, s:o, s:b, s:s, s:f, s:o}", "process", process_json(p),
					    "transitions", transitions_json(p), "stderr_tail", stderr_tail(p),
					    "stderr_before_exit", p->last_words != NULL, "next", next, "next_in",
					    time_left(p), "sentences", sentences));
}
