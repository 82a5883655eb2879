/* Text to typed values, and the splitting of commands: one row a rule of the dialect, with supervisord's words for what is wrong. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "conf/strv.h"
#include "conf/value.h"

/* Every parser as one that gives text: what a row compares. */
struct row {
	const char *text;
	const char *expected;		/* the value as text, or what is wrong */
};

typedef int show_function(const char *text, char *out, size_t size, struct error *err);

static int show_integer(const char *text, char *out, size_t size, struct error *err)
{
	long long value = 0;
	int r = parse_integer(text, &value, err);

	(void)snprintf(out, size, "%lld", value);
	return r;
}

static int show_boolean(const char *text, char *out, size_t size, struct error *err)
{
	bool value = false;
	int r = parse_boolean(text, &value, err);

	(void)snprintf(out, size, "%s", value ? "true" : "false");
	return r;
}

static int show_bytes(const char *text, char *out, size_t size, struct error *err)
{
	long long value = 0;
	int r = parse_bytes(text, &value, err);

	(void)snprintf(out, size, "%lld", value);
	return r;
}

static int show_octal(const char *text, char *out, size_t size, struct error *err)
{
	int value = 0, r = parse_octal(text, &value, err);

	(void)snprintf(out, size, "%d", value);
	return r;
}

static int show_exitcodes(const char *text, char *out, size_t size, struct error *err)
{
	int *codes = NULL;
	size_t n = 0, at = 0;
	int r = parse_exitcodes(text, &codes, &n, err);

	*out = '\0';
	for (size_t i = 0; r == 0 && i < n; i++)
		at += (size_t)snprintf(out + at, size - at, "%s%d", i ? " " : "", codes[i]);
	free(codes);
	return r;
}

static int show_signal(const char *text, char *out, size_t size, struct error *err)
{
	int value = 0, r = parse_signal(text, &value, err);

	(void)snprintf(out, size, "%d", value);
	return r;
}

static int show_loglevel(const char *text, char *out, size_t size, struct error *err)
{
	enum loglevel value = LOGLEVEL_INFO;
	int r = parse_loglevel(text, &value, err);

	(void)snprintf(out, size, "%s", r ? "" : loglevel_name(value));
	return r;
}

static int show_autorestart(const char *text, char *out, size_t size, struct error *err)
{
	enum autorestart value = AUTORESTART_FALSE;
	int r = parse_autorestart(text, &value, err);

	(void)snprintf(out, size, "%s", autorestart_name(value));
	return r;
}

static void show_list(char *const *list, char *out, size_t size)
{
	size_t at = 0;

	*out = '\0';
	for (size_t i = 0; list && list[i]; i++)
		at += (size_t)snprintf(out + at, size - at, "%s<%s>", i ? " " : "", list[i]);
}

static int show_environment(const char *text, char *out, size_t size, struct error *err)
{
	char **list = NULL;
	int r = parse_environment(text, &list, err);

	show_list(list, out, size);
	strv_free(list);
	return r;
}

static int show_words(const char *text, char *out, size_t size, struct error *err)
{
	char **list = NULL;
	int r = parse_list(text, &list);

	(void)err;
	show_list(list, out, size);
	strv_free(list);
	return r;
}

static int show_command(const char *text, char *out, size_t size, struct error *err)
{
	char **list = command_split(text, err);

	show_list(list, out, size);
	strv_free(list);
	return list ? 0 : -EINVAL;
}

static void check_rows(show_function *show, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct error err = { 0 };
		char got[1024];
		int r = show(rows[i].text, got, sizeof got, &err);

		if (strcmp(r < 0 ? err.text : got, rows[i].expected) != 0)
			fail_msg("'%s' gives '%s', not '%s'", rows[i].text, r < 0 ? err.text : got, rows[i].expected);
	}
}
#define CHECK(show, rows) check_rows(show, rows, ARRAY_LEN(rows))

static void test_integers(void **state)
{
	static const struct row rows[] = {
		{ "0", "0" }, { "10", "10" }, { "010", "10" }, { "  7 ", "7" }, { "\t7\n", "7" }, { "+5", "5" }, { "-5", "-5" },
		{ "1_000", "1000" }, { "-0", "0" }, { "0_0", "0" }, { "+ 5", "invalid literal for int() with base 10: '+ 5'" },
		{ "1.5", "invalid literal for int() with base 10: '1.5'" }, { "0x10", "invalid literal for int() with base 10: '0x10'" },
		{ "", "invalid literal for int() with base 10: ''" }, { "-", "invalid literal for int() with base 10: '-'" },
		{ "_1", "invalid literal for int() with base 10: '_1'" }, { "1_", "invalid literal for int() with base 10: '1_'" },
		{ "1__0", "invalid literal for int() with base 10: '1__0'" }, { "--1", "invalid literal for int() with base 10: '--1'" },
		{ "1 2", "invalid literal for int() with base 10: '1 2'" }, { "abc", "invalid literal for int() with base 10: 'abc'" },
		{ "3;x", "invalid literal for int() with base 10: '3;x'" },
	};
	long long huge = 0;

	(void)state;
	CHECK(show_integer, rows);
	/* supervisord's integers have no limit; ours stop growing, and keep their sign. */
	assert_int_equal(parse_integer("99999999999999999999999999", &huge, NULL), 0);
	assert_true(huge > 1LL << 61);
	assert_int_equal(parse_integer("-99999999999999999999999999", &huge, NULL), 0);
	assert_true(huge < -(1LL << 61));
}

static void test_booleans(void **state)
{
	static const struct row rows[] = {
		{ "true", "true" }, { "True", "true" }, { "YES", "true" }, { "on", "true" }, { "1", "true" },
		{ "false", "false" }, { "No", "false" }, { "OFF", "false" }, { "0", "false" },
		{ "y", "not a valid boolean value: 'y'" }, { "t", "not a valid boolean value: 't'" },
		{ "2", "not a valid boolean value: '2'" }, { "", "not a valid boolean value: ''" },
		{ "maybe", "not a valid boolean value: 'maybe'" },
	};

	(void)state;
	CHECK(show_boolean, rows);
}

static void test_bytes(void **state)
{
	static const struct row rows[] = {
		{ "0", "0" }, { "100", "100" }, { "1KB", "1024" }, { "1kb", "1024" }, { "50MB", "52428800" }, { "50 MB", "52428800" },
		{ "2Gb", "2147483648" }, { "-1KB", "-1024" }, { " 3 ", "3" }, { "1_0KB", "10240" },
		{ "50m", "invalid literal for int() with base 10: '50m'" }, { "5K", "invalid literal for int() with base 10: '5k'" },
		{ "1.5MB", "invalid literal for int() with base 10: '1.5'" }, { "5B", "invalid literal for int() with base 10: '5b'" },
		{ "MB", "invalid literal for int() with base 10: ''" }, { "", "invalid literal for int() with base 10: ''" },
		{ "1TB", "invalid literal for int() with base 10: '1tb'" },
	};

	(void)state;
	CHECK(show_bytes, rows);
}

static void test_octal(void **state)
{
	static const struct row rows[] = {
		{ "022", "18" }, { "22", "18" }, { "0o22", "18" }, { "0O22", "18" }, { "0", "0" }, { "-1", "-1" }, { "0777", "511" },
		{ " 77 ", "63" }, { "0_7", "7" }, { "9", "9 can not be converted to an octal type" },
		{ "", " can not be converted to an octal type" }, { "0x1", "0x1 can not be converted to an octal type" },
		{ "0o", "0o can not be converted to an octal type" },
	};

	(void)state;
	CHECK(show_octal, rows);
}

static void test_exitcodes(void **state)
{
	static const struct row rows[] = {
		{ "0", "0" }, { "0,2", "0 2" }, { " 0 , 2 ", "0 2" }, { "", "" }, { "255", "255" }, { "2,2", "2 2" }, { "007", "7" },
		{ "256", "not a valid list of exit codes: '256'" }, { "-1", "not a valid list of exit codes: '-1'" },
		{ "0,", "not a valid list of exit codes: '0,'" }, { ",0", "not a valid list of exit codes: ',0'" },
		{ "a", "not a valid list of exit codes: 'a'" }, { "1 2", "not a valid list of exit codes: '1 2'" }, { " ", "not a valid list of exit codes: ' '" },
	};

	(void)state;
	CHECK(show_exitcodes, rows);
}

static void test_signals(void **state)
{
	static const struct row rows[] = {
		{ "TERM", "15" }, { "term", "15" }, { "SIGTERM", "15" }, { "sigterm", "15" }, { " Hup ", "1" }, { "9", "9" }, { "031", "31" },
		{ "0", "0" }, { "31", "31" }, { "34", "34" }, { "64", "64" }, { "RTMIN", "34" }, { "SIGRTMAX", "64" }, { "CLD", "17" },
		{ "POLL", "29" }, { "IO", "29" }, { "IOT", "6" }, { "ABRT", "6" }, { "QUIT", "3" }, { "USR1", "10" }, { "WINCH", "28" },
		{ "STKFLT", "16" }, { "PWR", "30" }, { "SYS", "31" },
		{ "BOGUS", "value 'BOGUS' is not a valid signal name" }, { "TERMM", "value 'TERMM' is not a valid signal name" },
		{ "", "value '' is not a valid signal name" }, { "SIG", "value 'SIG' is not a valid signal name" },
		{ "RTMIN+1", "value 'RTMIN+1' is not a valid signal name" }, { "TERM HUP", "value 'TERM HUP' is not a valid signal name" },
		{ "32", "value '32' is not a valid signal number" }, { "33", "value '33' is not a valid signal number" },
		{ "35", "value '35' is not a valid signal number" }, { "65", "value '65' is not a valid signal number" },
		{ "-1", "value '-1' is not a valid signal number" },
	};

	(void)state;
	CHECK(show_signal, rows);
	assert_string_equal(signal_name(SIGTERM), "SIGTERM");
	assert_string_equal(signal_name(34), "SIGRTMIN");
	assert_null(signal_name(0));
	assert_null(signal_name(35));
}

static void test_words_of_keys(void **state)
{
	static const struct row levels[] = {
		{ "critical", "critical" }, { "ERROR", "error" }, { "Warn", "warn" }, { "info", "info" }, { "debug", "debug" },
		{ "trace", "trace" }, { "blather", "blather" }, { "warning", "bad logging level name 'warning'" },
		{ "crit", "bad logging level name 'crit'" }, { "notice", "bad logging level name 'notice'" },
		{ "", "bad logging level name ''" }, { "20", "bad logging level name '20'" },
	};
	static const struct row restarts[] = {
		{ "true", "true" }, { "False", "false" }, { "unexpected", "unexpected" }, { "UNEXPECTED", "unexpected" }, { "on", "true" },
		{ "0", "false" }, { "always", "invalid 'autorestart' value 'always'" }, { "", "invalid 'autorestart' value ''" },
	};

	(void)state;
	CHECK(show_loglevel, levels);
	CHECK(show_autorestart, restarts);
}

static void test_lists(void **state)
{
	static const struct row rows[] = {
		{ "", "" }, { "a", "<a>" }, { "a,b", "<a> <b>" }, { " a , b ", "<a> <b>" }, { "a,", "<a> <>" }, { ",", "<> <>" },
		{ "a b", "<a b>" }, { "a\nb", "<a\nb>" }, { "a,\nb", "<a> <b>" },
	};

	(void)state;
	CHECK(show_words, rows);
}

/* What supervisord 4.2.5 makes of environment=. */
static void test_environment(void **state)
{
	static const struct row rows[] = {
		{ "", "" }, { "A=1", "<A=1>" }, { "A=1,B=\"2\"", "<A=1> <B=2>" }, { " A = 1 , B = 2 ", "<A=1> <B=2>" },
		{ "A=\"x,y\"", "<A=x,y>" }, { "A='x,y'", "<A=x,y>" }, { "A=\"\"", "<A=>" }, { "A=''", "<A=>" }, { "A=1,", "<A=1>" },
		{ "A=1;B=2", "<A=1> <B=2>" }, { "A=1|B=2", "<A=1> <B=2>" }, { "A=a b", "<A=a>" }, { "a=1", "<a=1>" },
		{ "A=http://x/y", "<A=http://x/y>" }, { "A=http://x/y?z=1", "<A=http://x/y> <z=1>" }, { "A=$HOME", "<A=$>" },
		{ "A=~/x", "<A=~>" }, { "A=a#b", "<A=a>" }, { "A=\"a#b\"", "<A=a#b>" }, { "A=\"x\\\"y\"", "<A=x\\>" },
		{ "A=\"x\\\\\\\\y\"", "<A=x\\\\\\\\y>" }, { "A='\"q\"'", "<A=q>" }, { "A=foo\"bar\"", "<A=foo\"bar>" },
		{ "A=\"foo\"bar", "<A=foo>" }, { "\"A\"=1", "<\"A\"=1>" }, { "A=1,A=2", "<A=2>" }, { "A=(x):y-z.+", "<A=(x):y-z.+>" },
		{ "A=\"1\",\n B=\"2\"", "<A=1> <B=2>" }, { "A=\"1\n2\"", "<A=1\n2>" }, { "A=1 # c\n,B=2", "<A=1> <B=2>" },
		{ "A=1,#c\nB=2", "<A=1> <B=2>" }, { "#A=1", "" }, { "A=a#b\nc,B=2", "<A=ac> <B=2>" }, { "A=a#b\n c", "<A=a>" }, { "A=\"x y\",B='a=b'", "<A=x y> <B=a=b>" },
		{ "A=\"it's\"", "<A=it's>" }, { "A=\xc3\xa9t\xc3\xa9", "<A=\xc3\xa9t\xc3\xa9>" },
		{ "A=", "Unexpected end of key/value pairs in value 'A='" },
		{ "A", "Unexpected end of key/value pairs in value 'A'" },
		{ "A=,B=1", "Unexpected end of key/value pairs in value 'A=,B=1'" },
		{ "A=1,B", "Unexpected end of key/value pairs in value 'A=1,B'" },
		{ "A=1,,B=2", "Unexpected end of key/value pairs in value 'A=1,,B=2'" },
		{ ",A=1", "Unexpected end of key/value pairs in value ',A=1'" },
		{ "A=1 B=2", "Unexpected end of key/value pairs in value 'A=1 B=2'" },
		{ "A=x@y", "Unexpected end of key/value pairs in value 'A=x@y'" },
		{ "A=x*y", "Unexpected end of key/value pairs in value 'A=x*y'" },
		{ "A=[x]", "Unexpected end of key/value pairs in value 'A=[x]'" },
		{ "A=a=b", "Unexpected end of key/value pairs in value 'A=a=b'" },
		{ "A=a\\,b", "Unexpected end of key/value pairs in value 'A=a\\,b'" },
		{ "A=\"open", "No closing quotation" }, { "A='open", "No closing quotation" }, { "A=1,B='x", "No closing quotation" },
	};

	(void)state;
	CHECK(show_environment, rows);
}

static void test_commands(void **state)
{
	static const struct row rows[] = {
		{ "", "" }, { "  ", "" }, { "a", "<a>" }, { " a  b\tc\nd ", "<a> <b> <c> <d>" }, { "a 'b c'", "<a> <b c>" },
		{ "a \"b c\"", "<a> <b c>" }, { "a \"\" ''", "<a> <> <>" }, { "a'b'\"c\"d", "<abcd>" }, { "a\\ b", "<a b>" },
		{ "a\\\\b", "<a\\b>" }, { "\"a\\\"b\"", "<a\"b>" }, { "\"a\\\\b\"", "<a\\b>" }, { "\"a\\nb\"", "<a\\nb>" },
		{ "\"a\\$b\"", "<a\\$b>" }, { "'a\\b'", "<a\\b>" }, { "'a\"b'", "<a\"b>" }, { "\"a'b\"", "<a'b>" }, { "a;b|c>d", "<a;b|c>d>" },
		{ "a # b", "<a> <#> <b>" }, { "$HOME ~ *", "<$HOME> <~> <*>" }, { "sh -c 'a ; b'", "<sh> <-c> <a ; b>" },
		{ "\xc3\xa9 \xff", "<\xc3\xa9> <\xff>" }, { "a 'b", "No closing quotation" }, { "a \"b", "No closing quotation" },
		{ "a\\", "No escaped character" }, { "a \"b\\", "No escaped character" }, { "a\vb\fc", "<a\vb\fc>" }, { "a\\\nb", "<a\nb>" },
	};

	(void)state;
	CHECK(show_command, rows);
}

static void test_paths(void **state)
{
	static const struct {
		const char *path, *expected;
	} rows[] = {
		{ "/a/b", "/a/b" }, { "b", "/d/b" }, { "./b", "/d/b" }, { "../b", "/b" }, { "/a/../b", "/b" }, { "/a/./b//c/", "/a/b/c" },
		{ "/..", "/" }, { "/", "/" }, { "", "/d" }, { ".", "/d" }, { "//a", "//a" }, { "///a", "/a" }, { "../../..", "/" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_(freep) char *got = absolute_path(rows[i].path, "/d");

		assert_string_equal(got, rows[i].expected);
	}
}

static void test_homes(void **state)
{
	static const struct {
		const char *path, *expected;
	} rows[] = {
		{ "/a/~", "/a/~" }, { "a", "a" }, { "", "" }, { "~", "/home/me" }, { "~/x", "/home/me/x" }, { "~root", "/root" },
		{ "~root/x", "/root/x" }, { "~nobody-such/x", "~nobody-such/x" },
	};

	(void)state;
	(void)setenv("HOME", "/home/me", 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_(freep) char *got = expand_user(rows[i].path);

		assert_string_equal(got, rows[i].expected);
	}
}

/* A million words: no word costs more because of those before it. */
static void test_very_long_command(void **state)
{
	enum { WORDS = 1000000 };
	char *text = malloc(2 * WORDS + 1);
	struct error err;
	char **list;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < WORDS; i++)
		memcpy(text + 2 * i, "a ", 2);
	text[2 * WORDS] = '\0';
	list = command_split(text, &err);
	assert_non_null(list);
	assert_int_equal(strv_length(list), WORDS);
	strv_free(list);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_integers), cmocka_unit_test(test_booleans), cmocka_unit_test(test_bytes), cmocka_unit_test(test_octal),
		cmocka_unit_test(test_exitcodes), cmocka_unit_test(test_signals), cmocka_unit_test(test_words_of_keys),
		cmocka_unit_test(test_lists), cmocka_unit_test(test_environment), cmocka_unit_test(test_commands), cmocka_unit_test(test_paths),
		cmocka_unit_test(test_homes), cmocka_unit_test(test_very_long_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
