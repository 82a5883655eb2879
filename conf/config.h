/*
 * What a configuration is: the result of reading a supervisord.conf (or reeve.ini), with every default filled in, every
 * expansion done and every process of `numprocs` present. Pure data and pure functions: no clock, no loop, no log.
 * The rules are supervisord's (release 4.2.5) unless a comment says otherwise.
 */
#ifndef REEVE_CONFIG_H
#define REEVE_CONFIG_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/base.h"

enum { CHANNEL_STDOUT, CHANNEL_STDERR, N_CHANNELS };

enum autorestart { AUTORESTART_FALSE, AUTORESTART_TRUE, AUTORESTART_UNEXPECTED };
enum leftovers { LEFTOVERS_STOP, LEFTOVERS_KILL, LEFTOVERS_LEAVE };
enum cgroups { CGROUPS_AUTO, CGROUPS_ON, CGROUPS_OFF };
enum console { CONSOLE_OFF, CONSOLE_AS_IS, CONSOLE_WITH_NAME, CONSOLE_AS_JSON };
enum on_fatal { ON_FATAL_NONE, ON_FATAL_SHUTDOWN };
enum group_kind { GROUP_PROGRAM, GROUP_EVENTLISTENER, GROUP_FCGI, GROUP_POOL };
enum pool_mode { MODE_EXEC, MODE_LINE, MODE_FRAME };
enum logfile_kind { LOGFILE_NONE, LOGFILE_AUTO, LOGFILE_PATH };
enum loglevel { LOGLEVEL_BLATHER = 3, LOGLEVEL_TRACE = 5, LOGLEVEL_DEBUG = 10, LOGLEVEL_INFO = 20, LOGLEVEL_WARN = 30,
		LOGLEVEL_ERROR = 40, LOGLEVEL_CRITICAL = 50 };

/* One output channel of a process. */
struct channel_conf {
	enum logfile_kind logfile_kind;
	char *logfile;			/* LOGFILE_PATH: as written, expanded; relative to the daemon's directory */
	long long logfile_maxbytes;	/* bytes; 0: no rotation */
	long long logfile_backups;
	long long capture_maxbytes;	/* bytes; 0: capture off */
	bool events_enabled;
	bool syslog;
};

/* What makes a pool of a process: its workers and its queue. Times in seconds. */
struct pool_conf {
	enum pool_mode mode;
	char *queue;			/* "memory", "sqlite:PATH", "redis://...", "unix:PATH?stream=..." */
	bool claim;			/* at most once */
	long long workers;		/* 0: one for each CPU */
	long long window;		/* tasks that one worker may hold unanswered (line, frame) */
	long long max_tasks_per_worker;	/* 0: no limit */
	long long retries;		/* default of a task */
	double retry_delay;		/* before the first retry; doubles up to retry_delay_max */
	double retry_delay_max;
	double timeout;			/* default of a task; 0: none */
	char *initializer;		/* a command, or NULL */
	bool batch_scheduling;		/* SCHED_BATCH */
	bool ready;			/* a worker says when it is */
	char *error_prefix;		/* line: an answer that begins so is a failure; "": none */
	long long max_result_bytes;	/* of stdout, and of stderr */
	long long max_task_bytes;
	long long keep_results;		/* how many unfetched results are kept */
	double keep_time;		/* and for how long */
};

struct fcgi_socket_conf;

/* One process: everything that is needed to start, watch and stop it. */
struct process_conf {
	char *name;			/* within its group */
	char *group;
	char *namespec;			/* name, or group:name where they differ; unique */
	char *program;			/* section's name after the colon */
	long long number;		/* its process_num */
	const char *file;		/* of its section, for messages; borrowed from the sources */
	int line;
	enum group_kind kind;		/* of its section */
	char *command;			/* expanded, not split: splitting happens at start time */
	char *directory;		/* or NULL */
	char *user;			/* as written, or NULL; looked up when started */
	int umask;			/* or -1: inherit */
	long long priority;
	bool autostart;
	enum autorestart autorestart;
	long long startsecs;
	long long startretries;
	int *exitcodes;
	size_t n_exitcodes;
	int stopsignal;
	long long stopwaitsecs;
	bool stopasgroup, killasgroup;
	int leftovers;			/* enum leftovers */
	bool redirect_stderr;
	char **environment;		/* "K=V", NULL-terminated: [supervisord]'s overlaid by the section's */
	char *serverurl;		/* NULL: AUTO; "": none */
	struct channel_conf channel[N_CHANNELS];
	struct fcgi_socket_conf *socket;	/* of an fcgi program: the section's, a copy; else NULL */
	struct pool_conf *pool;		/* GROUP_POOL: owned; command is that of the workers */
};

struct fcgi_socket_conf {
	char *url;			/* "tcp://host:port" or "unix:///path" */
	int mode;			/* unix: octal; -1: tcp */
	char *owner;			/* "user[:group]" as written, or NULL */
	int backlog;			/* 0: SOMAXCONN */
};

struct group_conf {
	char *name;
	enum group_kind kind;		/* GROUP_PROGRAM also for [group:x] */
	long long priority;
	struct process_conf **processes;	/* configured order; owned */
	size_t n_processes;
	char *invalid;			/* the first diagnostic of its section, or NULL; then it has no processes */
	/* GROUP_EVENTLISTENER */
	long long buffer_size;
	char **events;			/* sorted, upper case, NULL-terminated; a parent type stands for its children */
	char *result_handler;
	/* GROUP_FCGI */
	struct fcgi_socket_conf socket;
};

struct server_conf {
	char *section;			/* "unix_http_server" */
	bool is_unix;
	char *username, *password;	/* or NULL; "{SHA}<hex>" possible */
	char *file;			/* unix: absolute */
	int chmod;			/* unix: default 0700 */
	char *chown;			/* unix: "user[:group]" as written, or NULL */
	char *host;			/* inet: "" is every interface */
	int port;
	bool insecure;			/* inet: no password although others can reach it */
};

struct rpcinterface_conf {
	char *name, *factory;
	char **settings;		/* "K=V", NULL-terminated */
};

struct supervisord_conf {
	char *logfile, *pidfile;	/* absolute; logfile "syslog" is itself */
	long long logfile_maxbytes, logfile_backups;
	enum loglevel loglevel;
	bool nodaemon, silent, nocleanup, strip_ansi;
	long long minfds, minprocs;
	int umask;
	char *user, *directory, *identifier, *childlogdir;	/* user, directory may be NULL */
	char **environment;
	/* Reeve's own */
	char *rundir;			/* as written, or NULL */
	char *control_group;		/* or NULL */
	char *control_access;		/* "read", "operate" (default) or "admin" */
	long long heartbeat;		/* seconds, default 10 */
	bool autoupdate;		/* watch the files and apply what changes */
	long long stop_deadline;	/* seconds for the whole shutdown; 0: none */
	int cgroups;			/* enum cgroups */
	int console;			/* enum console */
	char *exit_with;		/* a process, or NULL */
	int on_fatal;			/* enum on_fatal */
};

struct ctl_conf {			/* [supervisorctl] */
	char *serverurl, *username, *password, *prompt, *history_file;
};

enum severity { DIAGNOSTIC_WARNING, DIAGNOSTIC_ERROR };

struct diagnostic {
	enum severity severity;
	char *file;
	int line;			/* 0: the whole file */
	char *section, *key;		/* or NULL */
	char *text;			/* what is wrong; what to write instead */
};

struct diagnostics {
	struct diagnostic *list;
	size_t n, n_errors;
};

struct config {
	char *path;			/* the main file, absolute */
	char *here;			/* its directory */
	struct supervisord_conf supervisord;
	struct ctl_conf ctl;
	bool has_ctl;
	bool partial;			/* an included file is no INI file: see config_parse */
	struct server_conf *servers;
	size_t n_servers;
	struct rpcinterface_conf *rpcinterfaces;
	size_t n_rpcinterfaces;
	struct group_conf **groups;	/* start order; owned */
	size_t n_groups;
	char *serverurl;		/* what children get in SUPERVISOR_SERVER_URL, or NULL */
	struct diagnostics diagnostics;	/* warnings and errors found while reading */
	char *first_error;		/* the first error in supervisord's words, or NULL */
	struct sources *sources;	/* the texts it was read from */
};

/*
 * The texts that a configuration was made of: main file, included files, the environment that %(ENV_X)s saw, the host name.
 * Parsing is a function of the sources alone, so a saved copy gives the same configuration again although the disk
 * has changed. Who users and groups are is part of them: what the system said is remembered as lines of text by question ("user www",
 * "group adm", "directory /tmp"). Those read from disk ask what they do not know, which may take any time; kept ones do not.
 */
struct sources;
int sources_read(const char *path, struct sources **ret, struct error *err);	/* from disk; path may be relative */
/* The same in two steps. What is there after the first is a configuration of its own. */
int sources_read_main(const char *path, struct sources **ret, struct error *err);
int sources_read_included(struct sources *sources, const char *path, struct error *err);
/* From now on relative paths of the daemon mean DIRECTORY (borrowed, for good), wherever this process has gone since. */
void sources_relative_to(const char *directory);
int sources_save(const struct sources *sources, int fd);		/* at offset 0 of FD */
int sources_load(int fd, struct sources **ret, struct error *err);	/* what sources_save wrote */
/* A synthetic one: TEXT as if it were the file PATH, beside the environment of the process. */
int sources_from_text(const char *path, const char *text, struct sources **ret, struct error *err);
/* One more variable ("K=V") that its %(ENV_K)s sees. 0 or -ENOMEM. */
int sources_add_variable(struct sources *sources, const char *pair);
size_t sources_files(const struct sources *sources, const char *const **ret_paths);	/* for watching and for messages */
size_t sources_patterns(const struct sources *sources, const char *const **ret_patterns);	/* of [include], absolute */
bool sources_equal(const struct sources *a, const struct sources *b);	/* the same files with the same texts */
void sources_free(struct sources *sources);

/*
 * What SOURCES remember of QUESTION (borrowed), after asking the system if they still may. "": it does not exist; NULL: not known, or the
 * name service has failed. "user NAME" or "user NUMBER": "NAME:UID:GID:GID,GID,...:SHELL:HOME"; "group NAME": "GID"; "directory PATH": "yes".
 */
const char *sources_answer(struct sources *sources, const char *question);
/* The N-th question that they know the answer of (*RET_ANSWER, borrowed too), or NULL. */
const char *sources_question(const struct sources *sources, size_t n, const char **ret_answer);
/* The system itself, which may take any time. malloc'd, NULL: not to be had now. */
char *answer_now(const char *question);
/* Kept ones may be asked about what they do not know, after all. */
void sources_may_ask(struct sources *sources);
/* From now on ABOUT is called before each step that may hang, with what it is about: a path, or a question. For the process that reads aside. */
void sources_tell_steps(void (*about)(const char *what));
#define GATEWAY_USER "reeve-gateway"	/* whom the gateway runs as, where there is such a user */
/* Ask about all users and groups that programs and sockets of CONFIG need; its sources remember the answers. */
void config_ask_names(const struct config *config);

/* Command-line values that win over the file: {"logfile", "/tmp/x"}: keys of [supervisord] as a user would write them. */
struct override {
	const char *key, *value;
};

/*
 * Parse SOURCES (stolen in every case). Returns 0 with a configuration even if it has errors: ret->diagnostics.n_errors says so, and
 * what is bad has its group marked invalid. -EINVAL with ERR only if nothing can be made of it (no [supervisord] section, not an INI
 * file); *ret is then a config with nothing but its diagnostics and [supervisorctl]; or, where only an included file is to blame,
 * with [supervisord], the servers and [supervisorctl] as far as they could be read, and `partial`. -ENOMEM: *ret is NULL.
 */
int config_parse(struct sources *sources, const struct override *overrides, size_t n_overrides, struct config **ret,
		 struct error *err);
void config_free(struct config *config);

/* The first of supervisord's and our own default places that exists (malloc'd), or NULL with the list tried in ERR. */
char *config_find(const char *argv0, struct error *err);

/* The run directory (malloc'd): rundir=, else FILE.reeve of the first unix server, else /run/reeve or $XDG_RUNTIME_DIR/reeve. */
char *config_rundir(const struct config *config);

/* "FILE:LINE: [section] key: text", without newline. */
void diagnostic_print(const struct diagnostic *diagnostic, FILE *out);

struct group_conf *config_group(const struct config *config, const char *name);

/* POSIX shell words without expansion, as Python's shlex.split. Returns a NULL-terminated malloc'd vector, or NULL with ERR. */
char **command_split(const char *command, struct error *err);
void strv_free(char **words);

/* Signal from a number or a name in any case, with or without SIG; -1: none such. signal_name(15) is "SIGTERM" (static). */
int signal_parse(const char *text);
const char *signal_name(int number);

#endif
