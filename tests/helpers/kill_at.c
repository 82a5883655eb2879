/*
 * A death at an exact moment: when a process has come to its N-th stop at a system call, where each call is two stops, before it and after
 * it. N = 0: never; it only counts. The signal is SIGKILL, or the number in KILL_AT_SIGNAL.
 *
 *   kill_at N PID              the process PID; prints "ready" when it watches
 *   kill_at -k N PID           the next process that PID forks; prints "ready" likewise
 *   kill_at -r N COMMAND...    become COMMAND; the first process that it forks
 *
 * At its end, which SIGTERM brings about, it prints "killed" or "lived COUNT" (-r: to the file that KILL_AT_RESULT names).
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SYSCALL_STOP = SIGTRAP | 0x80 };

static volatile sig_atomic_t over;
static pid_t parent;		/* traced until it has forked the target; 0: none */
static pid_t target;		/* 0: not forked yet */
static long stops, at;

static void end(int signal)
{
	(void)signal;
	over = 1;
}

static void seize(pid_t pid)
{
	if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD | (parent ? PTRACE_O_TRACEFORK : 0)) < 0 ||
	    ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0) {
		perror("kill_at");
		_exit(1);
	}
}

static void release(pid_t pid)
{
	int status;

	if (pid && ptrace(PTRACE_INTERRUPT, pid, 0, 0) == 0)
		(void)waitpid(pid, &status, __WALL);
	if (pid)
		(void)ptrace(PTRACE_DETACH, pid, 0, 0);
}

/* PID has stopped with STATUS: let it go on. False: it was the moment. */
static bool go_on(pid_t pid, int status)
{
	int signal = WSTOPSIG(status);
	bool real = status >> 16 == 0 && signal != SYSCALL_STOP;

	if (pid != parent && !target)
		target = pid;
	if (pid == target && signal == SYSCALL_STOP && ++stops == at) {
		const char *which = getenv("KILL_AT_SIGNAL");

		(void)kill(pid, which ? (int)strtol(which, NULL, 10) : SIGKILL);
		(void)ptrace(PTRACE_DETACH, pid, 0, 0);
		return false;
	}
	(void)ptrace(pid == target ? PTRACE_SYSCALL : PTRACE_CONT, pid, 0, real ? signal : 0);
	return true;
}

/* True: killed. */
static bool watch(void)
{
	while (!over) {
		int status;
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0 || !WIFSTOPPED(status))
			return false;
		if (!go_on(pid, status))
			return true;
	}
	return false;
}

static void trace(FILE *result)
{
	bool killed = watch();

	if (!killed)
		release(target);
	release(parent);
	(void)fprintf(result, killed ? "killed\n" : "lived %ld\n", stops);
	(void)fclose(result);
	_exit(0);
}

/* The tracer is a grandchild, so that the command, which keeps our pid, has no child that it does not know. */
static void run(char **argv)
{
	int ready[2];
	char byte;

	if (pipe(ready) < 0)
		_exit(1);
	parent = getpid();
	if (fork() == 0) {
		if (fork() == 0) {
			(void)setsid();
			seize(parent);
			(void)close(ready[0]);
			(void)close(ready[1]);
			trace(fopen(getenv("KILL_AT_RESULT"), "we"));
		}
		_exit(0);
	}
	(void)wait(NULL);
	(void)close(ready[1]);
	while (read(ready[0], &byte, 1) < 0 && errno == EINTR)
		;
	(void)close(ready[0]);
	(void)execvp(argv[0], argv);
	_exit(127);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = end };
	bool option = argc > 3 && argv[1][0] == '-';
	pid_t pid;

	if (argc < 3)
		return 2;
	(void)sigaction(SIGTERM, &action, NULL);
	at = strtol(argv[option ? 2 : 1], NULL, 10);
	if (option && strcmp(argv[1], "-r") == 0)
		run(argv + 3);
	pid = (pid_t)strtol(argv[option ? 3 : 2], NULL, 10);
	*(option ? &parent : &target) = pid;
	seize(pid);
	(void)puts("ready");
	(void)fflush(stdout);
	trace(stdout);
	return 0;
}
