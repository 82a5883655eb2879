/* See rpc.h. The life of a call, the way from and to HTTP, and the methods of system.* */
#include "rpc.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "guard.h"
#include "rpc_methods.h"
#include "web.h"
#include "xmlrpc.h"

#define X(name, returns, params, optional, always, function, help) { name, returns, params, optional, always, function, help },
static const struct rpc_method methods[] = { RPC_METHODS(X) };
#undef X

static const char disconnected[] = "io.reeve.Disconnected";

/* ---- the end of a call ---- */

static void rpc_end(struct rpc *c, const struct rpc_result *result)
{
	rpc_done *done = c->done;
	void *data = c->data;

	json_decref(c->params);
	json_decref(c->status);
	json_decref(c->asked_params);
	json_decref(c->found);
	json_decref(c->kept);
	free(c->group);
	free(c->process);
	bytes_free(&c->bytes);
	free(c);
	done(data, result);
}

void rpc_return(struct rpc *c, json_t *value)
{
	struct rpc_result result = { .outcome = value ? RPC_VALUE : RPC_WRONG, .value = value };

	rpc_end(c, &result);
	json_decref(value);
}

void rpc_true(struct rpc *c)
{
	rpc_return(c, json_true());
}

void rpc_wrong(struct rpc *c)
{
	struct rpc_result result = { .outcome = RPC_WRONG };

	rpc_end(c, &result);
}

static const char *fault_name(int code)
{
	switch (code) {
#define X(name, number)                                                                                                \
	case number:                                                                                                   \
		return #name;
		FAULTS(X)
#undef X
	}
	return "FAILED";
}

void rpc_fault_text(struct rpc *c, int code, const char *text)
{
	_cleanup_(freep) char *copy = strdup(text);	/* it may lie in what is freed */
	struct rpc_result result = { .outcome = RPC_FAULT, .code = code, .text = copy ? copy : fault_name(code) };

	rpc_end(c, &result);
}

void rpc_fault(struct rpc *c, enum fault code, const char *extra)
{
	_cleanup_(freep) char *text = NULL;

	if (!extra || asprintf(&text, "%s: %s", fault_name((int)code), extra) < 0)
		text = NULL;
	rpc_fault_text(c, (int)code, text ? text : fault_name((int)code));
}

json_t *rpc_status(const char *name, const char *group, int code, const char *text)
{
	return json_pack("{s:s, s:s, s:i, s:s}", "name", name, "group", group, "status", code, "description", text);
}

/* ---- asking the daemons ---- */

const char *rpc_text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

long long rpc_number_of(const json_t *object, const char *key)
{
	return (long long)json_number_value(json_object_get(object, key));
}

/* What the daemons' errors are called here. The supervisor's texts name processes its way; ours as the caller wrote them. */
static void fail(struct rpc *c, const char *error, json_t *reply)
{
	int code = (int)rpc_number_of(reply, "code");

	if (strcmp(error, "io.reeve.Supervisor.Fault") == 0) {
		bool names = code == FAULT_BAD_NAME || code == FAULT_NOT_RUNNING || code == FAULT_ALREADY_STARTED || code == FAULT_NO_FILE;

		if (names && c->given)
			rpc_fault(c, (enum fault)code, c->given);
		else
			rpc_fault_text(c, code, rpc_text_of(reply, "text"));
	} else if (strcmp(error, "io.reeve.Log.NoFile") == 0 || strcmp(error, "io.reeve.Log.BadName") == 0) {
		const char *path = *rpc_text_of(reply, "path") ? rpc_text_of(reply, "path") : rpc_text_of(c->kept, "path");

		rpc_fault(c, FAULT_NO_FILE, *path ? path : NULL);
	} else if (strcmp(error, "io.reeve.Log.BadArguments") == 0) {
		rpc_fault(c, FAULT_BAD_ARGUMENTS, NULL);
	} else if (strcmp(error, "io.reeve.Log.Failed") == 0) {
		rpc_fault(c, FAULT_FAILED, NULL);
	} else if (strcmp(error, disconnected) == 0) {
		rpc_fault(c, FAULT_FAILED, "the daemon was replaced during the call; ask for the state, then decide");
	} else {
		rpc_fault(c, FAULT_FAILED, error);
	}
}

static void ask(struct rpc *c);

static void answered(void *data, json_t *reply, const char *error, bool continues)
{
	struct rpc *c = data;

	if (continues)
		return;
	if (!error) {
		c->then(c, reply);
		return;
	}
	if (c->safe && c->tries < RPC_TRIES && strcmp(error, disconnected) == 0) {
		c->tries++;
		ask(c);
		return;
	}
	if (!c->on_error || !c->on_error(c, error, reply))
		fail(c, error, reply);
}

static void ask(struct rpc *c)
{
	if (!backend_call(c->gateway->backend, c->asked, json_incref(c->asked_params), false, answered, c))
		fail(c, disconnected, NULL);
}

static void rpc_ask_as(struct rpc *c, const char *method, json_t *parameters, rpc_step *then, bool safe)
{
	json_decref(c->asked_params);
	c->asked = method;
	c->asked_params = parameters ? parameters : json_object();
	c->then = then;
	c->safe = safe;
	c->tries = 1;
	ask(c);
}

void rpc_ask(struct rpc *c, const char *method, json_t *parameters, rpc_step *then)
{
	rpc_ask_as(c, method, parameters, then, false);
}

void rpc_ask_safe(struct rpc *c, const char *method, json_t *parameters, rpc_step *then)
{
	rpc_ask_as(c, method, parameters, then, true);
}

/* ---- arguments ---- */

const char *rpc_string(struct rpc *c, size_t i)
{
	const char *text = json_string_value(json_array_get(c->params, i));

	if (!text)
		rpc_wrong(c);
	return text;
}

static bool parse_integer(const char *text, long long *ret)
{
	char *end;

	*ret = strtoll(text, &end, 10);
	while (isspace((unsigned char)*end))
		end++;
	return end != text && !*end;
}

bool rpc_integer(struct rpc *c, size_t i, long long *ret)
{
	const json_t *value = json_array_get(c->params, i);

	*ret = json_is_boolean(value) ? json_is_true(value) : (long long)json_number_value(value);
	if (json_is_number(value) || json_is_boolean(value) || (json_is_string(value) && parse_integer(json_string_value(value), ret)))
		return true;
	if (json_is_string(value))
		rpc_wrong(c);
	else
		rpc_fault(c, FAULT_INCORRECT_PARAMETERS, NULL);
	return false;
}

bool rpc_truth(const struct rpc *c, size_t i, bool otherwise)
{
	const json_t *value = json_array_get(c->params, i);

	if (!value)
		return otherwise;
	if (json_is_number(value))
		return json_number_value(value) != 0;
	if (json_is_string(value))
		return json_string_length(value) > 0;
	return json_is_true(value) || json_array_size(value) || json_object_size(value);
}

/* ---- names ---- */

static bool is_in_group(const struct rpc *c, const json_t *p)
{
	return strcmp(rpc_text_of(p, "group"), c->group) == 0 && rpc_number_of(p, "state") >= 0 &&
	       (!c->process || strcmp(rpc_text_of(p, "name"), c->process) == 0);
}

/* Of what the supervisor lists, what was meant: it takes patterns, too. */
static void listed(struct rpc *c, json_t *reply)
{
	rpc_step *then = c->found_then;
	const json_t *list = json_object_get(reply, "processes");
	json_t *p;
	size_t i;

	c->found = json_array();
	json_array_foreach(list, i, p)
		if (is_in_group(c, p))
			(void)json_array_append(c->found, p);
	if (json_array_size(c->found) || (!c->process && !json_array_size(json_object_get(reply, "unknown")) && !json_array_size(list)))
		then(c, reply);
	else
		rpc_fault(c, FAULT_BAD_NAME, c->given);
}

json_t *rpc_names(const struct rpc *c)
{
	return json_pack("[s+++]", c->group, ":", c->process ? c->process : "*", "");
}

static void find(struct rpc *c, rpc_step *then)
{
	c->found_then = then;
	if (!c->group || strpbrk(c->group, "*?["))
		rpc_fault(c, FAULT_BAD_NAME, c->given);
	else
		rpc_ask_safe(c, "io.reeve.Supervisor.List", json_pack("{s:o}", "names", rpc_names(c)), listed);
}

void rpc_find(struct rpc *c, rpc_step *then)
{
	const char *given = rpc_string(c, 0), *colon;

	if (!given)
		return;
	c->given = given;
	colon = strchr(c->given, ':');
	c->group = strndup(c->given, colon ? (size_t)(colon - c->given) : strlen(c->given));
	if (!colon || (colon[1] && strcmp(colon + 1, "*") != 0))
		c->process = strdup(colon ? colon + 1 : c->given);
	find(c, then);
}

void rpc_find_group(struct rpc *c, rpc_step *then)
{
	const char *given = rpc_string(c, 0);

	if (!given)
		return;
	c->given = given;
	if (!strchr(c->given, ':'))
		c->group = strdup(c->given);
	find(c, then);
}

bool rpc_one(struct rpc *c)
{
	if (c->process)
		return true;
	rpc_fault(c, FAULT_BAD_NAME, c->given);
	return false;
}

/* ---- a call ---- */

static int count_params(const struct rpc_method *m)
{
	int n = *m->params != '\0';

	for (const char *p = m->params; *p; p++)
		n += *p == ',';
	return n;
}

static const struct rpc_method *method_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (strcmp(methods[i].name, name) == 0)
			return &methods[i];
	return NULL;
}

static void status_known(struct rpc *c, json_t *reply)
{
	c->status = json_incref(reply);
	if (rpc_number_of(reply, "statecode") != 1)
		rpc_fault(c, FAULT_SHUTDOWN_STATE, NULL);
	else
		c->method->run(c);
}

/* Run METHOD with PARAMS (stolen; an array). DONE may be called before this returns. */
static void start(struct gateway *g, const char *name, json_t *params, rpc_done *done, void *data)
{
	static const struct rpc_result no_memory = { .outcome = RPC_FAULT, .code = FAULT_FAILED, .text = "FAILED: out of memory" };
	struct rpc *c = calloc(1, sizeof *c);
	const struct rpc_method *m = method_find(name);
	int n = (int)json_array_size(params), wanted = m ? count_params(m) : 0;

	if (!c) {
		json_decref(params);
		done(data, &no_memory);
		return;
	}
	*c = (struct rpc){ .gateway = g, .method = m, .params = params, .done = done, .data = data };
	if (!m)
		rpc_fault(c, FAULT_UNKNOWN_METHOD, NULL);
	else if (n > wanted || n < wanted - m->optional)
		rpc_fault(c, FAULT_INCORRECT_PARAMETERS, NULL);
	else if (m->always)
		m->run(c);
	else
		rpc_ask_safe(c, "io.reeve.Supervisor.GetStatus", NULL, status_known);
}

/* ---- HTTP ---- */

static void request_left(void *data)
{
	*(struct request **)data = NULL;	/* what was begun goes on */
}

static void answer_http(void *data, const struct rpc_result *result)
{
	struct request **slot = data, *r = *slot;
	char *text = NULL;
	size_t length = 0;

	free(slot);
	if (!r)
		return;
	if (result->outcome == RPC_VALUE)
		text = xmlrpc_response(result->value, &length);
	else if (result->outcome == RPC_FAULT)
		text = xmlrpc_fault(result->code, result->text, &length);
	if (text)
		http_answer_taken(r, 200, "text/xml", text, length);
	else
		http_answer_error(r, 500, NULL);
}

/* A browser says where a request comes from; other clients do not. Only a page of this very server may call. */
static bool is_foreign(struct request *r)
{
	const char *origin = http_header(r, "Origin");

	if (!origin)
		return false;
	if (guard_origin(origin, http_header(r, "Host")))
		return !access_read(r);
	http_answer_error(r, 403, "The call comes from another site's page.");
	return true;
}

void rpc_handle(struct request *r)
{
	struct xmlrpc_call call;
	struct request **slot;
	struct error err;

	if (strcmp(r->method, "POST") != 0) {
		http_answer_error(r, 400, "XML-RPC calls are POST requests.");
		return;
	}
	if (is_foreign(r))
		return;
	if (xmlrpc_parse(r->body, r->body_length, &call, &err) < 0) {
		http_answer_error(r, 400, "The body is not an XML-RPC call.");
		return;
	}
	slot = malloc(sizeof *slot);
	if (slot) {
		*slot = r;
		http_on_gone(r, request_left, slot);
		start(r->gateway, call.method, TAKE(call.params), answer_http, slot);
	} else {
		http_answer_error(r, 503, NULL);
	}
	xmlrpc_call_fini(&call);
}

/* ---- system.* ---- */

void rpc_list_methods(struct rpc *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		(void)json_array_append_new(list, json_string(methods[i].name));
	rpc_return(c, list);
}

/* The row that argument 0 names; NULL: C has ended. */
static const struct rpc_method *named_method(struct rpc *c)
{
	const char *name = json_string_value(json_array_get(c->params, 0));
	const struct rpc_method *m = name ? method_find(name) : NULL;

	if (!m)
		rpc_fault(c, FAULT_SIGNATURE_UNSUPPORTED, NULL);
	return m;
}

void rpc_method_help(struct rpc *c)
{
	const struct rpc_method *m = named_method(c);
	_cleanup_(freep) char *text = NULL;
	size_t length;
	FILE *out;

	if (!m)
		return;
	out = open_memstream(&text, &length);
	if (!out) {
		rpc_wrong(c);
		return;
	}
	(void)fprintf(out, "%s\n\n", m->help);
	for (const char *p = m->params; *p;) {
		size_t n = strcspn(p, ",");

		(void)fprintf(out, "@param %.*s\n", (int)n, p);
		p += n + strspn(p + n, ", ");
	}
	(void)fprintf(out, "@return %s\n", m->returns);
	(void)fclose(out);
	rpc_return(c, json_string(text ? text : ""));
}

void rpc_method_signature(struct rpc *c)
{
	const struct rpc_method *m = named_method(c);
	json_t *list;

	if (!m)
		return;
	list = json_pack("[s]", m->returns);
	for (const char *p = m->params; *p;) {
		size_t n = strcspn(p, ",");

		(void)json_array_append_new(list, json_stringn(p, strcspn(p, " ")));
		p += n + strspn(p + n, ", ");
	}
	rpc_return(c, list);
}

static void next_member(struct rpc *c);

static void member_done(void *data, const struct rpc_result *result)
{
	struct rpc *c = data;

	if (result->outcome == RPC_VALUE)
		(void)json_array_append(c->kept, result->value);
	else
		(void)json_array_append_new(c->kept,
					    json_pack("{s:i, s:s}", "faultCode",
						      result->outcome == RPC_FAULT ? result->code : (int)FAULT_FAILED, "faultString",
						      result->outcome == RPC_FAULT ? result->text : "FAILED: an argument of the wrong type"));
	if (c->busy)
		c->again = true;	/* it was answered at once: no recursion */
	else
		next_member(c);
}

static void start_member(struct rpc *c, const json_t *call)
{
	json_t *name = json_object_get(call, "methodName"), *params = json_object_get(call, "params");
	struct rpc_result fault = { .outcome = RPC_FAULT, .code = FAULT_INCORRECT_PARAMETERS };

	if (!name || (json_is_string(name) && strcmp(json_string_value(name), "system.multicall") == 0)) {
		fault.text = name ? "INCORRECT_PARAMETERS: Recursive system.multicall forbidden" : "INCORRECT_PARAMETERS: No methodName";
		member_done(c, &fault);
	} else if (!json_is_string(name) || (params && !json_is_array(params))) {
		fault.outcome = RPC_WRONG;
		member_done(c, &fault);
	} else {
		start(c->gateway, json_string_value(name), params ? json_incref(params) : json_array(), member_done, c);
	}
}

static void next_member(struct rpc *c)
{
	const json_t *calls = json_array_get(c->params, 0);

	do {
		if (json_array_size(c->kept) == json_array_size(calls)) {
			rpc_return(c, TAKE(c->kept));
			return;
		}
		c->busy = true;
		c->again = false;
		start_member(c, json_array_get(calls, json_array_size(c->kept)));
		c->busy = false;
	} while (c->again);
}

void rpc_multicall(struct rpc *c)
{
	const json_t *calls = json_array_get(c->params, 0), *call;
	size_t i;

	if (!json_is_array(calls)) {
		rpc_fault(c, FAULT_INCORRECT_PARAMETERS, NULL);
		return;
	}
	if (json_array_size(calls) > RPC_CALLS_MAX) {
		rpc_fault(c, FAULT_INCORRECT_PARAMETERS, "too many calls at once");
		return;
	}
	json_array_foreach(calls, i, call)
		if (!json_is_object(call)) {
			rpc_wrong(c);
			return;
		}
	c->kept = json_array();
	next_member(c);
}
