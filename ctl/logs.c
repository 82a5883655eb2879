/* Logs, read from reeve-logger's own socket: tail, maintail, clear. */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "remote.h"
#include "wire/faults.h"

enum { TAIL_BYTES = 1600 };

/* Decode base64 and write it out; what is malformed is left out. */
void ctl_write_base64(const char *text)
{
	unsigned bits = 0, n = 0;

	for (; *text; text++) {
		static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
		const char *at = strchr(digits, *text);

		if (!at)
			continue;
		bits = bits << 6 | (unsigned)(at - digits);
		n += 6;
		if (n >= 8) {
			n -= 8;
			(void)putchar((int)(bits >> n & 0xff));
		}
	}
	(void)fflush(stdout);
}

static void log_error(struct ctl *ctl, const char *name, const char *error, int r)
{
	const char *what = "unknown error reading log";

	if (r == 0 &&
	    (strstr(error, ".NoFile") || strstr(error, ".BadName"))) /* not known to the logger: it has never run */
		what = "no log file";
	(void)printf("%s: ERROR (%s)\n", name, what);
	ctl_fail(ctl, CTL_GENERIC);
}

/* The whole name (the caller's), or NULL: reeve-logger knows processes by their namespec only. */
static char *namespec_of(struct ctl *ctl, char *name)
{
	json_t *reply, *list, *p;
	char *ret;

	if (names_group(name) || (ctl->compatible && is_pattern(name)))
		return NULL;
	reply = ctl_call(ctl, "List", json_pack("{s:[s]}", "names", name), true, NULL, NULL, NULL, NULL);
	list = json_object_get(reply, "processes");
	p = json_array_get(list, 0);
	ret = p && json_array_size(list) == 1 ? strdup(text_of(p, "namespec")) : NULL;
	json_decref(reply);
	return ret;
}

static void read_remote_tail(struct ctl *ctl, const char *shown, const char *process, const char *channel,
			     long long bytes)
{
	int fault;
	char *text = remote_read_log(ctl, process, channel, bytes, &fault);
	const char *what = fault == FAULT_NO_FILE    ? "no log file"
			   : fault == FAULT_BAD_NAME ? "no such process name"
						     : "unknown error reading log";

	if (text) {
		(void)printf("%s\n", text);
	} else if (fault > 0) {
		(void)printf("%s: ERROR (%s)\n", shown, what);
		ctl_fail(ctl, CTL_GENERIC);
	}
	free(text);
}

static void read_tail(struct ctl *ctl, const char *shown, const char *process, const char *channel, long long bytes)
{
	json_t *reply = NULL;
	const char *error = NULL;
	int r;

	if (ctl_is_remote(ctl)) {
		read_remote_tail(ctl, shown, process, channel, bytes);
		return;
	}
	if (!ctl_log(ctl))
		return;
	r = varlink_client_call(ctl->log, "io.reeve.Log.Read",
				json_pack("{s:s, s:s, s:I, s:i}", "process", process, "channel", channel, "offset",
					  (json_int_t)-bytes, "length", 0),
				30, &reply, &error);
	if (r < 0 || error) {
		log_error(ctl, shown, error, r);
	} else if (!ctl_json(ctl, reply)) {
		ctl_write_base64(text_of(reply, "data"));
		(void)putchar('\n');
	}
	json_decref(reply);
}

/* What is followed: PROCESS ("" for the daemon) as SHOWN. */
struct followed {
	const char *shown, *process, *channel;
};

static void tell_follow_error(struct ctl *ctl, const struct followed *f, const char *error)
{
	if (!ctl->compatible)
		log_error(ctl, f->shown, error, 0);
	else if (*f->process)
		(void)fprintf(stderr, "%s/logtail/%s/%s Cannot read, status code 404\n", ctl->url, f->shown,
			      f->channel);
	else
		(void)fprintf(stderr, "%s/mainlogtail Cannot read, status code 404\n", ctl->url);
}

static void print_followed(const json_t *reply)
{
	if (*text_of(reply, "event"))
		(void)printf("==> File %s <==\n", text_of(reply, "event"));
	ctl_write_base64(text_of(reply, "data"));
}

/* Until it ends by itself (0), or the connection breaks (negative). PARAMETERS of the next call: from the same place on. */
static int follow_once(struct ctl *ctl, const struct followed *f, json_t *parameters)
{
	bool continues = true;
	int r = varlink_client_send(ctl->log, "io.reeve.Log.Follow", json_copy(parameters), true);

	while (r == 0 && continues && !ctl_interrupted) {
		json_t *reply = NULL;
		const char *error;

		r = varlink_client_receive(ctl->log, -1, &reply, &error, &continues);
		if (r == 0 && error)
			tell_follow_error(ctl, f, error);
		else if (r == 0)
			print_followed(reply);
		if (r == 0 && *text_of(reply, "at"))
			(void)json_object_set(parameters, "after", json_object_get(reply, "at"));
		json_decref(reply);
	}
	return r;
}

/* A logger that was replaced has a successor, which goes on where it stopped. */
static void follow(struct ctl *ctl, const struct followed *f)
{
	json_t *parameters = json_pack("{s:s, s:s}", "process", f->process, "channel", f->channel);
	int r = -ECONNREFUSED;

	if (ctl_is_remote(ctl)) {
		remote_follow(ctl, f->process, f->channel);
	} else if (ctl_log(ctl)) {
		ctl_catch_interrupts();
		(void)printf("==> Press Ctrl-C to exit <==\n");
		(void)fflush(stdout);
		while ((r = follow_once(ctl, f, parameters)) < 0 && !ctl_interrupted &&
		       ctl_log_again(ctl)) {
			(void)fprintf(stderr, "(connected again)\n");
			(void)json_object_set_new(parameters, "bytes", json_integer(0));
		}
		if (ctl_interrupted)
			(void)putchar('\n');
		else if (r < 0)
			(void)printf("error: the daemon has ended\n");
	}
	json_decref(parameters);
}

/* -f, -N or nothing. False: bad, and told. */
static bool modifier(struct ctl *ctl, const char *word, bool *ret_follow, long long *ret_bytes)
{
	char *end;

	*ret_follow = strcmp(word, "-f") == 0;
	*ret_bytes = TAIL_BYTES;
	if (*ret_follow)
		return true;
	*ret_bytes = strtoll(word + 1, &end, 10);
	if (word[1] && !*end)
		return true;
	(void)printf("Error: bad argument %s\n", word);
	ctl_fail(ctl, CTL_GENERIC);
	return false;
}

static void misused(struct ctl *ctl, const char *text, const char *help)
{
	(void)printf("Error: %s\n", text);
	if (help)
		command_usage(ctl, help);
	ctl_fail(ctl, CTL_GENERIC);
}

static bool check_channel(struct ctl *ctl, char *channel)
{
	for (char *p = channel; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (strcmp(channel, "stdout") == 0 || strcmp(channel, "stderr") == 0)
		return true;
	(void)printf("Error: bad channel '%s'\n", channel);
	ctl_fail(ctl, CTL_GENERIC);
	return false;
}

/* supervisorctl follows by HTTP, says so when that fails, and exits 0. */
static void no_such_log(struct ctl *ctl, const char *name, const char *channel, bool follows)
{
	if (follows && ctl->compatible) {
		(void)printf("==> Press Ctrl-C to exit <==\n");
		(void)fprintf(stderr, "%s/logtail/%s/%s Cannot read, status code 404\n", ctl->url, name, channel);
		return;
	}
	(void)printf("%s: ERROR (no such process name)\n", name);
	ctl_fail(ctl, CTL_GENERIC);
}

void command_tail(struct ctl *ctl, int argc, char **argv)
{
	char stdout_channel[] = "stdout", *channel = stdout_channel, *process;
	long long bytes = TAIL_BYTES;
	bool follows = false;

	if (argc < 1 || argc > 3) {
		misused(ctl, argc < 1 ? "too few arguments" : "too many arguments", "tail");
		return;
	}
	if (argv[0][0] == '-') {
		if (!modifier(ctl, argv[0], &follows, &bytes))
			return;
		argc--, argv++;
	}
	if (argc == 0) {
		misused(ctl, "tail requires process name", NULL);
		return;
	}
	if (argc > 1)
		channel = argv[argc - 1];
	if (!check_channel(ctl, channel) || !ctl_reachable(ctl))
		return;
	process = namespec_of(ctl, argv[0]);
	if (!process)
		no_such_log(ctl, argv[0], channel, follows);
	else if (follows)
		follow(ctl, &(struct followed){ argv[0], process, channel });
	else
		read_tail(ctl, argv[0], process, channel, bytes);
	free(process);
}

void command_maintail(struct ctl *ctl, int argc, char **argv)
{
	long long bytes = TAIL_BYTES;
	bool follows = false;

	if (argc > 1) {
		misused(ctl, "too many arguments", "maintail");
		return;
	}
	if (argc == 1 && argv[0][0] != '-') {
		(void)printf("Error: bad argument %s\n", argv[0]);
		ctl_fail(ctl, CTL_GENERIC);
		return;
	}
	if (argc == 1 && !modifier(ctl, argv[0], &follows, &bytes))
		return;
	if (follows)
		follow(ctl, &(struct followed){ "supervisord", "", "stdout" });
	else
		read_tail(ctl, "supervisord", "", "stdout", bytes);
}

static void clear_one(struct ctl *ctl, const char *namespec)
{
	json_t *answer = NULL;
	const char *error = NULL;
	int r = ctl_is_remote(ctl)
			? -remote_clear(ctl, namespec)
			: varlink_client_call(ctl->log, "io.reeve.Log.Clear",
					      json_pack("{s:[s]}", "processes", namespec), 30, &answer, &error);

	if (r || error) {
		(void)printf("%s: ERROR (failed)\n", namespec);
		ctl_fail(ctl, CTL_GENERIC);
	} else {
		(void)printf("%s: cleared\n", namespec);
	}
	json_decref(answer);
}

static void clear_names(struct ctl *ctl, int argc, char **argv)
{
	json_t *p, *reply = ctl_call(ctl, "List", json_pack("{s:o}", "names", ctl_words(argc, argv)), true, NULL, NULL,
				     NULL, NULL);
	size_t i;

	if (reply && (ctl_is_remote(ctl) || ctl_log(ctl))) {
		json_array_foreach(json_object_get(reply, "unknown"), i, p)
		{
			(void)printf("%s: ERROR (no such process)\n", json_string_value(p));
			ctl_fail(ctl, CTL_GENERIC);
		}
		json_array_foreach(json_object_get(reply, "processes"), i, p) clear_one(ctl, text_of(p, "namespec"));
	}
	json_decref(reply);
}

void command_clear(struct ctl *ctl, int argc, char **argv)
{
	if (argc == 0) {
		misused(ctl, "clear requires a process name", "clear");
	} else if (!ctl->compatible || has_all(argc, argv)) {
		clear_names(ctl, argc, argv);
	} else { /* one after another; groups and patterns are not known */
		for (int i = 0; i < argc; i++) {
			bool group = names_group(argv[i]);

			if (!group && !is_pattern(argv[i])) {
				clear_names(ctl, 1, argv + i);
				continue;
			}
			(void)printf("%.*s%s: ERROR (no such process)\n",
				     (int)(group ? strcspn(argv[i], ":") : strlen(argv[i])), argv[i],
				     group ? ":None" : "");
			ctl_fail(ctl, CTL_GENERIC);
		}
	}
}
