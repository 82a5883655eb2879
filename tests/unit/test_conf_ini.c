/* Lines, comments, continuations, names and duplicates: texts, and what the reader makes of them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "conf/ini.h"
#include "conf/strv.h"

/* Sections and keys as "[section]key=<value>key=<value>". */
static char *render(const struct ini *ini)
{
	struct text t = { 0 };

	for (size_t i = 0; i < ini->n_sections; i++) {
		text_printf(&t, "[%s]", ini->sections[i].name);
		for (size_t k = 0; k < ini->sections[i].n_keys; k++)
			text_printf(&t, "%s=<%s>", ini->sections[i].keys[k].name, ini->sections[i].keys[k].value);
	}
	return text_take(&t);
}

static const struct {
	const char *text, *expected;
} good[] = {
	/* comments */
	{ "[s]\na=b;c\n", "[s]a=<b;c>" }, { "[s]\na=b#c\n", "[s]a=<b#c>" }, { "[s]\na=b #c\n", "[s]a=<b>" }, { "[s]\na=b ;c\n", "[s]a=<b>" },
	{ "[s]\na=b\t;c\n", "[s]a=<b>" }, { "[s]\na=;x\n", "[s]a=<;x>" }, { "[s]\na= ;x\n", "[s]a=<>" }, { "[s]\na=3;x\n", "[s]a=<3;x>" },
	{ "# c\n; c\n[s]\n  # c\n\t; c\na=1\n", "[s]a=<1>" }, { "[s] ; c\na=1\n", "[s]a=<1>" }, { "[s]#c\na=1\n", "[s]a=<1>" },
	{ "[s]\na = x#y ;z #w\n", "[s]a=<x#y>" }, { "[s]\n;a=1\n#b=2\n", "[s]" }, { "[s]\na=1 # x ; y\n", "[s]a=<1>" },
	{ "[s]\na=b;c ;d\n", "[s]a=<b;c>" },
	/* Python looks for both marks in rounds: the second `;` is only looked for where the first round finds nothing. */
	{ "[s]\na=b;c ;d #e\n", "[s]a=<b;c ;d>" },
	/* the deliberate difference: no comment begins inside quotes that the line closes */
	{ "[s]\na=sh -c 'x ; y'\n", "[s]a=<sh -c 'x ; y'>" }, { "[s]\na=sh -c \"x # y\" ; z\n", "[s]a=<sh -c \"x # y\">" },
	{ "[s]\na='x' ; it's\n", "[s]a=<'x'>" }, { "[s]\na=\"\\\" ; x\" ; y\n", "[s]a=<\"\\\" ; x\">" },
	{ "[s]\na=echo it's ; c\n", "[s]a=<echo it's>" }, { "[s]\na=\"x\n  y\" ; c\n", "[s]a=<\"x\ny\">" },
	{ "[s]\na=sh -c \"\n  x ; y\"\n", "[s]a=<sh -c \"\nx ; y\">" }, { "[s]\na=\"x\nb=y ; c\n", "[s]a=<\"x>b=<y>" },
	{ "[s]\na=it's,\n  b='x' ; c\n", "[s]a=<it's,\nb='x'>" }, { "[s]\na='x\\' ; c'\n", "[s]a=<'x\\'>" },
	/* sections */
	{ "[a]b]\nx=1\n", "[a]b]x=<1>" }, { "[a] junk\nx=1\n", "[a]x=<1>" }, { "[a] junk] x\nx=1\n", "[a] junk]x=<1>" },
	{ "[ a ]\nx=1\n", "[ a ]x=<1>" }, { "[A]\nx=1\n[a]\nx=2\n", "[A]x=<1>[a]x=<2>" }, { "  [a]\n  x=1\n", "[a]x=<1>" },
	{ "[s]\n[program:a\nb=1\n", "[s][program=<a>b=<1>" }, { "[s]\n[]=x\n", "[s][]=<x>" }, { "[s]\n[]:x]\n", "[s][]:x]" },
	{ "[a]\nx=1\n[b]\ny=2\n[a]\nz=3\n", "[a]x=<1>z=<3>[b]y=<2>" }, { "[a]\nx=1\ny=1\n[b]\n[a]\nx=2\n", "[a]x=<2>y=<1>[b]" },
	/* keys */
	{ "[s]\nA_b=1\n", "[s]a_b=<1>" }, { "[s]\na: 1\n", "[s]a=<1>" }, { "[s]\na:b=c\n", "[s]a=<b=c>" }, { "[s]\na=b:c\n", "[s]a=<b:c>" },
	{ "[s]\na  =  1  \n", "[s]a=<1>" }, { "[s]\na=\nb=1\n", "[s]a=<>b=<1>" }, { "[s]\na=1\na=2\n", "[s]a=<2>" },
	{ "[s]\na b=1\n", "[s]a b=<1>" }, { "[s]\na=1\nA=2\n", "[s]a=<2>" },
	/* continuations */
	{ "[s]\na=one\n two\n\tthree\n", "[s]a=<one\ntwo\nthree>" }, { "[s]\na=\n one\n", "[s]a=<\none>" },
	{ "[s]\n  a=1\n  b=2\n", "[s]a=<1>b=<2>" }, { "[s]\n a=1\n  b=2\n", "[s]a=<1\nb=2>" }, { "[s]\n  a=1\n b=2\nc=3\n", "[s]a=<1>b=<2>c=<3>" },
	{ "[s]\na=1\n b=2\nc=3\n", "[s]a=<1\nb=2>c=<3>" }, { "[s]\na=1\n [t]\nb=2\n", "[s]a=<1\n[t]>b=<2>" },
	{ "[s]\na=one\n\n  two\n", "[s]a=<one\n\ntwo>" }, { "[s]\na=one\n\n\nb=2\n", "[s]a=<one>b=<2>" }, { "[s]\na=one\n\n\n", "[s]a=<one>" },
	{ "[s]\na=one\n  \n\t\n  two\n", "[s]a=<one\n\n\ntwo>" }, { "[s]\na=one\n# c\n  two\n", "[s]a=<one\ntwo>" },
	{ "[s]\na=one\n  ; c\n  two ; c\n", "[s]a=<one\ntwo>" }, { "[s]\na=one ; c\n  two\n", "[s]a=<one\ntwo>" },
	{ "[s]\na=one\n\n; c\n\n  two\n", "[s]a=<one\n\n\ntwo>" }, { "[s]\n a=1\n[t]\nb=2\n", "[s]a=<1>[t]b=<2>" },
	/* ends of lines and of the file */
	{ "[s]\r\na=1\r\n b\r\n", "[s]a=<1\nb>" }, { "[s]\na=1", "[s]a=<1>" }, { "[s]\na=1\n b", "[s]a=<1\nb>" }, { "[s]", "[s]" },
	{ "", "" }, { "\n\n", "" }, { "; c", "" }, { "[s]\ra=1\rb=2\r", "[s]a=<1>b=<2>" },
	/* bytes beyond ASCII are text */
	{ "[\xc3\xa9]\n\xc3\xa9=\xff\n", "[\xc3\xa9]\xc3\xa9=<\xff>" },
};

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct ini ini = { 0 };
		struct diagnostics d = { 0 };
		struct error err = { 0 };
		_cleanup_(freep) char *got = NULL;

		assert_int_equal(ini_read(&ini, good[i].text, "f", NULL, &d, &err), 0);
		got = render(&ini);
		if (strcmp(got, good[i].expected) != 0)
			fail_msg("'%s' gives %s, not %s", good[i].text, got, good[i].expected);
		assert_int_equal(d.n_errors, 0);
		ini_free(&ini);
		diagnostics_free(&d);
	}
}

static const struct {
	const char *text, *error;
	int line;			/* of the first diagnostic */
} bad[] = {
	{ "a=1\n", "File contains no section headers.\nfile: 'f', line: 1\n'a=1\\n'", 1 },
	{ "\n; c\nx\n[s]\n", "File contains no section headers.\nfile: 'f', line: 3\n'x\\n'", 3 },
	{ "\xef\xbb\xbf[s]\n", "File contains no section headers.\nfile: 'f', line: 1\n'\xef\xbb\xbf[s]\\n'", 1 },
	{ "[s]\njunk\n", "Source contains parsing errors: 'f'\n\t[line  2]: 'junk\\n'", 2 },
	{ "[s]\na=1\njunk\n\nmore\n", "Source contains parsing errors: 'f'\n\t[line  3]: 'junk\\n'\n\t[line  5]: 'more\\n'", 3 },
	{ "[s]\n=1\n", "Source contains parsing errors: 'f'\n\t[line  2]: '=1\\n'", 2 },
	{ "[s]\n[]\n", "Source contains parsing errors: 'f'\n\t[line  2]: '[]\\n'", 2 },
	{ "[s]\n two\n", "Source contains parsing errors: 'f'\n\t[line  2]: ' two\\n'", 2 },
	{ "[s]\nlast", "Source contains parsing errors: 'f'\n\t[line  2]: 'last'", 2 },
	{ "[s]\nit's = \"bad' # c\nplain # c\n", "Source contains parsing errors: 'f'\n\t[line  3]: 'plain # c\\n'", 3 },
	{ "[s]\nit's\n", "Source contains parsing errors: 'f'\n\t[line  2]: \"it's\\n\"", 2 },
};

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct ini ini = { 0 };
		struct diagnostics d = { 0 };
		struct error err = { 0 };

		assert_int_equal(ini_read(&ini, bad[i].text, "f", NULL, &d, &err), -EINVAL);
		assert_string_equal(err.text, bad[i].error);
		assert_true(d.n_errors > 0);
		assert_int_equal(d.list[0].line, bad[i].line);
		ini_free(&ini);
		diagnostics_free(&d);
	}
}

static void test_here_is_text(void **state)
{
	struct ini ini = { 0 };
	struct diagnostics d = { 0 };
	_cleanup_(freep) char *got = NULL;

	(void)state;
	/* Plain replacement, so that %% before it breaks, and other spellings are not touched. */
	assert_int_equal(ini_read(&ini, "[s]\na=%(here)s/x %(here)s\nb=%%(here)s\nc=%(here)r\n", "f", "/d", &d, NULL), 0);
	got = render(&ini);
	assert_string_equal(got, "[s]a=</d/x /d>b=<%/d>c=<%(here)r>");
	ini_free(&ini);
	diagnostics_free(&d);
}

static void test_files_merge(void **state)
{
	struct ini ini = { 0 };
	struct diagnostics d = { 0 };
	_cleanup_(freep) char *got = NULL;

	(void)state;
	assert_int_equal(ini_read(&ini, "[s]\na=1\nb=1\n", "one", NULL, &d, NULL), 0);
	assert_int_equal(ini_read(&ini, "[t]\n[s]\nb=2\n", "two", NULL, &d, NULL), 0);
	got = render(&ini);
	assert_string_equal(got, "[s]a=<1>b=<2>[t]");
	assert_string_equal(ini.sections[0].file, "one");
	assert_string_equal(ini.sections[0].keys[1].file, "two");
	assert_int_equal(ini.sections[0].keys[1].line, 3);
	assert_string_equal(ini.sections[1].file, "two");
	ini_free(&ini);
	diagnostics_free(&d);
}

static void test_default_section(void **state)
{
	struct ini ini = { 0 };
	struct diagnostics d = { 0 };

	(void)state;
	assert_int_equal(ini_read(&ini, "[DEFAULT]\na=1\nb=1\n[s]\nb=2\n", "f", NULL, &d, NULL), 0);
	assert_string_equal(ini_key(&ini, ini_section(&ini, "s"), "a")->value, "1");
	assert_string_equal(ini_key(&ini, ini_section(&ini, "s"), "b")->value, "2");
	assert_null(ini_key(&ini, ini_section(&ini, "s"), "c"));
	assert_null(ini_section(&ini, "default"));
	ini_free(&ini);
	diagnostics_free(&d);
}

static void test_given_again_is_told(void **state)
{
	struct ini ini = { 0 };
	struct diagnostics d = { 0 };

	(void)state;
	assert_int_equal(ini_read(&ini, "[s]\na=1\nb=2\na=3\n", "f", NULL, &d, NULL), 0);
	assert_int_equal(d.n, 1);
	assert_int_equal(d.list[0].severity, DIAGNOSTIC_WARNING);
	assert_int_equal(d.list[0].line, 4);
	assert_string_equal(d.list[0].text, "given again: this one counts, not the one in line 2");
	ini_free(&ini);
	diagnostics_free(&d);
}

static void test_long_lines(void **state)
{
	struct ini ini = { 0 };
	struct diagnostics d = { 0 };
	struct text t = { 0 };
	_cleanup_(freep) char *text = NULL;

	(void)state;
	text_puts(&t, "[s]\na=");
	for (int i = 0; i < 1000000; i++)
		text_puts(&t, "x");
	text = text_take(&t);
	assert_int_equal(ini_read(&ini, text, "f", NULL, &d, NULL), 0);
	assert_int_equal(strlen(ini.sections[0].keys[0].value), 1000000);
	ini_free(&ini);
	diagnostics_free(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good), cmocka_unit_test(test_bad), cmocka_unit_test(test_here_is_text), cmocka_unit_test(test_files_merge),
		cmocka_unit_test(test_default_section), cmocka_unit_test(test_given_again_is_told), cmocka_unit_test(test_long_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
