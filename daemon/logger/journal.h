/*
 * The logger's progress record: a memfd that the keeper holds, mapped shared, so that every store survives our death.
 * It says whose bytes are in the staging pipe, which write is under way, and what a stream must remember between two
 * batches (an AUTO log's name, an open capture).
 *
 * Two slots take turns; a slot counts only once its sequence number is written, which is the last store. A batch moves
 * through STAGED (noted before the splice) and one or more WRITE notes, each made before its pwrite.
 */
#ifndef REEVE_LOGGER_JOURNAL_H
#define REEVE_LOGGER_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	JOURNAL_PATH = 1024, /* bytes of a path in a note; a longer one is noted as "" */
	JOURNAL_RECORDS = 16384,
	JOURNAL_RANDOM = 8, /* the random part of an AUTO name */
};

enum journal_phase {
	JOURNAL_NOTHING,
	JOURNAL_STAGED, /* the staging pipe holds a batch of `stream`, or will in a moment */
	JOURNAL_WRITE,	/* output [from, from + length) of that batch goes to `offset` of `path` */
};

struct capture_mark { /* an open capture: where its bytes are in the ring */
	uint32_t on;
	uint32_t start, length;
};

struct journal_note {
	uint64_t sequence; /* 0: invalid */
	uint64_t stream;   /* journal_hash() of its id */
	uint64_t batch;	   /* number of the batch since the journal was made */
	uint64_t offset, dev, ino;
	uint32_t phase;		  /* enum journal_phase */
	uint32_t staged;	  /* bytes in the staging pipe before anything is drained */
	uint32_t from, length;	  /* of the batch's output */
	uint32_t last;		  /* nothing is to be written after this */
	struct capture_mark next; /* the stream's state once the batch is drained */
	char path[JOURNAL_PATH];
};

struct journal_record {		     /* what one stream keeps; only streams that need it have one */
	uint64_t stream;	     /* 0: free */
	char random[JOURNAL_RANDOM]; /* of its AUTO log; "" in the first byte: none */
	uint64_t region;	     /* file offset of its capture ring; 0: none */
	uint32_t region_size;
	struct capture_mark mark;
};

struct journal {
	int fd;			       /* borrowed */
	struct journal_header *header; /* owned mapping */
};

/* Map FD, and lay it out when it is new or of another layout. -errno. */
int journal_init(struct journal *journal, int fd);
void journal_fini(struct journal *journal);

/* The latest complete note; its phase is JOURNAL_NOTHING in a new journal. */
const struct journal_note *journal_latest(const struct journal *journal);
/* Say whose bytes are about to be spliced. Returns the number of the batch. */
uint64_t journal_stage(struct journal *journal, uint64_t stream);
/* Note a write. NOTE's sequence, phase and batch are filled in here. */
void journal_write(struct journal *journal, const struct journal_note *note, const char *path);

/* The record of STREAM, made if there is none and MAKE. NULL: none, or the table is full. */
struct journal_record *journal_record(struct journal *journal, uint64_t stream, bool make);
void journal_forget(struct journal *journal, struct journal_record *record);
/* Map the capture ring of RECORD, SIZE bytes (made or enlarged, which empties it). NULL: no memory. */
unsigned char *journal_ring(struct journal *journal, struct journal_record *record, uint32_t size);

/* A number that stands for a stream's id (FNV-1a; never 0). */
uint64_t journal_hash(const char *id);

#endif
