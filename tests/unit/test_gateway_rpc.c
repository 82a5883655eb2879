/* The pure parts of the XML-RPC door: passwords, base64, and documents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "auth.h"
#include "base/base.h"
#include "sha1.h"
#include "xmlrpc.h"

static void digests(void **state)
{
	static const struct {
		const char *text;
		int times;
		const char *hex;
	} rows[] = {	/* FIPS 180-4's examples and RFC 3174's */
		{ "", 1, "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
		{ "abc", 1, "a9993e364706816aba3e25717850c26c9cd0d89d" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1, "84983e441c3bd26ebaae4aa1f95129e5e54670f1" },
		{ "a", 1000000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f" },
		{ "0123456701234567012345670123456701234567012345670123456701234567", 10, "dea356a2cddd90c7a7ecedc5ebb563934f460452" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t n = strlen(rows[i].text), length = n * (size_t)rows[i].times;
		_cleanup_(freep) char *text = malloc(length + 1);
		char hex[SHA1_HEX];

		assert_non_null(text);
		for (int k = 0; k < rows[i].times; k++)
			memcpy(text + n * (size_t)k, rows[i].text, n);
		sha1_hex(text, length, hex);
		assert_string_equal(hex, rows[i].hex);
	}
}

static void passwords(void **state)
{
	static const struct {
		const char *header, *username, *password;
		enum auth_verdict verdict;
	} rows[] = {
		{ "Basic dTpw", "u", "p", AUTH_RIGHT },
		{ "basic dTpw", "u", "p", AUTH_RIGHT },
		{ "Basic dTpwOnE=", "u", "p:q", AUTH_RIGHT },
		{ "Basic dTo=", "u", "", AUTH_RIGHT },
		{ "Basic dTpw", "u", "{SHA}516b9783fca517eecbd1d064da2d165310b19759", AUTH_RIGHT },
		{ "Basic dTpw", "u", "{SHA}516B9783FCA517EECBD1D064DA2D165310B19759", AUTH_WRONG },
		{ "Basic dTpw", "u", "{sha}516b9783fca517eecbd1d064da2d165310b19759", AUTH_WRONG },
		{ "Basic dTpw", "u", "pp", AUTH_WRONG },
		{ "Basic dTpwcA==", "u", "p", AUTH_WRONG },
		{ "Basic dTpw", "uu", "p", AUTH_WRONG },
		{ "Basic dTpw", "v", "p", AUTH_WRONG },
		{ "Basic dQ==", "u", "p", AUTH_WRONG },
		{ "Basic ", "u", "p", AUTH_WRONG },
		{ "Basic dTpw!", "u", "p", AUTH_MALFORMED },
		{ "Bearer dTpw", "u", "p", AUTH_MISSING },
		{ "Basic", "u", "p", AUTH_MISSING },
		{ NULL, "u", "p", AUTH_MISSING },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (auth_check(rows[i].header, rows[i].username, rows[i].password) != rows[i].verdict)
			fail_msg("%s for %s", rows[i].header, rows[i].password);
}

/* What stands between methodName and the end, and the parameters as JSON; NULL: refused. */
static const struct {
	const char *params, *json;
} documents[] = {
	{ "", "[]" },
	{ "<params/>", "[]" },
	{ "<params><param><value>a b </value></param></params>", "[\"a b \"]" },
	{ "<params><param><value/></param></params>", "[\"\"]" },
	{ "<params><param><value><string/></value></param></params>", "[\"\"]" },
	{ "<params><param><value> <string>&lt;&amp;&gt;&#13;&#xe9;</string> </value></param></params>", "[\"<&>\\r\\u00e9\"]" },
	{ "<params><param><value><int> -7 </int></value></param><param><value><i4>+8</i4></value></param></params>", "[-7, 8]" },
	{ "<params><param><value><int>99999999999999999999</int></value></param></params>", "[9223372036854775807]" },
	{ "<params><param><value><boolean>1</boolean></value></param><param><value><boolean>x</boolean></value></param></params>",
	  "[true, false]" },
	{ "<params><param><value><double>1.5</double></value></param></params>", "[1.5]" },
	{ "<params><param><value><dateTime.iso8601>20261121T10:00:00</dateTime.iso8601></value></param></params>",
	  "[\"20261121T10:00:00\"]" },
	{ "<params><param><value><base64>\n aGVs\n bG8=\n</base64></value></param></params>", "[\"hello\"]" },
	{ "<params><param><value><array><data><value>x</value><value><array><data/></array></value></data></array></value></param></params>",
	  "[[\"x\", []]]" },
	{ "<params><param><value><struct><member><name>a</name><value><int>1</int></value></member><member><name/><value>y</value></member>"
	  "</struct></value></param></params>", "[{\"a\": 1, \"\": \"y\"}]" },
	{ "<params><param><value><struct/></value></param></params>", "[{}]" },
	{ "<params><param><value><int/></value></param></params>", NULL },
	{ "<params><param><value><int>1x</int></value></param></params>", NULL },
	{ "<params><param><value><double>one</double></value></param></params>", NULL },
	{ "<params><param><value><dateTime.iso8601>2026-11-21</dateTime.iso8601></value></param></params>", NULL },
	{ "<params><param><value><base64>a</base64></value></param></params>", NULL },
	{ "<params><param><value><base64>/w==</base64></value></param></params>", NULL },
	{ "<params><param><value><nil/></value></param></params>", NULL },
	{ "<params><param><int>1</int></param></params>", NULL },
	{ "<params><value>1</value></params>", NULL },
	{ "<params><param><value><struct><member><name>a</name></member></struct></value></param></params>", NULL },
	{ "<params><param><value><array><value>x</value></array></value></param></params>", NULL },
	{ "<params><param><value>&bomb;</value></param></params>", NULL },
	{ "<params>", NULL },
};

static void parsing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(documents); i++) {
		struct xmlrpc_call call;
		struct error err;
		char text[1000];
		json_t *expected;
		int n = snprintf(text, sizeof text, "<?xml version='1.0'?>\n<methodCall><methodName>m.n</methodName>%s</methodCall>",
				 documents[i].params);
		int r = xmlrpc_parse(text, (size_t)n, &call, &err);

		if (r < 0 && !documents[i].json)
			continue;
		if (r < 0 || !documents[i].json)
			fail_msg("%s: %s", documents[i].params, r < 0 ? err.text : "accepted");
		expected = json_loads(documents[i].json, 0, NULL);
		assert_non_null(expected);
		assert_string_equal(call.method, "m.n");
		if (!json_equal(call.params, expected))
			fail_msg("%s: %s", documents[i].params, json_dumps(call.params, 0));
		json_decref(expected);
		xmlrpc_call_fini(&call);
	}
}

static void refusing(void **state)
{
	static const char *const texts[] = {
		"", "x", "<methodCall/>", "<methodCall><methodName/></methodCall>", "<methodResponse/>",
		"<!DOCTYPE methodCall><methodCall><methodName>m</methodName></methodCall>",
		"<!DOCTYPE m [<!ENTITY a 'b'>]><methodCall><methodName>&a;</methodName></methodCall>",
		"<methodCall><methodName>m</methodName></methodCall><x/>", "<methodCall><methodName>\xff</methodName></methodCall>",
	};
	char deep[64 * 40] = "<methodCall><methodName>m</methodName><params><param>";
	struct xmlrpc_call call;
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_int_equal(xmlrpc_parse(texts[i], strlen(texts[i]), &call, &err), -22);
		assert_true(*err.text);
	}
	for (int i = 0; i < 64; i++)
		strcat(deep, "<value><array><data>");
	assert_int_equal(xmlrpc_parse(deep, strlen(deep), &call, &err), -22);
	assert_non_null(strstr(err.text, "nested too deeply"));
}

static void writing(void **state)
{
	json_t *value = json_pack("{s:s%, s:i, s:b, s:f, s:n, s:[s]}", "s", "<&>\x1b\r\n\t\xef\xbf\xbf", (size_t)10, "i", -3, "b", 1, "d", 0.5,
				  "n", "a", "x");
	size_t length;
	_cleanup_(freep) char *text = xmlrpc_response(value, &length);
	_cleanup_(freep) char *fault = xmlrpc_fault(10, "BAD_NAME: \xff", &length);

	(void)state;
	assert_non_null(text);
	assert_non_null(strstr(text, "<name>s</name>\n<value><string>&lt;&amp;&gt;\xef\xbf\xbd&#13;\n\t\xef\xbf\xbd</string></value>"));
	assert_non_null(strstr(text, "<value><int>-3</int></value>"));
	assert_non_null(strstr(text, "<value><boolean>1</boolean></value>"));
	assert_non_null(strstr(text, "<value><double>0.5</double></value>"));
	assert_non_null(strstr(text, "<value><array><data>\n<value><string>x</string></value>\n</data></array></value>"));
	assert_non_null(strstr(fault, "<name>faultCode</name>\n<value><int>10</int></value>"));
	assert_non_null(strstr(fault, "<value><string>BAD_NAME: \xef\xbf\xbd</string></value>"));
	json_decref(value);
}

static void repairing(void **state)
{
	static const struct {
		const char *bytes, *text;
	} rows[] = {
		{ "plain", "plain" }, { "\xc3\xa9", "\xc3\xa9" }, { "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
		{ "a\xff" "b", "a\xef\xbf\xbd" "b" }, { "\xc3", "\xef\xbf\xbd" }, { "\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xe0\x80\x80x", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx" }, { "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }, { "\xe2\x82" "a", "\xef\xbf\xbd\xef\xbf\xbd" "a" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *text = xmlrpc_text(rows[i].bytes, strlen(rows[i].bytes));

		assert_non_null(text);
		assert_string_equal(json_string_value(text), rows[i].text);
		json_decref(text);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests), cmocka_unit_test(passwords), cmocka_unit_test(parsing),
		cmocka_unit_test(refusing), cmocka_unit_test(writing), cmocka_unit_test(repairing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
