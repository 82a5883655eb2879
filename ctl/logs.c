/* Logs, read from reeve-logger's own socket: tail, maintail, clear. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"

enum { TAIL_BYTES = 1600 };

/* Decode base64 and write it out; what is malformed is left out. */
static void write_base64(const char *text)
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

	if (r == 0 && strstr(error, ".NoFile"))
		what = "no log file";
	else if (r == 0 && strstr(error, ".BadName"))
		what = "no such process name";
	(void)printf("%s: ERROR (%s)\n", name, what);
	ctl_fail(ctl, CTL_GENERIC);
}

/* The whole name: reeve-logger knows processes by their namespec only. */
static char *namespec_of(struct ctl *ctl, char *name)
{
	json_t *reply = ctl_call(ctl, "List", json_pack("{s:[s]}", "names", name), true, NULL, NULL, NULL, NULL);
	const json_t *p = json_array_get(json_object_get(reply, "processes"), 0);
	char *ret = p ? strdup(text_of(p, "namespec")) : NULL;

	if (reply && !p) {
		(void)printf("%s: ERROR (no such process name)\n", name);
		ctl_fail(ctl, CTL_GENERIC);
	}
	json_decref(reply);
	return ret;
}

static void read_tail(struct ctl *ctl, const char *shown, const char *process, const char *channel, long long bytes)
{
	json_t *reply = NULL;
	const char *error = NULL;
	int r;

	if (!ctl_log(ctl))
		return;
	r = varlink_client_call(ctl->log, "io.reeve.Log.Read",
				json_pack("{s:s, s:s, s:I, s:i}", "process", process, "channel", channel, "offset", (json_int_t)-bytes,
					  "length", 0),
				30, &reply, &error);
	if (r < 0 || error) {
		log_error(ctl, shown, error, r);
	} else if (!ctl_json(ctl, reply)) {
		write_base64(text_of(reply, "data"));
		(void)putchar('\n');
	}
	json_decref(reply);
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

static void follow(struct ctl *ctl, const char *shown, const char *process, const char *channel)
{
	struct sigaction action = { .sa_handler = on_interrupt };
	bool continues = true;
	int r;

	if (!ctl_log(ctl))
		return;
	(void)sigaction(SIGINT, &action, NULL);
	(void)printf("==> Press Ctrl-C to exit <==\n");
	(void)fflush(stdout);
	r = varlink_client_send(ctl->log, "io.reeve.Log.Follow", json_pack("{s:s, s:s}", "process", process, "channel", channel), true);
	while (r == 0 && continues && !interrupted) {
		json_t *reply = NULL;
		const char *error;

		r = varlink_client_receive(ctl->log, -1, &reply, &error, &continues);
		if (r == 0 && error)
			log_error(ctl, shown, error, 0);
		else if (r == 0) {
			if (*text_of(reply, "event"))
				(void)printf("==> File %s <==\n", text_of(reply, "event"));
			write_base64(text_of(reply, "data"));
		}
		json_decref(reply);
	}
	if (interrupted)
		(void)putchar('\n');
	else if (r < 0 && r != -EINTR)
		(void)printf("error: the logger has ended or was replaced\n");
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

static void usage(struct ctl *ctl, const char *text)
{
	(void)printf("Error: %s\n", text);
	(void)printf("tail %s\n", command_find("tail")->args);
	ctl_fail(ctl, CTL_GENERIC);
}

void command_tail(struct ctl *ctl, int argc, char **argv)
{
	const char *channel = "stdout";
	long long bytes = TAIL_BYTES;
	bool follows = false;
	char *process;

	if (argc < 1 || argc > 3) {
		usage(ctl, argc < 1 ? "too few arguments" : "too many arguments");
		return;
	}
	if (argv[0][0] == '-') {
		if (!modifier(ctl, argv[0], &follows, &bytes))
			return;
		argc--, argv++;
	}
	if (argc == 0) {
		usage(ctl, "tail requires process name");
		return;
	}
	if (argc == 2) {
		channel = argv[1];
		if (strcmp(channel, "stdout") != 0 && strcmp(channel, "stderr") != 0) {
			(void)printf("Error: bad channel '%s'\n", channel);
			ctl_fail(ctl, CTL_GENERIC);
			return;
		}
	}
	process = namespec_of(ctl, argv[0]);
	if (process && follows)
		follow(ctl, argv[0], process, channel);
	else if (process)
		read_tail(ctl, argv[0], process, channel, bytes);
	free(process);
}

void command_maintail(struct ctl *ctl, int argc, char **argv)
{
	long long bytes = TAIL_BYTES;
	bool follows = false;

	if (argc > 1 || (argc == 1 && argv[0][0] != '-')) {
		(void)printf("Error: %s %s\n", argc > 1 ? "too many arguments" : "bad argument", argc > 1 ? "" : argv[0]);
		ctl_fail(ctl, CTL_GENERIC);
		return;
	}
	if (argc == 1 && !modifier(ctl, argv[0], &follows, &bytes))
		return;
	if (follows)
		follow(ctl, "supervisord", "", "stdout");
	else
		read_tail(ctl, "supervisord", "", "stdout", bytes);
}

void command_clear(struct ctl *ctl, int argc, char **argv)
{
	json_t *p, *reply;
	size_t i;

	if (argc == 0) {
		(void)printf("Error: clear requires a process name\nclear %s\n", command_find("clear")->args);
		ctl_fail(ctl, CTL_GENERIC);
		return;
	}
	reply = ctl_call(ctl, "List", json_pack("{s:o}", "names", ctl_words(argc, argv)), true, NULL, NULL, NULL, NULL);
	if (!reply || !ctl_log(ctl)) {
		json_decref(reply);
		return;
	}
	json_array_foreach(json_object_get(reply, "unknown"), i, p) {
		(void)printf("%s: ERROR (no such process)\n", json_string_value(p));
		ctl_fail(ctl, CTL_GENERIC);
	}
	json_array_foreach(json_object_get(reply, "processes"), i, p) {
		json_t *answer = NULL;
		const char *error = NULL;
		int r = varlink_client_call(ctl->log, "io.reeve.Log.Clear", json_pack("{s:[s]}", "processes", text_of(p, "namespec")), 30,
					    &answer, &error);

		(void)printf(r < 0 || error ? "%s: ERROR (failed)\n" : "%s: cleared\n", text_of(p, "namespec"));
		if (r < 0 || error)
			ctl_fail(ctl, CTL_GENERIC);
		json_decref(answer);
	}
	json_decref(reply);
}
