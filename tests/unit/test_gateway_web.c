/* The page's pure parts: rings of samples, Prometheus' text, and whom a request may come from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/base.h"
#include "curves.h"
#include "guard.h"
#include "prometheus.h"
#include "samples.h"
#include "wire/gateway.h"

/* ---- samples ---- */

static char *dump(const struct samples *s, uint64_t end)
{
	json_t *j = samples_json(s, end);
	char *text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);

	json_decref(j);
	return text;
}

static void assert_dump(const struct samples *s, uint64_t end, const char *expected)
{
	_cleanup_(freep) char *text = dump(s, end);

	assert_string_equal(text, expected);
}

static void samples_are_kept_in_order(void **state)
{
	struct samples s = { 0 };

	(void)state;
	assert_dump(&s, 5, "{\"cpu\":[],\"events\":[],\"memory\":[]}");
	samples_put(&s, 3, (struct sample){ 0.25f, 100 });
	samples_put(&s, 4, (struct sample){ 1.5f, 200 });
	assert_dump(&s, 4, "{\"cpu\":[250,1500],\"events\":[],\"memory\":[100,200]}");
	assert_true(samples_at(&s, 2).cpu < 0);
	assert_true(samples_at(&s, 5).cpu < 0);
	assert_true(samples_at(NULL, 1).cpu < 0);
}

static void gaps_are_null(void **state)
{
	struct samples s = { 0 };

	(void)state;
	samples_put(&s, 1, (struct sample){ 0, 1 });
	samples_put(&s, 4, (struct sample){ 0, 2 });
	assert_dump(&s, 6, "{\"cpu\":[0,null,null,0,null,null],\"events\":[],\"memory\":[1,null,null,2,null,null]}");
	samples_put(&s, 4, (struct sample){ 9, 9 });
	samples_put(&s, 2, (struct sample){ 9, 9 });
	assert_true(samples_at(&s, 4).cpu == 0 && samples_at(&s, 2).cpu < 0);
}

static void the_ring_is_one_hour(void **state)
{
	struct samples s = { 0 };
	json_t *j;

	(void)state;
	for (uint64_t tick = 1; tick <= 1000; tick++)
		samples_put(&s, tick, (struct sample){ 0.001f, (uint32_t)tick });
	j = samples_json(&s, 1000);
	assert_int_equal(json_array_size(json_object_get(j, "memory")), SAMPLES);
	assert_int_equal(json_integer_value(json_array_get(json_object_get(j, "memory"), 0)), 1000 - SAMPLES + 1);
	json_decref(j);
	assert_true(samples_at(&s, 1000 - SAMPLES).cpu < 0);
	samples_put(&s, 100000, (struct sample){ 1, 7 });
	assert_dump(&s, 100000, "{\"cpu\":[1000],\"events\":[],\"memory\":[7]}");
}

static void events_are_sparse(void **state)
{
	struct samples s = { 0 };

	(void)state;
	samples_put(&s, 5, (struct sample){ -1, 0, 1, 2, 0 });
	samples_put(&s, 6, (struct sample){ 1, 1, 0, 0, 0 });
	samples_put(&s, 7, (struct sample){ -1, 0, 0, 0, 255 });
	assert_dump(&s, 8, "{\"cpu\":[1000,null,null],\"events\":[[3,1,2,0],[1,0,0,255]],\"memory\":[1,null,null]}");
	assert_dump(&s, 7 + SAMPLES - 1, "{\"cpu\":[],\"events\":[[359,0,0,255]],\"memory\":[]}");
}

/* ---- curves ---- */

static int memory(void)
{
	int fd = memfd_create("curves", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, GATEWAY_CURVES_SIZE), 0);
	return fd;
}

static bool is_b(const char *name, void *data)
{
	(void)data;
	return strcmp(name, "b") == 0;
}

static void curves_outlive_their_gateway(void **state)
{
	int fd = memory();
	struct curves *c = curves_open(dup(fd));
	double began = curves_began(c), time;
	struct samples *a = curves_add(c, "a");

	(void)state;
	assert_int_equal(curves_newest(c, &time), 0);
	samples_put(a, 3, (struct sample){ 0.5f, 77 });
	samples_put(curves_add(c, "b"), 3, (struct sample){ 0.25f, 1 });
	curves_set_newest(c, 1, 1000);
	curves_close(c);

	c = curves_open(dup(fd));
	assert_true(curves_began(c) == began);
	assert_int_equal(curves_newest(c, &time), 1);
	assert_true(time == 1000);
	assert_int_equal(samples_at(curves_find(c, "a"), 3).memory, 77);
	assert_null(curves_find(c, "c"));
	curves_sweep(c, is_b, NULL);
	assert_null(curves_find(c, "a"));
	assert_non_null(curves_find(c, "b"));
	assert_int_equal(curves_add(c, "a")->newest, 0);	/* nothing of the old one */
	curves_remove(c, "a");
	assert_null(curves_find(c, "a"));
	curves_close(c);
	(void)close(fd);
}

static void only_the_newest_gateway_writes(void **state)
{
	int fd = memory();
	struct curves *old = curves_open(dup(fd)), *new;
	double time;

	(void)state;
	assert_non_null(curves_add(old, "a"));
	new = curves_open(dup(fd));
	assert_null(curves_add(old, "b"));
	curves_remove(old, "a");
	curves_set_newest(old, 9, 9);
	assert_non_null(curves_find(new, "a"));
	assert_int_equal(curves_newest(new, &time), 0);
	assert_non_null(curves_add(new, "b"));
	curves_close(old);
	curves_close(new);
	(void)close(fd);
}

static void curves_have_an_end(void **state)
{
	struct curves *c = curves_open(-1);
	char name[300];

	(void)state;
	for (int i = 0; i < CURVES_MAX; i++) {
		(void)snprintf(name, sizeof name, "p%d", i);
		assert_non_null(curves_add(c, name));
	}
	assert_null(curves_add(c, "more"));
	assert_non_null(curves_find(c, "p2047"));
	curves_remove(c, "p7");
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	assert_null(curves_add(c, name));
	assert_null(curves_find(c, name));
	assert_non_null(curves_add(c, "more"));
	curves_close(c);
}

/* Of another layout, too small, of the future, or nonsense: begun anew, or not used. */
static void foreign_memory_is_begun_anew(void **state)
{
	int fd = memory();
	char *bytes = mmap(NULL, GATEWAY_CURVES_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct curves *c;

	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		c = curves_open(dup(fd));
		assert_null(curves_find(c, "a"));
		assert_non_null(curves_add(c, "a"));
		curves_close(c);
		if (kind == 0)
			memset(bytes, 0xff, GATEWAY_CURVES_SIZE);
		else if (kind == 1)
			bytes[9]++;
		else
			memset(bytes + 24, 0x7f, 4096);		/* the rest of the header */
	}
	c = curves_open(dup(fd));
	curves_sweep(c, is_b, NULL);
	curves_close(c);
	assert_int_equal(ftruncate(fd, 100), 0);
	c = curves_open(dup(fd));
	assert_non_null(curves_add(c, "a"));
	curves_close(c);
	(void)munmap(bytes, GATEWAY_CURVES_SIZE);
	(void)close(fd);
}

/* ---- Prometheus ---- */

static void prometheus_text(void **state)
{
	static const struct prometheus_label labels[] = { { "a", "x\"y\\z\nw" }, { "b", "" }, { "c", NULL }, { 0 } };
	_cleanup_(freep) char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	(void)state;
	prometheus_family(out, "n_total", "counter", "Help.");
	prometheus_sample(out, "n_total", labels, 3);
	prometheus_sample(out, "n_total", NULL, 1795248532.5361106);
	prometheus_sample(out, "n_total", NULL, 0.000012);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(text, "# HELP n_total Help.\n# TYPE n_total counter\nn_total{a=\"x\\\"y\\\\z\\nw\",b=\"\",c=\"\"} 3\n"
				  "n_total 1795248532.53611\nn_total 1.2e-05\n");
}

/* ---- hosts and origins ---- */

static void hosts(void **state)
{
	static const struct {
		const char *host;
		bool good;
	} rows[] = {
		{ "localhost", true },	       { "LocalHost:9001", true },	{ "127.0.0.1", true },	    { "127.0.0.1:9001", true },
		{ "192.168.1.4:80", true },    { "[::1]:9001", true },		{ "[fe80::1]", true },	    { "here", true },
		{ "HERE:1", true },	       { "", true },			{ "evil.example", false },  { "evil.example:9001", false },
		{ "localhost.evil.example", false }, { "127.0.0.1.evil.example", false }, { "here.evil.example", false }, { "[::1", true },
		{ "[evil.example]:1", false }, { "127.1", false },		{ "127.0.0.1@evil", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (guard_host(rows[i].host, "here") != rows[i].good)
			fail_msg("%s", rows[i].host);
	assert_false(guard_host("other", ""));
}

static void origins(void **state)
{
	(void)state;
	assert_true(guard_origin("http://a:1", "a:1"));
	assert_true(guard_origin("https://A", "a"));
	assert_false(guard_origin("http://a:1", "a:2"));
	assert_false(guard_origin("http://a", "a.evil"));
	assert_false(guard_origin("http://evil/http://a", "a"));
	assert_false(guard_origin("null", "null"));
	assert_false(guard_origin("http://", ""));
	assert_false(guard_origin("http://a", NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(curves_outlive_their_gateway), cmocka_unit_test(only_the_newest_gateway_writes),
		cmocka_unit_test(curves_have_an_end), cmocka_unit_test(foreign_memory_is_begun_anew),
		cmocka_unit_test(samples_are_kept_in_order), cmocka_unit_test(gaps_are_null), cmocka_unit_test(the_ring_is_one_hour),
		cmocka_unit_test(events_are_sparse), cmocka_unit_test(prometheus_text),	     cmocka_unit_test(hosts),	      cmocka_unit_test(origins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
