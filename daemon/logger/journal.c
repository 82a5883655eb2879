/* See journal.h. The mapping is fixed-size and sparse: only pages that were used cost memory. */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { JOURNAL_MAGIC = 0x52656c67, JOURNAL_VERSION = 1, PAGE = 4096 };

struct journal_header {
	uint32_t magic, version;
	uint64_t size;	      /* of the mapping that this layout needs */
	uint64_t next_region; /* where the next capture ring begins */
	uint32_t used;	      /* records beyond this were never used */
	uint32_t pad;
	struct journal_note notes[2];
	struct journal_record records[JOURNAL_RECORDS];
};

static size_t page_round(size_t n)
{
	return (n + PAGE - 1) & ~(size_t)(PAGE - 1);
}

static void journal_format(struct journal_header *header, size_t size)
{
	memset(header, 0, offsetof(struct journal_header, records));
	header->version = JOURNAL_VERSION;
	header->size = size;
	header->next_region = size;
	__atomic_store_n(&header->magic, JOURNAL_MAGIC, __ATOMIC_RELEASE);
}

int journal_init(struct journal *journal, int fd)
{
	size_t size = page_round(sizeof(struct journal_header));
	struct journal_header *header;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((size_t)st.st_size < size && ftruncate(fd, (off_t)size) < 0)
		return -errno;
	header = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (header == MAP_FAILED)
		return -errno;
	journal->fd = fd;
	journal->header = header;
	if (header->magic != JOURNAL_MAGIC || header->version != JOURNAL_VERSION || header->size != size) {
		/* Punched rather than cleared, so that a reformatted journal is as sparse as a new one. */
		if (ftruncate(fd, 0) < 0 || ftruncate(fd, (off_t)size) < 0)
			return -errno;
		journal_format(header, size);
	}
	return 0;
}

void journal_fini(struct journal *journal)
{
	if (journal->header)
		(void)munmap(journal->header, journal->header->size);
	journal->header = NULL;
}

const struct journal_note *journal_latest(const struct journal *journal)
{
	const struct journal_note *a = &journal->header->notes[0], *b = &journal->header->notes[1];

	return b->sequence > a->sequence ? b : a;
}

/* Begin a note in the slot that is not the latest. */
static struct journal_note *note_begin(struct journal *journal, uint64_t *ret_sequence)
{
	const struct journal_note *latest = journal_latest(journal);
	struct journal_note *note = &journal->header->notes[latest == &journal->header->notes[0]];

	*ret_sequence = latest->sequence + 1;
	__atomic_store_n(&note->sequence, 0, __ATOMIC_SEQ_CST);
	return note;
}

static void note_end(struct journal_note *note, uint64_t sequence)
{
	__atomic_store_n(&note->sequence, sequence, __ATOMIC_SEQ_CST);
}

uint64_t journal_stage(struct journal *journal, uint64_t stream)
{
	uint64_t sequence, batch = journal_latest(journal)->batch + 1;
	struct journal_note *note = note_begin(journal, &sequence);

	memset(note, 0, offsetof(struct journal_note, path));
	note->stream = stream;
	note->batch = batch;
	note->phase = JOURNAL_STAGED;
	note->path[0] = '\0';
	note_end(note, sequence);
	return batch;
}

void journal_write(struct journal *journal, const struct journal_note *from, const char *path)
{
	uint64_t sequence, batch = journal_latest(journal)->batch;
	struct journal_note *note = note_begin(journal, &sequence);
	size_t length = path ? strlen(path) : 0;

	memcpy((char *)note + sizeof note->sequence, (const char *)from + sizeof from->sequence,
	       offsetof(struct journal_note, path) - sizeof note->sequence);
	note->batch = batch;
	note->phase = JOURNAL_WRITE;
	if (length >= sizeof note->path)
		length = 0;
	memcpy(note->path, path ? path : "", length);
	note->path[length] = '\0';
	note_end(note, sequence);
}

struct journal_record *journal_record(struct journal *journal, uint64_t stream, bool make)
{
	struct journal_header *header = journal->header;
	struct journal_record *spare = NULL;

	for (uint32_t i = 0; i < header->used; i++) {
		if (header->records[i].stream == stream)
			return &header->records[i];
		if (!header->records[i].stream && !spare)
			spare = &header->records[i];
	}
	if (!make)
		return NULL;
	if (!spare) {
		if (header->used >= JOURNAL_RECORDS)
			return NULL;
		spare = &header->records[header->used];
		memset(spare, 0, sizeof *spare);
		__atomic_store_n(&header->used, header->used + 1, __ATOMIC_SEQ_CST);
	}
	spare->random[0] = '\0';
	spare->mark = (struct capture_mark){ 0 };
	__atomic_store_n(&spare->stream, stream, __ATOMIC_SEQ_CST);
	return spare;
}

/* The ring stays with the record for its next owner, but gives its pages back. */
void journal_forget(struct journal *journal, struct journal_record *record)
{
	if (!record)
		return;
	__atomic_store_n(&record->stream, 0, __ATOMIC_SEQ_CST);
	if (record->region)
		(void)fallocate(journal->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)record->region,
				record->region_size);
}

unsigned char *journal_ring(struct journal *journal, struct journal_record *record, uint32_t size)
{
	struct journal_header *header = journal->header;
	void *ring;

	size = (uint32_t)page_round(size);
	if (record->region_size < size) {
		uint64_t region = header->next_region;

		if (ftruncate(journal->fd, (off_t)(region + size)) < 0)
			return NULL;
		record->mark = (struct capture_mark){ 0 };
		record->region_size = 0;
		record->region = region;
		record->region_size = size;
		header->next_region = region + size;
	}
	ring = mmap(NULL, record->region_size, PROT_READ | PROT_WRITE, MAP_SHARED, journal->fd, (off_t)record->region);
	return ring == MAP_FAILED ? NULL : ring;
}

uint64_t journal_hash(const char *id)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (; *id; id++)
		hash = (hash ^ (unsigned char)*id) * 0x100000001b3u;
	return hash ? hash : 1;
}
