/* The pure parts of reeve-pool: tasks, their table and order, keys, settings, commands with tasks in them. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "exec_argv.h"
#include "redis_text.h"
#include "settings.h"
#include "task.h"
#include "unique.h"

/* ---- tasks ---- */

static void test_task_words(void **state)
{
	struct task *t = task_new("a\0b c\0", 6, false, "the key");
	struct task *bare = task_new("", 0, true, NULL), *empty = task_new("", 0, false, NULL);
	size_t n;
	char **words = task_split(t, &n);

	(void)state;
	assert_int_equal(n, 3);
	assert_string_equal(words[0], "a");
	assert_string_equal(words[1], "b c");
	assert_string_equal(words[2], "");
	assert_null(words[3]);
	assert_string_equal(task_key(t), "the key");
	assert_null(task_key(bare));
	assert_int_equal(task_words(bare), 0);
	assert_int_equal(task_words(empty), 1);
	free(words);
	task_free(t);
	task_free(bare);
	task_free(empty);
	task_free(NULL);
}

static void test_task_keeps_a_result(void **state)
{
	struct task *t = task_new("x", 1, false, NULL);
	char out[] = "output", err[] = "errors", why[] = "a reason";
	struct result r = { .state = TASK_FAILED, .exit = 3, .out = out, .out_length = 6, .err = err, .err_length = 6, .why = why };

	(void)state;
	assert_int_equal(task_keep_result(t, &r), 0);
	out[0] = err[0] = why[0] = '?';
	assert_memory_equal(t->result->out, "output", 6);
	assert_memory_equal(t->result->err, "errors", 6);
	assert_string_equal(t->result->why, "a reason");
	assert_int_equal(t->result->exit, 3);
	task_free(t);
}

static void test_task_table(void **state)
{
	enum { N = 5000 };
	struct task_table table = { 0 };
	static struct task *tasks[N];

	(void)state;
	assert_null(task_table_find(&table, 1));
	for (size_t i = 0; i < N; i++) {
		tasks[i] = task_new("", 0, true, NULL);
		tasks[i]->id = i % 2 ? i : (uint64_t)i << 30;	/* consecutive, and like a time */
		assert_int_equal(task_table_add(&table, tasks[i]), 0);
	}
	for (size_t i = 0; i < N; i += 3)
		task_table_remove(&table, tasks[i]);
	for (size_t i = 0; i < N; i++)
		assert_ptr_equal(task_table_find(&table, tasks[i]->id), i % 3 ? tasks[i] : NULL);
	task_table_remove(&table, tasks[0]);	/* not there: nothing */
	assert_int_equal(table.n, N - (N + 2) / 3);
	task_table_free(&table);
	for (size_t i = 0; i < N; i++)
		task_free(tasks[i]);
}

static struct task *ready_task(struct ready *ready, uint64_t id, int priority, bool front)
{
	struct task *t = task_new("", 0, true, NULL);

	t->id = id;
	t->priority = (int16_t)priority;
	assert_int_equal((front ? ready_push_front : ready_push)(ready, t), 0);
	return t;
}

static void test_order(void **state)
{
	static const uint64_t expected[] = { 4, 9, 1, 3, 7, 5, 8 };
	struct ready ready = { 0 };
	struct task *gone;

	(void)state;
	assert_null(ready_first(&ready));
	(void)ready_task(&ready, 1, 0, false);
	gone = ready_task(&ready, 2, 0, false);
	(void)ready_task(&ready, 3, 0, false);
	(void)ready_task(&ready, 4, 10, false);
	(void)ready_task(&ready, 5, -7, false);
	(void)ready_task(&ready, 7, 0, false);
	(void)ready_task(&ready, 8, -300, false);
	(void)ready_task(&ready, 9, 0, true);	/* first of its priority, not of all */
	assert_int_equal(ready.n, 8);
	assert_int_equal(ready_at_least(&ready, 0), 6);
	assert_int_equal(ready_at_least(&ready, 11), 0);
	assert_int_equal(ready_at_least(&ready, -1000), 8);
	ready_remove(&ready, gone);
	task_free(gone);
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		struct task *t = ready_first(&ready);

		assert_int_equal(t->id, expected[i]);
		ready_remove(&ready, t);
		task_free(t);
	}
	assert_null(ready_first(&ready));
	ready_free(&ready);
}

static void test_unique(void **state)
{
	struct unique *u = unique_new();
	char key[32];

	(void)state;
	assert_int_equal(unique_find(u, "a"), 0);
	assert_int_equal(unique_set(u, "a", 0), 0);
	assert_int_equal(unique_find(u, "a"), UINT64_MAX);
	assert_int_equal(unique_set(u, "a", 7), 0);
	assert_int_equal(unique_find(u, "a"), 7);
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(key, sizeof key, "key %d", i);
		assert_int_equal(unique_set(u, key, (uint64_t)i + 1), 0);
	}
	unique_drop(u, "key 500");
	unique_drop(u, "never there");
	assert_int_equal(unique_find(u, "key 500"), 0);
	assert_int_equal(unique_find(u, "key 501"), 502);
	unique_free(u);
	unique_free(NULL);
}

/* ---- commands ---- */

static void check_argv(const char *const *command, const char *words, size_t length, bool bare, const char *const *expected)
{
	struct task *t = task_new(words, length, bare, NULL);
	char **argv = exec_argv((char *const *)command, t);
	size_t i = 0;

	for (; expected[i]; i++) {
		assert_non_null(argv[i]);
		assert_string_equal(argv[i], expected[i]);
	}
	assert_null(argv[i]);
	free(argv);
	task_free(t);
}

static void test_commands(void **state)
{
	(void)state;
	check_argv((const char *[]){ "cp", NULL }, "a\0b", 3, false, (const char *[]){ "cp", "a", "b", NULL });
	check_argv((const char *[]){ "cp", NULL }, "", 0, true, (const char *[]){ "cp", NULL });
	check_argv((const char *[]){ "cp", NULL }, "", 0, false, (const char *[]){ "cp", "", NULL });
	check_argv((const char *[]){ "cp", "{}", "to", NULL }, "a\0b", 3, false, (const char *[]){ "cp", "a", "b", "to", NULL });
	check_argv((const char *[]){ "cp", "{}", "to", NULL }, "", 0, true, (const char *[]){ "cp", "to", NULL });
	check_argv((const char *[]){ "x{}y{}z", "{}", NULL }, "a\0b", 3, false, (const char *[]){ "xa bya bz", "a", "b", NULL });
	check_argv((const char *[]){ "{}", NULL }, "only", 4, false, (const char *[]){ "only", NULL });
	check_argv((const char *[]){ "cp", "{", "}", NULL }, "a", 1, false, (const char *[]){ "cp", "{", "}", "a", NULL });
	/* What a task holds is never looked at for a place. */
	check_argv((const char *[]){ "cp", "a{}", "{}", NULL }, "{}", 2, false, (const char *[]){ "cp", "a{}", "{}", NULL });
	assert_true(exec_has_place("a{}b"));
	assert_false(exec_has_place("a{b}"));
}

/* ---- settings ---- */

static int read_text(const char *text, struct settings *ret, struct error *err)
{
	json_t *json = json_loads(text, 0, NULL);
	int r;

	assert_non_null(json);
	r = settings_read(json, ret, err);
	json_decref(json);
	return r;
}

static void test_settings_have_defaults(void **state)
{
	struct settings s;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(read_text("{\"name\":\"p\",\"argv\":[\"a\",\"b\"],\"initializer\":\"make 'two words'\",\"queue\":null}", &s, &err), 0);
	assert_string_equal(s.name, "p");
	assert_string_equal(s.argv[1], "b");
	assert_string_equal(s.initializer[1], "two words");
	assert_int_equal(s.pool.mode, MODE_EXEC);
	assert_true(s.pool.workers >= 1);
	assert_string_equal(s.pool.queue, "memory");
	assert_int_equal(s.pool.max_result_bytes, 1 << 20);
	assert_int_equal(s.stop_signal, SIGTERM);
	assert_int_equal(s.access_group, -1);
	settings_free(&s);
	settings_free(&s);
}

static void test_settings_are_checked(void **state)
{
	static const struct {
		const char *text, *message;
	} wrong[] = {
		{ "[]", "no JSON object" },
		{ "{\"name\":\"p\"}", "argv: is missing" },
		{ "{\"argv\":[\"a\"]}", "name: is missing" },
		{ "{\"name\":\"p\",\"argv\":[]}", "at least one word" },
		{ "{\"name\":\"p\",\"argv\":[1]}", "array of strings" },
		{ "{\"name\":\"p\",\"argv\":[\"a\"],\"workers\":20000}", "workers: 20000 is not between 0 and 10000" },
		{ "{\"name\":\"p\",\"argv\":[\"a\"],\"workers\":1.5}", "workers:" },
		{ "{\"name\":\"p\",\"argv\":[\"a\"],\"timeout\":-1}", "timeout: not a number of seconds" },
		{ "{\"name\":\"p\",\"argv\":[\"a\"],\"timeout\":\"soon\"}", "timeout: not a number of seconds" },
		{ "{\"name\":\"p\",\"argv\":[\"a\"],\"ready\":\"perhaps\"}", "ready: not a valid boolean" },
		{ "{\"name\":\"p\",\"argv\":[\"a\"],\"mode\":\"wave\"}", "mode: no such mode" },
		{ "{\"name\":\"p\",\"argv\":[\"a\"],\"window\":[]}", "window:" },
		{ "{\"name\":\"p\",\"argv\":[\"a\"],\"initializer\":\"'\"}", "initializer:" },
		{ "{\"name\":\"p\",\"argv\":[\"a\"],\"nonsense\":1}", "nonsense: no such setting" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct settings s;
		struct error err = { 0 };

		assert_int_equal(read_text(wrong[i].text, &s, &err), -EINVAL);
		if (!strstr(err.text, wrong[i].message))
			fail_msg("%s: \"%s\" instead of \"%s\"", wrong[i].text, err.text, wrong[i].message);
	}
}

static void test_settings_change(void **state)
{
	json_t *before = json_loads("{\"name\":\"p\",\"argv\":[\"a\"],\"workers\":2,\"timeout\":1,\"mode\":\"line\",\"retries\":5}", 0, NULL);
	json_t *now = json_loads("{\"name\":\"p\",\"argv\":[\"b\"],\"workers\":2,\"timeout\":2.5,\"mode\":\"exec\",\"retries\":5}", 0, NULL);
	json_t *bad = json_loads("{\"name\":\"p\",\"argv\":[\"b\"],\"timeout\":7,\"window\":0}", 0, NULL);
	struct settings s;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(settings_read(before, &s, &err), 0);
	settings_set_workers(&s, 9);	/* by hand: stays, for the file says nothing new about it */
	assert_int_equal(settings_update(&s, before, now, &err), 0);
	assert_int_equal(s.pool.workers, 9);
	assert_true(s.pool.timeout > 2.4 && s.pool.timeout < 2.6);
	assert_int_equal(s.pool.mode, MODE_LINE);	/* needs a restart */
	assert_string_equal(s.argv[0], "a");
	assert_int_equal(settings_update(&s, now, bad, &err), -EINVAL);
	assert_true(s.pool.timeout < 2.6);
	settings_free(&s);
	json_decref(before);
	json_decref(now);
	json_decref(bad);
}

/* ---- Redis ---- */

static void test_redis_places(void **state)
{
	struct redis_place p;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(redis_place_read("redis://u:pw:x@host.example:7000/3?stream=s&takeover=2.5&poison=9", "def", &p, &err), 0);
	assert_string_equal(p.host, "host.example");
	assert_string_equal(p.user, "u");
	assert_string_equal(p.password, "pw:x");
	assert_string_equal(p.stream, "s");
	assert_int_equal(p.port, 7000);
	assert_int_equal(p.database, 3);
	assert_int_equal(p.poison, 9);
	assert_true(p.takeover > 2.4 && p.takeover < 2.6);
	redis_place_free(&p);
	assert_int_equal(redis_place_read("redis://:secret@h", "def", &p, &err), 0);
	assert_string_equal(p.password, "secret");
	assert_string_equal(p.user, "");
	assert_string_equal(p.stream, "def");
	assert_int_equal(p.port, 6379);
	redis_place_free(&p);
	assert_int_equal(redis_place_read("unix:/run/redis.sock?db=2&stream=q", "def", &p, &err), 0);
	assert_string_equal(p.path, "/run/redis.sock");
	assert_null(p.host);
	assert_int_equal(p.database, 2);
	redis_place_free(&p);
	assert_int_equal(redis_place_read("redis://", "def", &p, &err), -EINVAL);
	assert_int_equal(redis_place_read("redis://h:99999", "def", &p, &err), -EINVAL);
	assert_int_equal(redis_place_read("redis://h?takeover=0", "def", &p, &err), -EINVAL);
	assert_int_equal(redis_place_read("redis://h?poison=0", "def", &p, &err), -EINVAL);
}

static void test_redis_ids(void **state)
{
	char buffer[48];

	(void)state;
	assert_string_equal(redis_entry_id(redis_task_id("1700000000123-7"), buffer), "1700000000123-7");
	assert_true(redis_task_id("1700000000123-7") < redis_task_id("1700000000123-8"));
	assert_true(redis_task_id("1700000000123-8") < redis_task_id("1700000000124-0"));
	assert_int_equal(redis_task_id("nonsense"), 0);
}

static void test_redis_origins(void **state)
{
	struct redis_origin o = redis_origin_read("machine.1.2\n1\na key");

	(void)state;
	assert_string_equal(o.from, "machine.1.2");
	assert_int_equal(o.job, 1);
	assert_string_equal(o.key, "a key");
	assert_string_equal(redis_origin_read("").key, "");
	assert_string_equal(redis_origin_read("x\n").key, "");
	assert_string_equal(redis_origin_read(NULL).from, "");
}

static void test_redis_results(void **state)
{
	struct task *t = task_new("a\0b", 3, false, NULL), *back;
	struct result r = { .state = TASK_LOST, .exit = -9, .attempts = 3, .slot = 2, .pid = 77, .started = 1.5, .ended = 2.25,
			    .truncated_err = true, .out = "o\n\0t", .out_length = 4, .err = "e", .err_length = 1, .why = "why",
			    .max_rss = 5 };
	size_t size;
	char *text;

	(void)state;
	t->priority = -4;
	t->retries = 6;
	text = redis_pack(t, &r, &size);
	back = redis_unpack(text, size);
	assert_int_equal(back->result->state, TASK_LOST);
	assert_int_equal(back->result->exit, -9);
	assert_memory_equal(back->result->out, "o\n\0t", 4);
	assert_memory_equal(back->result->err, "e", 1);
	assert_string_equal(back->result->why, "why");
	assert_true(back->result->truncated_err && !back->result->truncated_out);
	assert_int_equal(back->length, 3);
	assert_memory_equal(back->words, "a\0b", 3);
	assert_int_equal(back->priority, -4);
	assert_int_equal(back->retries, 6);
	task_free(back);
	/* Cut anywhere it is no result, and nothing is read beyond its end. */
	for (size_t n = 0; n < size; n++) {
		char *cut = malloc(n ? n : 1);

		memcpy(cut, text, n);
		back = redis_unpack(cut, n);
		assert_null(back);
		free(cut);
	}
	free(text);
	task_free(t);
	assert_null(redis_unpack("1 99 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n", 42));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_task_words), cmocka_unit_test(test_task_keeps_a_result), cmocka_unit_test(test_task_table),
		cmocka_unit_test(test_order), cmocka_unit_test(test_unique), cmocka_unit_test(test_commands),
		cmocka_unit_test(test_settings_have_defaults), cmocka_unit_test(test_settings_are_checked), cmocka_unit_test(test_settings_change),
		cmocka_unit_test(test_redis_places), cmocka_unit_test(test_redis_ids), cmocka_unit_test(test_redis_origins),
		cmocka_unit_test(test_redis_results),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
