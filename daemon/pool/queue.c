/* Choosing a queue by its name. */
#include "queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "task.h"

static const struct {
	const char *prefix;
	const struct queue_ops *ops;
} kinds[] = {
	{ "memory", &queue_memory },
#ifdef REEVE_SQLITE
	{ "sqlite:", &queue_sqlite },
#endif
#ifdef REEVE_REDIS
	{ "redis://", &queue_redis },
	{ "unix:", &queue_redis },
#endif
};

int queue_open(struct pool *pool, const char *url, struct queue **ret, struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strncmp(url, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
			return kinds[i].ops->open(pool, url, ret, err);
	return error_set(err, EINVAL,
			 "queue %s: no such kind; write memory, sqlite:FILE, redis://HOST:PORT/DB?stream=NAME or "
			 "unix:SOCKET?stream=NAME", url);
}

void queue_request_free(struct queue_request *request)
{
	if (!request)
		return;
	for (size_t i = 0; request->tasks && i < request->n_tasks; i++)
		task_free(request->tasks[i]);
	free(request->tasks);
	free(request);
}
