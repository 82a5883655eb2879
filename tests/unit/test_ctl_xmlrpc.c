/* ctl/xmlrpc.c: calls as XML, answers as JSON, and what is neither. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "ctl/xmlrpc.h"

#define HEAD "<?xml version='1.0'?>\n<methodResponse>\n"
#define VALUE(text) HEAD "<params>\n<param>\n<value>" text "</value>\n</param>\n</params>\n</methodResponse>\n"

static const struct {
	const char *text;
	const char *json;		/* NULL: no answer */
} answers[] = {
	{ VALUE("<string>a&lt;b &amp;amp; &quot;c&apos;</string>"), "\"a<b &amp; \\\"c'\"" },
	{ VALUE("<int>-7</int>"), "-7" },
	{ VALUE("<i4>7</i4>"), "7" },
	{ VALUE("<boolean>1</boolean>"), "true" },
	{ VALUE("<boolean>0</boolean>"), "false" },
	{ VALUE("<double>1.5</double>"), "1.5" },
	{ VALUE("<nil/>"), "null" },
	{ VALUE("untyped"), "\"untyped\"" },
	{ VALUE(""), "\"\"" },
	{ VALUE("<string></string>"), "\"\"" },
	{ VALUE("<string/>"), "\"\"" },
	{ VALUE("<string>two\nlines &#13;&#x41;</string>"), "\"two\\nlines \\rA\"" },
	{ VALUE("<string>d\xc3\xa4t\xc3\xa9</string>"), "\"d\xc3\xa4t\xc3\xa9\"" },
	{ VALUE("<string>\xff\xfe</string>"), "\"??\"" },
	{ VALUE("<string>&nosuch; & &#0; &#; &#x;</string>"), "\"&nosuch; & &#0; &#; &#x;\"" },
	{ VALUE("<array><data>\n</data></array>"), "[]" },
	{ VALUE("<array><data><value><int>1</int></value><value>x</value></data></array>"), "[1,\"x\"]" },
	{ VALUE("<struct>\n<member>\n<name>a</name>\n<value><int>1</int></value>\n</member>\n</struct>"), "{\"a\":1}" },
	{ VALUE("<struct></struct>"), "{}" },
	{ HEAD "<params><param><value/></param></params></methodResponse>", "\"\"" },
	{ "", NULL },
	{ "<html>", NULL },
	{ HEAD, NULL },
	{ HEAD "<params></params></methodResponse>", NULL },
	{ HEAD "<params><param><value><int>1", NULL },
	{ HEAD "<params><param><value><int>1</string></value>", NULL },
	{ VALUE("<array><value></value></array>"), NULL },
	{ VALUE("<array><data><value>"), NULL },
	{ VALUE("<struct><member><name>a</name></member></struct>"), NULL },
	{ VALUE("<struct><member><value>a</value></member></struct>"), NULL },
};

static void test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		json_t *value, *wanted = answers[i].json ? json_loads(answers[i].json, JSON_DECODE_ANY, NULL) : NULL;
		char *text;
		int fault, r = xmlrpc_answer(answers[i].text, &value, &fault, &text);

		if (!answers[i].json && r == 0)
			fail_msg("%s: is an answer", answers[i].text);
		if (answers[i].json && (r < 0 || !json_equal(value, wanted)))
			fail_msg("%s: is not %s", answers[i].text, answers[i].json);
		json_decref(value);
		json_decref(wanted);
		free(text);
	}
}

static void test_fault(void **state)
{
	json_t *value;
	char *text;
	int fault;

	(void)state;
	assert_int_equal(xmlrpc_answer(HEAD "<fault><value><struct><member><name>faultCode</name><value><int>10</int></value></member>"
				       "<member><name>faultString</name><value><string>BAD_NAME: x</string></value></member></struct>"
				       "</value></fault></methodResponse>", &value, &fault, &text), 0);
	assert_null(value);
	assert_int_equal(fault, 10);
	assert_string_equal(text, "BAD_NAME: x");
	free(text);
}

static void test_nesting_is_bounded(void **state)
{
	char *text = NULL, *fault_text;
	json_t *value;
	size_t size;
	int fault;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	(void)fputs(HEAD "<params><param>", f);
	for (int i = 0; i < 100000; i++)
		(void)fputs("<value><array><data>", f);
	(void)fclose(f);
	assert_true(xmlrpc_answer(text, &value, &fault, &fault_text) < 0);
	free(text);
}

static void test_calls(void **state)
{
	json_t *parameters = json_pack("[s, i, b]", "a<&>\r", -3, 1);
	char *text = xmlrpc_call("supervisor.x", parameters);

	(void)state;
	assert_string_equal(text, "<?xml version='1.0'?>\n<methodCall><methodName>supervisor.x</methodName><params><param><value><string>"
				  "a&lt;&amp;&gt;&#13;</string></value></param><param><value><int>-3</int></value></param><param><value>"
				  "<boolean>1</boolean></value></param></params></methodCall>");
	free(text);
	json_decref(parameters);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_fault),
		cmocka_unit_test(test_nesting_is_bounded),
		cmocka_unit_test(test_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
