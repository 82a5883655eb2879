/*
 * reevectl: arguments in, text or JSON out. Knows no processes: everything is asked of the daemons over Varlink.
 */
#ifndef REEVE_CTL_H
#define REEVE_CTL_H

#include <jansson.h>
#include <stdbool.h>

#include "varlink/varlink.h"

/* supervisorctl's exit statuses. */
enum {
	CTL_OK = 0, CTL_GENERIC = 1, CTL_USAGE = 2, CTL_DOWN = 3, CTL_REFUSED = 4, CTL_NOT_RUNNING = 7, CTL_PLAN_CHANGES = 2,
	CTL_TIMEOUT = 124, CTL_POOL = 125,
};

struct ctl {
	const char *program;		/* as called */
	const char *configuration;	/* -c, or NULL */
	const char *server;		/* -s or REEVE_SOCKET, or NULL */
	bool json;
	char *rundir;			/* owned */
	struct varlink_client *control, *log;	/* connected when first needed; owned */
	int status;			/* exit status so far: errors set it, success never resets it */
};

struct command {
	const char *name;
	const char *args;		/* as usage prints them */
	int min, max;			/* number of arguments; max -1: any */
	void (*run)(struct ctl *ctl, int argc, char **argv);	/* argv[0] is the first argument */
	const char *help;
};

extern const struct command commands[];	/* ends with a NULL name; the order is the one of help */
const struct command *command_find(const char *name);
void command_run(struct ctl *ctl, int argc, char **argv);	/* argv[0] is the command's name */
void commands_print(void);		/* --print=commands */

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
void ctl_disconnect(struct ctl *ctl);
/* The run directory, borrowed; NULL: a line has been printed and ctl->status set. */
const char *ctl_rundir(struct ctl *ctl);

/* Set the exit status of an error. */
void ctl_fail(struct ctl *ctl, int status);
/* Print the reply when --json was asked for: true. */
bool ctl_json(const struct ctl *ctl, const json_t *reply);
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
