/*
 * The files of tests/conf. What is said about good/NAME.ini and bad/NAME.ini must be what NAME.said holds (nothing, where there is
 * none); what good/NAME.ini means must include what NAME.json holds. The same files seed the fuzzer.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "conf/dump.h"

static int chosen(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return n > 4 && strcmp(entry->d_name + n - 4, ".ini") == 0;
}

/* The text of FOLDER/NAME with EXTENSION in place of .ini (malloc'd); "": there is none. */
static char *read_beside(const char *folder, const char *name, const char *extension)
{
	char path[512];
	char *text = NULL;
	size_t size = 0;
	FILE *f;

	(void)snprintf(path, sizeof path, TESTS_CONF "/%s/%.*s%s", folder, (int)strlen(name) - 4, name, extension);
	f = fopen(path, "r");
	if (!f || getdelim(&text, &size, '\0', f) < 0) {
		free(text);
		text = strdup("");
	}
	if (f)
		(void)fclose(f);
	return text;
}

static struct config *read_file(const char *folder, const char *name)
{
	struct sources *sources;
	struct config *config = NULL;
	struct error err;
	_cleanup_(freep) char *text = read_beside(folder, name, ".ini");

	assert_int_equal(sources_from_text(name, text, &sources, &err), 0);
	(void)config_parse(sources, NULL, 0, &config, &err);
	assert_non_null(config);
	return config;
}

static void check_said(const char *folder, const char *name, const struct config *config)
{
	_cleanup_(freep) char *expected = read_beside(folder, name, ".said");
	char *said = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&said, &size);

	for (size_t i = 0; i < config->diagnostics.n; i++) {
		diagnostic_print(&config->diagnostics.list[i], out);
		(void)fputc('\n', out);
	}
	(void)fclose(out);
	if (strcmp(said, expected) != 0)
		fail_msg("%s/%s: it says\n%sand should say\n%s", folder, name, said, expected);
	free(said);
}

/* Everything in WANT is in GOT. */
static bool includes(json_t *got, json_t *want)
{
	const char *key;
	json_t *value;
	size_t i;

	if (!json_is_object(want) && !json_is_array(want))
		return json_equal(got, want);
	if (json_typeof(got) != json_typeof(want) || (json_is_array(want) && json_array_size(got) != json_array_size(want)))
		return false;
	json_object_foreach(want, key, value)
		if (!json_object_get(got, key) || !includes(json_object_get(got, key), value))
			return false;
	json_array_foreach(want, i, value)
		if (!includes(json_array_get(got, i), value))
			return false;
	return true;
}

static void check_meaning(const char *name, const struct config *config)
{
	_cleanup_(freep) char *expected = read_beside("good", name, ".json");
	json_t *want = json_loads(expected, 0, NULL), *got = config_dump(config);

	assert_int_equal(config->diagnostics.n_errors, 0);
	if (*expected && !includes(got, want)) {
		char *shown = json_dumps(got, JSON_INDENT(1));

		fail_msg("good/%s means\n%s\nand should mean\n%s", name, shown, expected);
	}
	json_decref(got);
	json_decref(want);
}

static void check_folder(const char *folder, bool good)
{
	struct dirent **list = NULL;
	char path[512];
	int n;

	(void)snprintf(path, sizeof path, TESTS_CONF "/%s", folder);
	n = scandir(path, &list, chosen, alphasort);
	assert_true(n > 5);
	for (int i = 0; i < n; i++) {
		struct config *config = read_file(folder, list[i]->d_name);

		check_said(folder, list[i]->d_name, config);
		if (good)
			check_meaning(list[i]->d_name, config);
		else
			assert_true(config->diagnostics.n_errors > 0);
		config_free(config);
		free(list[i]);
	}
	free(list);
}

static void test_good(void **state)
{
	(void)state;
	check_folder("good", true);
}

static void test_bad(void **state)
{
	(void)state;
	check_folder("bad", false);
}

static int set_environment(void **state)
{
	(void)state;
	(void)clearenv();
	return setenv("PATH", "/bin", 1) || setenv("HOME", "/root", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_good), cmocka_unit_test(test_bad) };

	return cmocka_run_group_tests(tests, set_environment, NULL);
}
