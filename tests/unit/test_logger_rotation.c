/* Where lines go when a file has a limit, and what part of a file a reader gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/base.h"
#include "rotation.h"

static void room(void **state)
{
	static const struct {
		const char *what;
		uint64_t size, line, max;
		const char *data;
		size_t expected;
	} rows[] = {
		{ "no limit", 1000, 0, 0, "abc\ndef\n", 8 },
		{ "all fits", 0, 0, 8, "abc\ndef\n", 8 },
		{ "one of two lines fits", 0, 0, 7, "abc\ndef\n", 4 },
		{ "behind other lines", 4, 0, 8, "abc\ndef\n", 4 },
		{ "no line fits: rotate", 6, 0, 8, "abc\ndef\n", 0 },
		{ "full: rotate", 8, 0, 8, "abc\n", 0 },
		{ "over the limit already: rotate", 80, 0, 8, "abc\n", 0 },
		{ "too long for any file, empty file: cut", 0, 0, 8, "abcdefghijk\n", 8 },
		{ "too long for any file, used file: rotate first", 3, 0, 8, "abcdefghijk\n", 0 },
		{ "begun here and ends here, though over the limit", 7, 3, 8, "def\nghi\n", 4 },
		{ "begun here, no end in sight, still short", 7, 3, 8, "def", 3 },
		{ "begun here, too long for any file: fill up", 6, 3, 8, "abcdefghijk\n", 2 },
		{ "begun here, too long, full: cut", 8, 8, 8, "abc\n", 0 },
		{ "begun in the file before, continues", 0, 0, 8, "abc\n", 4 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t got = rotation_room(rows[i].size, rows[i].line, rows[i].max, rows[i].data, strlen(rows[i].data));

		if (got != rows[i].expected)
			fail_msg("%s: %zu instead of %zu", rows[i].what, got, rows[i].expected);
	}
}

static void full(void **state)
{
	(void)state;
	assert_false(rotation_full(100, 0, 0));
	assert_false(rotation_full(99, 0, 100));
	assert_true(rotation_full(100, 0, 100));
	assert_false(rotation_full(120, 5, 100));
}

/* Whatever the sizes, output goes somewhere, lines stay whole unless longer than the limit, and it ends. */
static void always_ends(void **state)
{
	char data[64];

	(void)state;
	for (unsigned seed = 1; seed < 20000; seed++) {
		unsigned random = seed * 2654435761u;
		uint64_t max = 1 + random % 20, size = 0, line = 0;
		size_t length = 1 + (random >> 8) % sizeof data, from = 0;
		unsigned steps = 0;

		for (size_t i = 0; i < length; i++)
			data[i] = (random >> (i % 23)) % 5 ? 'x' : '\n';
		while (from < length) {
			size_t n = rotation_room(size, line, max, data + from, length - from);

			assert_true(n <= length - from);
			if (!n)
				size = line = 0;
			size += n;
			line = rotation_line(line, data + from, n);
			from += n;
			assert_true(++steps < 4 * sizeof data);
			assert_true(size < 2 * max + 1);
		}
	}
}

static void tail(void **state)
{
	/* As observed on supervisord with a file of 56 bytes. */
	static const struct {
		int64_t offset, length;
		uint64_t from, count;
		bool overflow;
	} rows[] = {
		{ 0, 10, 46, 10, true },
		{ 0, 1000, 0, 56, false },
		{ 50, 10, 46, 10, false },
		{ 56, 10, 56, 0, false },
		{ 1000, 10, 56, 0, false },
		{ 0, 0, 55, 0, true },
		{ -5, 10, 46, 10, true },
		{ 0, 56, 0, 56, false },
		{ 0, -5, 55, 0, true },
		{ INT64_MIN, INT64_MIN, 55, 0, true },
		{ INT64_MAX, INT64_MAX, 56, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct window window;
		bool overflow;

		window_tail(rows[i].offset, rows[i].length, 56, &window, &overflow);
		if (window.length != rows[i].count || overflow != rows[i].overflow ||
		    (window.length && window.offset != rows[i].from))
			fail_msg("tail row %zu: %d+%d %d", i, (int)window.offset, (int)window.length, overflow);
	}
}

static void read_window(void **state)
{
	static const struct {
		int64_t offset, length;
		bool good;
		uint64_t from, count;
	} rows[] = {
		{ -10, 0, true, 46, 10 },
		{ -100, 0, true, 0, 56 },
		{ -10, 5, false },
		{ -10, -5, false },
		{ 0, -1, false },
		{ 10, 0, true, 10, 46 },
		{ 56, 0, true, 56, 0 },
		{ 100, 0, true, 56, 0 },
		{ 10, 5, true, 10, 5 },
		{ 50, 100, true, 50, 6 },
		{ 100, 5, true, 56, 0 },
		{ INT64_MIN, 0, true, 0, 56 },
		{ 0, INT64_MAX, true, 0, 56 },
		{ INT64_MAX, INT64_MAX, true, 56, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct window window;

		assert_int_equal(window_read(rows[i].offset, rows[i].length, 56, &window), rows[i].good);
		if (rows[i].good && (window.offset != rows[i].from || window.length != rows[i].count))
			fail_msg("read row %zu: %d+%d", i, (int)window.offset, (int)window.length);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(room), cmocka_unit_test(full),	       cmocka_unit_test(always_ends),
		cmocka_unit_test(tail), cmocka_unit_test(read_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
