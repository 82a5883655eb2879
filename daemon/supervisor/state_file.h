/*
 * The supervisor's memory that outlives it: a memfd of fixed-size records, held by the keeper. One writer; a reader looks when
 * the writer is dead. No pointers, no text that could be derived. A record has two slots and a sequence number, so a kill in the
 * middle of a write leaves the old content; the pid and the failure of a start lie outside the slots, because the kernel and the
 * child write them.
 *
 * The layout is an interface between releases: an upgrade, and the way back, read what another version wrote, in place. Hence
 *   - a field keeps its place, size and meaning for ever; a new one takes its room from the `reserve` beside it, and 0 in it
 *     means what versions without it did. A version keeps what it does not know.
 *   - numbers that are stored (states, causes, stages) are only ever added at the end of their tables.
 *   - STATE_VERSION grows with each addition. It says who wrote last, and is no reason to refuse.
 *   - a change that older versions would misread raises STATE_COMPATIBLE to its own version: they then refuse the state.
 * tests/unit/test_state_file.c holds the layout that has been released.
 */
#ifndef REEVE_STATE_FILE_H
#define REEVE_STATE_FILE_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/base.h"
#include "history.h"
#include "lifecycle.h"
#include "process/spawn.h"

enum {
#if STATE_NEXT				/* what an upgrade is tested with: a layout that knows one field more */
	STATE_VERSION = 2,
#else
	STATE_VERSION = 1,
#endif
	STATE_COMPATIBLE = 1,		/* versions before this one cannot read what we write */
	STATE_RECORDS = 16384,
	STATE_NAME_SIZE = 256,
	STATE_RECORD_SIZE = 2048,
	STATE_HEADER_SIZE = 4096,
};

/* How far the daemon has come with its beginning (or with a fresh one, after a reload). */
enum state_phase { PHASE_NEW, PHASE_BEGINNING /* groups are being made and started */, PHASE_BEGUN };

enum record_kind { RECORD_FREE, RECORD_PROCESS, RECORD_GROUP };

struct state_slot {
	struct lifecycle life;
	double start_time, stop_time;	/* seconds since the epoch; 0: never */
	uint64_t ticks;			/* start time of the pid (/proc), 0: not read yet */
	uint8_t start_after_stop;	/* a restart is under way */
	uint8_t start_after_update;	/* an update has stopped it, and will start it again */
	uint8_t padding[6];
#if STATE_NEXT
	uint64_t takeovers;		/* supervisors that took this process over */
	uint8_t reserve[88];
#else
	uint8_t reserve[96];
#endif
};

struct state_record {
	uint32_t kind;			/* enum record_kind; written last when made, first when freed */
	uint32_t generation;		/* GROUP: of its configuration */
	char name[STATE_NAME_SIZE];	/* PROCESS: namespec; GROUP: name */
	volatile pid_t pid;		/* 0: none. Written by the kernel */
	volatile struct spawn_failure failure;	/* written by the child */
	_Atomic uint32_t sequence;
	struct state_slot slot[2];
	struct history history;		/* append-only */
	uint32_t told;			/* PROCESS: the epoch whose event has been published */
	uint8_t reserve[476];
};
static_assert(sizeof(struct state_slot) == 256 && sizeof(struct state_record) == STATE_RECORD_SIZE,
	      "a new field takes its room from `reserve`");

struct state_header {
	char magic[8];
	uint32_t version;		/* STATE_VERSION of the last supervisor */
	uint32_t compatible;		/* who knows a layout before this one cannot read it */
	uint32_t record_size, records;
	uint32_t high;			/* records below this one may be in use */
	uint32_t generation;		/* of the configuration last read */
	uint32_t last_generation;	/* highest number given */
	int32_t daemon_state;		/* enum daemon_state (supervisor.h) */
	int32_t logger_pid;		/* written by the kernel */
	volatile struct spawn_failure logger_failure;
	double start_time;		/* of the daemon, seconds since the epoch */
	uint64_t event_serial;		/* next event serial number */
	uint64_t listener_serial;	/* next number of an event that a listener pool takes */
	uint64_t logger_sequence;	/* of the last message of the logger that was dealt with */
	int32_t exit_status;		/* of the daemon, when it ends */
	uint32_t supervisors;		/* so far, this one included */
	char release[24];		/* REEVE_VERSION of the last supervisor */
	pid_t gateway_pid;		/* written by the kernel; 0: none */
	volatile struct spawn_failure gateway_failure;
	uint64_t gateway_settings;	/* a hash of what the running gateway was told; 0: nothing */
	uint32_t phase;			/* enum state_phase */
	uint32_t reopen;		/* the logger is still to be told to open its files anew */
	double stop_by;			/* the stop_deadline of the shutdown under way; 0: none */
	/* ... up to STATE_HEADER_SIZE: zero */
};
static_assert(sizeof(struct state_header) <= STATE_HEADER_SIZE, "the header has one page");

struct state_file {
	struct state_header *header;	/* mapped */
	struct state_record *records;	/* mapped */
	size_t size;
	size_t no_free;			/* records below this one are in use */
	size_t found;			/* where state_record_find() begins */
};

/* Map FD (stays the caller's). An empty file is made new, and *ret_new set. -EINVAL with ERR: not ours, or too new for us. */
int state_file_map(struct state_file *file, int fd, bool *ret_new, struct error *err);
/* We are in charge now: the header says our version. */
void state_file_claim(struct state_file *file);
/* A copy as it is now, in a memfd of its own (the caller's); -errno. */
int state_file_copy(const struct state_file *file);
void state_file_unmap(struct state_file *file);

/* A new record, zeroed but for kind, name and generation; NULL: no room, or the name is too long. */
struct state_record *state_record_new(struct state_file *file, enum record_kind kind, const char *name, uint32_t generation);
/* The record of KIND with this NAME, or NULL. Quick for one that asks in the order in which they were made. */
struct state_record *state_record_find(struct state_file *file, enum record_kind kind, const char *name);
void state_record_free(struct state_file *file, struct state_record *record);
/* The I-th record in use from *I on; *I is then the next index to ask. NULL: no more. */
struct state_record *state_record_next(const struct state_file *file, size_t *i);
size_t state_record_index(const struct state_file *file, const struct state_record *record);

/* What was last written completely. */
const struct state_slot *state_record_read(const struct state_record *record);
void state_record_write(struct state_record *record, const struct state_slot *slot);

#endif
