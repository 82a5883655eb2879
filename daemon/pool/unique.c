/* See unique.h. A search tree of libc. */
#include "unique.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

struct unique_entry {
	uint64_t id;
	char key[];
};

struct unique {
	void *tree;
};

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct unique_entry *)a)->key, ((const struct unique_entry *)b)->key);
}

static struct unique_entry *entry_new(const char *key)
{
	size_t size = strlen(key) + 1;
	struct unique_entry *e = malloc(sizeof *e + size);

	if (e)
		memcpy(e->key, key, size);
	return e;
}

struct unique *unique_new(void)
{
	return calloc(1, sizeof(struct unique));
}

void unique_free(struct unique *u)
{
	if (!u)
		return;
	tdestroy(u->tree, free);
	free(u);
}

/* tfind compares whole entries: a probe is built from KEY. */
static struct unique_entry **find(const struct unique *u, const char *key)
{
	struct unique_entry *probe = u->tree ? entry_new(key) : NULL;
	struct unique_entry **at = probe ? tfind(probe, &u->tree, compare) : NULL;

	free(probe);
	return at;
}

uint64_t unique_find(const struct unique *u, const char *key)
{
	struct unique_entry **at = find(u, key);

	if (!at)
		return 0;
	return (*at)->id ? (*at)->id : UINT64_MAX;
}

int unique_set(struct unique *u, const char *key, uint64_t id)
{
	struct unique_entry **at = find(u, key), *e;

	if (at) {
		(*at)->id = id;
		return 0;
	}
	e = entry_new(key);
	if (!e)
		return -ENOMEM;
	e->id = id;
	if (!tsearch(e, &u->tree, compare)) {
		free(e);
		return -ENOMEM;
	}
	return 0;
}

void unique_drop(struct unique *u, const char *key)
{
	struct unique_entry **at = find(u, key), *e;

	if (!at)
		return;
	e = *at;
	(void)tdelete(e, &u->tree, compare);
	free(e);
}
