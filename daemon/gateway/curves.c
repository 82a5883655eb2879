/* See curves.h. */
#include "curves.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "wire/gateway.h"

enum { NAME_SIZE = 256 };

struct curve {
	char name[NAME_SIZE];
	struct samples samples;
};

struct header {
	char magic[8];
	uint32_t curve_size, curves;
	uint32_t writer;		/* grows with each gateway */
	uint32_t padding;
	double began;
	uint64_t newest;
	double newest_time;
	uint64_t hash[CURVES_MAX];	/* of the names, so that only those in use are looked at; 0: free */
};

struct layout {
	struct header header;
	struct curve curve[CURVES_MAX];
};
static_assert(sizeof(struct layout) <= GATEWAY_CURVES_SIZE, "what the supervisor makes must hold it");

struct curves {
	struct layout *memory;
	uint32_t writer;
};

static const char magic[8] = "curves1";

static uint64_t hash_of(const char *text)
{
	uint64_t hash = 14695981039346656037u;	/* FNV-1a */

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211u;
	return hash | 1;
}

/* The memfd, if it has the size; else NULL. */
static struct layout *map(int fd)
{
	struct stat st;
	void *memory;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(struct layout))
		return NULL;
	memory = mmap(NULL, sizeof(struct layout), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

static bool is_ours(const struct header *h)
{
	double age = clock_now() - h->began;

	return memcmp(h->magic, magic, sizeof magic) == 0 && h->curve_size == sizeof(struct curve) && h->curves == CURVES_MAX &&
	       age >= 0 && (double)h->newest <= age / SAMPLE_SECONDS + 1;
}

static void begin(struct layout *memory)
{
	uint32_t writer = memory->header.writer;

	memory->header = (struct header){ .curve_size = sizeof(struct curve), .curves = CURVES_MAX, .writer = writer,
					  .began = clock_now() };
	memcpy(memory->header.magic, magic, sizeof magic);
}

struct curves *curves_open(int fd)
{
	struct curves *c = calloc(1, sizeof *c);
	void *memory = c ? map(fd) : NULL;

	closep(&fd);
	if (c && !memory)
		memory = mmap(NULL, sizeof(struct layout), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!c || memory == MAP_FAILED) {
		free(c);
		return NULL;
	}
	c->memory = memory;
	if (!is_ours(&c->memory->header))
		begin(c->memory);
	c->writer = ++c->memory->header.writer;
	return c;
}

void curves_close(struct curves *c)
{
	if (c)
		(void)munmap(c->memory, sizeof *c->memory);
	free(c);
}

static bool may_write(const struct curves *c)
{
	return c->memory->header.writer == c->writer;
}

double curves_began(const struct curves *c)
{
	return c->memory->header.began;
}

uint64_t curves_newest(const struct curves *c, double *ret_time)
{
	*ret_time = c->memory->header.newest_time;
	return c->memory->header.newest;
}

void curves_set_newest(struct curves *c, uint64_t tick, double time)
{
	if (!may_write(c))
		return;
	c->memory->header.newest = tick;
	c->memory->header.newest_time = time;
}

/* The index, or CURVES_MAX. */
static size_t index_of(const struct curves *c, const char *name)
{
	uint64_t hash = hash_of(name);

	for (size_t i = 0; i < CURVES_MAX; i++)
		if (c->memory->header.hash[i] == hash && strncmp(c->memory->curve[i].name, name, NAME_SIZE) == 0)
			return i;
	return CURVES_MAX;
}

struct samples *curves_find(struct curves *c, const char *name)
{
	size_t i = index_of(c, name);

	return i < CURVES_MAX ? &c->memory->curve[i].samples : NULL;
}

struct samples *curves_add(struct curves *c, const char *name)
{
	size_t i = 0;

	while (i < CURVES_MAX && c->memory->header.hash[i])
		i++;
	if (i == CURVES_MAX || !may_write(c) || strlen(name) >= NAME_SIZE)
		return NULL;
	memset(&c->memory->curve[i], 0, sizeof c->memory->curve[i]);
	strcpy(c->memory->curve[i].name, name);
	c->memory->header.hash[i] = hash_of(name);
	return &c->memory->curve[i].samples;
}

void curves_remove(struct curves *c, const char *name)
{
	size_t i = index_of(c, name);

	if (i < CURVES_MAX && may_write(c))
		c->memory->header.hash[i] = 0;
}

void curves_sweep(struct curves *c, bool (*keep)(const char *name, void *data), void *data)
{
	for (size_t i = 0; i < CURVES_MAX && may_write(c); i++) {
		struct curve *curve = &c->memory->curve[i];

		if (!c->memory->header.hash[i])
			continue;
		curve->name[NAME_SIZE - 1] = '\0';
		if (!keep(curve->name, data))
			c->memory->header.hash[i] = 0;
	}
}
