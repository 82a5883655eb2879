/* What the queue in Redis writes and reads as text: where it is, ids, who submitted a task, results. Pure; others may have written it. */
#ifndef REEVE_POOL_REDIS_TEXT_H
#define REEVE_POOL_REDIS_TEXT_H

#include "base/base.h"
#include "task.h"

/* ---- redis://[USER:PASSWORD@]HOST[:PORT][/DB]?stream=NAME&takeover=SECONDS&poison=N, unix:PATH?... (&db=N) ---- */

struct redis_place {
	char *host, *path, *user, *password, *stream;	/* owned; host or path */
	int port, database;
	double takeover;		/* seconds without heartbeat after which others take over */
	long long poison;		/* deliveries after which a task is given up */
};

/* STREAM where URL names none. 0 or -EINVAL, -ENOMEM with ERR. */
int redis_place_read(const char *url, const char *stream, struct redis_place *ret, struct error *err);
void redis_place_free(struct redis_place *place);

/* ---- ids: an entry's "MS-SEQUENCE" as one number; 0: none ---- */

uint64_t redis_task_id(const char *entry);
/* Returns BUFFER (at least 48 bytes). */
char *redis_entry_id(uint64_t id, char *buffer);

/* ---- who submitted a task: "FROM\nJOB\nKEY" ---- */

struct redis_origin {
	char from[128];
	int job;			/* 1: a map waits for it */
	const char *key;		/* in the text that was read; "": none */
};

struct redis_origin redis_origin_read(const char *text);

/* ---- results: one line of numbers, then the bytes ---- */

/* malloc'd, or NULL: no memory. */
char *redis_pack(const struct task *task, const struct result *result, size_t *ret_size);
/* A task with its result, or NULL: it is none. */
struct task *redis_unpack(const char *text, size_t size);

#endif
