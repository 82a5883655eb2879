/* See rotation.h. */
#include "rotation.h"

#include <string.h>

size_t rotation_room(uint64_t size, uint64_t line, uint64_t max, const char *data, size_t length)
{
	uint64_t room = size < max ? max - size : 0;
	const char *end;
	size_t first;

	if (!max || length <= room)
		return length;
	end = memrchr(data, '\n', room);
	if (end)
		return (size_t)(end - data) + 1;
	end = memchr(data, '\n', length);
	first = end ? (size_t)(end - data) + 1 : length;
	if (line && line + first <= max)
		return first; /* a whole line is worth more than an exact size */
	if (!size)
		return (size_t)max; /* too long for any file */
	if (line && room)
		return (size_t)room; /* too long for any file, and begun in this one */
	return 0;
}

bool rotation_full(uint64_t size, uint64_t line, uint64_t max)
{
	return max && size >= max && !line;
}

uint64_t rotation_line(uint64_t line, const char *data, size_t length)
{
	const char *end = memrchr(data, '\n', length);

	return end ? length - (size_t)(end - data) - 1 : line + length;
}

bool window_read(int64_t offset, int64_t length, uint64_t size, struct window *ret)
{
	if ((offset < 0 && length) || length < 0)
		return false;
	if (offset < 0) {
		uint64_t wanted = -(uint64_t)offset;

		if (wanted > size)
			wanted = size;
		*ret = (struct window){ size - wanted, wanted };
		return true;
	}
	if ((uint64_t)offset > size)
		offset = (int64_t)size;
	ret->offset = (uint64_t)offset;
	ret->length = size - ret->offset;
	if (length && (uint64_t)length < ret->length)
		ret->length = (uint64_t)length;
	return true;
}

void window_tail(int64_t offset, int64_t length, uint64_t size, struct window *ret, bool *ret_overflow)
{
	uint64_t from = offset > 0 ? (uint64_t)offset : 0, count = length > 0 ? (uint64_t)length : 0;
	/* The comparison is made with the arguments as given; they are clamped afterwards. */
	__int128 end = (__int128)offset + length;

	*ret_overflow = (__int128)size > end;
	if (*ret_overflow)
		from = size ? size - 1 : 0;
	if ((__int128)from + count > size) {
		if (!size || from > size - 1)
			count = 0;
		from = count < size ? size - count : 0;
		if (count > size)
			count = size;
	}
	*ret = (struct window){ from, count };
}
