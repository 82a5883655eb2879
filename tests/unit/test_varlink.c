/* The Varlink server over real sockets: whole, split, oversize and garbage messages, and clients that leave. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "varlink/varlink.h"

static struct varlink_call *kept;	/* by Hold, until the test answers it */
static int gone_calls, echoes;

static void echo(struct varlink_call *call, json_t *parameters, void *data)
{
	(void)data;
	echoes++;
	(void)varlink_reply(call, json_pack("{s:O}", "back", parameters));
}

static void left(void *data)
{
	(void)data;
	gone_calls++;
	kept = NULL;
}

static void hold(struct varlink_call *call, json_t *parameters, void *data)
{
	(void)parameters;
	(void)data;
	kept = call;
	varlink_call_on_gone(call, left, NULL);
}

static void count(struct varlink_call *call, json_t *parameters, void *data)
{
	(void)parameters;
	(void)data;
	for (int i = 0; i < 3; i++)
		(void)varlink_reply_more(call, json_pack("{s:i}", "i", i));
	(void)varlink_reply(call, json_pack("{s:i}", "i", 3));
}

static const struct varlink_method methods[] = { { "Echo", echo, 0 }, { "Hold", hold, 0 }, { "Count", count, 0 }, { 0 } };
static const struct varlink_interface interface = { "test.it", "interface test.it\n", methods };
static const struct varlink_interface *const interfaces[] = { &interface, NULL };
static const struct varlink_service service = { "v", "p", "1", "u", interfaces, NULL, NULL };

struct rig {
	struct ev_loop *loop;
	struct varlink_server *server;
	int fd;
};

static int set_up(void **state)
{
	struct rig *r = test_calloc(1, sizeof *r);
	int pair[2];

	r->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	r->server = varlink_server_new(r->loop, -1, &service);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(varlink_server_add(r->server, pair[0]), 0);
	r->fd = pair[1];
	kept = NULL;
	gone_calls = 0;
	*state = r;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *r = *state;

	if (r->fd >= 0)
		close(r->fd);
	varlink_server_free(r->server);
	ev_loop_destroy(r->loop);
	test_free(r);
	return 0;
}

static void turn(struct rig *r)
{
	for (int i = 0; i < 20; i++)
		ev_run(r->loop, EVRUN_NOWAIT);
}

static void put(struct rig *r, const void *data, size_t n)
{
	assert_int_equal(send(r->fd, data, n, MSG_NOSIGNAL), n);
	turn(r);
}

/* All that has come, with newlines for NULs. */
static const char *got(struct rig *r)
{
	static char text[8192];
	ssize_t n = recv(r->fd, text, sizeof text - 1, 0);

	n = n < 0 ? 0 : n;
	for (ssize_t i = 0; i < n; i++)
		if (!text[i])
			text[i] = '\n';
	text[n] = '\0';
	return text;
}

static const char call_echo[] = "{\"method\":\"test.it.Echo\",\"parameters\":{\"a\":1}}";
static const char answer_echo[] = "{\"parameters\":{\"back\":{\"a\":1}}}\n";

static void test_split_at_each_place(void **state)
{
	struct rig *r = *state;

	for (size_t i = 1; i < sizeof call_echo; i++) {
		put(r, call_echo, i);
		assert_string_equal(got(r), "");
		put(r, call_echo + i, sizeof call_echo - i);
		assert_string_equal(got(r), answer_echo);
	}
}

static void test_pipelined(void **state)
{
	char two[2 * sizeof call_echo];
	struct rig *r = *state;

	memcpy(two, call_echo, sizeof call_echo);
	memcpy(two + sizeof call_echo, call_echo, sizeof call_echo);
	put(r, two, sizeof two);
	assert_string_equal(got(r), "{\"parameters\":{\"back\":{\"a\":1}}}\n{\"parameters\":{\"back\":{\"a\":1}}}\n");
}

static void test_stream(void **state)
{
	static const char call[] = "{\"method\":\"test.it.Count\",\"more\":true}";
	struct rig *r = *state;
	const char *text;

	put(r, call, sizeof call);
	text = got(r);
	assert_non_null(strstr(text, "{\"parameters\":{\"i\":0},\"continues\":true}\n"));
	assert_non_null(strstr(text, "{\"parameters\":{\"i\":3}}\n"));
}

static void test_a_call_waits_for_the_one_before(void **state)
{
	static const char call[] = "{\"method\":\"test.it.Hold\"}";
	struct rig *r = *state;

	put(r, call, sizeof call);
	put(r, call_echo, sizeof call_echo);
	assert_string_equal(got(r), "");
	(void)varlink_reply(kept, NULL);
	turn(r);
	assert_string_equal(got(r), "{\"parameters\":{}}\n{\"parameters\":{\"back\":{\"a\":1}}}\n");
}

/* Who replies may hold what the next call takes away: that call runs from the loop, not from within the reply. */
static void test_the_next_call_does_not_run_within_the_reply(void **state)
{
	static const char calls[] = "{\"method\":\"test.it.Hold\"}\0{\"method\":\"test.it.Echo\"}";
	struct rig *r = *state;

	put(r, calls, sizeof calls);
	echoes = 0;
	(void)varlink_reply(kept, NULL);
	assert_int_equal(echoes, 0);
	turn(r);
	assert_int_equal(echoes, 1);
	/* The connection may end in between. */
	put(r, calls, sizeof calls);
	(void)varlink_reply(kept, NULL);
	varlink_server_free(r->server);
	r->server = NULL;
	turn(r);
	assert_int_equal(echoes, 1);
}

static void test_client_leaves(void **state)
{
	static const char call[] = "{\"method\":\"test.it.Hold\"}";
	struct rig *r = *state;

	put(r, call, sizeof call);
	assert_non_null(kept);
	close(r->fd);
	r->fd = -1;
	turn(r);
	assert_int_equal(gone_calls, 1);
	assert_int_equal(varlink_server_connections(r->server), 0);
}

static void test_errors(void **state)
{
	static const struct {
		const char *call, *answer;
	} table[] = {
		{ "{\"method\":\"test.it.No\"}", "org.varlink.service.MethodNotFound" },
		{ "{\"method\":\"no.such.Thing\"}", "org.varlink.service.InterfaceNotFound" },
		{ "{\"method\":\"nodots\"}", "org.varlink.service.InterfaceNotFound" },
		{ "{\"method\":\"org.varlink.service.GetInterfaceDescription\"}", "org.varlink.service.InvalidParameter" },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		put(r, table[i].call, strlen(table[i].call) + 1);
		assert_non_null(strstr(got(r), table[i].answer));
	}
}

static void test_garbage_closes(void **state)
{
	static const char *const garbage[] = { "nonsense", "[]", "{}", "{\"method\":1}", "{\"method\":\"a.B\",\"parameters\":[]}", "" };
	struct rig *r = *state;

	(void)r;
	for (size_t i = 0; i < ARRAY_LEN(garbage); i++) {
		int pair[2];
		char c;

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
		assert_int_equal(varlink_server_add(r->server, pair[0]), 0);
		assert_true(send(pair[1], garbage[i], strlen(garbage[i]) + 1, 0) > 0);
		turn(r);
		assert_int_equal(recv(pair[1], &c, 1, 0), 0);
		close(pair[1]);
	}
}

static void test_oversize(void **state)
{
	struct rig *r = *state;
	char chunk[65536];
	bool closed = false;

	memset(chunk, 'x', sizeof chunk);
	for (int i = 0; i < 64 && !closed; i++) {
		closed = send(r->fd, chunk, sizeof chunk, MSG_NOSIGNAL) < 0 && errno == EPIPE;
		turn(r);
	}
	assert_true(closed);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_split_at_each_place), T(test_pipelined), T(test_stream), T(test_a_call_waits_for_the_one_before),
		T(test_the_next_call_does_not_run_within_the_reply), T(test_client_leaves),
		T(test_errors), T(test_garbage_closes), T(test_oversize),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
