/* See redis_guard.h. hiredis' own functions make the replies; these ask first whether one may be made. */
#include "redis_guard.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum { ELEMENTS_MAX = 1 << 20, MESSAGE_PARTS = 3 /* "message", channel, payload */ };

#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

static redisReplyObjectFunctions usual, guarded;

/* Of a subscription only: does this reply or part have its place in a message? TEXT: of a string, else NULL; LENGTH: its, or an array's. */
static bool is_part(const redisReadTask *task, const char *text, size_t length)
{
	static const char *const kinds[] = { "message", "subscribe" };

	if (!task->parent)
		return task->type == REDIS_REPLY_ARRAY && length == MESSAGE_PARTS;
	if (task->parent->parent || task->idx >= MESSAGE_PARTS)
		return false;
	if (task->idx == MESSAGE_PARTS - 1)
		return task->type != REDIS_REPLY_ARRAY;
	if (task->type != REDIS_REPLY_STRING || !text)
		return false;
	for (size_t i = 0; task->idx == 0 && i < sizeof kinds / sizeof kinds[0]; i++)
		if (strlen(kinds[i]) == length && memcmp(kinds[i], text, length) == 0)
			return true;
	return task->idx != 0;
}

static bool is_expected(const redisReadTask *task, const char *text, size_t length)
{
	const redisAsyncContext *context = task->privdata;

	if (context->replies.head || (!task->parent && task->type == REDIS_REPLY_ERROR))
		return true;
	return (context->c.flags & REDIS_SUBSCRIBED) && is_part(task, text, length);
}

static void *make_string(const redisReadTask *task, char *text, size_t length)
{
	return is_expected(task, text, length) ? usual.createString(task, text, length) : NULL;
}

static void *make_array(const redisReadTask *task, element_count elements)
{
	return elements <= ELEMENTS_MAX && is_expected(task, NULL, (size_t)elements) ? usual.createArray(task, elements) : NULL;
}

static void *make_integer(const redisReadTask *task, long long value)
{
	return is_expected(task, NULL, 0) ? usual.createInteger(task, value) : NULL;
}

static void *make_nil(const redisReadTask *task)
{
	return is_expected(task, NULL, 0) ? usual.createNil(task) : NULL;
}

void redis_guard(struct redisAsyncContext *context)
{
	redisReader *reader = context->c.reader;

	usual = guarded = *reader->fn;
	guarded.createString = make_string;
	guarded.createArray = make_array;
	guarded.createInteger = make_integer;
	guarded.createNil = make_nil;
	reader->fn = &guarded;
	reader->privdata = context;
}
