/* What is taken out of output: captures, terminal sequences. Every way to cut the input into batches gives the same
 * result. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "ansi.h"
#include "auto_name.h"
#include "base/base.h"
#include "capture.h"

struct result {
	char text[1024];
	size_t length;
	char captured[1024];
	size_t captured_length;
	unsigned captures;
};

static void collect(void *data, const void *a, size_t a_length, const void *b, size_t b_length)
{
	struct result *result = data;

	memcpy(result->captured + result->captured_length, a, a_length);
	result->captured_length += a_length;
	memcpy(result->captured + result->captured_length, b, b_length);
	result->captured_length += b_length;
	result->captured[result->captured_length++] = '|';
	result->captures++;
}

/* What the logger does: process what is usable, keep the rest; at the end everything. */
static void feed(struct capture *capture, const char *data, size_t length, char *held, size_t *held_length, bool last,
		 struct result *result)
{
	char batch[1024];
	size_t n = *held_length + length, urgent, take;

	memcpy(batch, held, *held_length);
	memcpy(batch + *held_length, data, length);
	take = last ? n : capture_usable(capture->mark.on, batch, n, &urgent);
	result->length += capture_scan(capture, batch, take, result->text + result->length, collect, result);
	*held_length = n - take;
	memcpy(held, batch + take, *held_length);
}

static void run(const char *input, const size_t *cuts, size_t n_cuts, struct result *result)
{
	unsigned char ring[256];
	struct capture capture = { .ring = ring, .size = 200, .max = 20 };
	char held[1024];
	size_t held_length = 0, from = 0, length = strlen(input);

	memset(result, 0, sizeof *result);
	for (size_t i = 0; i <= n_cuts; i++) {
		size_t to = i < n_cuts ? cuts[i] : length;

		feed(&capture, input + from, to - from, held, &held_length, i == n_cuts, result);
		from = to;
	}
}

static void capture_at_every_cut(void **state)
{
	static const char input[] = "one\n" CAPTURE_BEGIN "message" CAPTURE_END "two <!--XSUPERVISOR:END--> <!-- "
				    "<!--XSUPERVISOR:BEG" CAPTURE_BEGIN
				    "0123456789abcdefghij!" CAPTURE_END CAPTURE_BEGIN CAPTURE_END "three<!--X";
	struct result whole, parts;
	size_t length = strlen(input);

	(void)state;
	run(input, NULL, 0, &whole);
	assert_int_equal(whole.captures, 3);
	assert_memory_equal(whole.captured, "message|123456789abcdefghij!||", 30);
	assert_string_equal(whole.text, "one\ntwo <!--XSUPERVISOR:END--> <!-- <!--XSUPERVISOR:BEGthree<!--X");
	for (size_t a = 0; a <= length; a++)
		for (size_t b = a; b <= length; b++) {
			run(input, (size_t[]){ a, b }, 2, &parts);
			assert_memory_equal(&whole, &parts, sizeof whole);
		}
}

static void capture_byte_by_byte(void **state)
{
	static const char input[] = CAPTURE_BEGIN "abc" CAPTURE_END "text";
	struct result whole, parts;
	size_t cuts[sizeof input];

	(void)state;
	for (size_t i = 0; i < sizeof input; i++)
		cuts[i] = i;
	run(input, NULL, 0, &whole);
	run(input, cuts, strlen(input), &parts);
	assert_memory_equal(&whole, &parts, sizeof whole);
}

static void urgent(void **state)
{
	size_t n;

	(void)state;
	assert_int_equal(capture_usable(false, "abc", 3, &n), 3);
	assert_int_equal(n, 0);
	assert_int_equal(capture_usable(false, "abc<!--X", 8, &n), 3);
	assert_int_equal(capture_usable(true, "abc<!--X", 8, &n), 3);
	assert_int_equal(n, 3);
	assert_int_equal(capture_usable(true, "abc" CAPTURE_END "d", 26, &n), 26);
	assert_int_equal(n, 25);
}

static void ansi(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "plain", "plain" },
		{ "\x1b[31mred\x1b[0m", "red" },
		{ "\x1b[1;31;42mx", "x" },
		{ "a\x1b[2Kb\x1b[Hc", "abc" },
		{ "a\x1b"
		  "b",
		  "a\x1b"
		  "b" },
		{ "a\x1b\x1b[mb", "a\x1b"
				  "b" },
		{ "cut \x1b[31", "cut " },
		{ "cut \x1b", "cut " },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char out[64], in[64];
		size_t length = strlen(rows[i].in), n = ansi_strip(rows[i].in, length, out);

		out[n] = '\0';
		assert_string_equal(out, rows[i].out);
		memcpy(in, rows[i].in, length + 1);
		n = ansi_strip(in, length, in);
		in[n] = '\0';
		assert_string_equal(in, rows[i].out);
	}
	assert_int_equal(ansi_unfinished("abc", 3), 0);
	assert_int_equal(ansi_unfinished("abc\x1b", 4), 1);
	assert_int_equal(ansi_unfinished("abc\x1b[3", 6), 3);
	assert_int_equal(ansi_unfinished("abc\x1b[3m", 7), 0);
	assert_int_equal(ansi_unfinished("", 0), 0);
}

static void auto_names(void **state)
{
	static const struct {
		const char *name;
		bool matches;
	} rows[] = {
		{ "web-stdout---reeve-abcdefgh.log", true },
		{ "web-stderr---reeve-abcdefgh.log.12", true },
		{ "web-stdout---other-abcdefgh.log", false },
		{ "---reeve-abcdefgh.log", false },
		{ "web---reeve-.log", false },
		{ "web---reeve-a b.log", false },
		{ "web---reeve-x", false },
		{ "a---reeve----reeve-x.log", true },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (auto_matches(rows[i].name, "reeve") != rows[i].matches)
			fail_msg("%s", rows[i].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capture_at_every_cut),
		cmocka_unit_test(capture_byte_by_byte),
		cmocka_unit_test(urgent),
		cmocka_unit_test(ansi),
		cmocka_unit_test(auto_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
