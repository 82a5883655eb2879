/* See bytes_json.h. */
#include "bytes_json.h"

#include "base/base.h"
#include "base/base64.h"

json_t *bytes_json(const void *a, size_t a_length, const void *b, size_t b_length)
{
	_cleanup_(freep) char *text = base64_encode_two(a, a_length, b, b_length);

	return text ? json_string_nocheck(text) : NULL;
}
