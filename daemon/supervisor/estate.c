/* See estate.h. */
#include "estate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int estate_add(struct estate *e, const char *name, int fd)
{
	if (e->n == e->size) {
		size_t size = e->size ? 2 * e->size : 64;
		struct inherited *list = realloc(e->list, size * sizeof *list);

		if (!list)
			return -ENOMEM;
		e->list = list;
		e->size = size;
	}
	(void)snprintf(e->list[e->n].name, sizeof e->list[e->n].name, "%.*s", KEEPER_NAME_SIZE - 1, name);
	e->list[e->n++].fd = fd;
	return 0;
}

int estate_take(struct estate *e, const char *name)
{
	for (size_t i = 0; i < e->n; i++)
		if (e->list[i].fd >= 0 && strcmp(e->list[i].name, name) == 0) {
			int fd = e->list[i].fd;

			e->list[i].fd = -1;
			return fd;
		}
	return -1;
}

void estate_free(struct estate *e)
{
	for (size_t i = 0; i < e->n; i++)
		closep(&e->list[i].fd);
	free(e->list);
	closep(&e->state);
}

int estate_receive(int socket, struct estate *e, struct error *err)
{
	*e = (struct estate){ .state = -1 };
	for (;;) {
		struct keeper_message m;
		int fd;
		int r = keeper_receive(socket, &m, &fd, 0);

		if (r <= 0)
			return error_set(err, r < 0 ? -r : ECONNRESET, "the keeper is gone");
		switch (m.type) {
		case KEEPER_HELLO:
			closep(&e->state);
			e->state = fd;
			e->number = m.number;
			e->hello = (enum keeper_hello)m.uid;
			(void)snprintf(e->text, sizeof e->text, "%s", m.text);
			break;
		case KEEPER_STORED:
			if (fd < 0)
				return error_set(err, EMFILE, "a descriptor could not be taken over: too many open files");
			if (estate_add(e, m.text, fd) < 0) {
				closep(&fd);
				return error_set(err, ENOMEM, "out of memory");
			}
			break;
		case KEEPER_BEGIN:
			return e->state < 0 ? error_set(err, EPROTO, "the keeper sent no state") : 0;
		default:
			closep(&fd);
		}
	}
}
