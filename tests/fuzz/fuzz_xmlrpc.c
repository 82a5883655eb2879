/* XML-RPC documents. What is accepted is written again, and must be accepted then, too. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "xmlrpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* VALUE as the only parameter of a call: the response to it has the same inside. */
static void again(const json_t *value)
{
	static const char head[] = "<methodCall><methodName>m</methodName>", tail[] = "</methodCall>";
	struct xmlrpc_call call;
	struct error err;
	size_t length;
	char *response = xmlrpc_response(value, &length), *begin, *end, *text = NULL;

	begin = response ? strstr(response, "<params>") : NULL;
	end = response ? strstr(response + length - strlen("</methodResponse>\n"), "</methodResponse>") : NULL;
	if (!begin || !end || asprintf(&text, "%s%.*s%s", head, (int)(end - begin), begin, tail) < 0)
		abort();
	if (xmlrpc_parse(text, strlen(text), &call, &err) < 0) {
		(void)fprintf(stderr, "%s\n%s\n", err.text, text);
		abort();
	}
	if (json_array_size(call.params) != 1 || json_typeof(json_array_get(call.params, 0)) != json_typeof(value))
		abort();
	xmlrpc_call_fini(&call);
	free(text);
	free(response);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct xmlrpc_call call;
	struct error err;
	json_t *text = xmlrpc_text((const char *)data, size);

	again(text);
	json_decref(text);
	if (xmlrpc_parse((const char *)data, size, &call, &err) < 0) {
		if (!*err.text)
			abort();
		return 0;
	}
	if (!*call.method)
		abort();
	again(call.params);
	xmlrpc_call_fini(&call);
	return 0;
}
