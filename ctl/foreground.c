/*
 * fg: the two logs of a process as they grow, and what is typed sent to its stdin, until it ends or the user leaves.
 * Leaving, by Ctrl-C or Ctrl-D, does nothing to the process. A line is sent as a whole; the terminal stays as it is.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "wire/faults.h"

enum { END, OUT, ERR, STDIN, N_SOURCES }; /* what is waited for */
enum { LINE_MAX_BYTES = 65536, RECONNECT_FOR = 10 /* seconds */ };

struct foreground {
	struct ctl *ctl;
	const char *name;		    /* the namespec */
	struct http_stream *streams[STDIN]; /* OUT, ERR of a daemon that is reached by HTTP; NULL: none */
	struct varlink_client
		*clients[STDIN];   /* END: a Wait on the control socket; OUT, ERR: followed logs; NULL: none */
	char *at[STDIN];	   /* OUT, ERR: the place in the log up to which it has been shown; NULL: not known. Owned */
	char line[LINE_MAX_BYTES]; /* typed and not yet sent */
	size_t length;
	bool broken[STDIN]; /* lost, and to be opened again */
	double give_up_at;  /* clock_now() */
	bool over;
};

/* ---- input ---- */

static void killed(struct foreground *f)
{
	(void)printf("Process got killed\n");
	f->over = true;
}

/* By HTTP nobody tells us of its end: it is seen after each line, as supervisorctl does. */
static void look(struct foreground *f)
{
	json_t *reply = ctl_call(f->ctl, "List", json_pack("{s:[s]}", "names", f->name), true, NULL, NULL, NULL, NULL);

	if (strcmp(text_of(json_array_get(json_object_get(reply, "processes"), 0), "statename"), "RUNNING") != 0)
		killed(f);
	json_decref(reply);
}

static void send_text(struct foreground *f, const char *text, size_t n)
{
	json_t *data = json_stringn(text, n);
	int fault;
	char *why;
	json_t *reply;

	if (!data) {
		(void)printf("ERROR: not valid UTF-8: not sent\n");
		return;
	}
	reply = ctl_call(f->ctl, "SendStdin", json_pack("{s:s, s:o}", "name", f->name, "data", data), false, NULL, NULL,
			 &fault, &why);
	if (!reply && fault == FAULT_NOT_RUNNING) {
		killed(f);
	} else if (!reply && fault > 0) {
		(void)printf("ERROR: %s\n", why);
		f->over = true;
	}
	free(why);
	json_decref(reply);
	if (!f->over && ctl_is_remote(f->ctl))
		look(f);
}

static void send_lines(struct foreground *f)
{
	size_t done = 0;
	char *end;

	while (!f->over && (end = memchr(f->line + done, '\n', f->length - done))) {
		size_t n = (size_t)(end - f->line) + 1 - done;

		send_text(f, f->line + done, n);
		done += n;
	}
	memmove(f->line, f->line + done, f->length - done);
	f->length -= done;
	if (f->length == sizeof f->line) {
		send_text(f, f->line, f->length);
		f->length = 0;
	}
}

/* The end of the input ends fg; what was typed without a newline is still sent, with one. */
static void read_input(struct foreground *f)
{
	ssize_t n = read(STDIN_FILENO, f->line + f->length, sizeof f->line - f->length);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0) {
		f->length += (size_t)n;
	} else if (f->length && f->length < sizeof f->line) {
		f->line[f->length++] = '\n';
		f->over = true;
		send_text(f, f->line, f->length);
		return;
	} else {
		f->over = true;
	}
	if (!f->over)
		send_lines(f);
}

/* ---- output ---- */

static const struct {
	const char *socket, *channel; /* CHANNEL NULL: a Wait */
} sources[] = { [END] = { "control.sock", NULL }, [OUT] = { "log.sock", "stdout" }, [ERR] = { "log.sock", "stderr" } };

static void close_source(struct foreground *f, int i)
{
	http_stream_free(TAKE(f->streams[i]));
	varlink_client_free(f->clients[i]);
	f->clients[i] = NULL;
}

/* BYTES: of the log as it is, where we have not been in it before; negative: the usual number. */
static int open_source(struct foreground *f, int i, int bytes, struct error *err)
{
	char path[4200];
	json_t *parameters;
	int r;

	(void)snprintf(path, sizeof path, "%s/%s", ctl_rundir(f->ctl), sources[i].socket);
	r = varlink_client_connect(path, &f->clients[i], err);
	if (r < 0)
		return r;
	if (!sources[i].channel) {
		r = varlink_client_send(f->clients[i], "io.reeve.Supervisor.Wait", json_pack("{s:[s]}", "names", f->name), false);
	} else {
		parameters = json_pack("{s:s, s:s, s:s?}", "process", f->name, "channel", sources[i].channel, "after", f->at[i]);
		if (bytes >= 0)
			(void)json_object_set_new(parameters, "bytes", json_integer(bytes));
		r = varlink_client_send(f->clients[i], "io.reeve.Log.Follow", parameters, true);
	}
	return r < 0 ? error_set(err, -r, "%s: %s", path, errno_name(-r)) : 0;
}

/* Its daemon has gone: there will be another. */
static void lost(struct foreground *f, int i)
{
	close_source(f, i);
	if (i == END)
		ctl_disconnect(f->ctl);
	f->broken[i] = true;
	f->give_up_at = clock_now() + RECONNECT_FOR;
}

static void show(struct foreground *f, int i, const json_t *reply)
{
	const char *at = text_of(reply, "at");

	ctl_write_base64(text_of(reply, "data"));
	free(f->at[i]);
	f->at[i] = *at ? strdup(at) : NULL;
}

/* Everything that has come. An error of a log (there is no such file) is no reason to leave. */
static void read_reply(struct foreground *f, int i)
{
	while (f->clients[i] && !f->over) {
		bool continues = true;
		json_t *reply = NULL;
		const char *error = NULL;
		int r = varlink_client_receive(f->clients[i], 0, &reply, &error, &continues);

		if (r == -ETIMEDOUT || r == -EINTR)
			return;
		if (r < 0)
			lost(f, i);
		else if (i == END)
			killed(f);
		else if (!error)
			show(f, i, reply);
		if (r == 0 && error)
			close_source(f, i);
		json_decref(reply);
	}
}

static void reconnect(struct foreground *f)
{
	struct error err;
	bool all = true;

	for (int i = END; i < STDIN; i++) {
		if (!f->broken[i])
			continue;
		f->broken[i] = open_source(f, i, 0, &err) < 0;
		if (f->broken[i]) {
			close_source(f, i);
			all = false;
		}
	}
	if (all && !f->ctl->compatible) {
		(void)printf("(connected again)\n");
		(void)fflush(stdout);
	} else if (!all && clock_now() > f->give_up_at) {
		(void)printf("error: the daemon has ended\n");
		ctl_fail(f->ctl, CTL_GENERIC);
		f->over = true;
	}
}

static void read_stream(struct foreground *f, int i)
{
	char buffer[8192];
	long n;

	while ((n = http_stream_read_now(f->streams[i], buffer, sizeof buffer)) > 0)
		(void)fwrite(buffer, 1, (size_t)n, stdout);
	(void)fflush(stdout);
	if (n != -ETIMEDOUT && n != -EINTR)
		close_source(f, i);
}

static int fd_of(const struct foreground *f, int i)
{
	if (i == STDIN)
		return STDIN_FILENO;
	if (f->streams[i])
		return http_stream_fd(f->streams[i]);
	return f->clients[i] ? varlink_client_fd(f->clients[i]) : -1;
}

static bool is_broken(const struct foreground *f)
{
	return f->broken[END] || f->broken[OUT] || f->broken[ERR];
}

static void follow(struct foreground *f)
{
	while (!f->over && !ctl_interrupted) {
		struct pollfd p[N_SOURCES];

		for (int i = 0; i < N_SOURCES; i++)
			p[i] = (struct pollfd){ .fd = fd_of(f, i), .events = POLLIN };
		if (poll(p, N_SOURCES, is_broken(f) ? 50 : -1) < 0)
			continue;
		for (int i = N_SOURCES; i-- > 0 && !f->over;) /* the end comes last: output before it is still shown */
			if (p[i].revents && i == STDIN)
				read_input(f);
			else if (p[i].revents && f->streams[i])
				read_stream(f, i);
			else if (p[i].revents)
				read_reply(f, i);
		if (is_broken(f) && !f->over)
			reconnect(f);
	}
}

/* A log that is not there is no reason to leave. */
static int open_streams(struct foreground *f, struct error *err)
{
	char path[700];
	int r = 0;

	for (int i = OUT; i <= ERR && r == 0; i++) {
		(void)snprintf(path, sizeof path, "/logtail/%s/%s", f->name, sources[i].channel);
		r = http_stream_open(f->ctl->place, path, &f->streams[i], err);
	}
	return r;
}

static int open_sources(struct foreground *f)
{
	struct error err;
	int r = ctl_is_remote(f->ctl) ? open_streams(f, &err) : 0;

	if (f->ctl->place && r == 0)
		return 0;
	for (int i = END; i < STDIN && r == 0; i++)
		r = open_source(f, i, -1, &err);
	if (r < 0) {
		(void)printf("error: %s\n", err.text);
		ctl_fail(f->ctl, CTL_GENERIC);
	}
	return r;
}

static void foreground(struct ctl *ctl, const char *name)
{
	struct foreground *f = calloc(1, sizeof *f);

	if (!f)
		return;
	f->ctl = ctl;
	f->name = name;
	ctl_catch_interrupts();
	(void)printf("==> Press Ctrl-C to exit <==\n");
	(void)fflush(stdout);
	if (open_sources(f) == 0) {
		follow(f);
		(void)printf("%sExiting foreground\n", ctl_interrupted && !ctl->compatible ? "\n" : "");
	}
	for (int i = END; i < STDIN; i++) {
		close_source(f, i);
		free(f->at[i]);
	}
	free(f);
}

/* ---- the command ---- */

static void refuse(struct ctl *ctl, const char *text)
{
	(void)printf("ERROR: %s\n", text);
	ctl_fail(ctl, CTL_GENERIC);
}

/* reevectl says what became of the process; supervisorctl does not. */
static void say_state(struct ctl *ctl, char *name)
{
	json_t *reply, *p;

	ctl_interrupted = 0;
	reply = ctl_call(ctl, "List", json_pack("{s:[s]}", "names", name), true, NULL, NULL, NULL, NULL);
	p = json_array_get(json_object_get(reply, "processes"), 0);
	if (p && number_of(p, "pid"))
		(void)printf("%s runs on (pid %lld)\n", name, number_of(p, "pid"));
	else if (p)
		(void)printf("%s is %s: %s\n", name, text_of(p, "statename"), text_of(p, "description"));
	json_decref(reply);
}

void command_fg(struct ctl *ctl, int argc, char **argv)
{
	json_t *reply = NULL, *p;

	if (argc != 1) {
		refuse(ctl, argc ? "too many process names supplied" : "no process name supplied");
		if (!argc)
			command_usage(ctl, "fg");
		return;
	}
	if (!names_group(argv[0]) && !is_pattern(argv[0])) {
		reply = ctl_call(ctl, "List", json_pack("{s:[s]}", "names", argv[0]), true, NULL, NULL, NULL, NULL);
		if (!reply)
			return;
	}
	p = json_array_get(json_object_get(reply, "processes"), 0);
	if (!p) {
		refuse(ctl, "bad process name supplied");
	} else if (strcmp(text_of(p, "statename"), "RUNNING") != 0) {
		refuse(ctl, "process not running");
	} else {
		char *name = strdup(text_of(p, "namespec"));

		if (name)
			foreground(ctl, name);
		if (name && !ctl->compatible)
			say_state(ctl, name);
		free(name);
	}
	json_decref(reply);
}
