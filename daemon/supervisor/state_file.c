/* See state_file.h. */
#include "state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const char magic[8] = "REEVEST";

static int state_file_check(const struct state_header *h, struct error *err)
{
	if (memcmp(h->magic, magic, sizeof magic) != 0)
		return error_set(err, EINVAL, "the state is not one of Reeve's");
	if (h->compatible > STATE_VERSION || h->record_size != STATE_RECORD_SIZE || h->records != STATE_RECORDS)
		return error_set(err, EINVAL,
				 "the state is of %.24s and has layout %u, which needs a reader of layout %u; this is %s, which reads up to %d",
				 h->release, h->version, h->compatible, REEVE_VERSION, STATE_VERSION);
	return 0;
}

int state_file_map(struct state_file *file, int fd, bool *ret_new, struct error *err)
{
	struct stat st;
	bool empty;
	void *at;

	file->size = STATE_HEADER_SIZE + STATE_RECORDS * sizeof(struct state_record);
	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "cannot look at the state: %s", errno_name(errno));
	empty = st.st_size == 0;
	/* Sparse: what is not used costs nothing. Sealed: nobody can make us touch what is not there. */
	if (empty && (ftruncate(fd, (off_t)file->size) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0))
		return error_set(err, errno, "cannot make the state: %s", errno_name(errno));
	if (!empty && (size_t)st.st_size < file->size)
		return error_set(err, EINVAL, "the state has %lld bytes, not %zu", (long long)st.st_size, file->size);
	at = mmap(NULL, file->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return error_set(err, errno, "cannot map the state: %s", errno_name(errno));
	file->header = at;
	file->records = (struct state_record *)((char *)at + STATE_HEADER_SIZE);
	*ret_new = file->header->magic[0] == '\0';	/* or its maker has died over it */
	if (*ret_new) {
		state_file_claim(file);
		file->header->record_size = sizeof(struct state_record);
		file->header->records = STATE_RECORDS;
		memcpy(file->header->magic, magic, sizeof magic);
		return 0;
	}
	return state_file_check(file->header, err);
}

void state_file_claim(struct state_file *file)
{
	struct state_header *h = file->header;

	if (h->compatible < STATE_COMPATIBLE)
		h->compatible = STATE_COMPATIBLE;
	h->version = STATE_VERSION;
	(void)snprintf(h->release, sizeof h->release, "%s", REEVE_VERSION);
}

/* Records that were never used are left to the sparse rest. */
int state_file_copy(const struct state_file *file)
{
	size_t used = STATE_HEADER_SIZE + file->header->high * sizeof(struct state_record), done = 0;
	int fd = memfd_create("reeve-state-copy", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)file->size) < 0)
		goto failed;
	while (done < used) {
		ssize_t n = write(fd, (const char *)file->header + done, used - done);

		if (n <= 0)
			goto failed;
		done += (size_t)n;
	}
	return fd;
failed:
	(void)close(fd);
	return -ENOMEM;
}

void state_file_unmap(struct state_file *file)
{
	if (file->header)
		(void)munmap(file->header, file->size);
	file->header = NULL;
}

struct state_record *state_record_new(struct state_file *file, enum record_kind kind, const char *name, uint32_t generation)
{
	struct state_header *h = file->header;
	size_t i = file->no_free;

	if (strlen(name) >= STATE_NAME_SIZE)
		return NULL;
	while (i < h->high && file->records[i].kind != RECORD_FREE)
		i++;
	file->no_free = i;
	if (i == STATE_RECORDS)
		return NULL;
	memset(&file->records[i], 0, sizeof file->records[i]);
	strcpy(file->records[i].name, name);
	file->records[i].generation = generation;
	if (i >= h->high)
		h->high = (uint32_t)i + 1;
	atomic_thread_fence(memory_order_release);
	file->records[i].kind = kind;
	return &file->records[i];
}

void state_record_free(struct state_file *file, struct state_record *record)
{
	size_t i = state_record_index(file, record);

	record->kind = RECORD_FREE;
	if (i < file->no_free)
		file->no_free = i;
}

struct state_record *state_record_find(struct state_file *file, enum record_kind kind, const char *name)
{
	size_t high = file->header->high;

	for (size_t n = 0; n < high; n++) {
		size_t i = (file->found + n) % high;
		struct state_record *r = &file->records[i];

		if (r->kind == kind && strcmp(r->name, name) == 0) {
			file->found = i + 1;
			return r;
		}
	}
	return NULL;
}

struct state_record *state_record_next(const struct state_file *file, size_t *i)
{
	while (*i < file->header->high) {
		struct state_record *r = &file->records[(*i)++];

		if (r->kind != RECORD_FREE)
			return r;
	}
	return NULL;
}

size_t state_record_index(const struct state_file *file, const struct state_record *record)
{
	return (size_t)(record - file->records);
}

const struct state_slot *state_record_read(const struct state_record *r)
{
	return &r->slot[atomic_load_explicit(&r->sequence, memory_order_acquire) & 1];
}

void state_record_write(struct state_record *r, const struct state_slot *slot)
{
	uint32_t s = atomic_load_explicit(&r->sequence, memory_order_relaxed);

	r->slot[(s + 1) & 1] = *slot;
	atomic_store_explicit(&r->sequence, s + 1, memory_order_release);
}
