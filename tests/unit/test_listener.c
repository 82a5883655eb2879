/* The listeners' protocol, the tree of event types, and the text helpers behind their payloads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "listener/protocol.h"
#include "listener/subscription.h"

/* What a talk that begins in STATE understands of TEXT, as letters: R ready, O ok, F rejected, B bad result, X nonsense. */
static void hear(struct talk *t, const char *text, size_t length, char *heard)
{
	static const char letters[] = { [SAID_READY] = 'R', [SAID_OK] = 'O', [SAID_REJECTED] = 'F', [SAID_BAD_RESULT] = 'B',
					[SAID_NONSENSE] = 'X' };
	enum said said;

	assert_int_equal(talk_add(t, text, length), 0);
	heard += strlen(heard);
	while ((said = talk_next(t)) != SAID_NOTHING)
		*heard++ = letters[said];
	*heard = '\0';
}

static const struct {
	enum listener_state state;
	const char *text, *heard;
	enum listener_state then;
} rows[] = {
	{ LISTENER_ACKNOWLEDGED, "READY\n", "R", LISTENER_READY },
	{ LISTENER_ACKNOWLEDGED, "REA", "", LISTENER_ACKNOWLEDGED },
	{ LISTENER_ACKNOWLEDGED, "hello\n", "X", LISTENER_UNKNOWN },
	{ LISTENER_ACKNOWLEDGED, "READY\nx", "RX", LISTENER_UNKNOWN },
	{ LISTENER_READY, "x", "X", LISTENER_UNKNOWN },
	{ LISTENER_BUSY, "RESULT 2\nOK", "O", LISTENER_ACKNOWLEDGED },
	{ LISTENER_BUSY, "RESULT 2\nOKREADY\n", "OR", LISTENER_READY },
	{ LISTENER_BUSY, "RESULT 4\nFAILREADY\n", "FR", LISTENER_READY },
	{ LISTENER_BUSY, "RESULT 3\nOK\n", "F", LISTENER_ACKNOWLEDGED },
	{ LISTENER_BUSY, "RESULT 0\n", "F", LISTENER_ACKNOWLEDGED },
	{ LISTENER_BUSY, "RESULT 2 \r\nOK", "O", LISTENER_ACKNOWLEDGED },
	{ LISTENER_BUSY, "ABCDEFG2\nOK", "O", LISTENER_ACKNOWLEDGED },
	{ LISTENER_BUSY, "RESULT 2\nO", "", LISTENER_BUSY },
	{ LISTENER_BUSY, "RESULT", "", LISTENER_BUSY },
	{ LISTENER_BUSY, "RESULT x\n", "B", LISTENER_UNKNOWN },
	{ LISTENER_BUSY, "RESULT -1\n", "B", LISTENER_UNKNOWN },
	{ LISTENER_BUSY, "RESULT 99999999999\n", "B", LISTENER_UNKNOWN },
	{ LISTENER_BUSY, "R\n", "B", LISTENER_UNKNOWN },
	{ LISTENER_UNKNOWN, "READY\n", "", LISTENER_UNKNOWN },
};

static void protocol_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct talk t = { .state = rows[i].state };
		char heard[16] = "";

		hear(&t, rows[i].text, strlen(rows[i].text), heard);
		assert_string_equal(heard, rows[i].heard);
		assert_int_equal(t.state, rows[i].then);
		talk_reset(&t);
	}
}

/* The same in pieces of one byte: what is understood does not depend on how it comes. */
static void protocol_bytewise(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct talk t = { .state = rows[i].state };
		char heard[64] = "";

		for (const char *c = rows[i].text; *c; c++)
			hear(&t, c, 1, heard);
		assert_string_equal(heard, rows[i].heard);
		assert_int_equal(t.state, rows[i].then);
		talk_reset(&t);
	}
}

static void protocol_endless_line(void **state)
{
	struct talk t = { .state = LISTENER_BUSY };
	char heard[64] = "", block[300];

	(void)state;
	memset(block, 'x', sizeof block);
	for (int i = 0; i < 10 && t.state != LISTENER_UNKNOWN; i++)
		hear(&t, block, sizeof block, heard);
	assert_string_equal(heard, "B");
	assert_true(t.length == 0);
	talk_reset(&t);
}

static void subscriptions(void **state)
{
	char *all[] = { "EVENT", NULL }, *states[] = { "PROCESS_STATE", NULL }, *one[] = { "PROCESS_STATE_EXITED", NULL };
	char *twice[] = { "EVENT", "PROCESS_STATE", "PROCESS_STATE_EXITED", NULL }, *group[] = { "PROCESS_GROUP", NULL };

	(void)state;
	assert_int_equal(subscription_count(all, "TICK_5"), 1);
	assert_int_equal(subscription_count(states, "PROCESS_STATE_EXITED"), 1);
	assert_int_equal(subscription_count(states, "PROCESS_GROUP_ADDED"), 0);
	assert_int_equal(subscription_count(one, "PROCESS_STATE_EXITED"), 1);
	assert_int_equal(subscription_count(one, "PROCESS_STATE_STARTING"), 0);
	assert_int_equal(subscription_count(twice, "PROCESS_STATE_EXITED"), 3);
	assert_int_equal(subscription_count(group, "PROCESS_GROUP_REMOVED"), 1);
	assert_int_equal(subscription_count(NULL, "TICK_5"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(protocol_whole), cmocka_unit_test(protocol_bytewise), cmocka_unit_test(protocol_endless_line),
		cmocka_unit_test(subscriptions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
