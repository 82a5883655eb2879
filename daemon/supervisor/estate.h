/*
 * What the keeper hands over to a supervisor before it is in charge: the state, and every stored descriptor by its name.
 */
#ifndef REEVE_ESTATE_H
#define REEVE_ESTATE_H

#include "base/base.h"
#include "wire/keeper.h"

struct inherited {
	char name[KEEPER_NAME_SIZE];
	int fd;				/* -1: taken */
};

struct estate {
	struct inherited *list;		/* owned, with the descriptors that nobody took */
	size_t n, size;
	int state;			/* memfd; owned */
	int number;			/* of this supervisor; 0: the first */
	enum keeper_hello hello;
	char text[KEEPER_TEXT_SIZE];	/* KEEPER_RETURNED: what became of the other binary */
};

/* Wait for all of it on SOCKET. -errno with ERR: what came so far is in RET all the same. */
int estate_receive(int socket, struct estate *ret, struct error *err);
/* The descriptor stored as NAME, now the caller's; -1: none. */
int estate_take(struct estate *e, const char *name);
/* Close what was not taken. */
void estate_free(struct estate *e);

#endif
