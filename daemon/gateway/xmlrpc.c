/* See xmlrpc.h. The reader is a stack of open elements over expat; a table says which may stand in which. */
#include "xmlrpc.h"

#include <ctype.h>
#include <errno.h>
#include <expat.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"

static const char replacement[] = "\xef\xbf\xbd";	/* U+FFFD */

/* ---- scalars ---- */

/* TEXT without blanks around it. */
static char *trimmed(char *text, size_t *length)
{
	while (*length && isspace((unsigned char)text[*length - 1]))
		text[--*length] = '\0';
	while (isspace((unsigned char)*text)) {
		text++;
		--*length;
	}
	return text;
}

/* A number beyond 64 bits becomes the nearest one: it is out of any range here. */
static json_t *make_integer(char *text, size_t length)
{
	const char *digits = trimmed(text, &length);
	char *end;
	long long value = strtoll(digits, &end, 10);

	return *digits && !*end ? json_integer(value) : NULL;
}

static json_t *make_double(char *text, size_t length)
{
	const char *digits = trimmed(text, &length);
	char *end;
	double value = strtod(digits, &end);

	return *digits && !*end ? json_real(value) : NULL;
}

static json_t *make_boolean(char *text, size_t length)
{
	(void)length;
	return json_boolean(strcmp(text, "1") == 0);
}

static json_t *make_string(char *text, size_t length)
{
	return json_stringn(text, length);
}

static json_t *make_time(char *text, size_t length)
{
	static const char form[] = "00000000T00:00:00";
	bool good = length == sizeof form - 1;

	for (size_t i = 0; good && i < length; i++)
		good = form[i] == '0' ? isdigit((unsigned char)text[i]) : text[i] == form[i];
	return good ? json_stringn(text, length) : NULL;
}

static json_t *make_base64(char *text, size_t length)
{
	size_t n;
	_cleanup_(freep) char *bytes = base64_decode(text, &n);

	(void)length;
	return bytes ? json_stringn(bytes, n) : NULL;
}

/* ---- elements ---- */

enum element {
	NOTHING, METHOD_CALL, METHOD_NAME, PARAMS, PARAM, VALUE, ARRAY, DATA, STRUCT, MEMBER, NAME, SCALAR,
};

static const struct rule {
	const char *tag;
	enum element element;
	unsigned parents;		/* bits of enum element */
	json_t *(*make)(char *text, size_t length);	/* SCALAR: NULL when malformed */
} rules[] = {
	{ "methodCall", METHOD_CALL, 1 << NOTHING, NULL },
	{ "methodName", METHOD_NAME, 1 << METHOD_CALL, NULL },
	{ "params", PARAMS, 1 << METHOD_CALL, NULL },
	{ "param", PARAM, 1 << PARAMS, NULL },
	{ "value", VALUE, 1 << PARAM | 1 << DATA | 1 << MEMBER, NULL },
	{ "array", ARRAY, 1 << VALUE, NULL },
	{ "data", DATA, 1 << ARRAY, NULL },
	{ "struct", STRUCT, 1 << VALUE, NULL },
	{ "member", MEMBER, 1 << STRUCT, NULL },
	{ "name", NAME, 1 << MEMBER, NULL },
	{ "int", SCALAR, 1 << VALUE, make_integer },
	{ "i4", SCALAR, 1 << VALUE, make_integer },
	{ "boolean", SCALAR, 1 << VALUE, make_boolean },
	{ "string", SCALAR, 1 << VALUE, make_string },
	{ "double", SCALAR, 1 << VALUE, make_double },
	{ "dateTime.iso8601", SCALAR, 1 << VALUE, make_time },
	{ "base64", SCALAR, 1 << VALUE, make_base64 },
};

struct frame {
	const struct rule *rule;
	json_t *value;			/* VALUE, MEMBER: what it holds; ARRAY, STRUCT: being filled. Owned */
	char *name;			/* MEMBER; owned */
};

struct reader {
	XML_Parser parser;
	struct frame stack[XMLRPC_DEPTH];
	size_t depth;
	char *text;			/* since the last tag */
	size_t length, size;
	struct xmlrpc_call call;
	struct error *err;
	bool failed;
};

static void fail(struct reader *r, const char *text)
{
	if (!r->failed)
		(void)error_set(r->err, EINVAL, "line %lu: %s", (unsigned long)XML_GetCurrentLineNumber(r->parser), text);
	r->failed = true;
	(void)XML_StopParser(r->parser, XML_FALSE);
}

static void on_start(void *data, const char *tag, const char **attributes)
{
	struct reader *r = data;
	enum element parent = r->depth ? r->stack[r->depth - 1].rule->element : NOTHING;
	const struct rule *rule = NULL;
	struct frame *f;

	(void)attributes;
	for (size_t i = 0; i < ARRAY_LEN(rules) && !rule; i++)
		if (strcmp(tag, rules[i].tag) == 0)
			rule = &rules[i];
	if (r->depth == XMLRPC_DEPTH || !rule || !(rule->parents & 1u << parent)) {
		fail(r, r->depth == XMLRPC_DEPTH ? "nested too deeply" : "an element that does not belong here");
		return;
	}
	f = &r->stack[r->depth++];
	*f = (struct frame){ .rule = rule };
	if (rule->element == ARRAY)
		f->value = json_array();
	if (rule->element == STRUCT)
		f->value = json_object();
	r->length = 0;
	if (r->text)
		r->text[0] = '\0';
}

static void on_text(void *data, const char *text, int length)
{
	struct reader *r = data;
	size_t need = r->length + (size_t)length + 1;

	if (need > r->size) {
		size_t size = r->size ? r->size : 128;
		char *grown;

		while (size < need)
			size *= 2;
		grown = realloc(r->text, size);
		if (!grown) {
			fail(r, "out of memory");
			return;
		}
		r->text = grown;
		r->size = size;
	}
	memcpy(r->text + r->length, text, (size_t)length);
	r->length += (size_t)length;
	r->text[r->length] = '\0';
}

/* VALUE (stolen) belongs to what is open now. */
static void deliver(struct reader *r, json_t *value)
{
	struct frame *f = r->depth ? &r->stack[r->depth - 1] : NULL;

	if (!value || !f) {
		json_decref(value);
		fail(r, "a malformed value");
	} else if (f->rule->element == PARAM) {
		(void)json_array_append_new(r->call.params, value);
	} else if (f->rule->element == DATA) {
		(void)json_array_append_new(r->stack[r->depth - 2].value, value);
	} else {
		json_decref(f->value);
		f->value = value;
	}
}

static void end_member(struct reader *r, struct frame *f)
{
	if (!f->value)
		fail(r, "a member without value");
	else
		(void)json_object_set_new(r->stack[r->depth - 1].value, f->name ? f->name : "", TAKE(f->value));
}

static void on_end(void *data, const char *tag)
{
	struct reader *r = data;
	struct frame f;
	char empty[1] = "", *text = r->text ? r->text : empty;

	(void)tag;
	if (r->failed)
		return;
	f = r->stack[--r->depth];
	switch (f.rule->element) {
	case METHOD_NAME:
		free(r->call.method);
		r->call.method = strdup(text);
		break;
	case NAME:
		free(r->stack[r->depth - 1].name);
		r->stack[r->depth - 1].name = strdup(text);
		break;
	case SCALAR:
		deliver(r, f.rule->make(text, r->length));
		break;
	case ARRAY:
	case STRUCT:
		deliver(r, TAKE(f.value));
		break;
	case VALUE:
		deliver(r, f.value ? TAKE(f.value) : json_stringn(text, r->length));
		break;
	case MEMBER:
		end_member(r, &f);
		break;
	case NOTHING:
	case METHOD_CALL:
	case PARAMS:
	case PARAM:
	case DATA:
		break;
	}
	json_decref(f.value);
	free(f.name);
	r->length = 0;
	if (r->text)
		r->text[0] = '\0';
}

static void on_doctype(void *data, const char *name, const char *system, const char *public, int internal)
{
	(void)name, (void)system, (void)public, (void)internal;
	fail(data, "document types are not allowed");
}

static void reader_fini(struct reader *r)
{
	for (size_t i = 0; i < r->depth; i++) {
		json_decref(r->stack[i].value);
		free(r->stack[i].name);
	}
	free(r->text);
	if (r->parser)
		XML_ParserFree(r->parser);
}

int xmlrpc_parse(const char *text, size_t length, struct xmlrpc_call *ret, struct error *err)
{
	struct reader r = { .parser = XML_ParserCreate(NULL), .err = err };

	r.call.params = json_array();
	if (!r.parser || !r.call.params) {
		r.failed = true;
		(void)error_set(err, EINVAL, "out of memory");
	} else {
		XML_SetUserData(r.parser, &r);
		XML_SetElementHandler(r.parser, on_start, on_end);
		XML_SetCharacterDataHandler(r.parser, on_text);
		XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
		if (XML_Parse(r.parser, text, (int)length, 1) != XML_STATUS_OK && !r.failed)
			fail(&r, XML_ErrorString(XML_GetErrorCode(r.parser)));
		if (!r.failed && (!r.call.method || !*r.call.method))
			fail(&r, "there is no method name");
	}
	reader_fini(&r);
	if (r.failed) {
		xmlrpc_call_fini(&r.call);
		return -EINVAL;
	}
	*ret = r.call;
	return 0;
}

void xmlrpc_call_fini(struct xmlrpc_call *call)
{
	free(call->method);
	json_decref(call->params);
	*call = (struct xmlrpc_call){ 0 };
}

/* ---- writing ---- */

static void put_text(FILE *out, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '&')
			(void)fputs("&amp;", out);
		else if (c == '<')
			(void)fputs("&lt;", out);
		else if (c == '>')
			(void)fputs("&gt;", out);
		else if (c == '\r')
			(void)fputs("&#13;", out);
		else if (c < 0x20 && c != '\n' && c != '\t')
			(void)fputs(replacement, out);
		else if (c == 0xef && i + 2 < length && (unsigned char)text[i + 1] == 0xbf && (unsigned char)text[i + 2] >= 0xbe) {
			(void)fputs(replacement, out);	/* U+FFFE, U+FFFF */
			i += 2;
		} else
			(void)putc_unlocked(c, out);
	}
}

static void put_value(FILE *out, const json_t *value);

static void put_array(FILE *out, const json_t *array)
{
	const json_t *value;
	size_t i;

	(void)fputs("<array><data>\n", out);
	json_array_foreach(array, i, value)
		put_value(out, value);
	(void)fputs("</data></array>", out);
}

static void put_struct(FILE *out, const json_t *object)
{
	const char *key;
	json_t *value;

	(void)fputs("<struct>\n", out);
	json_object_foreach((json_t *)object, key, value) {
		(void)fputs("<member>\n<name>", out);
		put_text(out, key, strlen(key));
		(void)fputs("</name>\n", out);
		put_value(out, value);
		(void)fputs("</member>\n", out);
	}
	(void)fputs("</struct>", out);
}

static void put_value(FILE *out, const json_t *value)
{
	(void)fputs("<value>", out);
	switch (json_typeof(value)) {
	case JSON_INTEGER:
		(void)fprintf(out, "<int>%lld</int>", (long long)json_integer_value(value));
		break;
	case JSON_REAL:
		(void)fprintf(out, "<double>%.17g</double>", json_real_value(value));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		(void)fprintf(out, "<boolean>%d</boolean>", json_is_true(value));
		break;
	case JSON_ARRAY:
		put_array(out, value);
		break;
	case JSON_OBJECT:
		put_struct(out, value);
		break;
	case JSON_STRING:
	case JSON_NULL:
		(void)fputs("<string>", out);
		put_text(out, json_is_string(value) ? json_string_value(value) : "", json_string_length(value));
		(void)fputs("</string>", out);
		break;
	}
	(void)fputs("</value>\n", out);
}

static char *document(const char *before, const json_t *value, const char *after, size_t *ret_length)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_length);

	if (!out)
		return NULL;
	(void)fputs("<?xml version='1.0'?>\n<methodResponse>\n", out);
	(void)fputs(before, out);
	put_value(out, value);
	(void)fputs(after, out);
	(void)fputs("</methodResponse>\n", out);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

char *xmlrpc_response(const json_t *value, size_t *ret_length)
{
	return document("<params>\n<param>\n", value, "</param>\n</params>\n", ret_length);
}

char *xmlrpc_fault(int code, const char *text, size_t *ret_length)
{
	json_t *string = xmlrpc_text(text, strlen(text));
	json_t *fault = json_pack("{s:i, s:o}", "faultCode", code, "faultString", string);
	char *response = fault ? document("<fault>\n", fault, "</fault>\n", ret_length) : NULL;

	json_decref(fault);
	return response;
}

/* ---- UTF-8 ---- */

/* The length of the character at P (of N bytes), 0: none. */
static size_t character(const unsigned char *p, size_t n)
{
	static const unsigned char least[] = { 0, 0, 0x80, 0xa0, 0x90 };	/* second byte, where the first is the lowest of its kind */
	size_t length = *p < 0x80 ? 1 : *p < 0xc2 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 0;

	if (length > n)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((*p == 0xe0 || *p == 0xf0) && p[1] < least[length])
		return 0;
	if ((*p == 0xed && p[1] > 0x9f) || (*p == 0xf4 && p[1] > 0x8f))
		return 0;
	return length;
}

json_t *xmlrpc_text(const char *bytes, size_t length)
{
	const unsigned char *p = (const unsigned char *)bytes;
	json_t *text = json_stringn(bytes, length);
	_cleanup_(freep) char *repaired = NULL;
	size_t n = 0;

	if (text)
		return text;
	repaired = malloc(length * 3 + 1);
	for (size_t i = 0; repaired && i < length;) {
		size_t good = character(p + i, length - i);

		memcpy(repaired + n, good ? bytes + i : replacement, good ? good : 3);
		n += good ? good : 3;
		i += good ? good : 1;
	}
	return repaired ? json_stringn(repaired, n) : NULL;
}
