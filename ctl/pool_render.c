/* How pools and tasks look on a terminal. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/base64.h"
#include "pool.h"

/* Seconds as people read them: 0.42s, 12s, 3m10s, 5h02m. Returns BUFFER. */
static char *duration(double seconds, char *buffer, size_t size)
{
	long long s = (long long)seconds;

	if (seconds < 10)
		(void)snprintf(buffer, size, "%.2fs", seconds);
	else if (s < 60)
		(void)snprintf(buffer, size, "%llds", s);
	else if (s < 3600)
		(void)snprintf(buffer, size, "%lldm%02llds", s / 60, s % 60);
	else
		(void)snprintf(buffer, size, "%lldh%02lldm", s / 3600, s % 3600 / 60);
	return buffer;
}

long long pool_unsuccessful(const json_t *status)
{
	return number_of(status, "failed") + number_of(status, "lost") + number_of(status, "timeout");
}

void pool_print_overview_head(void)
{
	(void)printf("%-16s %-11s %-5s %-7s %9s %8s %8s %10s %7s %8s %8s\n", "POOL", "STATE", "MODE", "QUEUE", "WORKERS", "QUEUED",
		     "RUNNING", "DONE", "FAILED", "RATE", "ETA");
}

void pool_print_overview(struct ctl *ctl, const json_t *s)
{
	const json_t *eta = json_object_get(s, "eta");
	char workers[32], left[32] = "-", rate[32];

	(void)ctl;
	(void)snprintf(workers, sizeof workers, "%lld/%lld", number_of(s, "busy"), number_of(s, "workers"));
	(void)snprintf(rate, sizeof rate, "%.1f/s", json_number_value(json_object_get(s, "rate")));
	if (json_is_number(eta) && (number_of(s, "queued") || number_of(s, "running")))
		(void)duration(json_number_value(eta), left, sizeof left);
	(void)printf("%-16s %-11s %-5s %-7s %9s %8lld %8lld %10lld %7lld %8s %8s\n", text_of(s, "name"), text_of(s, "state"),
		     text_of(s, "mode"), text_of(s, "queue"), workers, number_of(s, "queued"), number_of(s, "running"),
		     number_of(s, "done"), pool_unsuccessful(s), rate, left);
	if (*text_of(s, "trouble"))
		(void)printf("%-16s %s\n", "", text_of(s, "trouble"));
}

void pool_print_down(const char *name)
{
	(void)printf("%-16s %-11s\n", name, "down");
}

void pool_print_details(const json_t *s)
{
	static const char *const gauges[] = { "pending", "delayed",   "lost",		"timeout",	 "cancelled",	"retried",
					      "executions", "recycled", "worker_deaths", "start_failures", "kept_results", "maps" };
	const json_t *slots = json_object_get(s, "slots");
	char since[32];

	(void)printf("\n%s, pid %lld\n", text_of(s, "name"), number_of(s, "pid"));
	for (size_t i = 0; i < ARRAY_LEN(gauges); i++)
		(void)printf("  %-15s %lld\n", gauges[i], number_of(s, gauges[i]));
	for (size_t i = 0; i < json_array_size(slots); i++) {
		const json_t *w = json_array_get(slots, i);
		double born = json_number_value(json_object_get(w, "since"));

		(void)printf("  %s:%-4lld %-9s pid %-8lld tasks %-10lld %s\n", text_of(s, "name"), number_of(w, "slot"),
			     text_of(w, "state"), number_of(w, "pid"), number_of(w, "tasks"),
			     number_of(w, "pid") ? duration(json_number_value(json_object_get(s, "now")) - born, since, sizeof since) :
						   "");
	}
}

static void print_words(const json_t *words)
{
	for (size_t i = 0; i < json_array_size(words); i++)
		(void)printf(" %s", json_string_value(json_array_get(words, i)));
}

void pool_print_task(const char *pool, const json_t *task)
{
	const json_t *exit = json_object_get(task, "exit");
	double started = json_number_value(json_object_get(task, "started"));
	double ended = json_number_value(json_object_get(task, "ended"));
	char name[96], status[16] = "-", time[32] = "-";

	(void)snprintf(name, sizeof name, "%s:%lld", pool, number_of(task, "id"));
	if (json_is_integer(exit))
		(void)snprintf(status, sizeof status, "%lld", (long long)json_integer_value(exit));
	if (started > 0 && ended > 0)
		(void)duration(ended - started, time, sizeof time);
	(void)printf("%-20s %-10s %4s %8s %3lld ", name, text_of(task, "state"), status, time, number_of(task, "attempts"));
	print_words(json_object_get(task, "args"));
	(void)putchar('\n');
}

/* ---- output ---- */

static void write_stream(const json_t *task, const char *key, FILE *to)
{
	const json_t *value = json_object_get(task, key);
	bool binary = json_is_true(json_object_get(task, "binary"));
	size_t length = json_string_length(value);
	_cleanup_(freep) char *bytes = binary ? base64_decode(text_of(task, key), &length) : NULL;

	if (bytes || !binary)
		(void)fwrite(bytes ? bytes : text_of(task, key), 1, length, to);
}

int pool_print_output(const json_t *task)
{
	const char *state = text_of(task, "state");
	long long exit = number_of(task, "exit");

	write_stream(task, "output", stdout);
	(void)fflush(stdout);
	write_stream(task, "errors", stderr);
	if (strcmp(state, "done") == 0)
		return 0;
	if (strcmp(state, "failed") != 0) {
		const char *signal = exit < 0 ? signal_name((int)-exit) : NULL, *why = text_of(task, "why");

		(void)fprintf(stderr, "reevectl: task %lld: %s%s%s\n", number_of(task, "id"), state,
			      *why ? ": " : signal ? ": terminated by " : "", *why ? why : signal ? signal : "");
	}
	if (exit < 0)
		return 128 - (int)exit;
	return exit ? (int)exit : CTL_GENERIC;
}
