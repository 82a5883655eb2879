/* The key tables against the reader, the dump and the plan: every row is read, every default survives a dump and comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "conf/dump.h"
#include "conf/keys.h"
#include "conf/plan.h"
#include "conf/strv.h"

static struct config *parse(const char *text)
{
	struct sources *sources;
	struct config *config = NULL;

	assert_int_equal(sources_from_text("/etc/app/main.ini", text, &sources, NULL), 0);
	(void)config_parse(sources, NULL, 0, &config, NULL);
	assert_non_null(config);
	for (size_t i = 0; i < config->diagnostics.n; i++)
		if (config->diagnostics.list[i].severity == DIAGNOSTIC_ERROR)
			fail_msg("%s\n%s", text, config->diagnostics.list[i].text);
	return config;
}

static const struct section_kind *kind(const char *name)
{
	for (const struct section_kind *k = section_kinds; k->name; k++)
		if (strcmp(k->name, name) == 0)
			return k;
	fail_msg("no such section: %s", name);
	return NULL;
}

/* ---- a dumped value as one would write it ---- */

static void write_percents(struct text *t, const char *value, int times)
{
	for (; *value; value++)
		for (int i = 0; i < (*value == '%' ? 1 << times : 1); i++)
			text_add(t, value, 1);
}

static void write_value(struct text *t, json_t *value, int times)
{
	const char *name;
	json_t *member;
	size_t i;

	if (json_is_string(value))
		write_percents(t, json_string_value(value), times);
	else if (json_is_integer(value))
		text_printf(t, "%lld", (long long)json_integer_value(value));
	else if (json_is_boolean(value))
		text_puts(t, json_is_true(value) ? "true" : "false");
	json_array_foreach(value, i, member) {
		text_puts(t, i ? "," : "");
		write_value(t, member, times);
	}
	json_object_foreach(value, name, member) {
		text_printf(t, "%s=\"", name);
		write_percents(t, json_string_value(member), times);
		text_puts(t, "\",");
	}
}

static void write_table(struct text *t, const struct key *table, json_t *values)
{
	for (const struct key *k = table; k->name; k++) {
		json_t *value = json_object_get(values, k->name);
		int times = k->type == KEY_LOGFILE || (table == supervisord_keys && k->type == KEY_ENVIRONMENT) ? 2 : 1;

		if (!value || json_is_null(value))
			continue;
		text_printf(t, "%s=", k->name);
		write_value(t, value, times);
		text_puts(t, "\n");
	}
}

static char *write_dump(const struct config *config)
{
	json_t *j = config_dump(config);
	json_t *group = json_array_get(json_object_get(j, "groups"), 0);
	struct text t = { 0 };

	text_puts(&t, "[supervisord]\n");
	write_table(&t, supervisord_keys, json_object_get(j, "supervisord"));
	text_printf(&t, "[%s:a]\n", json_string_value(json_object_get(group, "kind")));
	if (json_object_get(group, "events")) {
		/* The priority of a pool is another one than that of its listeners. */
		(void)json_object_del(json_array_get(json_object_get(group, "processes"), 0), "priority");
		text_puts(&t, "events=EVENT\n");
	}
	write_table(&t, program_keys, json_array_get(json_object_get(group, "processes"), 0));
	write_table(&t, listener_keys, group);
	json_decref(j);
	return text_take(&t);
}

static void comes_back(const char *text)
{
	struct config *first = parse(text), *second;
	_cleanup_(freep) char *written = write_dump(first);
	json_t *a = config_dump(first), *b;

	second = parse(written);
	b = config_dump(second);
	if (!json_equal(a, b)) {
		char *x = json_dumps(a, JSON_SORT_KEYS | JSON_INDENT(1)), *y = json_dumps(b, JSON_SORT_KEYS | JSON_INDENT(1));

		fail_msg("%s\ngives\n%s\nand as\n%s\n%s", text, x, written, y);
	}
	json_decref(a);
	json_decref(b);
	config_free(first);
	config_free(second);
}

static void test_defaults_come_back(void **state)
{
	(void)state;
	comes_back("[supervisord]\n[program:a]\ncommand=x\n");
	comes_back("[supervisord]\nidentifier=%%\nenvironment=A=\"%%%%\"\n[program:a]\ncommand=100%%\nstdout_logfile=/l/%%%%x\n");
	comes_back("[supervisord]\n[eventlistener:a]\ncommand=x\nevents=EVENT\n");
}

/* ---- a value that is not the default, for every key ---- */

static const struct {
	const char *key, *value;
} special[] = { { "control_access", "admin" }, { "socket", "unix:///run/x" }, { "process_name", "n%(process_num)d" }, { "numprocs_start", "7\nprocess_name=%(process_num)d" },
		{ "numprocs", "2\nprocess_name=%(process_num)d" },
		{ "chmod", "0770" }, { "socket_mode", "0770" }, { "socket_backlog", "7" }, { "port", "7" }, { "events", "TICK" },
		{ "files", "none/*" }, { "serverurl", "http://localhost:7" }, { "socket_owner", "root" }, { "queue", "sqlite:/q" } };

static const char *sample(const struct key *k)
{
	static const char *const samples[] = {
		[KEY_STRING] = "sample", [KEY_INTEGER] = "7", [KEY_BYTES] = "7KB", [KEY_OCTAL] = "0027", [KEY_EXITCODES] = "0,7",
		[KEY_SIGNAL] = "USR1", [KEY_LOGLEVEL] = "debug", [KEY_AUTORESTART] = "true", [KEY_ENVIRONMENT] = "SAMPLE=\"7\"",
		[KEY_LOGFILE] = "/sample/log", [KEY_SECONDS] = "7", [KEY_POOL_MODE] = "line",
	};

	for (size_t i = 0; i < ARRAY_LEN(special); i++)
		if (strcmp(special[i].key, k->name) == 0)
			return special[i].value;
	if (k->type == KEY_BOOLEAN)
		return k->initial && strcmp(k->initial, "true") == 0 ? "false" : "true";
	if (k->type == KEY_WORD)
		return k->words[strcmp(k->words[0], k->initial) == 0];
	assert_true(k->type < ARRAY_LEN(samples) && samples[k->type]);
	return samples[k->type];
}

/* The section that KEY is tried in: complete but for KEY. */
static char *with_key(const char *section, const struct key *k, const char *value)
{
	static const char *const required[][2] = {
		{ "program", "command=x\n" }, { "eventlistener", "command=x\nevents=EVENT\n" }, { "fcgi-program", "command=x\nsocket=unix:///s\n" }, { "pool", "command=x\n" },
	};
	struct text t = { 0 };

	text_printf(&t, "[supervisord]\n[%s%s]\n", section, kind(section)->named ? ":a" : "");
	for (size_t i = 0; i < ARRAY_LEN(required); i++)
		if (strcmp(required[i][0], section) == 0)
			text_puts(&t, required[i][1]);
	if (value)
		text_printf(&t, "%s=%s\n", k->name, value);
	return text_take(&t);
}

/* A key of [supervisord], a program, a listener or fcgi program changes what is dumped, and comes back. */
static void check_key_is_dumped(const char *section, const struct key *table, const struct key *k)
{
	_cleanup_(freep) char *without = with_key(section, k, NULL), *with = with_key(section, k, sample(k));
	struct config *a = parse(without), *b = parse(with);
	json_t *x = config_dump(a), *y = config_dump(b);

	if (json_equal(x, y))
		fail_msg("%s of [%s] changes nothing in the dump", k->name, section);
	json_decref(x);
	json_decref(y);
	config_free(a);
	config_free(b);
	if (strcmp(section, "program") == 0 && table == program_keys)
		comes_back(with);
}

static void test_every_key_is_read(void **state)
{
	static const char *const sections[] = { "supervisord", "program", "eventlistener", "fcgi-program", "pool" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sections); i++)
		for (const struct key *const *table = kind(sections[i])->tables; *table; table++)
			for (const struct key *k = *table; k->name; k++)
				if (!(*table == program_keys && strcmp(k->name, "redirect_stderr") == 0 && i == 2))
					check_key_is_dumped(sections[i], *table, k);
}

static void test_names_are_unique_and_lower_case(void **state)
{
	(void)state;
	for (const struct section_kind *s = section_kinds; s->name; s++)
		for (const struct key *const *table = s->tables; *table; table++)
			for (const struct key *k = *table; k->name; k++) {
				assert_ptr_equal(key_find(s, k->name), k);
				for (const char *p = k->name; *p; p++)
					assert_true((*p >= 'a' && *p <= 'z') || *p == '_' || *p == '.');
				assert_true(strlen(k->help) > 10 && k->help[strlen(k->help) - 1] == '.');
				assert_non_null(key_type_name(k->type));
				assert_non_null(key_type_hint(k->type));
				assert_non_null(key_change_name(k->change));
			}
}

static void test_values_are_compared(void **state)
{
	(void)state;
	for (const struct key *k = program_keys; k->name; k++) {
		_cleanup_(freep) char *without = with_key("program", k, NULL), *with = with_key("program", k, sample(k));
		struct config *a = parse(without), *b = parse(with);
		const struct process_conf *x = a->groups[0]->processes[0], *y = b->groups[0]->processes[0];

		assert_true(key_equal(k, x, x));
		if (key_equal(k, x, y))
			fail_msg("%s: two values count as equal", k->name);
		config_free(a);
		config_free(b);
	}
}

/* ---- what a change does ---- */

static enum plan_action strongest(const struct plan *plan)
{
	enum plan_action action = PLAN_UNCHANGED;

	for (size_t i = 0; i < plan->n_groups; i++)
		for (size_t k = 0; k < plan->groups[i].n_processes; k++)
			if (plan->groups[i].processes[k].action > action)
				action = plan->groups[i].processes[k].action;
	return action;
}

static bool names_key(const struct plan *plan, const char *key)
{
	for (size_t i = 0; i < plan->n_groups; i++) {
		for (const char **k = plan->groups[i].keys; k && *k; k++)
			if (strcmp(*k, key) == 0)
				return true;
		for (size_t p = 0; p < plan->groups[i].n_processes; p++)
			for (const char **k = plan->groups[i].processes[p].keys; k && *k; k++)
				if (strcmp(*k, key) == 0)
					return true;
	}
	return false;
}

static void check_change(const char *section, const struct key *k)
{
	static const enum plan_action actions[] = { [CHANGE_LIVE] = PLAN_LIVE, [CHANGE_RESTART] = PLAN_RESTART };
	_cleanup_(freep) char *without = with_key(section, k, NULL), *with = with_key(section, k, sample(k));
	struct config *a = parse(without), *b = parse(with);
	struct plan *there, *back, *same;

	assert_int_equal(plan_make(a->groups, a->n_groups, a, &same), 0);
	assert_int_equal(plan_make(a->groups, a->n_groups, b, &there), 0);
	assert_int_equal(plan_make(b->groups, b->n_groups, a, &back), 0);
	assert_int_equal(strongest(same), PLAN_UNCHANGED);
	if (strongest(there) != actions[k->change] || strongest(back) != actions[k->change])
		fail_msg("[%s] %s is %s, but the plan says %s and back %s", section, k->name, key_change_name(k->change),
			 plan_action_name(strongest(there)), plan_action_name(strongest(back)));
	if (!names_key(there, k->name))
		fail_msg("[%s] %s: the plan does not name it", section, k->name);
	plan_free(same);
	plan_free(there);
	plan_free(back);
	config_free(a);
	config_free(b);
}

static void test_changes_are_what_the_table_says(void **state)
{
	static const char *const sections[] = { "program", "eventlistener", "fcgi-program", "pool" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sections); i++)
		for (const struct key *const *table = kind(sections[i])->tables; *table; table++)
			for (const struct key *k = *table; k->name; k++)
				if ((k->change == CHANGE_LIVE || k->change == CHANGE_RESTART) &&
				    !(strcmp(k->name, "redirect_stderr") == 0 && i == 1))
					check_change(sections[i], k);
}

static void test_numprocs_adds_and_removes(void **state)
{
	struct config *a = parse("[supervisord]\n[program:a]\ncommand=x\nnumprocs=2\nprocess_name=%(process_num)d\n");
	struct config *b = parse("[supervisord]\n[program:a]\ncommand=x\nnumprocs=3\nprocess_name=%(process_num)d\n");
	struct plan *plan;

	(void)state;
	assert_int_equal(plan_make(a->groups, a->n_groups, b, &plan), 0);
	assert_int_equal(plan->groups[0].n_processes, 3);
	assert_int_equal(plan->groups[0].processes[0].action, PLAN_UNCHANGED);
	assert_int_equal(plan->groups[0].processes[2].action, PLAN_ADD);
	plan_free(plan);
	assert_int_equal(plan_make(b->groups, b->n_groups, a, &plan), 0);
	assert_int_equal(plan->groups[0].processes[2].action, PLAN_REMOVE);
	plan_free(plan);
	config_free(a);
	config_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_come_back), cmocka_unit_test(test_every_key_is_read),
		cmocka_unit_test(test_names_are_unique_and_lower_case), cmocka_unit_test(test_values_are_compared),
		cmocka_unit_test(test_changes_are_what_the_table_says), cmocka_unit_test(test_numprocs_adds_and_removes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
