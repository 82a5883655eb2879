/* See keys.h. */
#include "keys.h"

#include <errno.h>
#include <string.h>

#include "strv.h"
#include "value.h"
#include "memory.h"

static const char *const leftovers_words[] = { "stop", "kill", "leave", NULL };
static const char *const cgroups_words[] = { "auto", "on", "off", NULL };
static const char *const console_words[] = { "none", "raw", "prefix", "json", NULL };
static const char *const on_fatal_words[] = { "none", "shutdown", NULL };

#define P(member) offsetof(struct process_conf, member)
#define CHANNEL_KEYS(prefix, c)                                                                                        \
	{ prefix "_logfile", KEY_LOGFILE, P(channel[c]), "AUTO", CHANGE_LIVE,                                          \
	  "File for the " prefix " of the process: a path, AUTO (a name of Reeve's choice), NONE, or syslog." },       \
	{ prefix "_logfile_maxbytes", KEY_BYTES, P(channel[c].logfile_maxbytes), "50MB", CHANGE_LIVE,                  \
	  "Size at which the " prefix " log is rotated; 0: never." },                                                  \
	{ prefix "_logfile_backups", KEY_INTEGER, P(channel[c].logfile_backups), "10", CHANGE_LIVE,                    \
	  "How many rotated " prefix " logs are kept; 0: the log is truncated instead." },                             \
	{ prefix "_capture_maxbytes", KEY_BYTES, P(channel[c].capture_maxbytes), "0", CHANGE_LIVE,                     \
	  "Size of the buffer for text between capture tags on " prefix "; 0: capture mode is off." },                 \
	{ prefix "_events_enabled", KEY_BOOLEAN, P(channel[c].events_enabled), "false", CHANGE_LIVE,                   \
	  "Emit a PROCESS_LOG event for each piece of " prefix "." },                                                  \
	{ prefix "_syslog", KEY_BOOLEAN, P(channel[c].syslog), "false", CHANGE_LIVE, "Send the " prefix " to syslog too." }

const struct key program_keys[] = {
	{ "environment", KEY_ENVIRONMENT, P(environment), "", CHANGE_RESTART,
	  "Variables for the process: KEY=\"value\",KEY2=\"value\"." },
	{ "command", KEY_STRING, P(command), NULL, CHANGE_RESTART, "Program to run, with its arguments. Required." },
	{ "directory", KEY_STRING, P(directory), NULL, CHANGE_RESTART, "Directory to change to before the program starts." },
	{ "umask", KEY_OCTAL, P(umask), NULL, CHANGE_RESTART, "Octal file mode mask of the process; unset: inherited." },
	{ "priority", KEY_INTEGER, P(priority), "999", CHANGE_LIVE, "Place in the order of starts (low first) and stops (high first)." },
	{ "autostart", KEY_BOOLEAN, P(autostart), "true", CHANGE_LIVE, "Start it when the daemon starts." },
	{ "autorestart", KEY_AUTORESTART, P(autorestart), "unexpected", CHANGE_LIVE,
	  "Start it again when it exits: true, false, or unexpected (only after an exit code that exitcodes does not list)." },
	{ "startsecs", KEY_INTEGER, P(startsecs), "1", CHANGE_LIVE, "Seconds that it must stay up to count as RUNNING." },
	{ "startretries", KEY_INTEGER, P(startretries), "3", CHANGE_LIVE,
	  "How often a start that fails is repeated before the state becomes FATAL." },
	{ "exitcodes", KEY_EXITCODES, P(exitcodes), "0", CHANGE_LIVE, "Exit codes that are expected: comma-separated numbers." },
	{ "stopsignal", KEY_SIGNAL, P(stopsignal), "TERM", CHANGE_LIVE, "Signal that asks it to exit." },
	{ "stopwaitsecs", KEY_INTEGER, P(stopwaitsecs), "10", CHANGE_LIVE, "Seconds between the stop signal and SIGKILL." },
	{ "stopasgroup", KEY_BOOLEAN, P(stopasgroup), "false", CHANGE_LIVE, "Send the stop signal to the whole process group." },
	{ "killasgroup", KEY_BOOLEAN, P(killasgroup), NULL, CHANGE_LIVE,
	  "Send SIGKILL to the whole process group; the default is the value of stopasgroup." },
	{ "leftovers", KEY_WORD, P(leftovers), "stop", CHANGE_LIVE,
	  "What becomes of processes that outlive the main one, before a stop is complete or the next run begins: stop (stop signal, then "
	  "SIGKILL), kill (SIGKILL at once), or leave (nothing, as supervisord).", .words = leftovers_words },
	{ "user", KEY_STRING, P(user), NULL, CHANGE_RESTART, "User (name or number) to run as." },
	{ "redirect_stderr", KEY_BOOLEAN, P(redirect_stderr), "false", CHANGE_RESTART, "Let stderr join stdout." },
	{ "serverurl", KEY_STRING, P(serverurl), NULL, CHANGE_RESTART,
	  "Value of SUPERVISOR_SERVER_URL for the process; AUTO or unset: computed, empty: none." },
	CHANNEL_KEYS("stdout", CHANNEL_STDOUT),
	CHANNEL_KEYS("stderr", CHANNEL_STDERR),
	{ 0 },
};

#define I(member) offsetof(struct instances, member)
const struct key instance_keys[] = {
	{ "numprocs", KEY_INTEGER, I(numprocs), "1", CHANGE_NONE, "How many processes are made of this section." },
	{ "numprocs_start", KEY_INTEGER, I(numprocs_start), "0", CHANGE_NONE, "The first process_num." },
	{ "process_name", KEY_STRING, I(process_name), "%(program_name)s", CHANGE_NONE,
	  "Name of each process; with numprocs > 1 it must contain %(process_num)." },
	{ 0 },
};

#define G(member) offsetof(struct group_conf, member)
const struct key listener_keys[] = {
	{ "events", KEY_OTHER, G(events), NULL, CHANGE_RESTART, "Event types to be told of: a comma-separated list. Required." },
	{ "buffer_size", KEY_INTEGER, G(buffer_size), "10", CHANGE_RESTART, "How many events wait while no listener is ready." },
	{ "result_handler", KEY_STRING, G(result_handler), "supervisor.dispatchers:default_handler", CHANGE_RESTART,
	  "supervisord's Python callable for results; only the default has a meaning here." },
	{ 0 },
};

const struct key fcgi_keys[] = {
	{ "socket", KEY_STRING, G(socket.url), NULL, CHANGE_RESTART, "Socket to listen on: tcp://host:port or unix:///path. Required." },
	{ "socket_backlog", KEY_OTHER, G(socket.backlog), NULL, CHANGE_RESTART, "Backlog of the socket; unset: the system's." },
	{ "socket_owner", KEY_STRING, G(socket.owner), NULL, CHANGE_RESTART, "user or user:group that owns a unix socket." },
	{ "socket_mode", KEY_OTHER, G(socket.mode), NULL, CHANGE_RESTART, "Octal mode of a unix socket; default 0700." },
	{ 0 },
};

#define Q(member) offsetof(struct pool_conf, member)
#define YEAR (366.0 * 86400)
const struct key pool_keys[] = {
	{ "mode", KEY_POOL_MODE, Q(mode), "exec", CHANGE_RESTART,
	  "exec: a process for each task; line: workers that answer each line with a line; frame: the same in binary frames." },
	{ "workers", KEY_INTEGER, Q(workers), "0", CHANGE_LIVE, "How many workers; 0: one for each CPU.", 0, 10000 },
	{ "queue", KEY_STRING, Q(queue), "memory", CHANGE_RESTART,
	  "Where tasks wait: memory, sqlite:FILE, redis://HOST:PORT/DB?stream=NAME or unix:SOCKET?stream=NAME." },
	{ "claim", KEY_BOOLEAN, Q(claim), "false", CHANGE_RESTART,
	  "Note durably that a task begins before it does: it runs at most once, instead of at least once." },
	{ "window", KEY_INTEGER, Q(window), "1", CHANGE_LIVE,
	  "How many unanswered tasks a worker may hold (line, frame).", 1, 100000 },
	{ "max_tasks_per_worker", KEY_INTEGER, Q(max_tasks_per_worker), "0", CHANGE_LIVE,
	  "Replace a worker after so many tasks (line, frame); 0: never.", 0, 1e15 },
	{ "retries", KEY_INTEGER, Q(retries), "0", CHANGE_LIVE, "How often a task that did not succeed is tried again.", 0, 10000 },
	{ "retry_delay", KEY_SECONDS, Q(retry_delay), "0.1", CHANGE_LIVE, "Pause before the first retry; it doubles with each.", 0, YEAR },
	{ "retry_delay_max", KEY_SECONDS, Q(retry_delay_max), "60", CHANGE_LIVE, "The longest pause between two tries.", 0, YEAR },
	{ "batch_scheduling", KEY_BOOLEAN, Q(batch_scheduling), "true", CHANGE_LIVE,
	  "Workers run under SCHED_BATCH: a woken worker waits for its turn instead of interrupting whoever runs." },
	{ "timeout", KEY_SECONDS, Q(timeout), "0", CHANGE_LIVE,
	  "Seconds that a task may take before its process is stopped, with all that it has started; 0: no limit.", 0, YEAR },
	{ "initializer", KEY_STRING, Q(initializer), NULL, CHANGE_RESTART,
	  "Command to run before each worker's start (exec: once for each worker's place)." },
	{ "ready", KEY_BOOLEAN, Q(ready), "false", CHANGE_RESTART,
	  "A worker gets tasks only after it has written the line ready (frame: an empty frame with id 0)." },
	{ "error_prefix", KEY_STRING, Q(error_prefix), "", CHANGE_RESTART, "An answer that begins so is a failure (line); empty: none." },
	{ "max_result_bytes", KEY_BYTES, Q(max_result_bytes), "1MB", CHANGE_LIVE,
	  "How much of a task's stdout, and of its stderr, is kept.", 0, 1 << 30 },
	{ "max_task_bytes", KEY_BYTES, Q(max_task_bytes), "1MB", CHANGE_LIVE, "The largest task that is accepted.", 1, 1 << 30 },
	{ "keep_results", KEY_INTEGER, Q(keep_results), "10000", CHANGE_LIVE, "How many results that nobody has fetched are kept.", 0, 1e9 },
	{ "keep_time", KEY_SECONDS, Q(keep_time), "86400", CHANGE_LIVE, "Seconds for which they are kept.", 0, 100 * YEAR },
	{ 0 },
};

const struct key group_keys[] = {
	{ "programs", KEY_OTHER, 0, "", CHANGE_NONE, "Programs that belong to the group: a comma-separated list." },
	{ "priority", KEY_INTEGER, G(priority), "999", CHANGE_LIVE, "Place of the group in the order of starts and stops." },
	{ 0 },
};

#define S(member) offsetof(struct supervisord_conf, member)
const struct key supervisord_keys[] = {
	{ "environment", KEY_ENVIRONMENT, S(environment), "", CHANGE_RESTART, "Variables for all processes." },
	{ "logfile", KEY_STRING, S(logfile), "supervisord.log", CHANGE_LIVE, "The daemon's own log, or syslog." },
	{ "logfile_maxbytes", KEY_BYTES, S(logfile_maxbytes), "50MB", CHANGE_LIVE, "Size at which it is rotated; 0: never." },
	{ "logfile_backups", KEY_INTEGER, S(logfile_backups), "10", CHANGE_LIVE, "How many rotated ones are kept." },
	{ "loglevel", KEY_LOGLEVEL, S(loglevel), "info", CHANGE_LIVE,
	  "What is logged: critical, error, warn, info, debug, trace or blather and what is more important. From debug on "
	  "also a copy of what programs write." },
	{ "pidfile", KEY_STRING, S(pidfile), "supervisord.pid", CHANGE_LIVE, "File that holds the daemon's pid." },
	{ "nodaemon", KEY_BOOLEAN, S(nodaemon), "false", CHANGE_DAEMON, "Stay in the foreground." },
	{ "silent", KEY_BOOLEAN, S(silent), "false", CHANGE_LIVE, "In the foreground: no copy of the log on stdout." },
	{ "minfds", KEY_INTEGER, S(minfds), "1024", CHANGE_DAEMON, "Least soft limit of open files." },
	{ "minprocs", KEY_INTEGER, S(minprocs), "200", CHANGE_DAEMON, "Least soft limit of processes." },
	{ "umask", KEY_OCTAL, S(umask), "022", CHANGE_DAEMON, "Octal file mode mask of the daemon (when it daemonises)." },
	{ "user", KEY_STRING, S(user), NULL, CHANGE_DAEMON, "User that the daemon runs as." },
	{ "directory", KEY_STRING, S(directory), NULL, CHANGE_DAEMON, "Directory that the daemon changes to (when it daemonises)." },
	{ "identifier", KEY_STRING, S(identifier), "supervisor", CHANGE_LIVE, "Name of this daemon in events and file names." },
	{ "childlogdir", KEY_STRING, S(childlogdir), NULL, CHANGE_LIVE, "Directory for AUTO logs; default: the temporary directory." },
	{ "nocleanup", KEY_BOOLEAN, S(nocleanup), "false", CHANGE_DAEMON, "Keep old AUTO logs at the start." },
	{ "strip_ansi", KEY_BOOLEAN, S(strip_ansi), "false", CHANGE_LIVE, "Remove terminal escape sequences from all logs." },
	{ "rundir", KEY_STRING, S(rundir), NULL, CHANGE_DAEMON, "Directory of the control sockets." },
	{ "control_group", KEY_STRING, S(control_group), NULL, CHANGE_LIVE, "Group whose members may use the control socket." },
	{ "control_access", KEY_STRING, S(control_access), "operate", CHANGE_LIVE,
	  "What they may do: read, operate (start, stop, signal) or admin." },
	{ "autoupdate", KEY_BOOLEAN, S(autoupdate), "false", CHANGE_LIVE,
	  "Watch the configuration files, and apply what changes when they have been quiet for a second." },
	{ "heartbeat", KEY_INTEGER, S(heartbeat), "10", CHANGE_DAEMON, "Seconds between two looks whether the supervisor is alive." },
	{ "stop_deadline", KEY_INTEGER, S(stop_deadline), "0", CHANGE_LIVE,
	  "Seconds that a whole shutdown may take before everything is killed; 0: no limit." },
	{ "cgroups", KEY_WORD, S(cgroups), "auto", CHANGE_DAEMON,
	  "One control group (version 2) per process: auto (where the tree is delegated to us or managed by nobody), on (wherever it can be "
	  "written), off.", .words = cgroups_words },
	{ "console", KEY_WORD, S(console), "none", CHANGE_DAEMON,
	  "Copy what all programs write to our stdout: none, raw (as it is), prefix (NAME | line) or json (one object per line, also for the "
	  "daemon's own log).", .words = console_words },
	{ "exit_with", KEY_STRING, S(exit_with), NULL, CHANGE_LIVE,
	  "A process: when it has ended and is not to be started again, shut down and exit with its status (128 + N for signal N)." },
	{ "on_fatal", KEY_WORD, S(on_fatal), "none", CHANGE_LIVE,
	  "When a process becomes FATAL: none, or shutdown (and exit with its status).", .words = on_fatal_words },
	{ 0 },
};

#define C(member) offsetof(struct ctl_conf, member)
const struct key ctl_keys[] = {
	{ "serverurl", KEY_STRING, C(serverurl), "http://localhost:9001", CHANGE_NONE, "Where the daemon listens, for clients." },
	{ "username", KEY_STRING, C(username), NULL, CHANGE_NONE, "Name to authenticate with." },
	{ "password", KEY_STRING, C(password), NULL, CHANGE_NONE, "Password to authenticate with." },
	{ "prompt", KEY_STRING, C(prompt), "supervisor", CHANGE_NONE, "Prompt of the interactive shell." },
	{ "history_file", KEY_STRING, C(history_file), NULL, CHANGE_NONE, "File that keeps the shell's history." },
	{ 0 },
};

#define V(member) offsetof(struct server_conf, member)
const struct key server_unix_keys[] = {
	{ "file", KEY_STRING, V(file), NULL, CHANGE_LIVE, "Path of the socket; the run directory is this with .reeve added. Required." },
	{ "chmod", KEY_OTHER, V(chmod), "0700", CHANGE_LIVE, "Octal mode of the socket." },
	{ "chown", KEY_STRING, V(chown), NULL, CHANGE_LIVE, "user or user:group that owns the socket." },
	{ "username", KEY_STRING, V(username), NULL, CHANGE_LIVE, "Name that clients must give." },
	{ "password", KEY_STRING, V(password), NULL, CHANGE_LIVE, "Their password, or {SHA} and its SHA-1 in hex." },
	{ 0 },
};

const struct key server_inet_keys[] = {
	{ "port", KEY_OTHER, V(port), NULL, CHANGE_LIVE, "[host:]port to listen on; an empty host or * is every interface. Required." },
	{ "username", KEY_STRING, V(username), NULL, CHANGE_LIVE, "Name that clients must give." },
	{ "password", KEY_STRING, V(password), NULL, CHANGE_LIVE, "Their password, or {SHA} and its SHA-1 in hex." },
	{ "insecure", KEY_BOOLEAN, V(insecure), "false", CHANGE_LIVE,
	  "Serve without a password although other machines can reach the port. Ours." },
	{ 0 },
};

const struct key include_keys[] = {
	{ "files", KEY_OTHER, 0, NULL, CHANGE_NONE, "Further files to read: patterns separated by blanks." },
	{ 0 },
};

const struct key rpcinterface_keys[] = {
	{ "supervisor.rpcinterface_factory", KEY_OTHER, 0, NULL, CHANGE_NONE, "supervisord's Python plug-in; only the stock one is known." },
	{ 0 },
};

static const struct key *const program_tables[] = { program_keys, instance_keys, NULL };
static const struct key *const listener_tables[] = { program_keys, instance_keys, listener_keys, NULL };
static const struct key *const fcgi_tables[] = { program_keys, instance_keys, fcgi_keys, NULL };
static const struct key *const pool_tables[] = { program_keys, pool_keys, NULL };
static const struct key *const group_tables[] = { group_keys, NULL };
static const struct key *const supervisord_tables[] = { supervisord_keys, NULL };
static const struct key *const ctl_tables[] = { ctl_keys, NULL };
static const struct key *const unix_tables[] = { server_unix_keys, NULL };
static const struct key *const inet_tables[] = { server_inet_keys, NULL };
static const struct key *const include_tables[] = { include_keys, NULL };
static const struct key *const rpc_tables[] = { rpcinterface_keys, NULL };

const struct section_kind section_kinds[] = {
	{ "supervisord", false, supervisord_tables, NULL,
	  "The daemon itself. Required, but may be empty." },
	{ "reeved", false, supervisord_tables, "supervisord", NULL },
	{ "program", true, program_tables, NULL,
	  "A program, and how it is kept running. Its processes form a group of the same name unless a [group:] claims them." },
	{ "group", true, group_tables, NULL,
	  "Programs that are started, stopped and addressed together." },
	{ "eventlistener", true, listener_tables, NULL,
	  "A program that is told of events on its stdin and answers on its stdout. All keys of [program:x], and these." },
	{ "fcgi-program", true, fcgi_tables, NULL,
	  "A program whose processes share a listening socket as their stdin. All keys of [program:x], and these." },
	{ "pool", true, pool_tables, NULL,
	  "A pool of worker processes with a queue of tasks. All keys of [program:x] except numprocs, numprocs_start and process_name, and these." },
	{ "unix_http_server", false, unix_tables, NULL,
	  "A unix socket for XML-RPC, the web page and metrics. Several are possible: [unix_http_server:name]." },
	{ "inet_http_server", false, inet_tables, NULL,
	  "The same on a TCP port. Several are possible: [inet_http_server:name]." },
	{ "supervisorctl", false, ctl_tables, NULL,
	  "Where reevectl and supervisorctl find the daemon." },
	{ "reevectl", false, ctl_tables, "supervisorctl", NULL },
	{ "include", false, include_tables, NULL,
	  "Further files." },
	{ "rpcinterface", true, rpc_tables, NULL,
	  "A namespace of XML-RPC methods. The stock one makes supervisor.* available; others are Python and not loaded." },
	{ 0 },
};

const struct key *key_find(const struct section_kind *kind, const char *name)
{
	for (const struct key *const *table = kind->tables; *table; table++)
		for (const struct key *k = *table; k->name; k++)
			if (strcmp(k->name, name) == 0)
				return k;
	return NULL;
}

/* ---- values by type ---- */

static int set_string(char **field, const char *text, struct error *err)
{
	char *copy = strdup(text);

	if (!copy)
		return error_set(err, ENOMEM, "out of memory");
	free(*field);
	*field = copy;
	return 0;
}

static int set_logfile(struct channel_conf *c, const char *text, struct error *err)
{
	char *path = NULL;

	c->logfile_kind = LOGFILE_NONE;
	if (strcasecmp(text, "AUTO") == 0) {
		c->logfile_kind = LOGFILE_AUTO;
	} else if (strcasecmp(text, "syslog") == 0) {
		c->syslog = true;
	} else if (strcasecmp(text, "NONE") != 0 && strcasecmp(text, "OFF") != 0 && *text) {
		path = expand_user(text);
		if (!path)
			return error_set(err, ENOMEM, "out of memory");
		c->logfile_kind = LOGFILE_PATH;
	}
	free(c->logfile);
	c->logfile = path;
	return 0;
}

static int set_word(const struct key *key, int *field, const char *text, struct error *err)
{
	char list[128] = "";

	for (int i = 0; key->words[i]; i++) {
		if (strcasecmp(key->words[i], text) == 0) {
			*field = i;
			return 0;
		}
		(void)snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", key->words[i]);
	}
	return error_set(err, EINVAL, "invalid '%s' value '%.200s', known are %s", key->name, text, list);
}

static int check_bounds(const struct key *key, double value, struct error *err)
{
	if (key->least < key->most && !(value >= key->least && value <= key->most))
		return error_set(err, ERANGE, "%g is not between %g and %g", value, key->least, key->most);
	return 0;
}

static int set_number(const struct key *key, long long *field, const char *text, struct error *err)
{
	long long value;
	int r = key->type == KEY_BYTES ? parse_bytes(text, &value, err) : parse_integer(text, &value, err);

	if (r == 0)
		r = check_bounds(key, (double)value, err);
	if (r == 0)
		*field = value;
	return r;
}

static int set_seconds(const struct key *key, double *field, const char *text, struct error *err)
{
	double value;
	int r = parse_seconds(text, &value, err);

	if (r == 0)
		r = check_bounds(key, value, err);
	if (r == 0)
		*field = value;
	return r;
}

int key_set(const struct key *key, void *base, const char *text, struct error *err)
{
	void *field = (char *)base + key->field;

	switch (key->type) {
	case KEY_STRING:
		return set_string(field, text, err);
	case KEY_INTEGER:
	case KEY_BYTES:
		return set_number(key, field, text, err);
	case KEY_SECONDS:
		return set_seconds(key, field, text, err);
	case KEY_POOL_MODE:
		return parse_pool_mode(text, field, err);
	case KEY_BOOLEAN:
		return parse_boolean(text, field, err);
	case KEY_OCTAL:
		return parse_octal(text, field, err);
	case KEY_EXITCODES:
		return parse_exitcodes(text, field, (size_t *)((char *)base + P(n_exitcodes)), err);
	case KEY_SIGNAL:
		return parse_signal(text, field, err);
	case KEY_LOGLEVEL:
		return parse_loglevel(text, field, err);
	case KEY_AUTORESTART:
		return parse_autorestart(text, field, err);
	case KEY_ENVIRONMENT:
		return parse_environment(text, field, err);
	case KEY_LOGFILE:
		return set_logfile(field, text, err);
	case KEY_WORD:
		return set_word(key, field, text, err);
	case KEY_OTHER:
		break;
	}
	return 0;
}

static bool same_exitcodes(const void *a, const void *b)
{
	const struct process_conf *x = a, *y = b;

	return x->n_exitcodes == y->n_exitcodes &&
	       (!x->n_exitcodes || memcmp(x->exitcodes, y->exitcodes, x->n_exitcodes * sizeof *x->exitcodes) == 0);
}

bool key_equal(const struct key *key, const void *base_a, const void *base_b)
{
	const void *a = (const char *)base_a + key->field, *b = (const char *)base_b + key->field;
	const struct channel_conf *x = a, *y = b;

	switch (key->type) {
	case KEY_STRING:
		return same_text(*(char *const *)a, *(char *const *)b);
	case KEY_INTEGER:
	case KEY_BYTES:
		return *(const long long *)a == *(const long long *)b;
	case KEY_SECONDS:
		return *(const double *)a == *(const double *)b;
	case KEY_BOOLEAN:
		return *(const bool *)a == *(const bool *)b;
	case KEY_OCTAL:
	case KEY_SIGNAL:
	case KEY_LOGLEVEL:
	case KEY_AUTORESTART:
	case KEY_WORD:
	case KEY_POOL_MODE:
		return *(const int *)a == *(const int *)b;
	case KEY_EXITCODES:
		return same_exitcodes(base_a, base_b);
	case KEY_ENVIRONMENT:
		return strv_equal(*(char **const *)a, *(char **const *)b);
	case KEY_LOGFILE:
		return x->logfile_kind == y->logfile_kind && same_text(x->logfile, y->logfile);
	case KEY_OTHER:
		break;
	}
	return true;
}

void key_free(const struct key *key, void *base)
{
	void *field = (char *)base + key->field;

	switch (key->type) {
	case KEY_STRING:
		free(*(char **)field);
		break;
	case KEY_EXITCODES:
		free(*(int **)field);
		break;
	case KEY_ENVIRONMENT:
		strv_free(*(char ***)field);
		break;
	case KEY_LOGFILE:
		free(((struct channel_conf *)field)->logfile);
		break;
	default:
		break;
	}
}

static const struct {
	const char *name, *hint;
} types[] = {
	[KEY_STRING] = { "text", "write a text" },
	[KEY_INTEGER] = { "integer", "write a whole number" },
	[KEY_BOOLEAN] = { "boolean", "write true or false" },
	[KEY_BYTES] = { "bytes", "write a number of bytes, or one with KB, MB or GB" },
	[KEY_OCTAL] = { "octal", "write an octal number such as 022" },
	[KEY_EXITCODES] = { "exit codes", "write numbers from 0 to 255 with commas between them" },
	[KEY_SIGNAL] = { "signal", "write a name such as TERM, or a number" },
	[KEY_LOGLEVEL] = { "log level", "write critical, error, warn, info, debug, trace or blather" },
	[KEY_AUTORESTART] = { "autorestart", "write true, false or unexpected" },
	[KEY_ENVIRONMENT] = { "environment", "write KEY=\"value\",KEY2=\"value\"" },
	[KEY_SECONDS] = { "seconds", "write a number of seconds" },
	[KEY_POOL_MODE] = { "pool mode", "write exec, line or frame" },
	[KEY_LOGFILE] = { "log file", "write a path, AUTO or NONE" },
	[KEY_WORD] = { "word", "write one of these words" },
	[KEY_OTHER] = { "text", "see the manual" },
};

const char *key_type_hint(enum key_type type)
{
	return types[type].hint;
}

const char *key_type_name(enum key_type type)
{
	return types[type].name;
}

const char *key_change_name(enum key_change change)
{
	static const char *const names[] = { "none", "live", "restart", "daemon" };

	return names[change];
}

void keys_set_defaults(const struct key *table, void *base)
{
	for (const struct key *k = table; k->name; k++)
		if (k->initial && k->type != KEY_OTHER)
			(void)key_set(k, base, k->initial, NULL);
}
