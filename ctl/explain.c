/* What has happened: why, events. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/base64.h"
#include "ctl.h"
#include "pool.h"
#include "wire/faults.h"

/* ---- why ---- */

enum { TAIL_LINES = 10, TAIL_BYTES = 2048 };

/* Users have names here; the daemon looks up none. */
static void name_users(json_t *reply)
{
	json_t *transition;
	size_t i;

	json_array_foreach(json_object_get(reply, "transitions"), i, transition)
	{
		json_t *cause = json_object_get(transition, "cause"), *uid = json_object_get(cause, "uid");
		const struct passwd *pw = json_is_integer(uid) ? getpwuid((uid_t)json_integer_value(uid)) : NULL;

		if (pw)
			(void)json_object_set_new(cause, "user", json_string(pw->pw_name));
	}
}

/* A line with "uid N" as "user NAME (uid N)". */
static void print_sentence(const char *line)
{
	static const char mark[] = " by uid ";
	const char *at = strstr(line, mark), *number = at ? at + strlen(mark) : NULL;
	const struct passwd *pw = number ? getpwuid((uid_t)strtoul(number, NULL, 10)) : NULL;

	if (pw)
		(void)printf("%.*s by %s%s\n", (int)(at - line), line, pw->pw_name,
			     number + strspn(number, "0123456789"));
	else
		(void)printf("%s\n", line);
}

/* The daemon knows what was said before the last exit; otherwise the log's end may help. */
static void add_tail(struct ctl *ctl, json_t *reply)
{
	const json_t *process = json_object_get(reply, "process");
	const char *error = NULL;
	json_t *answer = NULL, *lines = json_object_get(reply, "stderr_tail");
	size_t length;
	_cleanup_(freep) char *text = NULL;
	char *rest = NULL;

	if (json_is_true(json_object_get(reply, "stderr_before_exit")) || ctl_is_remote(ctl) ||
	    !*text_of(process, "stderr_logfile") || !ctl_log(ctl))
		return;
	if (varlink_client_call(ctl->log, "io.reeve.Log.Tail",
				json_pack("{s:s, s:s, s:i, s:i}", "process", text_of(process, "namespec"), "channel",
					  "stderr", "offset", 0, "length", TAIL_BYTES),
				10, &answer, &error) == 0 &&
	    !error)
		text = base64_decode(text_of(answer, "data"), &length);
	for (char *line = text ? strtok_r(text, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest)) {
		(void)json_array_append_new(lines, json_string(line));
		if (json_array_size(lines) > TAIL_LINES)
			(void)json_array_remove(lines, 0);
	}
	json_decref(answer);
}

static void print_why(struct ctl *ctl, const json_t *reply)
{
	const json_t *process = json_object_get(reply, "process");
	const json_t *lines = json_object_get(reply, "stderr_tail");
	json_t *line;
	size_t i;

	json_array_foreach(json_object_get(reply, "sentences"), i, line) print_sentence(json_string_value(line));
	if (json_array_size(lines))
		(void)printf(json_is_true(json_object_get(reply, "stderr_before_exit"))
				     ? "Last lines of its stderr before it last ended:\n"
				     : "Last lines of its stderr log:\n");
	json_array_foreach(lines, i, line)(void) printf("  | %s\n", json_string_value(line));
	(void)printf("Next: %s\n", text_of(reply, "next"));
	if (strcmp(text_of(process, "kind"), "pool") == 0)
		pool_print_trouble(ctl, text_of(process, "name"));
}

static void explain(struct ctl *ctl, const char *name)
{
	int fault;
	char *text;
	json_t *reply = ctl_call(ctl, "Why", json_pack("{s:s}", "name", name), true, NULL, NULL, &fault, &text);

	if (!reply && fault > 0) {
		(void)printf("%s: ERROR (no such process)\n", name);
		ctl_fail(ctl, CTL_GENERIC);
	}
	if (reply) {
		name_users(reply);
		add_tail(ctl, reply);
		if (!ctl_json(ctl, reply))
			print_why(ctl, reply);
	}
	free(text);
	json_decref(reply);
}

/* "all" and patterns ("web:*") stand for their processes. */
static json_t *named_processes(struct ctl *ctl, const char *name)
{
	json_t *names = json_array(), *reply = NULL, *process;
	size_t i;

	if (strcmp(name, "all") == 0 || strpbrk(name, "*?["))
		reply = ctl_call(ctl, "List", json_pack("{s:[s]}", "names", name), true, NULL, NULL, NULL, NULL);
	json_array_foreach(json_object_get(reply, "processes"), i, process)
		(void)json_array_append(names, json_object_get(process, "namespec"));
	if (!json_array_size(names))
		(void)json_array_append_new(names, json_string(name));
	json_decref(reply);
	return names;
}

void command_why(struct ctl *ctl, int argc, char **argv)
{
	bool first = true;

	for (int i = 0; i < argc; i++) {
		json_t *names = named_processes(ctl, argv[i]), *name;
		size_t k;

		json_array_foreach(names, k, name)
		{
			if (!first && !ctl->json)
				(void)putchar('\n');
			first = false;
			explain(ctl, json_string_value(name));
		}
		json_decref(names);
	}
}

/* ---- events ---- */

struct reader {
	struct ctl *ctl;
	json_int_t last; /* sequence number; 0: none yet */
	bool gap_told;	 /* the event that comes follows a gap that the daemon has told */
};

static void print_gap(const struct reader *r, json_int_t missed)
{
	if (r->ctl->json)
		(void)printf("{\"type\":\"GAP\",\"missed\":%lld}\n", (long long)missed);
	else
		(void)printf("(%lld events were missed here)\n", (long long)missed);
}

static void print_event(struct reader *r, const json_t *e)
{
	char when[32];
	time_t at = (time_t)json_number_value(json_object_get(e, "time"));
	struct tm tm;

	if (strcmp(text_of(e, "type"), "GAP") == 0) {
		print_gap(r, number_of(e, "missed"));
		r->gap_told = true;
		return;
	}
	if (r->last && !r->gap_told && number_of(e, "sequence") > r->last + 1)
		print_gap(r, number_of(e, "sequence") - r->last - 1);
	r->gap_told = false;
	r->last = number_of(e, "sequence");
	if (r->ctl->json) {
		(void)json_dumpf(e, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15));
		(void)putchar('\n');
	} else {
		(void)localtime_r(&at, &tm);
		(void)strftime(when, sizeof when, "%H:%M:%S", &tm);
		(void)printf("%lld %s %s %.*s\n", number_of(e, "sequence"), when, text_of(e, "type"),
			     (int)strcspn(text_of(e, "payload"), "\n"), text_of(e, "payload"));
	}
	(void)fflush(stdout);
}

static void print_events(json_t *reply, void *data)
{
	json_t *e;
	size_t i;

	json_array_foreach(json_object_get(reply, "events"), i, e) print_event(data, e);
	if (json_object_get(reply, "event"))
		print_event(data, json_object_get(reply, "event"));
}

/* A new supervisor has the sequence numbers of the old one: the stream goes on where it was, a gap is told. */
static void follow_events(struct ctl *ctl, struct reader *r)
{
	json_t *reply = NULL;

	if (!ctl_control(ctl))
		return;
	ctl_catch_interrupts();
	do
		reply = ctl_stream(ctl, "Events", json_pack("{s:b, s:I}", "follow", 1, "since", r->last), print_events,
				   r);
	while (!reply && !ctl_interrupted && ctl_again(ctl));
	if (ctl_interrupted) {
		(void)putchar('\n');
	} else if (!reply) {
		(void)printf("error: the daemon has ended\n");
		ctl_fail(ctl, CTL_GENERIC);
	}
	json_decref(reply);
}

void command_events(struct ctl *ctl, int argc, char **argv)
{
	struct reader r = { .ctl = ctl };
	json_t *reply;

	if (argc && strcmp(argv[0], "-f") == 0) {
		follow_events(ctl, &r);
		return;
	}
	if (argc) {
		(void)printf("Error: events takes [-f]\n");
		ctl_fail(ctl, CTL_USAGE);
		return;
	}
	reply = ctl_call(ctl, "Events", json_pack("{s:b, s:i}", "follow", 0, "since", 0), true, NULL, NULL, NULL, NULL);
	if (reply)
		print_events(reply, &r);
	json_decref(reply);
}
