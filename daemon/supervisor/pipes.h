/*
 * The pipes of a process: made once, alive for as long as the process is configured, through every restart. The keeper holds a
 * read-write copy of each, so that neither our death nor the logger's is an end of file or a SIGPIPE to anybody.
 */
#ifndef REEVE_PIPES_H
#define REEVE_PIPES_H

#include "process.h"

/* Make what is missing, store it with the keeper and announce it to the logger. 0 or -errno. */
int pipes_make(struct process *p);
/* NAME as the keeper stored it ("out/12") and its descriptor: part of the take-over. 1: it is one of ours, and taken; 0; -errno. */
int pipes_adopt(struct process *p, const char *name, int fd);
/* Drop what the last run has not read from its stdin: it was not meant for the next one. */
void pipes_forget_input(struct process *p);
/* Close our ends. */
void pipes_close(struct process *p);
/* Have the keeper forget its copies. */
void pipes_drop(struct process *p);

/* Write without waiting, whatever the descriptor's flags. 0, -EAGAIN (not all fits: nothing is written), -EPIPE. */
int pipes_write(int fd, const char *data, size_t length);

/* The same pipe, opened again with FLAGS. -errno. */
int pipe_reopen(int fd, int flags);
/* A new pipe as one read-write descriptor. -errno. */
int pipe_new(void);

#endif
