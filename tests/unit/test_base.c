/* What everybody uses: the queue of bytes, texts, base64. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/base64.h"
#include "base/bytes.h"
#include "base/text.h"

static void bytes_keep_their_order(void **state)
{
	struct bytes b = { 0 };
	char expected[4096], piece[64];
	size_t put = 0, taken = 0;

	(void)state;
	for (int round = 0; round < 500; round++) {
		for (size_t i = 0; i < 37; i++)
			piece[i] = (char)(put + i);
		assert_int_equal(bytes_add(&b, piece, 37), 0);
		put += 37;
		for (size_t i = 0; i < bytes_length(&b) && i < sizeof expected; i++)
			assert_int_equal((unsigned char)bytes_at(&b)[i], (unsigned char)(taken + i));
		bytes_drop(&b, (size_t)round % 50 < bytes_length(&b) ? (size_t)round % 50 : bytes_length(&b));
		taken = put - bytes_length(&b);
	}
	bytes_free(&b);
}

static void bytes_give_memory_back(void **state)
{
	struct bytes b = { 0 };

	(void)state;
	assert_int_equal(bytes_reserve(&b, 1 << 20), 0);
	b.end += 1 << 20;
	bytes_drop(&b, 1 << 20);
	assert_int_equal(b.size, 0);
	assert_null(b.data);
}

static void bytes_through_a_pipe(void **state)
{
	struct bytes out = { 0 }, in = { 0 };
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	assert_int_equal(bytes_read(&in, ends[0], 100), -EAGAIN);
	assert_int_equal(bytes_add(&out, "hello", 5), 0);
	assert_int_equal(bytes_write(&out, ends[1]), 0);
	assert_int_equal(bytes_length(&out), 0);
	assert_int_equal(bytes_read(&in, ends[0], 3), 3);
	assert_int_equal(bytes_read(&in, ends[0], 100), 2);
	assert_memory_equal(bytes_at(&in), "hello", 5);
	assert_int_equal(bytes_reserve(&out, 1 << 20), 0);
	memset(out.data, 0, 1 << 20);
	out.end = 1 << 20;
	assert_int_equal(bytes_write(&out, ends[1]), -EAGAIN);
	(void)close(ends[1]);
	bytes_free(&in);
	while (bytes_read(&in, ends[0], 1 << 16) > 0)
		;
	assert_int_equal(bytes_read(&in, ends[0], 100), 0);
	(void)close(ends[0]);
	bytes_free(&in);
	bytes_free(&out);
}

static void characters(void **state)
{
	static const struct {
		const char *text;
		long count;		/* -1: no UTF-8 */
	} texts[] = { { "", 0 }, { "abc", 3 }, { "dat\xc3\xa9", 4 }, { "\xe2\x98\x83", 1 }, { "\xf0\x9f\x98\x80!", 2 }, { "\xff", -1 },
		      { "\xc3", -1 }, { "\xc0\x80", -1 }, { "\xed\xa0\x80", -1 }, { "\xf4\x90\x80\x80", -1 }, { "\xe2\x28\xa1", -1 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		size_t n = 0;
		bool good = utf8_count(texts[i].text, strlen(texts[i].text), &n);

		assert_int_equal(good ? (long)n : -1, texts[i].count);
	}
}

static void bytes_repr(void **state)
{
	static const struct {
		const char *bytes, *repr;
	} texts[] = { { "", "b''" }, { "a\xff\n", "b'a\\xff\\n'" }, { "it's", "b\"it's\"" }, { "'\"", "b'\\'\"'" }, { "\\\t\x01", "b'\\\\\\t\\x01'" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		char *repr = python_bytes_repr(texts[i].bytes, strlen(texts[i].bytes));

		assert_string_equal(repr, texts[i].repr);
		free(repr);
	}
}

/* Every text is encoded in two pieces, cut at every place. */
static void base64_encoding(void **state)
{
	static const struct {
		const char *bytes, *text;
	} rows[] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "\xff\xfe", "//4=" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t cut = 0; cut <= strlen(rows[i].bytes); cut++) {
			char *text = base64_encode_two(rows[i].bytes, cut, rows[i].bytes + cut, strlen(rows[i].bytes) - cut);

			assert_string_equal(text, rows[i].text);
			free(text);
		}
}

static void base64_decoding(void **state)
{
	static const struct {
		const char *text, *bytes;	/* NULL: malformed */
	} rows[] = {
		{ "", "" }, { "Zg==", "f" }, { "Zm8=", "fo" }, { "Zm9v", "foo" }, { "Zm9vYg==", "foob" }, { "Zm9vYmE=", "fooba" },
		{ "Zm9vYmFy", "foobar" }, { "Zm9v\r\nYmFy", "foobar" }, { " Zg= =\n", "f" }, { "+/8=", "\xfb\xff" },
		{ "Z", NULL }, { "Zg", NULL }, { "Zg=", NULL }, { "Zg==Zg==", NULL }, { "Zg=a", NULL }, { "Zm9*", NULL }, { "=", NULL },
		{ "Y===", NULL }, { "====", NULL }, { "Zg======", NULL }, { "Zm9v\xff", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t n = 0;
		char *bytes = base64_decode(rows[i].text, &n);

		if (!rows[i].bytes) {
			assert_null(bytes);
			continue;
		}
		assert_int_equal(n, strlen(rows[i].bytes));
		assert_string_equal(bytes, rows[i].bytes);
		free(bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_keep_their_order), cmocka_unit_test(bytes_give_memory_back), cmocka_unit_test(bytes_through_a_pipe),
		cmocka_unit_test(characters), cmocka_unit_test(bytes_repr), cmocka_unit_test(base64_encoding),
		cmocka_unit_test(base64_decoding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
