/*
 * What may hang is done aside: files in places that a user names, the name service. fork(2) makes a child with a copy of our memory and
 * nothing else of ours, which does the work and tells what it has found. A child that hangs in the kernel can wait there until the disk
 * is back; it holds no descriptor of ours, so it keeps neither us nor the keeper from ending.
 */
#ifndef REEVE_ASIDE_H
#define REEVE_ASIDE_H

#include "supervisor.h"

struct aside;

/* Seconds that somebody who cannot go on without the answer waits for it, on the loop. */
#define ASIDE_MOMENT 0.5

struct aside_job {
	/* In the child. CHANNEL is for aside_tell(); KEEP is the descriptor that was passed to aside_begin(), under another number perhaps. */
	void (*work)(void *data, int channel, int keep);
	/* With us, for each aside_tell(); FD (-1: none) is the callee's. Begins nothing else aside. */
	void (*told)(void *data, int number, const char *text, int fd);
	/* The last that is heard of it. 0: the child has ended, however; -ETIMEDOUT: given up; -ECANCELED: we end. */
	void (*ended)(void *data, int error);
	double patience;		/* seconds after which it is given up */
};

/* Begin JOB (borrowed for good). KEEP: a descriptor that the child keeps, or -1. NULL with ERR: no resources, or too many hang already. */
struct aside *aside_begin(struct supervisor *s, const struct aside_job *job, void *data, int keep, struct error *err);
/*
 * Wait up to SECONDS for its end; true: it has ended, and *A is gone. Each is waited for once, and only for a glance while another that was
 * waited for in vain goes on: what hangs costs the loop SECONDS once, not each time.
 */
bool aside_wait(struct aside *a, double seconds);
/* Wait for its end for as long as it may take: where there is no loop yet. *A is gone. */
void aside_finish(struct aside *a);
/* It has SECONDS from now on. */
void aside_hasten(struct aside *a, double seconds);
/* What the child last said, with aside_doing(), that it is about to do. Valid while the job is, ended() included. */
const char *aside_at(const struct aside *a);
/* Give up all of them. */
void asides_free(struct supervisor *s);

/* ---- in the child ---- */

enum { ASIDE_TEXT = 8 << 10 };		/* bytes of a text at most, with its NUL */

/* NUMBER, TEXT and FD (-1: none; stays the caller's) to told(). */
void aside_tell(int channel, int number, const char *text, int fd);
void aside_doing(const char *what);

#endif
