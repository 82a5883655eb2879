/* See xmlrpc.h. The reader knows tags, text and the five entities; attributes, comments and the rest of XML do not
 * occur. */
#include "xmlrpc.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

enum { DEPTH_MAX = 32 };

/* ---- calls ---- */

static void put_text(FILE *out, const char *text)
{
	for (; *text; text++)
		if (*text == '&')
			(void)fputs("&amp;", out);
		else if (*text == '<')
			(void)fputs("&lt;", out);
		else if (*text == '>')
			(void)fputs("&gt;", out);
		else if (*text == '\r')
			(void)fputs("&#13;", out);
		else
			(void)fputc(*text, out);
}

static void put_value(FILE *out, const json_t *value)
{
	(void)fputs("<param><value>", out);
	if (json_is_integer(value)) {
		(void)fprintf(out, "<int>%lld</int>", (long long)json_integer_value(value));
	} else if (json_is_boolean(value)) {
		(void)fprintf(out, "<boolean>%d</boolean>", json_is_true(value));
	} else {
		(void)fputs("<string>", out);
		put_text(out, json_is_string(value) ? json_string_value(value) : "");
		(void)fputs("</string>", out);
	}
	(void)fputs("</value></param>", out);
}

char *xmlrpc_call(const char *method, const json_t *parameters)
{
	char *text = NULL;
	size_t size, i;
	FILE *out = open_memstream(&text, &size);
	json_t *value;

	if (!out)
		return NULL;
	(void)fprintf(out, "<?xml version='1.0'?>\n<methodCall><methodName>%s</methodName><params>", method);
	json_array_foreach(parameters, i, value) put_value(out, value);
	(void)fputs("</params></methodCall>", out);
	return fclose(out) == 0 ? text : NULL;
}

/* ---- answers ---- */

struct reader {
	const char *at;
	int depth;
};

static void skip_blanks(struct reader *r)
{
	while (isspace((unsigned char)*r->at))
		r->at++;
}

/* Is the next thing <NAME> (or </NAME>)? Then it is taken. */
static bool take(struct reader *r, const char *name)
{
	size_t n = strlen(name);

	skip_blanks(r);
	if (*r->at != '<' || strncmp(r->at + 1, name, n) != 0 || r->at[n + 1] != '>')
		return false;
	r->at += n + 2;
	return true;
}

static const char *entity(const char *at, char out[5])
{
	static const struct {
		const char *name;
		char c;
	} table[] = { { "&amp;", '&' }, { "&lt;", '<' }, { "&gt;", '>' }, { "&quot;", '"' }, { "&apos;", '\'' } };
	char *end;
	long number;

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (strncmp(at, table[i].name, strlen(table[i].name)) == 0) {
			(void)snprintf(out, 5, "%c", table[i].c);
			return at + strlen(table[i].name);
		}
	number = at[1] != '#' ? 0 : at[2] == 'x' ? strtol(at + 3, &end, 16) : strtol(at + 2, &end, 10);
	if (number > 0 && number < 128 && *end == ';') {
		(void)snprintf(out, 5, "%c", (int)number);
		return end + 1;
	}
	(void)snprintf(out, 5, "&");
	return at + 1;
}

/* The text up to the next tag; malloc'd. */
static char *text_of(struct reader *r)
{
	size_t n = strcspn(r->at, "<"), length = 0;
	const char *end = r->at + n;
	char *text = malloc(n + 5);

	while (text && r->at < end)
		if (*r->at == '&') {
			char c[5];

			r->at = entity(r->at, c);
			length += strlen(strcpy(text + length, c));
		} else {
			text[length++] = *r->at++;
		}
	if (text)
		text[length] = '\0';
	return text;
}

static json_t *any_text(const char *text)
{
	json_t *s = json_string(text);
	char *clean;

	if (s || !(clean = strdup(text)))
		return s;
	for (char *c = clean; *c; c++) /* not UTF-8 */
		if (*c & 0x80)
			*c = '?';
	s = json_string(clean);
	free(clean);
	return s;
}

static json_t *scalar(const char *kind, const char *text)
{
	if (strcmp(kind, "int") == 0 || strcmp(kind, "i4") == 0)
		return json_integer(atoll(text));
	if (strcmp(kind, "boolean") == 0)
		return json_boolean(text[strspn(text, " \n")] == '1');
	if (strcmp(kind, "double") == 0)
		return json_real(atof(text));
	return any_text(text);
}

static json_t *read_value(struct reader *r);

static json_t *read_array(struct reader *r)
{
	json_t *list = json_array();

	if (!take(r, "data"))
		goto bad;
	while (!take(r, "/data")) {
		json_t *one = read_value(r);

		if (!one)
			goto bad;
		(void)json_array_append_new(list, one);
	}
	if (take(r, "/array"))
		return list;
bad:
	json_decref(list);
	return NULL;
}

static json_t *read_struct(struct reader *r)
{
	json_t *object = json_object();

	while (!take(r, "/struct")) {
		_cleanup_(freep) char *name = NULL;
		json_t *value;

		if (!take(r, "member") || !take(r, "name") || !(name = text_of(r)) || !take(r, "/name") ||
		    !(value = read_value(r))) {
			json_decref(object);
			return NULL;
		}
		(void)json_object_set_new(object, name, value);
		if (!take(r, "/member")) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

/* What is between <value> and </value>. */
static json_t *read_typed(struct reader *r)
{
	static const char *const kinds[] = { "string", "int", "i4", "boolean", "double" };
	_cleanup_(freep) char *text = NULL;
	char end[16];

	if (take(r, "array"))
		return read_array(r);
	if (take(r, "struct"))
		return read_struct(r);
	if (take(r, "nil/"))
		return json_null();
	if (take(r, "string/"))
		return json_string("");
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!take(r, kinds[i]))
			continue;
		text = text_of(r);
		(void)snprintf(end, sizeof end, "/%s", kinds[i]);
		return text && take(r, end) ? scalar(kinds[i], text) : NULL;
	}
	text = text_of(r); /* untyped: a string */
	return text ? any_text(text) : NULL;
}

static json_t *read_value(struct reader *r)
{
	json_t *value;

	if (take(r, "value/"))
		return json_string("");
	if (r->depth == DEPTH_MAX || !take(r, "value"))
		return NULL;
	r->depth++;
	value = read_typed(r);
	r->depth--;
	if (value && take(r, "/value"))
		return value;
	json_decref(value);
	return NULL;
}

int xmlrpc_answer(const char *text, json_t **ret, int *ret_fault, char **ret_text)
{
	const char *body = strstr(text, "<methodResponse>");
	struct reader r = { .at = body ? body : text };
	json_t *value;
	bool fault;

	*ret = NULL;
	*ret_text = NULL;
	*ret_fault = 0;
	if (!take(&r, "methodResponse"))
		return -EPROTO;
	fault = take(&r, "fault");
	if (!fault && (!take(&r, "params") || !take(&r, "param")))
		return -EPROTO;
	value = read_value(&r);
	if (!value)
		return -EPROTO;
	if (!fault) {
		*ret = value;
		return 0;
	}
	*ret_fault = (int)json_integer_value(json_object_get(value, "faultCode"));
	*ret_text = strdup(json_is_string(json_object_get(value, "faultString"))
				   ? json_string_value(json_object_get(value, "faultString"))
				   : "");
	json_decref(value);
	return 0;
}
