/* See ansi.h. */
#include "ansi.h"

#include <string.h>

static const char ends[] = "HfABCDRsuJKhlpm";
enum { ESCAPE = 0x1b, SEQUENCE_MAX = 64 /* a longer one is no sequence worth waiting for */ };

/* Length of the sequence that begins at DATA (an ESC), 0: none, or LENGTH + 1: it is not finished. */
static size_t sequence_length(const char *data, size_t length)
{
	if (length < 2)
		return length + 1;
	if (data[1] != '[')
		return 0;
	for (size_t i = 2; i < length; i++)
		if (data[i] && strchr(ends, data[i]))
			return i + 1;
	return length + 1;
}

size_t ansi_strip(const char *data, size_t length, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < length;) {
		const char *escape = memchr(data + i, ESCAPE, length - i);
		size_t plain = escape ? (size_t)(escape - data) - i : length - i, skip;

		memmove(out + n, data + i, plain);
		n += plain;
		i += plain;
		if (!escape)
			break;
		skip = sequence_length(data + i, length - i);
		if (skip > length - i)
			break;
		if (!skip)
			out[n++] = data[i++];
		i += skip;
	}
	return n;
}

size_t ansi_unfinished(const char *data, size_t length)
{
	const char *escape = memrchr(data, ESCAPE, length);
	size_t rest = escape ? length - (size_t)(escape - data) : 0;

	if (!escape || rest > SEQUENCE_MAX || sequence_length(escape, rest) <= rest)
		return 0;
	return rest;
}
