/*
 * Descriptors by name, kept for the supervisor. A fixed table, made once: no allocation afterwards.
 */
#ifndef REEVE_KEEPER_STORE_H
#define REEVE_KEEPER_STORE_H

#include <stddef.h>

#include "wire/keeper.h"

struct stored {
	char name[KEEPER_NAME_SIZE];	/* padded with NUL: compared as a whole */
	int fd;
};

struct store {
	struct stored *list;		/* owned */
	size_t n, size;
};

/* Room for SIZE descriptors. 0 or -ENOMEM. */
int store_init(struct store *store, size_t size);
/* Takes FD in every case; replaces one of the same name. -ENOSPC when full. */
int store_put(struct store *store, const char *name, int fd);
void store_drop(struct store *store, const char *name);
/* The descriptor (still the store's), or -1. */
int store_get(const struct store *store, const char *name);
void store_close_all(struct store *store);

#endif
