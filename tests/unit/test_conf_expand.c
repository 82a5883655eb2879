/* %(name)s: each name, each conversion, each mistake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "conf/expand.h"

static char *const environment[] = { (char *)"HOME=/root", (char *)"A=env", (char *)"B=env", (char *)"C=env", (char *)"P=50%d", NULL };
static char *const added[] = { (char *)"B=added", (char *)"C=added", NULL };
static char *const own[] = { (char *)"C=own", NULL };
static const struct scope all = { .environment = environment, .added = added, .own = own, .here = "/h", .host_node_name = "node",
				  .program_name = "prog", .group_name = "grp", .numbered = true, .process_num = 7, .numprocs = 12 };

static const struct {
	const char *text, *expected;
} good[] = {
	{ "", "" }, { "plain", "plain" }, { "%%", "%" }, { "100%%", "100%" }, { "%%(here)s", "%(here)s" }, { "%%%%", "%%" },
	{ "%(here)s/x", "/h/x" }, { "%(host_node_name)s", "node" }, { "%(program_name)s_%(process_num)02d", "prog_07" },
	{ "%(group_name)s", "grp" }, { "%(process_num)s", "7" }, { "%(process_num)d", "7" }, { "%(process_num)3d|", "  7|" },
	{ "%(process_num)-3d|", "7  |" }, { "%(process_num)+d", "+7" }, { "%(process_num)03i", "007" }, { "%(process_num)u", "7" },
	{ "%(process_num)x", "7" }, { "%(numprocs)x", "c" }, { "%(numprocs)X", "C" }, { "%(numprocs)o", "14" }, { "%(numprocs)#x", "0xc" },
	{ "%(numprocs).1f", "12.0" }, { "%(numprocs)e", "1.200000e+01" }, { "%(numprocs)g", "12" }, { "%(process_num)r", "7" },
	{ "%(process_num)5s|", "    7|" }, { "%(here)r", "'/h'" }, { "%(program_name)10s|", "      prog|" },
	{ "%(program_name)-6s|", "prog  |" }, { "%(program_name).2s", "pr" }, { "%(program_name)a", "'prog'" },
	{ "%(ENV_HOME)s", "/root" }, { "%(ENV_A)s%(ENV_B)s%(ENV_C)s", "envaddedown" },
	{ "%(ENV_P)s", "50%d" },		/* not expanded again */
	{ "%(numprocs)#o", "0o14" }, { "%(process_num)05.2f", "07.00" }, { "%(process_num) d", " 7" }, { "%(process_num)ld", "7" },
	{ "%(numprocs).4d", "0012" }, { "%(process_num)c", "\a" },
	{ "%(here)05s", "   /h" }, { "%(here)+s", "/h" }, { "%(process_num)05s", "    7" }, { "%(here).s", "" }, { "%(numprocs)-+5d|", "+12  |" },
	{ "%(numprocs)#X", "0XC" }, { "%(numprocs).0f", "12" }, { "%(here)5.1s|", "    /|" },
};

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct error err = { 0 };
		_cleanup_(freep) char *got = expand(good[i].text, &all, "s.k", &err);

		if (!got || strcmp(got, good[i].expected) != 0)
			fail_msg("'%s' gives %s, not '%s'", good[i].text, got ? got : err.text, good[i].expected);
	}
}

#define FORMAT "Format string '%s' for 's.k' "
static const struct {
	const char *text, *expected;	/* the end of the message */
} bad[] = {
	{ "100%", "is badly formatted: incomplete format" }, { "50% of", "is badly formatted: " }, { "date +%Y", "is badly formatted: " },
	{ "%s", "is badly formatted: " }, { "%(here", "is badly formatted: incomplete format key" },
	{ "%(here)", "is badly formatted: incomplete format" }, { "%(here)y", "is badly formatted: unsupported format character" },
	{ "%(here)d", "is badly formatted: " }, { "%(program_name)02d", "is badly formatted: " },
	{ "%(nosuch)s", "contains names ('nosuch') which cannot be expanded. Available names: ENV_A, ENV_B, ENV_C, ENV_HOME, ENV_P, "
			"group_name, here, host_node_name, numprocs, process_num, program_name" },
	{ "%(ENV_NOSUCH)s", "contains names ('ENV_NOSUCH') which cannot be expanded. Available names: " },
	{ "%(ENV_)s", "contains names ('ENV_') which cannot be expanded. Available names: " },
	{ "%(HERE)s", "contains names ('HERE') which cannot be expanded. Available names: " },
	{ "%()s", "contains names ('') which cannot be expanded. Available names: " },
	{ "%(a(b)c)s", "contains names ('a(b)c') which cannot be expanded. Available names: " },
	{ "%(here)%", "is badly formatted: unsupported format character" }, { "%(process_num)hhd", "is badly formatted: " },
	{ "%(process_num)*d", "is badly formatted: " }, { "%(process_num)-", "is badly formatted: incomplete format" },
	{ "%(env_home)s", "contains names ('env_home') which cannot be expanded. Available names: " },
};

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct error err = { 0 };
		_cleanup_(freep) char *got = expand(bad[i].text, &all, "s.k", &err);
		char expected[600];

		(void)snprintf(expected, sizeof expected, FORMAT "%s", bad[i].text, bad[i].expected);
		if (got || strncmp(err.text, expected, strlen(expected)) != 0)
			fail_msg("'%s' gives '%s', not '%s'", bad[i].text, got ? got : err.text, expected);
	}
}

static void test_names_not_available(void **state)
{
	static const char *const texts[] = { "%(here)s", "%(host_node_name)s", "%(program_name)s", "%(group_name)s", "%(process_num)d",
					     "%(numprocs)d", "%(ENV_A)s" };
	static const struct scope none = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_null(expand(texts[i], &none, "s.k", NULL));
}

static void test_widths_have_a_limit(void **state)
{
	struct error err = { 0 };
	char *got = expand("%(process_num)100000000d", &all, "s.k", &err);

	(void)state;
	assert_null(got);
	assert_non_null(strstr(err.text, "badly formatted"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good), cmocka_unit_test(test_bad), cmocka_unit_test(test_names_not_available),
		cmocka_unit_test(test_widths_have_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
