/*
 * How a process ended, as the kernel tells it (siginfo and rusage), and in the words that people read.
 */
#ifndef REEVE_PROCESS_EXIT_STATUS_H
#define REEVE_PROCESS_EXIT_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EXIT_UNKNOWN = -2 };

struct exit_status {
	int32_t code;			/* exit status 0..255, -1 when a signal ended it, EXIT_UNKNOWN when nobody could see it */
	int32_t signal;			/* 0, or the signal that ended it */
	int32_t core;			/* 1: dumped core */
	int32_t max_rss;		/* KiB */
	double user_time, system_time;	/* seconds of cpu */
};

/* multiprocessing's exitcode: 0..255, or -N for death by signal N. */
static inline int exit_status_number(const struct exit_status *s)
{
	return s->signal ? -s->signal : s->code;
}

/* "exit status 3" or "terminated by SIGKILL (core dumped)". Returns BUFFER. */
char *exit_status_text(const struct exit_status *status, char *buffer, size_t size);

/* HOW and VALUE are si_code and si_status of waitid(2). */
struct exit_status exit_status_from(int how, int value);

#endif
