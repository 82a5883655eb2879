/*
 * XML-RPC documents to JSON values and back. int, i4: integer; boolean; double: real; string, an untyped value, dateTime.iso8601 and
 * base64 (which must hold UTF-8): string; array; struct: object. Pure: no network, no daemon.
 */
#ifndef REEVE_GATEWAY_XMLRPC_H
#define REEVE_GATEWAY_XMLRPC_H

#include <jansson.h>

#include "base/base.h"

enum {
	XMLRPC_DEPTH = 64,		/* elements inside one another */
};

struct xmlrpc_call {
	char *method;			/* not empty; owned */
	json_t *params;			/* array; owned */
};

/*
 * Parse a methodCall. Document types, and so all entities but the five of XML, are refused. 0 or -EINVAL with ERR.
 */
int xmlrpc_parse(const char *text, size_t length, struct xmlrpc_call *ret, struct error *err);
void xmlrpc_call_fini(struct xmlrpc_call *call);

/* The methodResponse for VALUE (borrowed): malloc'd, NULL when out of memory. Characters that XML does not have become U+FFFD. */
char *xmlrpc_response(const json_t *value, size_t *ret_length);
char *xmlrpc_fault(int code, const char *text, size_t *ret_length);

/* BYTES as a JSON string; what is not UTF-8 becomes U+FFFD. NULL when out of memory. */
json_t *xmlrpc_text(const char *bytes, size_t length);

#endif
