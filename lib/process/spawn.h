/*
 * Starting a program: clone, set-up, exec. The caller is never held up by the child: a child that hangs on its way to the
 * exec (a directory on a dead file server) costs its own start only.
 */
#ifndef REEVE_PROCESS_SPAWN_H
#define REEVE_PROCESS_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/* Where a start can fail. The words end up in status and logs. */
#define SPAWN_STAGES(X)                                                                                                \
	X(NONE, "")                                                                                                    \
	X(SESSION, "setsid")                                                                                           \
	X(DESCRIPTORS, "dup")                                                                                          \
	X(CGROUP, "cgroup")                                                                                            \
	X(LIMITS, "setrlimit")                                                                                         \
	X(GROUPS, "setgroups")                                                                                         \
	X(GROUP, "setgid")                                                                                             \
	X(USER, "setuid")                                                                                              \
	X(DIRECTORY, "chdir")                                                                                          \
	X(EXEC, "exec")

#define X(name, word) SPAWN_##name,
enum spawn_stage { SPAWN_STAGES(X) SPAWN_N_STAGES };
#undef X

const char *spawn_stage_name(enum spawn_stage stage);

/* Written by the child before it gives up (exit status 127); zero while all is well. May lie in shared memory. */
struct spawn_failure {
	int32_t stage;
	int32_t error;			/* errno; EISDIR when the file is a directory */
};

struct spawn_limit {
	int resource;			/* RLIMIT_... */
	struct rlimit value;
};

/*
 * What to start. Borrowed during spawn(): everything the child needs is copied. Each descriptor N of FDS becomes the
 * child's descriptor N; all others are closed.
 */
struct spawn_plan {
	const char *const *files;	/* tried in order until one exists; NULL-terminated */
	char *const *argv;
	char *const *envp;		/* an entry "LISTEN_PID=" is completed with the child's pid */
	const int *fds;
	size_t n_fds;
	const char *directory;		/* or NULL */
	int umask;			/* or -1 */
	bool change_user;
	uid_t uid;
	gid_t gid;
	const gid_t *groups;
	size_t n_groups;
	const struct spawn_limit *limits;
	size_t n_limits;
	int cgroup_fd;			/* directory of a cgroup v2, or -1 */
	bool reset_oom_score;		/* set oom_score_adj back to 0 */
	bool batch;			/* SCHED_BATCH, unless we run under another policy than SCHED_OTHER */
	bool sibling;			/* make it a child of our parent (CLONE_PARENT): we cannot wait for it */
	int parent_death_signal;	/* PR_SET_PDEATHSIG; 0: none */
};

/*
 * Start it. The kernel stores the pid in *PID before the child runs and before SIGKILL can take effect on us; *FAILURE is
 * zeroed first and written by the child. Both must stay mapped until the child has executed or ended.
 * Returns 0 or -errno (EAGAIN, ENOMEM, ENFILE: a shortage of ours, not the program's fault).
 */
int spawn(const struct spawn_plan *plan, volatile pid_t *pid, volatile struct spawn_failure *failure);

/* Is the child PID, started by spawn(), still on its way to the exec? (Its memory is still ours.) */
bool spawn_pending(pid_t pid);
/* Free what finished starts have used. Called by spawn() itself; for a quiet process that wants its memory back. */
void spawn_collect(void);

/*
 * The files to try for ARGV0: itself if it has a slash, else each directory of PATH (NULL: a default). One malloc'd block that
 * free() releases whole; NULL when out of memory.
 */
char **spawn_search(const char *argv0, const char *path);

#endif
