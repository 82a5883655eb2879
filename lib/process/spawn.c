/*
 * See spawn.h. CLONE_VM without CLONE_VFORK: parent and child share memory and run at the same time, so the child part (marked
 * CHILD) makes raw system calls only, on a stack and from copies of its own (struct flight), which live until the kernel clears
 * flight->busy (CLONE_CHILD_CLEARTID: at exec or exit, when the memory is let go).
 */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/base.h"
#include "raw.h"

#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif
#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

#if defined(__clang__)
#define CHILD __attribute__((no_sanitize("address", "undefined"), noinline))
#else
#define CHILD __attribute__((no_sanitize_address, no_sanitize_undefined, noinline))
#endif

enum {
	STACK_SIZE = 32 << 10,
	FLIGHTS_KEPT = 8,		/* finished flights kept for the next start */
	KERNEL_SIGSET = 8,		/* bytes of a signal set, to the kernel */
	LAST_SIGNAL = 64,
};

/* One start under way. On the heap, so that a leak checker follows what it owns; only the stack is mapped. */
struct flight {
	struct flight *next;
	char *stack;			/* STACK_SIZE bytes from here on, mapped, owned */
	volatile pid_t busy;		/* cleared by the kernel when the child no longer uses this memory */
	pid_t pid;
	pid_t parent;			/* who starts it */
	bool fresh_handlers;		/* CLONE_CLEAR_SIGHAND has done it */
	int join;			/* cgroup.procs to write ourselves into, or -1: CLONE_INTO_CGROUP has done it */
	volatile struct spawn_failure *failure;
	struct spawn_plan plan;		/* with pointers into `copy` */
	char *copy;			/* malloc'd, owned */
	char *listen_pid;		/* in `copy`: where the digits go, or NULL */
};

static struct flight *flights;		/* under way */
static struct flight *spares;		/* finished, without copy */
static size_t n_spares;

#define X(name, word) word,
static const char *const stage_names[] = { SPAWN_STAGES(X) };
#undef X

const char *spawn_stage_name(enum spawn_stage stage)
{
	return (unsigned)stage < SPAWN_N_STAGES ? stage_names[stage] : "?";
}

/* ---- the child ---- */

CHILD static void child_fail(struct flight *f, enum spawn_stage stage, long error)
{
	f->failure->error = (int32_t)-error;
	f->failure->stage = stage;
	for (;;)
		(void)RAW(SYS_exit_group, 127);
}

CHILD static void child_descriptors(struct flight *f)
{
	size_t n = f->plan.n_fds;
	int *from = (int *)f->plan.fds;	/* our copy */

	for (size_t i = 0; i < n; i++)
		if (from[i] < (int)n) {
			long fd = RAW(SYS_fcntl, from[i], F_DUPFD, n);

			if (fd < 0)
				child_fail(f, SPAWN_DESCRIPTORS, fd);
			from[i] = (int)fd;
		}
	for (size_t i = 0; i < n; i++) {
		long r = RAW(SYS_dup3, from[i], i, 0);

		if (r < 0)
			child_fail(f, SPAWN_DESCRIPTORS, r);
	}
	/* Everything of ours is close-on-exec anyway; this catches what a library may have left open. */
	(void)RAW(SYS_close_range, n, ~0U, 0);
}

CHILD static void child_oom_score(void)
{
	long fd = RAW(SYS_openat, AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		(void)RAW(SYS_write, fd, "0", 1);
		(void)RAW(SYS_close, fd);
	}
}

/* A courtesy: what is not allowed is left. */
CHILD static void child_batch(void)
{
	const struct sched_param none = { 0 };

	if (RAW(SYS_sched_getscheduler, 0) == SCHED_OTHER)
		(void)RAW(SYS_sched_setscheduler, 0, SCHED_BATCH, &none);
}

/* The change of user has left the inheritable ones, which a file's capabilities could make effective again. */
CHILD static void child_capabilities(void)
{
	struct __user_cap_header_struct header;
	struct __user_cap_data_struct none[2];

	header.version = _LINUX_CAPABILITY_VERSION_3;
	header.pid = 0;
	for (int i = 0; i < 2; i++)
		none[i].effective = none[i].permitted = none[i].inheritable = 0;
	(void)RAW(SYS_capset, &header, none);
}

CHILD static void child_identity(struct flight *f)
{
	const struct spawn_plan *p = &f->plan;
	long r;

	r = RAW(SYS_setgroups, p->n_groups, p->groups);
	if (r < 0)
		child_fail(f, SPAWN_GROUPS, r);
	r = RAW(SYS_setresgid, p->gid, p->gid, p->gid);
	if (r < 0)
		child_fail(f, SPAWN_GROUP, r);
	r = RAW(SYS_setresuid, p->uid, p->uid, p->uid);
	if (r < 0)
		child_fail(f, SPAWN_USER, r);
	if (p->uid != 0)
		child_capabilities();
}

/* Nothing handled, nothing ignored, nothing blocked. */
CHILD static void child_signals(bool fresh_handlers)
{
	struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		uint64_t mask;
	} fallback;
	uint64_t none = 0;

	fallback.handler = NULL;	/* SIG_DFL */
	fallback.flags = 0;
	fallback.restorer = NULL;
	fallback.mask = 0;
	/* CLONE_CLEAR_SIGHAND leaves ignored signals ignored: those few that a parent may ignore. */
	static const signed char ignorable[] = { SIGPIPE, SIGHUP, SIGINT, SIGQUIT, SIGCHLD, SIGXFSZ, SIGTTOU, SIGTTIN, SIGTSTP,
						 SIGTERM, SIGUSR1, SIGUSR2, SIGALRM };
	if (fresh_handlers)
		for (size_t i = 0; i < ARRAY_LEN(ignorable); i++)
			(void)RAW(SYS_rt_sigaction, ignorable[i], &fallback, NULL, KERNEL_SIGSET);
	else
		for (int s = 1; s <= LAST_SIGNAL; s++)
			(void)RAW(SYS_rt_sigaction, s, &fallback, NULL, KERNEL_SIGSET);
	(void)RAW(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, KERNEL_SIGSET);
}

CHILD static void child_listen_pid(char *to)
{
	char digits[12];
	int n = 0;

	for (long pid = RAW(SYS_getpid); pid > 0; pid /= 10)
		digits[n++] = (char)('0' + pid % 10);
	while (n > 0)
		*to++ = digits[--n];
	*to = '\0';
}

/* The first file that exists is the one, executable or not: later directories are not tried. */
CHILD static void child_exec(struct flight *f)
{
	const struct spawn_plan *p = &f->plan;
	long r = -ENOENT;

	for (size_t i = 0; p->files[i]; i++) {
		struct stat st;

		r = RAW(SYS_execve, p->files[i], p->argv, p->envp);
		if (r == -ENOENT || r == -ENOTDIR || r == -EACCES) {
			/* It is there (a missing interpreter also says ENOENT), or a directory on the way cannot be entered. */
			if (RAW(SYS_newfstatat, AT_FDCWD, p->files[i], &st, 0) < 0) {
				r = -ENOENT;
				continue;
			}
			if (r == -EACCES && S_ISDIR(st.st_mode))
				r = -EISDIR;
		}
		break;
	}
	child_fail(f, SPAWN_EXEC, r);
}

CHILD static int child_main(void *arg)
{
	struct flight *f = arg;
	const struct spawn_plan *p = &f->plan;
	long r;

	r = RAW(SYS_setsid);
	if (r < 0)
		child_fail(f, SPAWN_SESSION, r);
	if (p->parent_death_signal) {
		(void)RAW(SYS_prctl, PR_SET_PDEATHSIG, p->parent_death_signal, 0, 0, 0);
		/* It may have died before. */
		if (RAW(SYS_getppid) != f->parent)
			for (;;)
				(void)RAW(SYS_exit_group, 127);
	}
	if (f->join >= 0) {
		r = RAW(SYS_write, f->join, "0", 1);
		if (r < 0)
			child_fail(f, SPAWN_CGROUP, r);
	}
	child_descriptors(f);
	if (p->reset_oom_score)
		child_oom_score();
	if (p->batch)
		child_batch();
	for (size_t i = 0; i < p->n_limits; i++) {
		r = RAW(SYS_prlimit64, 0, p->limits[i].resource, &p->limits[i].value, NULL);
		if (r < 0)
			child_fail(f, SPAWN_LIMITS, r);
	}
	if (p->change_user)
		child_identity(f);
	if (p->directory) {
		r = RAW(SYS_chdir, p->directory);
		if (r < 0)
			child_fail(f, SPAWN_DIRECTORY, r);
	}
	if (p->umask >= 0)
		(void)RAW(SYS_umask, p->umask);
	if (f->listen_pid)
		child_listen_pid(f->listen_pid);
	child_signals(f->fresh_handlers);
	child_exec(f);
	return 127;
}

/* ---- the parent ---- */

/* A bump allocator that is run twice: without memory to measure, with memory to copy. */
struct arena {
	char *base;
	size_t used;
};

static void *arena_put(struct arena *a, const void *data, size_t size)
{
	size_t at = (a->used + 15) & ~(size_t)15;

	a->used = at + size;
	if (!a->base)
		return NULL;
	if (size)
		memcpy(a->base + at, data, size);
	return a->base + at;
}

static char *arena_string(struct arena *a, const char *text)
{
	size_t size = strlen(text) + 1;
	size_t at = a->used;

	a->used = at + size;
	return a->base ? memcpy(a->base + at, text, size) : NULL;
}

static char **arena_strings(struct arena *a, const char *const *strings)
{
	size_t n = 0;
	char **vector;

	while (strings[n])
		n++;
	vector = arena_put(a, strings, (n + 1) * sizeof *strings);
	for (size_t i = 0; i < n; i++) {
		char *s = arena_string(a, strings[i]);

		if (vector)
			vector[i] = s;
	}
	return vector;
}

static void flight_copy(struct flight *f, const struct spawn_plan *p, struct arena *a)
{
	static const char listen_pid[] = "LISTEN_PID=";
	char **envp;

	f->plan = *p;
	f->plan.files = (const char *const *)arena_strings(a, p->files);
	f->plan.argv = arena_strings(a, (const char *const *)p->argv);
	f->plan.envp = envp = arena_strings(a, (const char *const *)p->envp);
	f->plan.directory = p->directory ? arena_string(a, p->directory) : NULL;
	f->plan.fds = arena_put(a, p->fds, p->n_fds * sizeof *p->fds);
	f->plan.groups = arena_put(a, p->groups, p->n_groups * sizeof *p->groups);
	f->plan.limits = arena_put(a, p->limits, p->n_limits * sizeof *p->limits);
	f->listen_pid = NULL;
	for (size_t i = 0; p->envp[i]; i++)
		if (strcmp(p->envp[i], listen_pid) == 0) {
			char *line = arena_put(a, "LISTEN_PID=0000000000", sizeof "LISTEN_PID=0000000000");

			if (line) {
				envp[i] = line;
				f->listen_pid = line + sizeof listen_pid - 1;
			}
		}
}

/* A spare one, or a new one; without copy. */
static struct flight *flight_take(void)
{
	struct flight *f = spares;

	if (f) {
		spares = f->next;
		n_spares--;
		return f;
	}
	f = calloc(1, sizeof *f);
	if (!f)
		return NULL;
	f->stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (f->stack == MAP_FAILED) {
		free(f);
		return NULL;
	}
	return f;
}

static void flight_free(struct flight *f)
{
	free(f->copy);
	f->copy = NULL;
	if (n_spares < FLIGHTS_KEPT) {
		f->next = spares;
		spares = f;
		n_spares++;
	} else {
		(void)munmap(f->stack, STACK_SIZE);
		free(f);
	}
}

static struct flight *flight_new(const struct spawn_plan *plan)
{
	struct flight *f = flight_take();
	struct arena a = { 0 };

	if (!f)
		return NULL;
	flight_copy(f, plan, &a);
	f->copy = a.base = malloc(a.used + 16);
	if (!f->copy) {
		flight_free(f);
		return NULL;
	}
	a.used = 0;
	flight_copy(f, plan, &a);
	return f;
}

void spawn_collect(void)
{
	for (struct flight **at = &flights; *at;) {
		struct flight *f = *at;

		if (f->busy) {
			at = &f->next;
			continue;
		}
		*at = f->next;
		flight_free(f);
	}
}

bool spawn_pending(pid_t pid)
{
	for (const struct flight *f = flights; f; f = f->next)
		if (f->pid == pid && f->busy)
			return true;
	return false;
}

#if RAW_SYSCALLS
/*
 * clone3 whose child begins in child_main on the new stack. By hand because the child may not return through the frame of
 * the caller, which is on another stack, and because libc has no wrapper.
 */
static long clone3_call(struct clone_args *args, struct flight *f)
{
#if defined(__x86_64__)
	register long rax __asm__("rax") = SYS_clone3;
	register int (*entry)(void *) __asm__("r12") = child_main;
	register struct flight *arg __asm__("r13") = f;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %%r13, %%rdi\n\t"
			 "call *%%r12\n\t"
			 "hlt\n"
			 "1:"
			 : "+r"(rax)
			 : "D"(args), "S"(sizeof *args), "r"(entry), "r"(arg)
			 : "rcx", "r11", "memory", "cc");
	return rax;
#else
	register long x8 __asm__("x8") = SYS_clone3;
	register long x0 __asm__("x0") = (long)args;
	register long x1 __asm__("x1") = sizeof *args;
	register int (*entry)(void *) __asm__("x10") = child_main;
	register struct flight *arg __asm__("x11") = f;

	__asm__ volatile("svc 0\n\t"
			 "cbnz x0, 1f\n\t"
			 "mov x29, xzr\n\t"
			 "mov x0, x11\n\t"
			 "blr x10\n\t"
			 "brk 1\n"
			 "1:"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(entry), "r"(arg)
			 : "memory", "cc", "x30");
	return x0;
#endif
}

static long start_clone3(struct flight *f, volatile pid_t *pid)
{
	struct clone_args args = {
		.flags = CLONE_VM | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_CLEAR_SIGHAND |
			 (f->plan.sibling ? CLONE_PARENT : 0) | (f->plan.cgroup_fd >= 0 ? CLONE_INTO_CGROUP : 0),
		.parent_tid = (uintptr_t)pid,
		.child_tid = (uintptr_t)&f->busy,
		.exit_signal = f->plan.sibling ? 0 : SIGCHLD,	/* with CLONE_PARENT the kernel takes our own */
		.stack = (uintptr_t)f->stack,
		.stack_size = STACK_SIZE,
		.cgroup = f->plan.cgroup_fd >= 0 ? (unsigned)f->plan.cgroup_fd : 0,
	};

	f->fresh_handlers = true;
	f->join = -1;
	return clone3_call(&args, f);
}
#else
static long start_clone3(struct flight *f, volatile pid_t *pid)
{
	(void)f;
	(void)pid;
	return -ENOSYS;
}
#endif

/* The portable form. Where system calls cannot be made by hand the parent waits for the exec. */
static long start_clone(struct flight *f, volatile pid_t *pid)
{
	int flags = CLONE_VM | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | (RAW_SYSCALLS ? 0 : CLONE_VFORK);
	int r;

	f->fresh_handlers = false;
	f->join = f->plan.cgroup_fd < 0 ? -1 : openat(f->plan.cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (f->plan.cgroup_fd >= 0 && f->join < 0)
		return -errno;
	r = clone(child_main, f->stack + STACK_SIZE, flags | (f->plan.sibling ? CLONE_PARENT : SIGCHLD), f, pid, NULL, &f->busy);
	r = r < 0 ? -errno : r;
	closep(&f->join);	/* the child has its own table of descriptors */
	return r;
}

static long start(struct flight *f, volatile pid_t *pid)
{
	static bool no_clone3;		/* an old kernel, or a seccomp filter: asked once */
	long r = no_clone3 ? -ENOSYS : start_clone3(f, pid);

	if (r == -ENOSYS || r == -EPERM) {
		no_clone3 = true;
		r = start_clone(f, pid);
	}
	return r;
}

int spawn(const struct spawn_plan *plan, volatile pid_t *pid, volatile struct spawn_failure *failure)
{
	struct flight *f;
	uint64_t all = ~0ULL, old;
	long r;

	spawn_collect();
	f = flight_new(plan);
	if (!f)
		return -ENOMEM;
	failure->stage = 0;
	failure->error = 0;
	f->failure = failure;
	f->busy = 1;
	f->parent = plan->sibling ? getppid() : getpid();
	/* No handler may run in the child on our memory; the child opens its mask when its handlers are gone. */
	(void)RAW(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, KERNEL_SIGSET);
	r = start(f, pid);
	(void)RAW(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, KERNEL_SIGSET);
	if (r < 0) {
		f->busy = 0;
		flight_free(f);
		return (int)r;
	}
	f->pid = (pid_t)r;
	f->next = flights;
	flights = f;
	return 0;
}

char **spawn_search(const char *argv0, const char *path)
{
	size_t n = 1, bytes = strlen(argv0) + 1;
	char **files, *at;

	if (strchr(argv0, '/')) {
		files = malloc(2 * sizeof *files + bytes);
		if (!files)
			return NULL;
		files[0] = memcpy(files + 2, argv0, bytes);
		files[1] = NULL;
		return files;
	}
	if (!path)
		path = "/bin:/usr/bin:/usr/local/bin";
	for (const char *p = path; *p; p++)
		n += *p == ':';
	files = malloc((n + 1) * sizeof *files + strlen(path) + n * (bytes + 2));
	if (!files)
		return NULL;
	at = (char *)(files + n + 1);
	for (size_t i = 0; i < n; i++) {
		size_t length = strcspn(path, ":");

		files[i] = at;
		at += sprintf(at, "%.*s%s%s", (int)length, path, length ? "/" : "", argv0) + 1;
		path += length + (path[length] == ':');
	}
	files[n] = NULL;
	return files;
}
