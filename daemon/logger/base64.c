/* See base64.h. */
#include "base64.h"

#include <stdlib.h>

#include "base/base.h"

struct encoder {
	char *out;
	unsigned long bits;
	unsigned count; /* bytes in `bits` */
};

static void put(struct encoder *e, unsigned chars)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (unsigned i = 0; i < 4; i++)
		*e->out++ = i < chars ? digits[(e->bits >> (18 - 6 * i)) & 63] : '=';
	e->bits = e->count = 0;
}

static void add(struct encoder *e, const unsigned char *data, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		e->bits |= (unsigned long)data[i] << (16 - 8 * e->count);
		if (++e->count == 3)
			put(e, 4);
	}
}

json_t *base64_json(const void *a, size_t a_length, const void *b, size_t b_length)
{
	_cleanup_(freep) char *text = malloc((a_length + b_length + 2) / 3 * 4 + 1);
	struct encoder e = { text, 0, 0 };

	if (!text)
		return NULL;
	add(&e, a, a_length);
	add(&e, b, b_length);
	if (e.count)
		put(&e, e.count + 1);
	return json_stringn_nocheck(text, (size_t)(e.out - text));
}
