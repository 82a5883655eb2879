/* See process_parts.h. What a process is and does, in supervisord's words. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "process_parts.h"
#include "tree.h"

/* ---- in status ---- */

bool process_exit_expected(int code, const void *data)
{
	const struct process_conf *c = data;

	for (size_t i = 0; i < c->n_exitcodes; i++)
		if (c->exitcodes[i] == code)
			return true;
	return false;
}

const char *process_quote(const char *text)
{
	return strchr(text, '\'') && !strchr(text, '"') ? "\"" : "'";
}

static void first_word(const char *command, char *buffer, size_t size)
{
	char **words = command_split(command, NULL);

	(void)snprintf(buffer, size, "%s", words && words[0] ? words[0] : command);
	strv_free(words);
}

char *process_failure(const struct process *p, char *buffer, size_t size)
{
	const volatile struct spawn_failure *f = &p->record->failure;
	char word[256];
	const char *q;

	first_word(p->conf->pool ? "reeve-pool" : p->conf->command, word, sizeof word);
	q = process_quote(word);
	if (f->stage == SPAWN_EXEC && f->error == ENOENT && p->conf->pool)
		(void)snprintf(buffer, size, "reeve-pool is not installed (the build option `pool`)");
	else if (f->stage == SPAWN_EXEC && f->error == ENOENT)
		(void)snprintf(buffer, size, "can't find command %s%s%s", q, word, q);
	else if (f->stage == SPAWN_EXEC && f->error == EISDIR)
		(void)snprintf(buffer, size, "command at %s%s%s is a directory", q, word, q);
	else if (f->stage == SPAWN_EXEC && f->error == EACCES)
		(void)snprintf(buffer, size, "command at %s%s%s is not executable", q, word, q);
	else if (f->stage == SPAWN_EXEC)
		(void)snprintf(buffer, size, "couldn't exec %s: %s", word, errno_name(f->error));
	else if (f->stage == SPAWN_DIRECTORY)
		(void)snprintf(buffer, size, "couldn't chdir to %s: %s", p->conf->directory, errno_name(f->error));
	else if (f->stage == SPAWN_USER || f->stage == SPAWN_GROUP || f->stage == SPAWN_GROUPS)
		(void)snprintf(buffer, size, "couldn't setuid to %s: %s: %s", p->conf->user ? p->conf->user : "?",
			       spawn_stage_name(f->stage), errno_name(f->error));
	else
		(void)snprintf(buffer, size, "couldn't start: %s: %s", spawn_stage_name(f->stage), errno_name(f->error));
	return buffer;
}

char *process_spawnerr(const struct process *p, char *buffer, size_t size)
{
	const struct lifecycle *life = &p->now.life;

	buffer[0] = '\0';
	if (p->trouble)
		(void)snprintf(buffer, size, "%s", p->trouble);
	else if (process_start_failed(p))
		(void)process_failure(p, buffer, size);
	else if ((life->state == STATE_BACKOFF || life->state == STATE_FATAL) && life->ended)
		(void)snprintf(buffer, size, "Exited too quickly (process log may have details)");
	else if (life->state == STATE_EXITED && !life->exit.signal && !process_exit_expected(life->exit.code, p->conf))
		(void)snprintf(buffer, size, "Bad exit code %d", life->exit.code);
	else if (life->state == STATE_EXITED && life->exit.signal)
		(void)snprintf(buffer, size, "Bad exit code -1");
	return buffer;
}

static void describe_uptime(double seconds, pid_t pid, char *buffer, size_t size)
{
	long up = seconds > 0 ? (long)seconds : 0;
	long days = up / 86400;
	char day_part[32] = "";

	if (days)
		(void)snprintf(day_part, sizeof day_part, "%ld day%s, ", days, days == 1 ? "" : "s");
	(void)snprintf(buffer, size, "pid %d, uptime %s%ld:%02ld:%02ld", (int)pid, day_part, up % 86400 / 3600, up % 3600 / 60,
		       up % 60);
}

static void describe_stop(double at, bool started, char *buffer, size_t size)
{
	time_t t = (time_t)at;
	struct tm tm;

	if (!started) {
		(void)snprintf(buffer, size, "Not started");
		return;
	}
	(void)localtime_r(&t, &tm);
	if (strftime(buffer, size, "%b %d %I:%M %p", &tm) == 0)
		buffer[0] = '\0';
}

char *process_description(const struct process *p, double now, char *buffer, size_t size)
{
	char text[400];

	buffer[0] = '\0';
	switch (process_state(p)) {
	case STATE_RUNNING:
		describe_uptime(now - p->now.life.started, process_pid(p), buffer, size);
		break;
	case STATE_BACKOFF:
	case STATE_FATAL:
		if (!*process_spawnerr(p, buffer, size))
			(void)snprintf(buffer, size, "unknown error (try \"tail %s\")", p->conf->name);
		break;
	case STATE_STOPPED:
	case STATE_EXITED:
		describe_stop(p->now.stop_time, p->now.start_time > 0, buffer, size);
		break;
	case STATE_STARTING:
	case STATE_STOPPING:
	case STATE_UNKNOWN:
		break;
	}
	if (p->left.n) {
		size_t n = strlen(buffer);

		(void)snprintf(buffer + n, size - n, "%s%s", n ? "; " : "", tree_text(p, text, sizeof text));
	}
	return buffer;
}

/* ---- of a transition ---- */

void process_publish(struct process *p, enum process_state from, enum process_state to, bool expected)
{
	struct event_bus *bus = p->supervisor->events;
	const char *from_name = process_state_name(from);
	char type[40];
	int pid = p->now.life.spawned ? (int)p->record->pid : 0;

	(void)snprintf(type, sizeof type, "PROCESS_STATE_%s", process_state_name(to));
	switch (to) {
	case STATE_STARTING:
	case STATE_BACKOFF:
		event_publish_text(bus, type, "processname:%s groupname:%s from_state:%s tries:%u", p->conf->name,
				   p->conf->group, from_name, p->now.life.backoff);
		break;
	case STATE_RUNNING:
	case STATE_STOPPING:
	case STATE_STOPPED:
		event_publish_text(bus, type, "processname:%s groupname:%s from_state:%s pid:%d", p->conf->name, p->conf->group,
				   from_name, pid);
		break;
	case STATE_EXITED:
		event_publish_text(bus, type, "processname:%s groupname:%s from_state:%s expected:%d pid:%d", p->conf->name,
				   p->conf->group, from_name, expected, pid);
		break;
	case STATE_FATAL:
	case STATE_UNKNOWN:
		event_publish_text(bus, type, "processname:%s groupname:%s from_state:%s", p->conf->name, p->conf->group,
				   from_name);
		break;
	}
}

void process_announce(const struct process *p, enum lifecycle_event event, const struct lifecycle_step *step)
{
	const struct supervisor *s = p->supervisor;
	const char *name = p->conf->name;
	char text[512], status[64];

	exit_status_text(&p->now.life.exit, status, sizeof status);
	switch (step->next) {
	case STATE_RUNNING:
		supervisor_log(s, LOGLEVEL_INFO,
			       "success: %s entered RUNNING state, process has stayed up for > than %lld seconds (startsecs)", name,
			       p->conf->startsecs);
		break;
	case STATE_EXITED:
		if (event == EVENT_EXIT)
			supervisor_log(s, step->unexpected ? LOGLEVEL_WARN : LOGLEVEL_INFO, "exited: %s (%s; %s)", name, status,
				       step->unexpected ? "not expected" : "expected");
		break;
	case STATE_BACKOFF:
		if (event == EVENT_EXIT)
			supervisor_log(s, LOGLEVEL_WARN, "exited: %s (%s; not expected)", name, status);
		if (event != EVENT_EXIT || process_start_failed(p))
			supervisor_log(s, LOGLEVEL_INFO, "spawnerr: %s%s%s%s%s%s", process_spawnerr(p, text, sizeof text),
				       process_start_failed(p) ? " (" : "", process_start_failed(p) ? spawn_stage_name(p->record->failure.stage) : "",
				       process_start_failed(p) ? ": " : "",
				       process_start_failed(p) ? errno_name(p->record->failure.error) : "", process_start_failed(p) ? ")" : "");
		break;
	case STATE_FATAL:
		supervisor_log(s, LOGLEVEL_INFO, "gave up: %s entered FATAL state, too many start retries too quickly", name);
		break;
	case STATE_STOPPED:
		if (event == EVENT_EXIT || event == EVENT_EMPTY)
			supervisor_log(s, process_exit_expected(p->now.life.exit.code, p->conf) ? LOGLEVEL_INFO : LOGLEVEL_WARN,
				       "stopped: %s (%s)", name, status);
		break;
	case STATE_STOPPING:
		if (step->action == DO_KILL)
			supervisor_log(s, LOGLEVEL_WARN, "killing '%s' (%d) with SIGKILL", name, (int)process_pid(p));
		break;
	case STATE_UNKNOWN:
		supervisor_log(s, LOGLEVEL_CRITICAL, "unknown problem sending signal to %s (%d)", name, (int)process_pid(p));
		break;
	case STATE_STARTING:
		break;
	}
}
