/* See protocol.h. */
#include "protocol.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char ready_token[] = "READY\n";
static const size_t result_prefix = sizeof "RESULT " - 1;

static void take(struct talk *t, size_t n)
{
	t->length -= n;
	memmove(t->buffer, t->buffer + n, t->length);
}

void talk_reset(struct talk *t)
{
	free(t->buffer);
	*t = (struct talk){ .state = LISTENER_ACKNOWLEDGED };
}

int talk_add(struct talk *t, const char *data, size_t length)
{
	char *grown;

	if (t->state == LISTENER_UNKNOWN || !length)
		return 0;
	grown = realloc(t->buffer, t->length + length);
	if (!grown)
		return -ENOMEM;
	memcpy(grown + t->length, data, length);
	t->buffer = grown;
	t->length += length;
	return 0;
}

static enum said give_up(struct talk *t, enum said why)
{
	t->state = LISTENER_UNKNOWN;
	t->length = 0;
	return why;
}

/* The number after "RESULT ", or -1. */
static long result_length(const char *line, size_t length)
{
	char text[24], *end;
	long n;

	if (length < result_prefix || length - result_prefix >= sizeof text)
		return -1;
	memcpy(text, line + result_prefix, length - result_prefix);
	text[length - result_prefix] = '\0';
	n = strtol(text, &end, 10);
	end += strspn(end, " \t\r");
	return end == text || *end || n < 0 || n > LISTENER_RESULT_MAX ? -1 : n;
}

static enum said bad_result(struct talk *t, size_t line)
{
	(void)snprintf(t->bad, sizeof t->bad, "%.*s", (int)line, t->buffer);
	return give_up(t, SAID_BAD_RESULT);
}

static enum said next_result(struct talk *t)
{
	const char *newline = memchr(t->buffer, '\n', t->length);
	size_t line = newline ? (size_t)(newline - t->buffer) : t->length;
	enum said said;
	long n;

	if (!newline && line <= LISTENER_LINE_MAX)
		return SAID_NOTHING;
	n = newline ? result_length(t->buffer, line) : -1;
	if (n < 0)
		return bad_result(t, line);
	if (t->length < line + 1 + (size_t)n)
		return SAID_NOTHING;
	said = n == 2 && memcmp(newline + 1, "OK", 2) == 0 ? SAID_OK : SAID_REJECTED;
	take(t, line + 1 + (size_t)n);
	t->state = LISTENER_ACKNOWLEDGED;
	return said;
}

enum said talk_next(struct talk *t)
{
	if (!t->length)
		return SAID_NOTHING;
	switch (t->state) {
	case LISTENER_ACKNOWLEDGED:
		if (t->length < sizeof ready_token - 1)
			return SAID_NOTHING;
		if (memcmp(t->buffer, ready_token, sizeof ready_token - 1) != 0)
			return give_up(t, SAID_NONSENSE);
		take(t, sizeof ready_token - 1);
		t->state = LISTENER_READY;
		return SAID_READY;
	case LISTENER_BUSY:
		return next_result(t);
	case LISTENER_READY:
		return give_up(t, SAID_NONSENSE);
	case LISTENER_UNKNOWN:
		t->length = 0;
		break;
	}
	return SAID_NOTHING;
}

const char *listener_state_name(enum listener_state state)
{
	switch (state) {
	case LISTENER_READY:
		return "READY";
	case LISTENER_BUSY:
		return "BUSY";
	case LISTENER_ACKNOWLEDGED:
		return "ACKNOWLEDGED";
	case LISTENER_UNKNOWN:
		break;
	}
	return "UNKNOWN";
}
