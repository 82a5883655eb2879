/* See capture.h. */
#include "capture.h"

#include <string.h>

static const char *token(bool on, size_t *ret_length)
{
	*ret_length = on ? sizeof CAPTURE_END - 1 : sizeof CAPTURE_BEGIN - 1;
	return on ? CAPTURE_END : CAPTURE_BEGIN;
}

/* Keep the newest `max` bytes: the ring's spare room takes the new ones before the oldest are let go. */
static void capture_add(struct capture *c, const char *data, size_t length)
{
	uint32_t at, first;

	if (length > c->max) {
		data += length - c->max;
		length = c->max;
	}
	at = (uint32_t)(((uint64_t)c->mark.start + c->mark.length) % c->size);
	first = c->size - at < length ? c->size - at : (uint32_t)length;
	memcpy(c->ring + at, data, first);
	memcpy(c->ring, data + first, length - first);
	c->mark.length += (uint32_t)length;
	if (c->mark.length > c->max) {
		c->mark.start = (uint32_t)(((uint64_t)c->mark.start + c->mark.length - c->max) % c->size);
		c->mark.length = c->max;
	}
}

static void capture_finish(struct capture *c, capture_done *done, void *arg)
{
	uint32_t first = c->size - c->mark.start < c->mark.length ? c->size - c->mark.start : c->mark.length;

	done(arg, c->ring + c->mark.start, first, c->ring, c->mark.length - first);
	/* The next capture begins behind this one: a repeated batch must find its bytes where they were. */
	c->mark.start = (uint32_t)(((uint64_t)c->mark.start + c->mark.length) % c->size);
	c->mark.length = 0;
}

size_t capture_scan(struct capture *c, const char *data, size_t length, char *out, capture_done *done, void *arg)
{
	size_t n = 0;

	while (length) {
		size_t token_length, plain;
		const char *text = token(c->mark.on, &token_length);
		const char *hit = memmem(data, length, text, token_length);

		plain = hit ? (size_t)(hit - data) : length;
		if (c->mark.on) {
			capture_add(c, data, plain);
		} else {
			memcpy(out + n, data, plain);
			n += plain;
		}
		if (!hit)
			break;
		if (c->mark.on)
			capture_finish(c, done, arg);
		c->mark.on = !c->mark.on;
		data += plain + token_length;
		length -= plain + token_length;
	}
	return n;
}

size_t capture_usable(bool on, const char *data, size_t length, size_t *ret_urgent)
{
	size_t at = 0, token_length, held;
	const char *text, *hit;

	*ret_urgent = 0;
	for (;; on = !on) {
		text = token(on, &token_length);
		hit = memmem(data + at, length - at, text, token_length);
		if (!hit)
			break;
		at = *ret_urgent = (size_t)(hit - data) + token_length;
	}
	held = length - at < token_length - 1 ? length - at : token_length - 1;
	while (held && memcmp(data + length - held, text, held) != 0)
		held--;
	if (on)
		*ret_urgent = length - held;
	return length - held;
}
