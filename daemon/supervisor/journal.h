/*
 * A memory that survives the supervisor's death and is no table: a memfd to which every change is appended, and which its owner writes
 * anew (compacts) when most of it is history. The keeper holds a copy of the descriptor. An entry that a kill has cut short does not count.
 * After an upgrade another version reads it: what an entry of a KIND holds never changes, more can be added at its end or as another kind, and
 * unknown kinds are passed over.
 */
#ifndef REEVE_JOURNAL_H
#define REEVE_JOURNAL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct journal {
	int fd;				/* owned; -1: none */
	size_t size;			/* bytes of complete entries */
};

/* A new, empty one. 0 or -errno. */
int journal_new(struct journal *journal);
/* Append an entry of KIND made of N PARTS (at most 3). 0 or -errno; then it is as before. */
int journal_append(struct journal *journal, uint32_t kind, const struct iovec *parts, int n);
/* Read FD (stolen) and call SEE with each complete entry in order. 0 or -errno. */
int journal_replay(struct journal *journal, int fd, void (*see)(uint32_t kind, const char *entry, size_t length, void *data),
		   void *data);
void journal_close(struct journal *journal);

#endif
