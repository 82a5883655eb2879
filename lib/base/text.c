/* See text.h. */
#include "text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the sequence that begins at P, or 0: none. Overlong forms, surrogates and what lies beyond U+10FFFF are none. */
static size_t sequence_length(const unsigned char *p, size_t left)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = *p < 0x80 ? 1 : (*p & 0xe0) == 0xc0 ? 2 : (*p & 0xf0) == 0xe0 ? 3 : (*p & 0xf8) == 0xf0 ? 4 : 0;
	uint32_t code;

	if (n < 2 || n > left)
		return n == 1;
	code = *p & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	return code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : n;
}

bool utf8_count(const char *data, size_t length, size_t *ret)
{
	const unsigned char *p = (const unsigned char *)data;
	size_t count = 0;

	for (size_t at = 0; at < length; count++) {
		size_t n = sequence_length(p + at, length - at);

		if (!n)
			return false;
		at += n;
	}
	*ret = count;
	return true;
}

char *python_bytes_repr(const char *data, size_t length)
{
	static const char escaped[] = "\t\n\r\\", letters[] = "tnr\\";
	char quote = memchr(data, '\'', length) && !memchr(data, '"', length) ? '"' : '\'';
	char *text = malloc(4 * length + 4), *out = text;

	if (!text)
		return NULL;
	*out++ = 'b';
	*out++ = quote;
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)data[i];
		const char *named = c ? strchr(escaped, c) : NULL;

		if (named)
			out += sprintf(out, "\\%c", letters[named - escaped]);
		else if (c == (unsigned char)quote)
			out += sprintf(out, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			out += sprintf(out, "\\x%02x", c);
		else
			*out++ = (char)c;
	}
	*out++ = quote;
	*out = '\0';
	return text;
}
