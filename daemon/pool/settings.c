/* See settings.h. */
#include "settings.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum type { TYPE_STRING, TYPE_WORDS, TYPE_MODE, TYPE_BOOL, TYPE_INTEGER, TYPE_SECONDS };

struct key {
	const char *name;
	enum type type;
	size_t field;
	const char *initial;		/* as JSON text; NULL: must be given */
	double least, most;
	bool live;
};

#define AT(member) offsetof(struct settings, member)
#define YEAR (366.0 * 86400)

static const struct key keys[] = {
	{ "name", TYPE_STRING, AT(name), NULL, 0, 0, false },
	{ "argv", TYPE_WORDS, AT(argv), NULL, 0, 0, false },
	{ "initializer", TYPE_WORDS, AT(initializer), "null", 0, 0, false },
	{ "mode", TYPE_MODE, AT(mode), "\"exec\"", 0, 0, false },
	{ "queue", TYPE_STRING, AT(queue), "\"memory\"", 0, 0, false },
	{ "claim", TYPE_BOOL, AT(claim), "false", 0, 0, false },
	{ "workers", TYPE_INTEGER, AT(workers), "0", 0, 10000, true },
	{ "window", TYPE_INTEGER, AT(window), "1", 1, 100000, true },
	{ "max_tasks_per_worker", TYPE_INTEGER, AT(max_tasks_per_worker), "0", 0, 1e15, true },
	{ "retries", TYPE_INTEGER, AT(retries), "0", 0, 10000, true },
	{ "retry_delay", TYPE_SECONDS, AT(retry_delay), "0.1", 0, YEAR, true },
	{ "retry_delay_max", TYPE_SECONDS, AT(retry_delay_max), "60", 0, YEAR, true },
	{ "timeout", TYPE_SECONDS, AT(timeout), "0", 0, YEAR, true },
	{ "stop_timeout", TYPE_SECONDS, AT(stop_timeout), "5", 0, YEAR, true },
	{ "stop_signal", TYPE_INTEGER, AT(stop_signal), "15", 1, 64, true },
	{ "start_seconds", TYPE_SECONDS, AT(start_seconds), "1", 0, YEAR, true },
	{ "start_retries", TYPE_INTEGER, AT(start_retries), "3", 0, 1000000, true },
	{ "ready", TYPE_BOOL, AT(ready), "false", 0, 0, false },
	{ "error_prefix", TYPE_STRING, AT(error_prefix), "\"\"", 0, 0, false },
	{ "max_result_bytes", TYPE_INTEGER, AT(max_result_bytes), "1048576", 0, 1 << 30, true },
	{ "max_task_bytes", TYPE_INTEGER, AT(max_task_bytes), "1048576", 1, 1 << 30, true },
	{ "keep_results", TYPE_INTEGER, AT(keep_results), "10000", 0, 1e9, true },
	{ "keep_time", TYPE_SECONDS, AT(keep_time), "86400", 0, 100 * YEAR, true },
	{ "access", TYPE_STRING, AT(access), "\"operate\"", 0, 0, true },
	{ "access_group", TYPE_INTEGER, AT(access_group), "-1", -1, 4294967294.0, true },
};

static const char *const mode_names[] = { [MODE_EXEC] = "exec", [MODE_LINE] = "line", [MODE_FRAME] = "frame" };

const char *mode_name(enum pool_mode mode)
{
	return mode_names[mode];
}

static void words_free(char **words)
{
	for (char **w = words; w && *w; w++)
		free(*w);
	free(words);
}

static const struct key *key_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

static int wrong(const struct key *key, struct error *err, const char *wanted)
{
	return error_set(err, EINVAL, "%s: must be %s", key->name, wanted);
}

static int set_words(const struct key *key, char ***field, const json_t *value, struct error *err)
{
	size_t n = json_array_size(value);
	char **words;

	if (json_is_null(value)) {
		*field = NULL;
		return 0;
	}
	if (!json_is_array(value) || !n)
		return wrong(key, err, "an array with at least one word");
	words = calloc(n + 1, sizeof *words);
	for (size_t i = 0; words && i < n; i++) {
		const char *word = json_string_value(json_array_get(value, i));

		if (!word || !(words[i] = strdup(word))) {
			words_free(words);
			return wrong(key, err, "an array of strings");
		}
	}
	if (!words)
		return error_set(err, ENOMEM, "out of memory");
	*field = words;
	return 0;
}

static int set_mode(const struct key *key, enum pool_mode *field, const json_t *value, struct error *err)
{
	const char *text = json_string_value(value);

	for (size_t i = 0; text && i < ARRAY_LEN(mode_names); i++)
		if (strcmp(text, mode_names[i]) == 0) {
			*field = (enum pool_mode)i;
			return 0;
		}
	return wrong(key, err, "exec, line or frame");
}

static int set_number(const struct key *key, void *field, const json_t *value, struct error *err)
{
	double number = json_number_value(value);

	if (!(key->type == TYPE_INTEGER ? json_is_integer(value) : json_is_number(value)))
		return wrong(key, err, key->type == TYPE_INTEGER ? "a whole number" : "a number of seconds");
	if (!(number >= key->least && number <= key->most))
		return error_set(err, EINVAL, "%s: %g is not between %g and %g", key->name, number, key->least, key->most);
	if (key->type == TYPE_INTEGER)
		*(long long *)field = json_integer_value(value);
	else
		*(double *)field = number;
	return 0;
}

/* FIELD holds nothing yet. */
static int key_set(const struct key *key, struct settings *settings, const json_t *value, struct error *err)
{
	void *field = (char *)settings + key->field;

	switch (key->type) {
	case TYPE_STRING:
		if (!json_is_string(value))
			return wrong(key, err, "a string");
		*(char **)field = strdup(json_string_value(value));
		return *(char **)field ? 0 : error_set(err, ENOMEM, "out of memory");
	case TYPE_WORDS:
		return set_words(key, field, value, err);
	case TYPE_MODE:
		return set_mode(key, field, value, err);
	case TYPE_BOOL:
		if (!json_is_boolean(value))
			return wrong(key, err, "true or false");
		*(bool *)field = json_is_true(value);
		return 0;
	case TYPE_INTEGER:
	case TYPE_SECONDS:
		return set_number(key, field, value, err);
	}
	return -EINVAL;
}

static int key_default(const struct key *key, struct settings *settings, struct error *err)
{
	json_t *value;
	int r;

	if (!key->initial)
		return error_set(err, EINVAL, "%s: is missing", key->name);
	value = json_loads(key->initial, JSON_DECODE_ANY, NULL);
	r = key_set(key, settings, value, err);
	json_decref(value);
	return r;
}

int settings_read(const json_t *json, struct settings *ret, struct error *err)
{
	struct settings s = { 0 };
	const char *name;
	json_t *value;
	int r = 0;

	if (!json_is_object(json))
		return error_set(err, EINVAL, "the settings are no JSON object");
	json_object_foreach((json_t *)json, name, value)
		if (!key_find(name))
			return error_set(err, EINVAL, "%s: no such setting", name);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(keys); i++) {
		value = json_object_get(json, keys[i].name);
		r = value ? key_set(&keys[i], &s, value, err) : key_default(&keys[i], &s, err);
	}
	if (r == 0 && !s.argv)
		r = error_set(err, EINVAL, "argv: is missing");
	if (r == 0 && s.workers == 0)
		s.workers = sysconf(_SC_NPROCESSORS_ONLN) > 0 ? sysconf(_SC_NPROCESSORS_ONLN) : 1;
	if (r < 0) {
		settings_free(&s);
		return r;
	}
	*ret = s;
	return 0;
}

static bool words_equal(char *const *a, char *const *b)
{
	if (!a || !b)
		return a == b;
	while (*a && *b && strcmp(*a, *b) == 0)
		a++, b++;
	return *a == *b;
}

static bool key_equal(const struct key *key, const struct settings *a, const struct settings *b)
{
	const void *x = (const char *)a + key->field, *y = (const char *)b + key->field;

	switch (key->type) {
	case TYPE_STRING:
		return strcmp(*(char *const *)x, *(char *const *)y) == 0;
	case TYPE_WORDS:
		return words_equal(*(char **const *)x, *(char **const *)y);
	case TYPE_MODE:
		return *(const enum pool_mode *)x == *(const enum pool_mode *)y;
	case TYPE_BOOL:
		return *(const bool *)x == *(const bool *)y;
	case TYPE_INTEGER:
		return *(const long long *)x == *(const long long *)y;
	case TYPE_SECONDS:
		return *(const double *)x == *(const double *)y;
	}
	return false;
}

static void key_free(const struct key *key, struct settings *s)
{
	void *field = (char *)s + key->field;

	if (key->type == TYPE_STRING) {
		free(*(char **)field);
		*(char **)field = NULL;
	} else if (key->type == TYPE_WORDS) {
		words_free(*(char ***)field);
		*(char ***)field = NULL;
	}
}

static void key_swap(const struct key *key, struct settings *a, struct settings *b)
{
	static const size_t sizes[] = { [TYPE_STRING] = sizeof(char *),	 [TYPE_WORDS] = sizeof(char **),
					[TYPE_MODE] = sizeof(enum pool_mode), [TYPE_BOOL] = sizeof(bool),
					[TYPE_INTEGER] = sizeof(long long), [TYPE_SECONDS] = sizeof(double) };
	char *x = (char *)a + key->field, *y = (char *)b + key->field;
	char hold[16];

	memcpy(hold, x, sizes[key->type]);
	memcpy(x, y, sizes[key->type]);
	memcpy(y, hold, sizes[key->type]);
}

/* The keys of JSON in FRESH, which holds nothing else. Refuses what cannot change. */
static int read_changes(const struct settings *old, const json_t *json, struct settings *fresh, struct error *err)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)json, name, value) {
		const struct key *key = key_find(name);
		int r;

		if (!key)
			return error_set(err, EINVAL, "%s: no such setting", name);
		r = key_set(key, fresh, value, err);
		if (r < 0)
			return r;
		if (!key->live && !key_equal(key, old, fresh))
			return error_set(err, EINVAL, "%s: cannot change while the pool runs", name);
	}
	return 0;
}

int settings_change(struct settings *s, const json_t *json, json_t **ret_changed, struct error *err)
{
	struct settings fresh = { 0 };
	json_t *changed = NULL;
	const char *name;
	json_t *value;
	int r = json_is_object(json) ? read_changes(s, json, &fresh, err) :
				       error_set(err, EINVAL, "the settings are no JSON object");

	if (r == 0) {
		changed = json_array();
		json_object_foreach((json_t *)json, name, value) {
			const struct key *key = key_find(name);

			if (key_equal(key, s, &fresh))
				continue;
			key_swap(key, s, &fresh);
			(void)json_array_append_new(changed, json_string(name));
		}
		*ret_changed = changed;
	}
	settings_free(&fresh);
	return r;
}

void settings_free(struct settings *s)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		key_free(&keys[i], s);
}
