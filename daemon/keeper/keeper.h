/*
 * The keeper: the process that must not die. It parses nothing and allocates nothing after its start: it is the parent of all
 * processes (and of the supervisor, which it replaces when that dies or hangs), keeps the state memfd and a copy of every
 * descriptor that must outlive the supervisor, and passes on exits and signals.
 *
 * An upgrade: the supervisor names another executable (SUCCEED), which has been rehearsed. It becomes the next supervisor, on trial:
 * if it is not ready in time, or dies soon after, the executable before it returns. When the trial is over the keeper executes
 * it too, in place: the pid, the children and their unreaped exits stay, the rest is handed over (handover.h).
 */
#ifndef REEVE_KEEPER_H
#define REEVE_KEEPER_H

struct keeper_settings {
	double heartbeat;		/* seconds between two pings */
	char **supervisor_argv;		/* NULL-terminated; argv[0] names the role */
	int executable;			/* of the supervisor; opened O_PATH, close-on-exec; the keeper's to close */
	int handover;			/* what the keeper before us in this process left (taken); -1: we are the first */
	int previous;			/* its executable (taken), which returns if we cannot go on; -1: none */
};

/* The name of a keeper that goes on for another of the same process: followed by "HANDOVER,PREVIOUS", two descriptors. */
#define KEEPER_AGAIN "reeve-keeper@"

/* Runs for the life of the daemon. Returns the exit status. Has a loop of its own. */
int keeper_run(const struct keeper_settings *settings);

#endif
