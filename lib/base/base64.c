/* See base64.h. */
#include "base64.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct encoder {
	char *out;
	uint32_t bits;
	unsigned count;			/* bytes in `bits` */
};

static void put(struct encoder *e, unsigned chars)
{
	for (unsigned i = 0; i < 4; i++)
		*e->out++ = i < chars ? digits[e->bits >> (18 - 6 * i) & 63] : '=';
	e->bits = e->count = 0;
}

static void encode(struct encoder *e, const unsigned char *data, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		e->bits |= (uint32_t)data[i] << (16 - 8 * e->count);
		if (++e->count == 3)
			put(e, 4);
	}
}

char *base64_encode_two(const void *a, size_t a_length, const void *b, size_t b_length)
{
	char *text = malloc((a_length + b_length + 2) / 3 * 4 + 1);
	struct encoder e = { text, 0, 0 };

	if (!text)
		return NULL;
	encode(&e, a, a_length);
	encode(&e, b, b_length);
	if (e.count)
		put(&e, e.count + 1);
	*e.out = '\0';
	return text;
}

char *base64_encode(const void *data, size_t length)
{
	return base64_encode_two(data, length, NULL, 0);
}

enum { BAD = -1, BLANK = -2, PADDING = -3 };

/* The value of a digit, or one of the above. */
static int digit_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '/')
		return c == '+' ? 62 : 63;
	if (c == '=')
		return PADDING;
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' ? BLANK : BAD;
}

char *base64_decode(const char *text, size_t *ret_length)
{
	_cleanup_(freep) char *data = malloc(strlen(text) / 4 * 3 + 3);
	size_t n = 0, count = 0, padding = 0;
	uint32_t bits = 0;

	if (!data)
		return NULL;
	for (; *text; text++) {
		int digit = digit_of(*text);

		if (digit == BLANK)
			continue;
		if (digit == PADDING) {
			padding++;
			continue;
		}
		if (digit == BAD || padding)
			return NULL;
		bits = bits << 6 | (uint32_t)digit;
		if (++count % 4 != 1)
			data[n++] = (char)(bits >> (6 - 2 * ((count + 3) % 4)));
	}
	if (count % 4 == 1 || padding > 2 || (count + padding) % 4)
		return NULL;
	data[n] = '\0';
	*ret_length = n;
	return TAKE(data);
}
