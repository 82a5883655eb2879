/*
 * One process of the configuration: its record in the state file, its pipes, its timer, and what happens to it. Decisions are
 * lifecycle.c's; this module carries them out, writes them down and tells everybody.
 */
#ifndef REEVE_PROCESS_H
#define REEVE_PROCESS_H

#include <ev.h>

#include "supervisor.h"

struct shared_socket;

struct left {
	unsigned n;			/* in all */
	pid_t pids[32];			/* the first of them */
};

struct process {
	struct supervisor *supervisor;
	struct group *group;		/* the owner */
	const struct process_conf *conf;	/* borrowed from the group's generation */
	struct state_record *record;
	struct state_slot now;		/* what the record says */
	ev_timer timer;			/* of the present epoch */
	struct shared_socket *socket;	/* of an fcgi program, or NULL: a use of it */
	int in, out[N_CHANNELS];	/* pipes: stdin read-write, the others' write ends; -1: none */
	bool piped;			/* the pipes have been made, and the logger knows them */
	unsigned adopted;		/* bits of the pipes that are still as the keeper has them, read-write */
	char *trouble;			/* why it could not be started, where stage and errno do not say it; owned, or NULL */
	char *last_words;		/* the end of its stderr when it last ended; owned; NULL: not known */
	double taken_over;		/* seconds since the epoch; 0: not by this supervisor */
	char *logfile[N_CHANNELS];	/* as the logger opened it; owned, or NULL */
	char *log_trouble[N_CHANNELS];	/* why the logger cannot write it now; owned, or NULL */
	struct process *by_pid;		/* next in the hash chain */
	struct process *by_namespec;
	unsigned named;			/* supervisor::namings when a call last named it */
	struct left left;		/* who was left of the last run, when last looked (tree.h) */
	bool watched;			/* in supervisor::left */
	struct process *next_left;	/* next in it */
};

/* A new one, STOPPED, or the one that RECORD tells of (taken over from a predecessor). NULL with ERR. */
struct process *process_new(struct supervisor *s, struct group *group, const struct process_conf *conf,
			    struct state_record *record, struct error *err);
/* Frees its pipes and its record too: only for a process that does not run. */
void process_remove(struct process *p);
/* Frees memory only: the record and what runs stay for a successor. Accepts NULL. */
void process_free(struct process *p);
/* After process_new with a record: timers, and whatever was missed. */
void process_resume(struct process *p);

/* Something happened to it. CAUSE is completed and copied. */
void process_event(struct process *p, enum lifecycle_event event, const struct cause *cause);
/* The keeper says that its pid has ended. */
void process_exited(struct process *p, const struct exit_status *status);
/* Stop, and start again when stopped (or start, when it does not run). */
void process_restart(struct process *p, const struct cause *cause);
/* Note that an update starts it again once it is done with it; or that it need not any more. */
void process_start_after_update(struct process *p, bool start);
/* Send a signal; WHOLE: to the process group too. 0 or -errno (-ESRCH: not running). */
int process_signal(struct process *p, int signal, bool whole);
/* Its configuration is now CONF (same name): takes effect without a restart as far as that goes. */
void process_reconfigure(struct process *p, const struct process_conf *conf);
/* Bytes to its stdin without waiting. 0, -EPIPE (nobody can read), -EAGAIN (full). */
int process_write_stdin(struct process *p, const char *data, size_t length);

struct process *process_by_pid(struct supervisor *s, pid_t pid);
/* The one with exactly this namespec, LENGTH bytes; or NULL. */
struct process *process_by_namespec(struct supervisor *s, const char *namespec, size_t length);

/* Stopped, and nothing of it is left that has to be ended first. */
bool process_is_down(const struct process *p);
enum process_state process_state(const struct process *p);
pid_t process_pid(const struct process *p);	/* 0: not running */
/* supervisord's spawnerr: why it is in BACKOFF or FATAL; "" where there is nothing to say. Returns BUFFER. */
char *process_spawnerr(const struct process *p, char *buffer, size_t size);
/* supervisord's description: "pid 7, uptime 0:00:03", "Not started", ... Returns BUFFER. */
char *process_description(const struct process *p, double now, char *buffer, size_t size);

#endif
