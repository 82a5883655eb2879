/*
 * The keeper: the process that must not die. It parses nothing and allocates nothing after its start: it is the parent of all
 * processes (and of the supervisor, which it replaces when that dies or hangs), keeps the state memfd and a copy of every
 * descriptor that must outlive the supervisor, and passes on exits and signals.
 */
#ifndef REEVE_KEEPER_H
#define REEVE_KEEPER_H

struct keeper_settings {
	double heartbeat;		/* seconds between two pings */
	char **supervisor_argv;		/* NULL-terminated; argv[0] names the role */
	int executable;			/* of the supervisor; opened O_PATH, close-on-exec */
};

/* Runs for the life of the daemon. Returns the exit status. Does not return to a caller's loop: it has its own. */
int keeper_run(const struct keeper_settings *settings);

#endif
