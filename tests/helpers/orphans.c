/*
 * The ways to get zombies and orphans, one a mode: a parent that never waits; one with a SIGCHLD handler; one that polls now and then;
 * a double fork; a parent that dies first; a daemon that has left its session, deaf to TERM or not. Prints the pids of what it made; the long-lived ones sleep.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void reap(int signal)
{
	(void)signal;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static pid_t child(unsigned seconds)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (seconds)
			(void)sleep(seconds);
		_exit(0);
	}
	(void)printf("%d\n", (int)pid);
	(void)fflush(stdout);
	return pid;
}

static void forever(void)
{
	for (;;)
		(void)pause();
}

static void double_fork(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)setsid();
		pid = fork();
		if (pid == 0)
			forever();
		(void)printf("%d\n", (int)pid);
		(void)fflush(stdout);
		_exit(0);
	}
	(void)waitpid(pid, NULL, 0);
	forever();
}

/* Leaves a child in a session of its own, as daemons do. */
static int daemonise(bool deaf, bool stay)
{
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe(ready) < 0)
		return 1;
	pid = fork();
	if (pid == 0) {
		(void)setsid();
		if (deaf)
			(void)signal(SIGTERM, SIG_IGN);
		(void)printf("%d\n", (int)getpid());
		(void)fflush(stdout);
		(void)write(ready[1], "", 1);
		forever();
	}
	(void)read(ready[0], &byte, 1);
	if (stay)
		forever();
	return 0;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (strcmp(mode, "never-waits") == 0) {
		(void)child(0);
		forever();
	} else if (strcmp(mode, "handler") == 0) {
		(void)signal(SIGCHLD, reap);
		(void)child(0);
		forever();
	} else if (strcmp(mode, "polls") == 0) {
		(void)child(0);
		for (;;) {
			(void)sleep(1);
			reap(0);
		}
	} else if (strcmp(mode, "double-fork") == 0) {
		double_fork();
	} else if (strcmp(mode, "dies-first") == 0) {
		(void)child(1000);
		return 0;
	} else if (strcmp(mode, "daemonises") == 0) {
		return daemonise(false, false);
	} else if (strcmp(mode, "daemonises-deaf") == 0) {
		return daemonise(true, false);
	} else if (strcmp(mode, "daemon-beside") == 0) {
		return daemonise(false, true);
	} else if (strcmp(mode, "deaf-beside") == 0) {
		return daemonise(true, true);
	}
	return 2;
}
