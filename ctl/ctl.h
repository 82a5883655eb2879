/*
 * reevectl: arguments in, text or JSON out. Knows no processes: everything is asked of the daemons over Varlink.
 */
#ifndef REEVE_CTL_H
#define REEVE_CTL_H

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>

#include "conf/config.h"
#include "http.h"
#include "varlink/varlink.h"

/* supervisorctl's exit statuses. */
enum {
	CTL_OK = 0, CTL_GENERIC = 1, CTL_USAGE = 2, CTL_DOWN = 3, CTL_REFUSED = 4, CTL_NOT_RUNNING = 7, CTL_PLAN_CHANGES = 2,
	CTL_TIMEOUT = 124, CTL_POOL = 125,
};

/* How supervisorctl speaks of a daemon that it cannot reach. */
enum reach { REACH_PLAIN, REACH_CHECKED, REACH_ENDING };

struct ctl {
	const char *program;		/* as called */
	bool compatible;		/* called as supervisorctl: its words throughout */
	bool interactive;		/* in the shell, or -i: ask before shutdown and reload */
	bool shell;			/* commands come one after another */
	bool quit;			/* leave the shell */
	bool quiet;			/* completion: not a word about a daemon that cannot be found */
	const char *configuration;	/* -c, or NULL */
	const char *server;		/* -s, REEVE_SOCKET or `open`, or NULL */
	const char *history_file;	/* -r, or NULL */
	bool json;
	bool configured;		/* the configuration has been looked for */
	struct config *config;		/* NULL: none; owned */
	bool client_file;		/* it tells of no daemon: only [supervisorctl] is good */
	char *rundir;			/* owned; NULL until it is found, and for a daemon that is reached by HTTP */
	struct http_place *place;	/* owned; NULL: it is reached by its own sockets */
	const char *username, *password;	/* -u, -p, or NULL; for HTTP */
	char *url;			/* the daemon as messages name it; owned */
	char *opened;			/* what `open` named; owned */
	bool given_up;			/* supervisorctl: this command has met something unforeseen and ends */
	enum reach reach;		/* of the command that runs */
	struct varlink_client *control, *log;	/* connected when first needed; owned */
	int status;			/* exit status so far: errors set it, success never resets it */
};

/* What the arguments of a command are, for completion. */
enum complete {
	COMPLETE_NONE, COMPLETE_COMMANDS, COMPLETE_PROCESSES, COMPLETE_GROUPS, COMPLETE_SIGNAL, COMPLETE_POOLS, COMPLETE_FILES,
};

struct command {
	const char *name;
	const char *args;		/* as usage prints them */
	int min, max;			/* number of arguments; max -1: any */
	void (*run)(struct ctl *ctl, int argc, char **argv);	/* argv[0] is the first argument; words may be changed */
	const char *help;
	enum complete complete;
	bool options;			/* --help explains its options */
};

extern const struct command commands[];	/* ends with a NULL name; the order is the one of help */
const struct command *command_find(const char *name);
void command_run(struct ctl *ctl, int argc, char **argv);	/* argv[0] is the command's name */
/* "usage<tabs>explanation", as errors show it. */
void command_usage(const struct ctl *ctl, const char *name);
void commands_print(void);		/* --print=commands */
void completions_print(void);		/* --print=completion */

/* ---- where (server.c) ---- */

/* Read the configuration, once. CTL_OK (also when there is none), or the exit status after a line has been printed. */
int ctl_configure(struct ctl *ctl);
/* The run directory, borrowed; NULL: a line has been printed and ctl->status set (also for a daemon that is reached by HTTP). */
const char *ctl_rundir(struct ctl *ctl);
/* The same without the line in the last case. */
const char *ctl_find(struct ctl *ctl);
/* Is the daemon reached by HTTP? (False also where none could be found; that was told.) */
bool ctl_is_remote(struct ctl *ctl);
/* Does the daemon answer? False: told, and ctl->status set. */
bool ctl_reachable(struct ctl *ctl);
/* Talk to the daemon at URL from now on. */
void ctl_open(struct ctl *ctl, const char *url);
void ctl_fini(struct ctl *ctl);

/* ---- supervisorctl's words (supervisorctl.c) ---- */

/* One line of words, as supervisorctl understands it. */
void supervisorctl_run(struct ctl *ctl, const char *line);
/* The help that errors print; false: no action of supervisorctl. */
bool supervisorctl_help(const char *name);
bool supervisorctl_knows(const char *name);
/* "error: ..." for a fault that no command expects, in the shape that supervisorctl gives it. Sets the status. */
void supervisorctl_fault(struct ctl *ctl, int code, const char *text);
void supervisorctl_unreachable(struct ctl *ctl, int code);
/* Is "all" among the words? */
bool has_all(int argc, char **argv);
/* "group:*" or "group:". */
bool names_group(const char *name);
/* NAME as supervisorctl shows it: "a" for "a:a"; BUFFER. */
const char *namespec_shown(const char *name, char *buffer, size_t size);
/* Names with a pattern in them, which supervisorctl does not know. */
bool is_pattern(const char *name);

/* ---- the shell (shell.c) ---- */

/* Commands from a terminal or a pipe until their end; the exit status. */
int shell_run(struct ctl *ctl);
/* "yes" to QUESTION? */
bool shell_confirms(const char *question);

/* ---- talking (connect.c) ---- */

/* The run directory's control socket, or log socket; on failure a line has been printed and ctl->status set. NULL then. */
struct varlink_client *ctl_control(struct ctl *ctl);
struct varlink_client *ctl_log(struct ctl *ctl);
/*
 * Call METHOD of io.reeve.Supervisor and return the last reply's parameters (the caller's); PARAMETERS is stolen. Each earlier reply of
 * a stream goes to PARTIAL (may be NULL). NULL: it failed; *ret_fault (may be NULL) is then the fault's number and *ret_text its text
 * (malloc'd, may be NULL), and nothing is printed; without RET_FAULT a line is printed and ctl->status set. AGAIN: the call may be repeated
 * when the daemon is replaced in the middle of it.
 */
json_t *ctl_call(struct ctl *ctl, const char *method, json_t *parameters, bool again, void (*partial)(json_t *reply, void *data),
		 void *data, int *ret_fault, char **ret_text);
/*
 * As above for a stream that the caller begins again when it breaks: NULL without a word when the connection is lost (an interrupt too).
 * The reply to an error, which has been told, is returned.
 */
json_t *ctl_stream(struct ctl *ctl, const char *method, json_t *parameters, void (*partial)(json_t *reply, void *data), void *data);
/* Connect to the successor of a daemon that was replaced, waiting for it a while. */
bool ctl_again(struct ctl *ctl);
bool ctl_log_again(struct ctl *ctl);
void ctl_disconnect(struct ctl *ctl);
/* A fault that the command has no words for: a line and the status. */
void ctl_fault(struct ctl *ctl, int code, const char *text);
/* From here on Ctrl-C sets ctl_interrupted and ends waits with -EINTR. */
void ctl_catch_interrupts(void);
extern volatile sig_atomic_t ctl_interrupted;

/* Set the exit status of an error. */
void ctl_fail(struct ctl *ctl, int status);
/* Print the reply when --json was asked for: true. */
bool ctl_json(const struct ctl *ctl, const json_t *reply);
/* Decode base64 and write it to stdout; what is malformed is left out. */
void ctl_write_base64(const char *text);
/* argv as a JSON array. */
json_t *ctl_words(int argc, char **argv);

const char *text_of(const json_t *object, const char *key);	/* "" when there is none */
long long number_of(const json_t *object, const char *key);

/* ---- the commands ---- */

#define COMMAND(name) void name(struct ctl *ctl, int argc, char **argv)
COMMAND(command_status);
COMMAND(command_list);
COMMAND(command_start);
COMMAND(command_stop);
COMMAND(command_restart);
COMMAND(command_signal);
COMMAND(command_kill);
COMMAND(command_pid);
COMMAND(command_wait);
COMMAND(command_exitcode);
COMMAND(command_alive);
COMMAND(command_tail);
COMMAND(command_maintail);
COMMAND(command_clear);
COMMAND(command_reread);
COMMAND(command_update);
COMMAND(command_plan);
COMMAND(command_add);
COMMAND(command_remove);
COMMAND(command_avail);
COMMAND(command_why);
COMMAND(command_events);
COMMAND(command_check);
COMMAND(command_upgrade);
COMMAND(command_reload);
COMMAND(command_shutdown);
COMMAND(command_version);
COMMAND(command_help);
COMMAND(command_fg);
COMMAND(command_run_program);
COMMAND(command_open);
COMMAND(command_quit);
COMMAND(command_submit);
COMMAND(command_map);
COMMAND(command_starmap);
COMMAND(command_result);
COMMAND(command_tasks);
COMMAND(command_cancel);
COMMAND(command_retry);
COMMAND(command_forget);
COMMAND(command_pause);
COMMAND(command_resume);
COMMAND(command_drain);
COMMAND(command_close);
COMMAND(command_reopen);
COMMAND(command_join);
COMMAND(command_terminate);
COMMAND(command_resize);
COMMAND(command_pool);
#undef COMMAND

#endif
