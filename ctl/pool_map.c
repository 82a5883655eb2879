/*
 * map and starmap: lines in, results out, over the frames of wire/bulk.h. Memory is bounded: no more than `inflight` lines are on their
 * way or wait for their turn to be printed, and nothing is read from the pool while our stdout is not taken.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "pool.h"
#include "wire/bulk.h"

enum {
	INPUT_SIZE = 64 << 10,
	OUTPUT_SIZE = 64 << 10,
	SOCKET_SIZE = 256 << 10,
	FAILED_MAX = 101,		/* exit status for "more than 100", as GNU parallel has it */
	COUNT_MAX = 256 << 20,		/* bytes of a file whose lines are counted beforehand */
};

static const double bar_interval = 0.2;	/* seconds */

/* A result that waits for those before it. */
struct held {
	struct bulk_result head;
	char *data;			/* owned; NULL: none here */
	bool cut;
};

struct map {
	struct ctl *ctl;
	const struct map_options *options;
	char mode[8], name[128];
	int fd, input;
	struct bytes in, out, from, text;	/* from stdin; to and from the socket; to stdout */
	bool input_ended, end_sent, cancel_sent, done;
	uint64_t inflight, sent, answered, printed;
	struct held *held;		/* ring of inflight places; ordered only */
	uint64_t failed;
	const char *fault;		/* a line has been printed */
	uint64_t total;			/* lines in the file; 0: not known */
	double started, shown;
};

/* ---- memory: without it there is no way to go on ---- */

static void *need(void *memory)
{
	if (!memory) {
		(void)fputs("reevectl: out of memory\n", stderr);
		exit(CTL_POOL);
	}
	return memory;
}

static void reserve(struct bytes *b, size_t more)
{
	(void)need(bytes_reserve(b, more) < 0 ? NULL : b);
}

static void add(struct bytes *b, const void *data, size_t length)
{
	(void)need(bytes_add(b, data, length) < 0 ? NULL : b);
}

/* ---- stdout ---- */

static void flush_text(struct map *m)
{
	while (bytes_length(&m->text)) {
		ssize_t n = write(STDOUT_FILENO, bytes_at(&m->text), bytes_length(&m->text));

		if (n < 0 && errno == EAGAIN) {
			struct pollfd p = { .fd = STDOUT_FILENO, .events = POLLOUT };

			(void)poll(&p, 1, -1);
			continue;
		}
		if (n < 0 && errno != EINTR) {
			pool_fail(m->ctl, CTL_GENERIC, "stdout: %s", errno_name(errno));
			exit(CTL_GENERIC);
		}
		if (n > 0)
			bytes_drop(&m->text, (size_t)n);
	}
}

static json_t *text_json(const char *data, size_t length)
{
	json_t *json = json_stringn(data, length);
	_cleanup_(freep) char *copy = json ? NULL : malloc(length + 1);

	/* For reading by programs that want text: what is no UTF-8 becomes a question mark. */
	for (size_t i = 0; copy && i < length; i++)
		copy[i] = (unsigned char)data[i] >= 0x80 ? '?' : data[i];
	return json ? json : copy ? json_stringn(copy, length) : json_null();
}

static void print_json(struct map *m, const struct bulk_result *r, const char *data)
{
	json_t *json = json_pack("{s:I, s:I, s:s, s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:f, s:I, s:b}", "line",
				 (json_int_t)r->index + 1, "id", (json_int_t)r->id, "state", task_state_name(r->state), "exit",
				 (int)r->exit, "attempts", (int)r->attempts, "worker", (int)r->slot, "pid", (int)r->pid,
				 "started", r->started, "ended", r->ended, "user_time", (double)r->user_time, "system_time",
				 (double)r->system_time, "max_rss", (json_int_t)r->max_rss, "truncated", (int)(r->flags != 0));
	char *text;

	(void)json_object_set_new(json, "output", text_json(data, r->out_length));
	(void)json_object_set_new(json, "errors", text_json(data + r->out_length, r->err_length));
	if (r->why_length)
		(void)json_object_set_new(json, "why", text_json(data + r->out_length + r->err_length, r->why_length));
	text = json_dumps(json, JSON_COMPACT);
	if (text)
		add(&m->text, text, strlen(text));
	add(&m->text, "\n", 1);
	free(text);
	json_decref(json);
}

/* Each line of the output behind TAG: also where there is none, and with an end where it has none, so that no two results share a line. */
static void print_tagged(struct map *m, const char *tag, const char *data, size_t length)
{
	do {
		const char *end = memchr(data, '\n', length);
		size_t n = end ? (size_t)(end - data) : length;

		add(&m->text, tag, strlen(tag));
		add(&m->text, data, n);
		add(&m->text, "\n", 1);
		n += end ? 1 : 0;
		data += n;
		length -= n;
	} while (length);
}

/* Why there is no good result: the pool's word for it, or how the process ended. */
static void tell_state(const struct bulk_result *r, const char *why)
{
	(void)fprintf(stderr, "reevectl: line %llu: %s", (unsigned long long)r->index + 1, task_state_name(r->state));
	if (r->why_length)
		(void)fprintf(stderr, ": %.*s", (int)r->why_length, why);
	else if (r->exit < 0)
		(void)fprintf(stderr, ": terminated by %s", signal_name(-r->exit) ? signal_name(-r->exit) : "a signal");
	(void)fputc('\n', stderr);
}

static void print_raw(struct map *m, const struct bulk_result *r, const char *data)
{
	bool exec = strcmp(m->mode, "exec") == 0;
	char tag[32], line[64];

	(void)snprintf(tag, sizeof tag, "%llu\t", (unsigned long long)r->index + 1);
	if (m->options->tag && exec)
		print_tagged(m, tag, data, r->out_length);
	else if (m->options->tag)
		add(&m->text, tag, strlen(tag));
	if (!m->options->tag || !exec)
		add(&m->text, data, r->out_length);
	if (!exec && r->state != TASK_DONE && !r->out_length) {
		/* Something must stand at its place, or the lines after it would be one off. */
		int n = snprintf(line, sizeof line, "%s %d", task_state_name(r->state), r->exit);

		add(&m->text, line, (size_t)n);
	}
	if (!exec)
		add(&m->text, "\n", 1);
	if (r->err_length) {
		flush_text(m);
		(void)fwrite(data + r->out_length, 1, r->err_length, stderr);
	}
	if (r->state != TASK_DONE && (r->state != TASK_FAILED || r->why_length)) {
		flush_text(m);
		tell_state(r, data + r->out_length + r->err_length);
	}
}

/* CUT: ended by --fail-fast, which is no result; but its place must not hold up the others. */
static void print_result(struct map *m, const struct bulk_result *r, const char *data, bool cut)
{
	const char *results = m->options->results;

	if (cut)
		;
	else if (results && strcmp(results, "json") == 0)
		print_json(m, r, data);
	else
		print_raw(m, r, data);
	m->printed++;
	if (bytes_length(&m->text) >= OUTPUT_SIZE)
		flush_text(m);
}

/* ---- progress ---- */

static void show_bar(struct map *m, bool last)
{
	double now = clock_now(), span = now - m->started, rate = span > 0 ? (double)m->answered / span : 0;
	uint64_t total = m->total ? m->total : m->input_ended ? m->sent : 0;
	char left[48] = "";
	int filled;

	if (!m->options->bar || (!last && now - m->shown < bar_interval))
		return;
	m->shown = now;
	flush_text(m);
	if (!total) {
		(void)fprintf(stderr, "\r%llu done, %.0f/s, %llu failed\033[K", (unsigned long long)m->answered, rate,
			      (unsigned long long)m->failed);
	} else {
		filled = (int)(m->answered * 30 / total);
		if (rate > 0 && !last)
			(void)snprintf(left, sizeof left, ", %.0f s left", (double)(total - m->answered) / rate);
		(void)fprintf(stderr, "\r[%.*s%*s] %llu/%llu, %.0f/s, %llu failed%s\033[K", filled, "##############################",
			      30 - filled, "", (unsigned long long)m->answered, (unsigned long long)total, rate,
			      (unsigned long long)m->failed, left);
	}
	if (last)
		(void)fputc('\n', stderr);
	(void)fflush(stderr);
}

/* How many lines has a file that is not too large? 0: not known. */
static uint64_t count_lines(int fd)
{
	char piece[INPUT_SIZE];
	struct stat st;
	off_t at = lseek(fd, 0, SEEK_CUR);
	uint64_t n = 0;
	ssize_t got;

	if (at < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > COUNT_MAX)
		return 0;
	while ((got = pread(fd, piece, sizeof piece, at)) > 0) {
		for (const char *p = piece; (p = memchr(p, '\n', (size_t)(piece + got - p))); p++)
			n++;
		at += got;
	}
	return n;
}

/* ---- results in ---- */

static void put_frame(struct map *m, enum bulk_type type)
{
	struct bulk_header header = { .type = type };

	add(&m->out, &header, sizeof header);
}

static void hold(struct map *m, const struct bulk_result *r, const char *data, bool cut)
{
	size_t length = (size_t)r->out_length + r->err_length + r->why_length;
	struct held *h = &m->held[r->index % m->inflight];

	h->head = *r;
	h->cut = cut;
	h->data = need(malloc(length + 1));
	memcpy(h->data, data, length);
}

/* Print those held whose turn has come. */
static void print_held(struct map *m)
{
	struct held *h;

	while (m->printed < m->sent && (h = &m->held[m->printed % m->inflight])->data) {
		char *data = TAKE(h->data);

		print_result(m, &h->head, data, h->cut);
		free(data);
	}
}

static void take_result(struct map *m, const struct bulk_result *r, const char *data)
{
	bool cut = m->cancel_sent && r->state == TASK_CANCELLED;

	m->answered++;
	if (r->state != TASK_DONE && !cut) {
		m->failed++;
		if (m->options->fail_fast && !m->cancel_sent) {
			m->cancel_sent = m->input_ended = m->end_sent = true;
			put_frame(m, BULK_CANCEL);
		}
	}
	if (m->held && r->index != m->printed) {
		hold(m, r, data, cut);
		return;
	}
	print_result(m, r, data, cut);
	if (m->held)
		print_held(m);
}

/* One whole frame out of m->from. False: more bytes are needed. */
static bool take_frame(struct map *m)
{
	const char *at = bytes_at(&m->from);
	struct bulk_header header;
	struct bulk_result result;

	if (bytes_length(&m->from) < sizeof header)
		return false;
	memcpy(&header, at, sizeof header);
	if (bytes_length(&m->from) < sizeof header + header.length)
		return false;
	switch (header.type) {
	case BULK_RESULTS:
		memcpy(&result, at + sizeof header, sizeof result);
		take_result(m, &result, at + sizeof header + sizeof result);
		break;
	case BULK_DONE:
		m->done = true;
		break;
	case BULK_FAULT:
		flush_text(m);
		pool_fail(m->ctl, CTL_POOL, "%s: %.*s", m->name, (int)header.length, at + sizeof header);
		m->fault = "fault";
		break;
	default:
		break;
	}
	bytes_drop(&m->from, sizeof header + header.length);
	return true;
}

static void read_results(struct map *m)
{
	ssize_t n;

	reserve(&m->from, SOCKET_SIZE);
	n = recv(m->fd, m->from.data + m->from.end, m->from.size - m->from.end, MSG_DONTWAIT);
	if (n > 0) {
		m->from.end += (size_t)n;
		while (!m->fault && take_frame(m))
			;
		return;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		flush_text(m);
		pool_fail(m->ctl, CTL_POOL, "%s: the connection to the pool was lost; %llu of %llu lines are answered", m->name,
			  (unsigned long long)m->answered, (unsigned long long)m->sent);
		m->fault = "lost";
	}
}

/* ---- lines out ---- */

/* A JSON array of strings and numbers as words in a block. False: it is none. */
static bool words_of_array(const char *line, size_t length, struct bytes *ret)
{
	json_t *array = json_loadb(line, length, 0, NULL);
	bool good = json_is_array(array);

	for (size_t i = 0; good && i < json_array_size(array); i++) {
		const json_t *word = json_array_get(array, i);
		_cleanup_(freep) char *text = json_is_string(word) ? strdup(json_string_value(word)) :
								     json_dumps(word, JSON_ENCODE_ANY | JSON_COMPACT);

		if (i)
			add(ret, "", 1);
		add(ret, text ? text : "", text ? strlen(text) : 0);
	}
	json_decref(array);
	return good;
}

static void send_words(struct map *m, const char *words, size_t length)
{
	struct bulk_task head = { .length = (uint32_t)length };

	add(&m->out, &head, sizeof head);
	add(&m->out, words, length);
	m->sent++;
}

static void send_star(struct map *m, const char *line, size_t length)
{
	struct bytes words = { 0 };

	if (!(length && line[0] == '[' && words_of_array(line, length, &words))) {
		words.end = words.start = 0;
		add(&words, line, length);
		for (size_t i = 0; i < words.end; i++)
			if (words.data[i] == '\t')
				words.data[i] = '\0';
	}
	send_words(m, words.data, words.end);
	bytes_free(&words);
}

static void send_line(struct map *m, const char *line, size_t length)
{
	if (m->options->star)
		send_star(m, line, length);
	else
		send_words(m, line, length);
}

/* Lines that are here go into one TASKS frame, as many as may be under way. */
static void send_lines(struct map *m)
{
	char end = m->options->null ? '\0' : '\n';
	size_t frame = bytes_length(&m->out);
	uint64_t before = m->sent, limit = m->held ? m->printed : m->answered;
	struct bulk_header header = { .type = BULK_TASKS };

	add(&m->out, &header, sizeof header);
	while (m->sent - limit < m->inflight && bytes_length(&m->in)) {
		const char *line = bytes_at(&m->in);
		const char *stop = memchr(line, end, bytes_length(&m->in));
		size_t length = stop ? (size_t)(stop - line) : bytes_length(&m->in);

		if (!stop && !m->input_ended)
			break;
		send_line(m, line, length);
		bytes_drop(&m->in, length + (stop ? 1 : 0));
	}
	if (m->sent == before) {
		m->out.end -= sizeof header;
	} else {
		header.length = (uint32_t)(bytes_length(&m->out) - frame - sizeof header);
		memcpy(bytes_at(&m->out) + frame, &header, sizeof header);
	}
	if (m->input_ended && !bytes_length(&m->in) && !m->end_sent) {
		m->end_sent = true;
		put_frame(m, BULK_END);
	}
}

static void read_lines(struct map *m)
{
	ssize_t n;

	reserve(&m->in, INPUT_SIZE);
	n = read(m->input, m->in.data + m->in.end, INPUT_SIZE);
	if (n > 0)
		m->in.end += (size_t)n;
	else if (n == 0)
		m->input_ended = true;
	else if (errno != EINTR && errno != EAGAIN) {
		pool_fail(m->ctl, CTL_GENERIC, "cannot read: %s", errno_name(errno));
		m->input_ended = true;
	}
}

static void write_frames(struct map *m)
{
	while (bytes_length(&m->out)) {
		ssize_t n = send(m->fd, bytes_at(&m->out), bytes_length(&m->out), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;	/* full, or gone: then reading says so */
		bytes_drop(&m->out, (size_t)n);
	}
}

/* ---- the loop ---- */

static bool wants_input(const struct map *m)
{
	uint64_t limit = m->held ? m->printed : m->answered;

	/* A line may be longer than a piece: read on while none is complete. */
	return !m->input_ended && m->sent - limit < m->inflight && bytes_length(&m->out) < SOCKET_SIZE;
}

static void map_loop(struct map *m)
{
	while (!m->done && !m->fault) {
		struct pollfd p[2] = { { .fd = m->fd, .events = (short)(POLLIN | (bytes_length(&m->out) ? POLLOUT : 0)) },
				       { .fd = wants_input(m) ? m->input : -1, .events = POLLIN } };
		int r = poll(p, 2, 0);

		/* Print before waiting, not after each result. */
		if (r == 0) {
			flush_text(m);
			r = poll(p, 2, m->options->bar ? (int)(bar_interval * 1000) : -1);
		}
		if (r < 0 && errno != EINTR)
			break;
		if (p[0].revents & (POLLIN | POLLHUP | POLLERR))
			read_results(m);
		if (p[1].revents)
			read_lines(m);
		if (!m->fault && !m->done)
			send_lines(m);
		write_frames(m);
		show_bar(m, false);
	}
	flush_text(m);
	show_bar(m, true);
}

void map_option_rows(struct map_options *o, struct option_row *rows)
{
	const struct option_row list[] = {
		{ "--unordered", OPTION_FLAG, &o->unordered, NULL, "Results as they end, not in the order of the lines." },
		{ "--tag", OPTION_FLAG, &o->tag, NULL, "The number of the input line before each line of a result." },
		{ "--results", OPTION_TEXT, &o->results, "raw|json", "json: an object for each result, with state, exit, times, memory." },
		{ "--bar", OPTION_FLAG, &o->bar, NULL, "Progress, rate and time left on stderr." },
		{ "--fail-fast", OPTION_FLAG, &o->fail_fast, NULL, "Cancel the rest when one fails." },
		{ "--keep-going", OPTION_FLAG, &o->keep_going, NULL, "Go on when one fails: the default." },
		{ "--null", OPTION_FLAG, &o->null, NULL, "Lines of the input end with NUL." },
		{ "--chunk", OPTION_NUMBER, &o->chunk, "N", "Keep N lines together on one worker." },
		{ "--priority", OPTION_NUMBER, &o->priority, "N", "Before tasks with lower numbers." },
		{ "--retries", OPTION_NUMBER, &o->retries, "N", "How often a task is tried again, instead of the pool's." },
		{ "--timeout", OPTION_SECONDS, &o->timeout, "S", "How long a task may run, instead of the pool's." },
		{ "--detach", OPTION_FLAG, &o->detach, NULL, "The tasks go on without this client." },
		{ 0 },
	};

	o->retries = o->chunk = -1;
	o->timeout = -1;
	memcpy(rows, list, sizeof list);
}

static json_t *map_parameters(const struct map_options *o)
{
	json_t *p = json_pack("{s:I, s:b}", "priority", (json_int_t)o->priority, "detach", (int)o->detach);

	if (o->chunk > 0)
		(void)json_object_set_new(p, "chunk", json_integer(o->chunk));
	if (o->retries >= 0)
		(void)json_object_set_new(p, "retries", json_integer(o->retries));
	if (o->timeout >= 0)
		(void)json_object_set_new(p, "timeout", json_real(o->timeout));
	return p;
}

static bool map_open(struct map *m, struct varlink_client **client)
{
	json_t *reply = NULL;
	const char *error = NULL;
	int r = varlink_client_upgrade(client, "io.reeve.Pool.Map", map_parameters(m->options), -1, &m->fd, &reply, &error);

	if (r < 0)
		pool_fail(m->ctl, CTL_POOL, "the pool has ended, or does not answer: %s", errno_name(-r));
	else if (error)
		pool_error(m->ctl, error, reply);
	if (r == 0 && !error) {
		(void)snprintf(m->mode, sizeof m->mode, "%s", text_of(reply, "mode"));
		(void)snprintf(m->name, sizeof m->name, "%s", text_of(reply, "name"));
		m->inflight = (uint64_t)number_of(reply, "inflight");
	}
	json_decref(reply);
	return r == 0 && !error;
}

void map_run(struct ctl *ctl, struct varlink_client *client, const struct map_options *options)
{
	struct map m = { .ctl = ctl, .options = options, .fd = -1 };

	if (options->chunk == 0)
		pool_fail(ctl, CTL_USAGE, "--chunk: must be at least 1");
	else if (options->results && strcmp(options->results, "raw") != 0 && strcmp(options->results, "json") != 0)
		pool_fail(ctl, CTL_USAGE, "--results: write raw or json");
	else if (options->file && (m.input = open(options->file, O_RDONLY | O_CLOEXEC)) < 0)
		pool_fail(ctl, CTL_USAGE, "%s: %s", options->file, errno_name(errno));
	else if (map_open(&m, &client)) {
		(void)fcntl(m.fd, F_SETFL, O_NONBLOCK);
		m.started = clock_now();
		m.total = options->bar ? count_lines(m.input) : 0;
		if (!options->unordered)
			m.held = need(calloc(m.inflight, sizeof *m.held));
		map_loop(&m);
		if (!m.fault && m.failed)
			ctl_fail(ctl, m.failed < FAILED_MAX ? (int)m.failed : FAILED_MAX);
	}
	for (uint64_t i = 0; m.held && i < m.inflight; i++)
		free(m.held[i].data);
	free(m.held);
	bytes_free(&m.in);
	bytes_free(&m.out);
	bytes_free(&m.from);
	bytes_free(&m.text);
	closep(&m.fd);
	if (m.input > 0)
		(void)close(m.input);
	varlink_client_free(client);
}

static void command_map_or_star(struct ctl *ctl, int argc, char **argv, bool star)
{
	struct map_options options = { .star = star, .results = ctl->json ? "json" : NULL };
	struct option_row rows[16];
	struct varlink_client *client;
	int n;

	map_option_rows(&options, rows);
	n = pool_options(ctl, rows, argc, argv);
	if (n < 0)
		return;
	if (n < 1 || n > 2) {
		pool_fail(ctl, CTL_USAGE, "give the name of a pool, and a file or nothing");
		return;
	}
	options.file = n == 2 && strcmp(argv[1], "-") != 0 ? argv[1] : NULL;
	client = pool_connect(ctl, argv[0]);
	if (client)
		map_run(ctl, client, &options);
}

void command_map(struct ctl *ctl, int argc, char **argv)
{
	command_map_or_star(ctl, argc, argv, false);
}

void command_starmap(struct ctl *ctl, int argc, char **argv)
{
	command_map_or_star(ctl, argc, argv, true);
}
