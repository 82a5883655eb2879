/*
 * See web.h: GET /metrics. Every metric is a row of a table; the rows of processes are filled from the model, those of logs from
 * io.reeve.Log.Streams. Without an answer of the logger its metrics are left out.
 */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "prometheus.h"
#include "web.h"

static const char content_type[] = "text/plain; version=0.0.4; charset=utf-8";

static const char *const states[] = { "STOPPED", "STARTING", "RUNNING", "BACKOFF", "STOPPING", "EXITED", "FATAL", "UNKNOWN", "INVALID" };

static double number(const json_t *j, const char *key)
{
	return json_number_value(json_object_get(j, key));
}

static const char *text(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

/* ---- the daemon ---- */

static const struct daemon_metric {
	const char *key, *name, *type, *help;
} daemon_metrics[] = {
	{ "up", "reeve_up", "gauge", "Whether the supervisor answers." },
	{ "start", "reeve_start_time_seconds", "gauge", "When the daemon was started, in unix time." },
	{ "generation", "reeve_config_generation", "gauge", "Number of the configuration that was read last, from 1." },
	{ "successions", "reeve_supervisor_successions_total", "counter", "How often a successor took over from a supervisor." },
	{ "loop_latency", "reeve_supervisor_loop_latency_seconds", "gauge",
	  "Longest turn of the supervisor's loop in the last minute or two." },
	{ "gateway_start", "reeve_gateway_start_time_seconds", "gauge", "When reeve-gateway was started, in unix time." },
};

static void write_daemon(FILE *out, const struct web *w)
{
	const json_t *daemon = model_daemon(w->model);
	const struct prometheus_label labels[] = { { "version", REEVE_VERSION }, { "identifier", text(daemon, "identifier") }, { 0 } };

	prometheus_family(out, "reeve_build_info", "gauge", "Always 1; the labels say what runs.");
	prometheus_sample(out, "reeve_build_info", labels, 1);
	for (size_t i = 0; i < ARRAY_LEN(daemon_metrics); i++) {
		const struct daemon_metric *d = &daemon_metrics[i];
		const json_t *value = json_object_get(daemon, d->key);
		bool up = strcmp(d->key, "up") == 0;

		if (!value)
			continue;
		prometheus_family(out, d->name, d->type, d->help);
		prometheus_sample(out, d->name, NULL, up ? model_up(w->model) : json_number_value(value));
	}
	prometheus_family(out, "reeve_gateway_connections", "gauge", "HTTP connections that are open.");
	prometheus_sample(out, "reeve_gateway_connections", NULL, (double)http_connections(w->gateway->http));
}

/* ---- the processes ---- */

static bool is_running(const struct model_process *p)
{
	return number(p->about, "pid") > 0;
}

static double up_of(const struct model_process *p)
{
	return strcmp(text(p->about, "statename"), "RUNNING") == 0;
}

static double starts_of(const struct model_process *p)
{
	return number(p->about, "run");
}

static double restarts_of(const struct model_process *p)
{
	return number(p->about, "restarts");
}

static double start_time_of(const struct model_process *p)
{
	return number(p->about, "start");
}

static double uptime_of(const struct model_process *p)
{
	double uptime = clock_wall() - start_time_of(p);

	return is_running(p) && uptime > 0 ? uptime : 0;
}

static double cpu_of(const struct model_process *p)
{
	return p->cpu_seconds;
}

static double memory_of(const struct model_process *p)
{
	return (double)p->memory;
}

static double members_of(const struct model_process *p)
{
	return p->members;
}

static const struct process_metric {
	const char *name, *type;
	double (*value)(const struct model_process *p);
	const char *help;
} process_metrics[] = {
	{ "reeve_process_up", "gauge", up_of, "Whether the process is RUNNING." },
	{ "reeve_process_starts_total", "counter", starts_of, "Attempts to start the process." },
	{ "reeve_process_restarts_total", "counter", restarts_of, "Starts that nobody asked for." },
	{ "reeve_process_start_time_seconds", "gauge", start_time_of, "When the process was last started, in unix time; 0: never." },
	{ "reeve_process_uptime_seconds", "gauge", uptime_of, "For how long the process has been running." },
	{ "reeve_process_cpu_seconds_total", "counter", cpu_of, "Processor time of the process and everything below it." },
	{ "reeve_process_resident_memory_bytes", "gauge", memory_of, "Resident memory of the process and everything below it." },
	{ "reeve_process_tree_processes", "gauge", members_of, "Processes in its tree." },
};

/* process and group; SLOT is for one more label. */
#define PROCESS_LABELS(p) { "group", text((p)->about, "group") }, { "process", text((p)->about, "name") }

static void write_states(FILE *out, const struct model *m)
{
	const struct model_process *p;

	prometheus_family(out, "reeve_process_state", "gauge", "1 for the state that the process is in, 0 for the others.");
	for (size_t i = 0; (p = model_process(m, i)); i++)
		for (size_t k = 0; k < ARRAY_LEN(states); k++) {
			const struct prometheus_label labels[] = { PROCESS_LABELS(p), { "state", states[k] }, { 0 } };

			prometheus_sample(out, "reeve_process_state", labels, strcmp(text(p->about, "statename"), states[k]) == 0);
		}
}

static void write_counts(FILE *out, const struct model *m)
{
	size_t counts[ARRAY_LEN(states)] = { 0 };
	const struct model_process *p;

	for (size_t i = 0; (p = model_process(m, i)); i++)
		for (size_t k = 0; k < ARRAY_LEN(states); k++)
			counts[k] += strcmp(text(p->about, "statename"), states[k]) == 0;
	prometheus_family(out, "reeve_processes", "gauge", "Number of processes in each state.");
	for (size_t k = 0; k < ARRAY_LEN(states); k++) {
		const struct prometheus_label labels[] = { { "state", states[k] }, { 0 } };

		prometheus_sample(out, "reeve_processes", labels, (double)counts[k]);
	}
}

static void write_exits(FILE *out, const struct model *m)
{
	const struct model_process *p;

	prometheus_family(out, "reeve_process_exits_total", "counter",
			  "Ends of the process by exit status or signal, since reeve-gateway was started.");
	for (size_t i = 0; (p = model_process(m, i)); i++) {
		const char *status;
		json_t *n;

		json_object_foreach(p->exits, status, n) {
			const struct prometheus_label labels[] = { PROCESS_LABELS(p), { "status", status }, { 0 } };

			prometheus_sample(out, "reeve_process_exits_total", labels, (double)json_integer_value(n));
		}
	}
}

static void write_processes(FILE *out, const struct model *m)
{
	const struct model_process *p;

	write_counts(out, m);
	write_states(out, m);
	for (size_t k = 0; k < ARRAY_LEN(process_metrics); k++) {
		const struct process_metric *metric = &process_metrics[k];

		prometheus_family(out, metric->name, metric->type, metric->help);
		for (size_t i = 0; (p = model_process(m, i)); i++) {
			const struct prometheus_label labels[] = { PROCESS_LABELS(p), { 0 } };

			prometheus_sample(out, metric->name, labels, metric->value(p));
		}
	}
	write_exits(out, m);
}

/* ---- the pools ---- */

static const struct pool_metric {
	const char *key, *name, *type, *help;
} pool_metrics[] = {
	{ "workers", "reeve_pool_workers_target", "gauge", "Workers that the pool is to have." },
	{ "alive", "reeve_pool_workers_alive", "gauge", "Workers that live." },
	{ "busy", "reeve_pool_workers_busy", "gauge", "Workers that have a task." },
	{ "queued", "reeve_pool_tasks_queued", "gauge", "Tasks that no worker has." },
	{ "delayed", "reeve_pool_tasks_delayed", "gauge", "Tasks that wait for their next try." },
	{ "running", "reeve_pool_tasks_running", "gauge", "Tasks that workers have." },
	{ "executions", "reeve_pool_executions_total", "counter", "Starts of tasks, repetitions too." },
	{ "retried", "reeve_pool_retries_total", "counter", "Tasks that were tried again." },
	{ "recycled", "reeve_pool_workers_recycled_total", "counter", "Workers that were replaced after their number of tasks." },
	{ "worker_deaths", "reeve_pool_worker_deaths_total", "counter", "Workers that died by themselves." },
	{ "start_failures", "reeve_pool_worker_start_failures_total", "counter", "Workers that could not be started." },
};

static const char *const task_ends[] = { "done", "failed", "lost", "timeout", "cancelled" };

static void write_pools(FILE *out, const struct model *m)
{
	const struct model_process *p;

	for (size_t k = 0; k < ARRAY_LEN(pool_metrics); k++) {
		const struct pool_metric *metric = &pool_metrics[k];

		prometheus_family(out, metric->name, metric->type, metric->help);
		for (size_t i = 0; (p = model_process(m, i)); i++) {
			const struct prometheus_label labels[] = { { "pool", p->namespec }, { 0 } };

			if (p->pool)
				prometheus_sample(out, metric->name, labels, number(p->pool, metric->key));
		}
	}
	prometheus_family(out, "reeve_pool_tasks_total", "counter", "Tasks that ended, by how they did.");
	for (size_t i = 0; (p = model_process(m, i)); i++)
		for (size_t k = 0; p->pool && k < ARRAY_LEN(task_ends); k++) {
			const struct prometheus_label labels[] = { { "pool", p->namespec }, { "end", task_ends[k] }, { 0 } };

			prometheus_sample(out, "reeve_pool_tasks_total", labels, number(p->pool, task_ends[k]));
		}
}

/* ---- the logs ---- */

static double size_of(const json_t *stream)
{
	return number(stream, "size");
}

static double bytes_of(const json_t *stream)
{
	return number(stream, "bytes");
}

static double dropped_of(const json_t *stream)
{
	return number(stream, "dropped");
}

static double broken_of(const json_t *stream)
{
	return json_is_string(json_object_get(stream, "error"));
}

static const struct log_metric {
	const char *name, *type;
	double (*value)(const json_t *stream);
	const char *help;
} log_metrics[] = {
	{ "reeve_log_read_bytes_total", "counter", bytes_of, "Bytes of output that were taken from the process." },
	{ "reeve_log_dropped_bytes_total", "counter", dropped_of, "Bytes of output that the log file did not get." },
	{ "reeve_log_file_bytes", "gauge", size_of, "Size of the log file." },
	{ "reeve_log_failing", "gauge", broken_of, "Whether the log file cannot be written at present." },
};

static void write_logs(FILE *out, const struct model *m, const json_t *streams)
{
	const json_t *stream;
	size_t i;

	for (size_t k = 0; k < ARRAY_LEN(log_metrics); k++) {
		const struct log_metric *metric = &log_metrics[k];

		prometheus_family(out, metric->name, metric->type, metric->help);
		json_array_foreach(streams, i, stream) {
			const struct model_process *p = model_find(m, text(stream, "process"));
			const struct prometheus_label labels[] = { { "group", text(stream, "group") },
								   { "process", p ? text(p->about, "name") : text(stream, "process") },
								   { "stream", text(stream, "channel") },
								   { 0 } };

			prometheus_sample(out, metric->name, labels, metric->value(stream));
		}
	}
}

/* ---- answering ---- */

struct scrape {
	struct request *request;
	struct backend_call *call;
};

static void answer(struct request *r, const json_t *streams)
{
	const struct web *w = r->gateway->web;
	char *body = NULL;
	size_t length;
	FILE *out = open_memstream(&body, &length);

	if (!out) {
		http_answer_error(r, 503, "out of memory");
		return;
	}
	model_measure(w->model, 1);
	write_daemon(out, w);
	write_processes(out, w->model);
	write_pools(out, w->model);
	if (streams)
		write_logs(out, w->model, streams);
	if (fclose(out) != 0) {
		free(body);
		http_answer_error(r, 503, "out of memory");
		return;
	}
	http_answer_taken(r, 200, content_type, body, length);
}

static void got_streams(void *data, json_t *parameters, const char *error, bool continues)
{
	struct scrape *s = data;
	struct request *r = s->request;

	(void)continues;
	free(s);
	answer(r, error ? NULL : json_object_get(parameters, "streams"));
}

static void scraper_left(void *data)
{
	struct scrape *s = data;

	backend_cancel(s->call);
	free(s);
}

void metrics_run(struct request *r)
{
	struct scrape *s;

	if (!access_plain(r))
		return;
	/* Connections to the logger come from the supervisor: without it, an answer without logs is better than none. */
	s = model_up(r->gateway->web->model) ? calloc(1, sizeof *s) : NULL;
	if (s) {
		s->request = r;
		s->call = backend_call(r->gateway->backend, "io.reeve.Log.Streams", NULL, false, got_streams, s);
	}
	if (!s || !s->call) {
		free(s);
		answer(r, NULL);
		return;
	}
	http_on_gone(r, scraper_left, s);
}
