/* See base64.h. */
#include "base64.h"

#include <stdbool.h>
#include <string.h>

enum { BAD = -1, BLANK = -2, PADDING = -3 };

static int digit_of(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static signed char table[256];
	static bool made;

	if (!made) {
		memset(table, BAD, sizeof table);
		for (int i = 0; i < 64; i++)
			table[(unsigned char)digits[i]] = (signed char)i;
		table[' '] = table['\t'] = table['\r'] = table['\n'] = BLANK;
		table['='] = PADDING;
		made = true;
	}
	return table[(unsigned char)c];
}

long base64_decode(const char *text, size_t length, unsigned char *buffer, size_t size)
{
	size_t n = 0, digits = 0, padding = 0;
	unsigned bits = 0;

	for (size_t i = 0; i < length; i++) {
		int digit = digit_of(text[i]);

		if (digit == BLANK)
			continue;
		padding += digit == PADDING;
		if (digit == PADDING)
			continue;
		if (digit == BAD || padding)
			return -1;
		bits = bits << 6 | (unsigned)digit;
		if (++digits % 4 == 1)
			continue;
		if (n == size)
			return -1;
		buffer[n++] = (unsigned char)(bits >> (6 - 2 * ((digits + 3) % 4)));
	}
	return digits % 4 == 1 || (digits + padding) % 4 ? -1 : (long)n;
}
