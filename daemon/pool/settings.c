/* See settings.h. */
#include "settings.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conf/keys.h"

#define AT(member) offsetof(struct settings, member)

static const struct key own_keys[] = {
	{ "name", KEY_STRING, AT(name), NULL, CHANGE_RESTART, "Name of the pool." },
	{ "stopsignal", KEY_SIGNAL, AT(stop_signal), "TERM", CHANGE_LIVE, "Signal that asks a worker to exit." },
	{ "stopwaitsecs", KEY_SECONDS, AT(stop_timeout), "5", CHANGE_LIVE, "Seconds between it and SIGKILL." },
	{ "startsecs", KEY_SECONDS, AT(start_seconds), "1", CHANGE_LIVE, "A worker that dies sooner has failed to start." },
	{ "startretries", KEY_INTEGER, AT(start_retries), "3", CHANGE_LIVE, "Failed starts before the pool gives up." },
	{ "access", KEY_STRING, AT(access), "operate", CHANGE_LIVE, "What members of the group may do." },
	{ "access_group", KEY_INTEGER, AT(access_group), "-1", CHANGE_LIVE, "Number of the group that may use the socket." },
	{ 0 },
};

/* The tables of all keys but argv, with the place of what they fill. */
static const struct {
	const struct key *keys;
	size_t base;
} tables[] = { { own_keys, 0 }, { pool_keys, AT(pool) } };

static const struct key *find(const char *name, size_t *ret_base)
{
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		for (const struct key *k = tables[i].keys; k->name; k++)
			if (strcmp(k->name, name) == 0) {
				*ret_base = tables[i].base;
				return k;
			}
	return NULL;
}

/* JSON's number, truth value or text, as a user would write it in a file. NULL: none of these. */
static const char *value_text(const json_t *value, char *buffer, size_t size)
{
	if (json_is_string(value))
		return json_string_value(value);
	if (json_is_boolean(value))
		return json_is_true(value) ? "true" : "false";
	if (json_is_integer(value))
		(void)snprintf(buffer, size, "%lld", (long long)json_integer_value(value));
	else if (json_is_real(value))
		(void)snprintf(buffer, size, "%.9f", json_real_value(value));
	else
		return NULL;
	return buffer;
}

static int set(const struct key *key, void *base, const json_t *value, struct error *err)
{
	struct error why = { 0 };
	char buffer[400];
	const char *text = value_text(value, buffer, sizeof buffer);

	if (json_is_null(value))
		return 0;
	if (!text)
		return error_set(err, EINVAL, "%s: %s", key->name, key_type_hint(key->type));
	if (key_set(key, base, text, &why) < 0)
		return error_set(err, EINVAL, "%s: %s; %s", key->name, why.text, key_type_hint(key->type));
	return 0;
}

static int set_argv(const json_t *words, struct settings *s, struct error *err)
{
	size_t n = json_array_size(words);

	if (!n)
		return error_set(err, EINVAL, "argv: must be an array with at least one word");
	s->argv = calloc(n + 1, sizeof *s->argv);
	for (size_t i = 0; s->argv && i < n; i++) {
		const char *word = json_string_value(json_array_get(words, i));

		if (!word)
			return error_set(err, EINVAL, "argv: must be an array of strings");
		s->argv[i] = strdup(word);
		if (!s->argv[i])
			return error_set(err, ENOMEM, "out of memory");
	}
	return s->argv ? 0 : error_set(err, ENOMEM, "out of memory");
}

static int set_initializer(struct settings *s, struct error *err)
{
	struct error why;

	if (!s->pool.initializer || !*s->pool.initializer)
		return 0;
	s->initializer = command_split(s->pool.initializer, &why);
	if (!s->initializer || !s->initializer[0])
		return error_set(err, EINVAL, "initializer: %s", s->initializer ? "it is empty" : why.text);
	return 0;
}

void settings_set_workers(struct settings *s, long long workers)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	s->pool.workers = workers ? workers : cpus > 0 ? cpus : 1;
}

static int read_keys(const json_t *json, struct settings *s, struct error *err)
{
	const char *name;
	json_t *value;
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		for (const struct key *k = tables[i].keys; k->name; k++)
			if (k->initial && r == 0)
				r = key_set(k, (char *)s + tables[i].base, k->initial, err);
	if (r < 0)
		return r;
	json_object_foreach((json_t *)json, name, value) {
		size_t base = 0;
		const struct key *key = find(name, &base);

		if (key)
			r = set(key, (char *)s + base, value, err);
		else if (strcmp(name, "argv") == 0)
			r = set_argv(value, s, err);
		else
			r = error_set(err, EINVAL, "%s: no such setting", name);
		if (r < 0)
			return r;
	}
	if (!s->name || !s->argv)
		return error_set(err, EINVAL, "%s: is missing", s->name ? "argv" : "name");
	return set_initializer(s, err);
}

int settings_read(const json_t *json, struct settings *ret, struct error *err)
{
	struct settings s = { 0 };
	int r = json_is_object(json) ? read_keys(json, &s, err) : error_set(err, EINVAL, "the settings are no JSON object");

	if (r < 0) {
		settings_free(&s);
		return r;
	}
	settings_set_workers(&s, s.pool.workers);
	*ret = s;
	return 0;
}

int settings_update(struct settings *s, const json_t *before, const json_t *now, struct error *err)
{
	struct settings all;
	const char *name;
	json_t *value;
	int r = settings_read(now, &all, err);

	if (r < 0)
		return r;
	settings_free(&all);
	json_object_foreach((json_t *)now, name, value) {
		size_t base = 0;
		const struct key *key = find(name, &base);

		if (key && key->change == CHANGE_LIVE && !json_equal(json_object_get(before, name), value))
			(void)set(key, (char *)s + base, value, NULL);
	}
	settings_set_workers(s, s->pool.workers);
	return 0;
}

void settings_free(struct settings *s)
{
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		for (const struct key *k = tables[i].keys; k->name; k++)
			key_free(k, (char *)s + tables[i].base);
	strv_free(s->argv);
	strv_free(s->initializer);
	*s = (struct settings){ 0 };
}
