/* XML-RPC as JSON: what supervisord's interface uses of it. */
#ifndef REEVE_CTL_XMLRPC_H
#define REEVE_CTL_XMLRPC_H

#include <jansson.h>

/* The text of a call with PARAMETERS, an array of strings, integers and booleans (borrowed). malloc'd; NULL: out of memory. */
char *xmlrpc_call(const char *method, const json_t *parameters);
/*
 * The answer in TEXT: its value (the caller's) in *RET, or *RET NULL and the fault's number and text (malloc'd). -EPROTO: it is neither.
 * Control characters and nesting are bounded; the text comes from a peer that nobody vouches for.
 */
int xmlrpc_answer(const char *text, json_t **ret, int *ret_fault, char **ret_text);

#endif
