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

static const char base64_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int digit(char c)
{
	const char *at = c ? strchr(base64_alphabet, c) : NULL;

	return at ? (int)(at - base64_alphabet) : -1;
}

char *base64_encode(const char *data, size_t length)
{
	char *text = malloc((length + 2) / 3 * 4 + 1), *to = text;

	if (!text)
		return NULL;
	for (size_t i = 0; i < length; i += 3) {
		unsigned long bits = (unsigned long)(unsigned char)data[i] << 16;

		if (i + 1 < length)
			bits |= (unsigned long)(unsigned char)data[i + 1] << 8;
		if (i + 2 < length)
			bits |= (unsigned char)data[i + 2];
		*to++ = base64_alphabet[bits >> 18];
		*to++ = base64_alphabet[bits >> 12 & 63];
		*to++ = i + 1 < length ? base64_alphabet[bits >> 6 & 63] : '=';
		*to++ = i + 2 < length ? base64_alphabet[bits & 63] : '=';
	}
	*to = '\0';
	return text;
}

char *base64_decode(const char *text, size_t *ret_length)
{
	size_t length = strlen(text), n = 0;
	size_t padding = length && text[length - 1] == '=' ? 1 + (length > 1 && text[length - 2] == '=') : 0;
	char *data = length % 4 ? NULL : malloc(length / 4 * 3 + 1);
	uint32_t bits = 0;

	if (!data)
		return NULL;
	for (size_t i = 0; i < length; i++) {
		int d = i >= length - padding ? 0 : digit(text[i]);

		if (d < 0) {
			free(data);
			return NULL;
		}
		bits = bits << 6 | (uint32_t)d;
		if (i % 4 == 3) {
			data[n++] = (char)(bits >> 16);
			data[n++] = (char)(bits >> 8);
			data[n++] = (char)bits;
		}
	}
	*ret_length = n - padding;
	data[*ret_length] = '\0';
	return data;
}
