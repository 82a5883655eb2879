/* See handover.h. */
#include "handover.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/base.h"

enum { NEEDED = 1, DESCRIPTOR = 2 };

static const struct row {
	const char *key;
	size_t offset;
	int flags;
} rows[] = {
	{ "state", offsetof(struct handover, state), NEEDED | DESCRIPTOR },
	{ "socket", offsetof(struct handover, socket), NEEDED | DESCRIPTOR },
	{ "executable", offsetof(struct handover, executable), NEEDED | DESCRIPTOR },
	{ "supervisor", offsetof(struct handover, supervisor), NEEDED },
	{ "outstanding", offsetof(struct handover, outstanding), NEEDED },
	{ "number", offsetof(struct handover, number), NEEDED },
	{ "begun", offsetof(struct handover, begun), NEEDED },
	{ "worked", offsetof(struct handover, worked), NEEDED },
	{ "next-stored", offsetof(struct handover, next_stored), NEEDED },
#if HANDOVER_NEXT		/* what a keeper's return is tested with: a version that needs more than we say */
	{ "future", offsetof(struct handover, number), NEEDED },
#endif
};

static int *value_of(const struct handover *h, const struct row *row)
{
	return (int *)((char *)h + row->offset);
}

int handover_write(const struct handover *h)
{
	int fd = memfd_create("reeve-handover", 0);
	bool whole = fd >= 0;

	for (size_t i = 0; whole && i < ARRAY_LEN(rows); i++)
		whole = dprintf(fd, "%s %d\n", rows[i].key, *value_of(h, &rows[i])) > 0;
	for (int s = 1; whole && s < NSIG; s++)
		if (sigismember(&h->pending, s) == 1)
			whole = dprintf(fd, "pending %d\n", s) > 0;
	for (size_t i = 0; whole && i < h->store->n; i++)
		whole = dprintf(fd, "stored %d %.*s\n", h->store->list[i].fd, KEEPER_NAME_SIZE, h->store->list[i].name) > 0;
	if (whole)
		return fd;
	closep(&fd);
	return -ENOMEM;
}

/* Bits of the rows that LINE fills. */
static unsigned take_line(struct handover *h, const char *line)
{
	char name[KEEPER_NAME_SIZE] = "";
	int number;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t n = strlen(rows[i].key);

		if (strncmp(line, rows[i].key, n) == 0 && sscanf(line + n, " %d", value_of(h, &rows[i])) == 1)
			return 1U << i;
	}
	if (sscanf(line, "pending %d", &number) == 1)
		(void)sigaddset(&h->pending, number);
	else if (sscanf(line, "stored %d %15[^\n]", &number, name) == 2)
		(void)store_put(h->store, name, number);
	return 0;
}

int handover_read(struct handover *h, int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	FILE *f = copy < 0 ? NULL : fdopen(copy, "r");
	char line[80];
	unsigned filled = 0;

	if (!f) {
		closep(&copy);
		return -ENOMEM;
	}
	rewind(f);
	sigemptyset(&h->pending);
	while (fgets(line, sizeof line, f))
		filled |= take_line(h, line);
	(void)fclose(f);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool given = filled & 1U << i;

		if (rows[i].flags & NEEDED && !given)
			return -EPROTO;
		if (given && rows[i].flags & DESCRIPTOR && fcntl(*value_of(h, &rows[i]), F_GETFD) < 0)
			return -EPROTO;
	}
	return 0;
}

void handover_inherit(const struct handover *h, bool stay)
{
	int flag = stay ? 0 : FD_CLOEXEC;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].flags & DESCRIPTOR)
			(void)fcntl(*value_of(h, &rows[i]), F_SETFD, flag);
	for (size_t i = 0; i < h->store->n; i++)
		(void)fcntl(h->store->list[i].fd, F_SETFD, flag);
}
