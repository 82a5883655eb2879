/*
 * The supervisor: owns the configuration generations, the groups with their processes, and the links to keeper, logger and
 * clients. Everything runs on one libev loop and nothing in it waits.
 */
#ifndef REEVE_SUPERVISOR_H
#define REEVE_SUPERVISOR_H

#include <ev.h>
#include <stdbool.h>
#include <sys/resource.h>

#include "conf/config.h"
#include "events.h"
#include "latency.h"
#include "lifecycle.h"
#include "state_file.h"

struct group;
struct process;
struct logger_link;
struct gateway_link;
struct ticks;
struct shared_socket;
struct config_watch;
struct control;
struct operation;
struct update;
struct run_wait;
struct shutdown;
struct orphan;
struct upgrade;
struct aside;
struct name;
struct place;
struct reader;
struct reading;

enum daemon_state { DAEMON_RUNNING = 1, DAEMON_RESTARTING = 0, DAEMON_SHUTDOWN = -1 };

/* One configuration as it was read; kept for as long as a group runs by it or it is the one last read. */
struct generation {
	struct generation *next;
	uint32_t number;
	struct config *config;		/* owned */
	unsigned users;			/* groups that run by it, and the supervisor for the last read */
};

struct supervisor {
	struct ev_loop *loop;
	int keeper;			/* socket */
	ev_io keeper_watcher;
	pid_t keeper_pid;
	uint64_t keeper_started;	/* ticks since boot */
	bool first;			/* no supervisor before us in this daemon's life */
	struct state_file state;
	int log_fd;			/* pipe of the daemon's own log, write end */
	int loglevel;
	const char *config_path;	/* absolute */
	const struct override *overrides;
	size_t n_overrides;
	bool compatible;		/* called as supervisord */
	struct rlimit nofile, nproc;	/* what programs get (as the daemon had it, raised to minfds and minprocs) */
	int oom_score_adj;		/* as the keeper has it: reset in programs unless 0 */
	char *executable_dir;		/* where reeved lies; owned */
	char *rundir;			/* owned */
	char **environ;			/* what programs inherit: ours without what is meant for us; owned */
	char *path;			/* PATH of that, or NULL; points into it */

	struct generation *generations;	/* newest first */
	struct generation *loaded;	/* the one last read */
	struct generation *started;	/* the one that the daemon was started with; NULL: not known any more */
	struct group *groups;		/* running ones, in start order; owned */
	unsigned namings;		/* calls of processes_named() so far */
	struct process *by_pid[1024];	/* hash chains */
	struct process *by_namespec[1024];
	size_t n_processes;
	int cgroup;			/* directory of the subtree of control groups, or -1 */
	int memory_group;		/* directory of the nearest group in which the memory controller counts, or -1 */
	uint64_t oom_kills;		/* there, when we looked last */
	struct process *left;		/* those of which something is left (tree.h) */
	ev_timer left_timer;
	double left_pause;		/* seconds until the look after the next */

	struct event_bus *events;
	uint64_t logger_sequence;	/* of the message of the logger that is being dealt with; 0: none */
	uint64_t numbered_event, event_number;	/* the last event that a listener pool took, and its number there */
	struct aside *asides;		/* what is done by children of ours (aside.h) */
	struct name *names;		/* who users and groups are (names.h) */
	struct place *places;		/* sockets that are being made (places.h) */
	struct reader *readers;		/* who waits for the configuration files, oldest first (reading.h) */
	struct reading *reading;	/* under way, or NULL */
	ev_timer read_soon;
	unsigned signals_waiting;	/* SIGHUPs among them, which the keeper has not been told of yet */
	struct config_watch *watch;	/* autoupdate, or NULL */
	struct shared_socket *sockets;	/* of fcgi programs */
	struct ticks *ticks;		/* NULL: no listener yet */
	struct logger_link *logger;
	struct gateway_link *gateway;
	struct control *control;
	struct operation *operations;	/* open ones */
	struct update *updates;		/* under way */
	struct run_wait *runs;		/* clients that wait for their transient programs */
	bool changed;			/* a state changed since operations looked last */
	ev_prepare settle;
	struct latency latency;

	struct shutdown *shutdown;	/* under way, or NULL */
	struct upgrade *upgrade;	/* being rehearsed, or NULL */
	const char *upgraded;		/* what became of the last upgrade: "done", "returned", or NULL */
	char upgrade_text[256];		/* in words */
	bool ready;			/* the service manager has been told */
	double extended;		/* until when it has been asked to wait for that */
	char status[100];		/* that it was told last */
	bool activated;			/* the control socket is the service manager's: not ours to remove */
	struct orphan *orphan;		/* the keeper is gone; else NULL */
	bool stopping_for_successor;	/* memory is being freed; what the keeper holds stays */
};

/* What `reeved` hands to the supervisor role. Strings live as long as the process. */
struct supervisor_settings {
	const char *config_path;
	const struct override *overrides;
	size_t n_overrides;
	struct rlimit nofile, nproc;
	bool compatible;		/* called as supervisord */
	const char *rundir;
};

/* The whole life of a supervisor process; its exit status. */
int supervisor_run(const struct supervisor_settings *settings);

/* The role (argv[0]) of a rehearsal: could this executable take over? Touches nothing; see lib/wire/keeper.h for what it is given and says. */
#define SUPERVISOR_REHEARSAL "reeve-rehearsal"
int rehearsal_run(const struct supervisor_settings *settings);

/* *S as it is before anything else. 0 or -ENOMEM. */
int supervisor_init(struct supervisor *s, const struct supervisor_settings *settings);

/* A line of the daemon's log, by supervisord's level numbers. Never waits: a full pipe loses the line. */
void supervisor_log(const struct supervisor *s, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));

enum daemon_state supervisor_state(const struct supervisor *s);
/* Stop everything in order, then end (or, with RESTART, read the configuration afresh and start again). A second call
   without RESTART makes it at once. */
void supervisor_shutdown(struct supervisor *s, bool restart);
/* Ask keeper for something. FD -1: none. */
void supervisor_tell(struct supervisor *s, int type, int number, pid_t pid, const char *text, int fd);

#endif
