/* See store.h. */
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int store_init(struct store *store, size_t size)
{
	*store = (struct store){ .list = calloc(size, sizeof *store->list), .size = size };
	return store->list ? 0 : -ENOMEM;
}

static struct stored *store_find(const struct store *store, const char *name)
{
	char key[KEEPER_NAME_SIZE] = "";

	memcpy(key, name, strnlen(name, sizeof key - 1));
	for (size_t i = 0; i < store->n; i++)
		if (memcmp(store->list[i].name, key, sizeof key) == 0)
			return &store->list[i];
	return NULL;
}

int store_put(struct store *store, const char *name, int fd)
{
	struct stored *s = store_find(store, name);

	if (s) {
		(void)close(s->fd);
	} else if (store->n < store->size) {
		s = &store->list[store->n++];
		memset(s->name, 0, sizeof s->name);
		memcpy(s->name, name, strnlen(name, sizeof s->name - 1));
	} else {
		(void)close(fd);
		return -ENOSPC;
	}
	s->fd = fd;
	return 0;
}

void store_drop(struct store *store, const char *name)
{
	struct stored *s = store_find(store, name);

	if (!s)
		return;
	(void)close(s->fd);
	*s = store->list[--store->n];
}

int store_get(const struct store *store, const char *name)
{
	const struct stored *s = store_find(store, name);

	return s ? s->fd : -1;
}

void store_close_all(struct store *store)
{
	for (size_t i = 0; i < store->n; i++)
		(void)close(store->list[i].fd);
	store->n = 0;
}
