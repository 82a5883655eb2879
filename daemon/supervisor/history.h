/*
 * Why a process is in its state: every transition with its cause, as plain data that lies in the state file (new causes are added
 * at the end: an upgrade finds the old numbers), and the same as words and as JSON.
 */
#ifndef REEVE_HISTORY_H
#define REEVE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lifecycle.h"
#include "process/spawn.h"

#define CAUSES(X)                                                                                                      \
	X(NONE, "")                                                                                                    \
	X(AUTOSTART, "autostart")		/* started because autostart=true */                                   \
	X(COMMAND, "command")			/* a client asked */                                                   \
	X(CONFIG, "config")			/* its configuration was added, changed or removed */                  \
	X(SHUTDOWN, "shutdown")			/* the daemon ends or reloads */                                       \
	X(EXIT, "exit")				/* it ended */                                                         \
	X(START_FAILED, "exec")			/* a step of its start failed */                                       \
	X(SHORTAGE, "shortage")			/* we were short of a resource */                                      \
	X(STAYED_UP, "timer")			/* startsecs have passed */                                            \
	X(RETRY, "timer")			/* the wait before the next try is over */                             \
	X(GAVE_UP, "timer")			/* too many early deaths in a row */                                   \
	X(STOP_OVERDUE, "timer")		/* stopwaitsecs have passed */                                         \
	X(RECOVERY, "recovery")			/* a new supervisor could not tell how far its predecessor came */      \
	X(AUTORESTART, "autorestart")		/* started again because autorestart says so */                        \
	X(SIGNAL_FAILED, "signal")		/* kill(2) failed */                                                   \
	X(TREE_EMPTY, "tree")			/* nothing of its tree is left */                                      \
	X(TREE_OVERDUE, "tree")			/* what it left behind did not end in time */

#define X(name, word) CAUSE_##name,
enum cause_kind { CAUSES(X) };
#undef X

/* Has the kernel's out-of-memory killer had to do with an end by SIGKILL? Numbers are stored. */
enum out_of_memory {
	OOM_NO,				/* or not known */
	OOM_OWN_GROUP,			/* it has killed in the process's own control group, during that run */
	OOM_SHARED_GROUP,		/* and in one that it shares, since somebody was last found killed */
};

struct cause {
	uint8_t kind;			/* enum cause_kind */
	uint8_t stage;			/* START_FAILED: enum spawn_stage; EXIT: enum out_of_memory */
	int16_t error;			/* START_FAILED, SHORTAGE, SIGNAL_FAILED: errno */
	uint32_t generation;		/* of the configuration in force */
	int32_t uid, pid;		/* COMMAND, CONFIG: of the client; pid 0: none */
	char command[16];		/* COMMAND: the method, "Start" */
	union {
		struct exit_status exit;	/* EXIT */
		char client[16];	/* COMMAND, CONFIG: the client's name, as in /proc/PID/comm; "": not known */
	};
};

struct transition {
	double time;			/* seconds since the epoch */
	uint32_t run;
	uint16_t from, to;		/* enum process_state */
	struct cause cause;
	uint8_t reserve[16];		/* see state_file.h */
};

enum { HISTORY_LENGTH = 8 };

/*
 * The last transitions. `n` counts all that ever were, and grows when an entry is complete: the place of the next one may hold
 * half an entry after a kill, so one less than the ring's length can be read.
 */
struct history {
	uint32_t n;
	struct transition ring[HISTORY_LENGTH];
};

void history_add(struct history *history, const struct transition *transition);
/* The I-th newest (0: the last), or NULL. */
const struct transition *history_get(const struct history *history, unsigned i);

/* Did a client ask for it? */
bool cause_has_client(const struct cause *cause);
const char *cause_kind_name(enum cause_kind kind);
/* "Stop asked for by uid 0 (reevectl, pid 812)", "it ended: exit status 1", ... Returns BUFFER. */
char *cause_text(const struct cause *cause, char *buffer, size_t size);

#endif
