/*
 * supervisord's XML-RPC interface (API 3.0) on /RPC2. A method is a row in rpc_methods.h and a function in rpc_daemon.c,
 * rpc_process.c or rpc_log.c; it asks the daemons step by step and ends in rpc_return(), rpc_fault() or rpc_wrong().
 */
#ifndef REEVE_GATEWAY_RPC_H
#define REEVE_GATEWAY_RPC_H

#include "base/bytes.h"
#include "gateway.h"
#include "wire/faults.h"

enum {
	RPC_CALLS_MAX = 4096,		/* members of a multicall */
	RPC_LOG_MAX = 64 << 20,		/* bytes of a log in one answer */
	RPC_TRIES = 3,			/* how often a question is asked while daemons are being replaced */
};

/* ---- for the HTTP server ---- */

http_handler rpc_handle;

/* ---- one call ---- */

enum rpc_outcome {
	RPC_VALUE,
	RPC_FAULT,
	RPC_WRONG,			/* an argument of a type that nobody can use: supervisord answers HTTP 500 */
};

struct rpc_result {
	enum rpc_outcome outcome;
	json_t *value;			/* RPC_VALUE */
	int code;			/* RPC_FAULT */
	const char *text;
};

typedef void rpc_done(void *data, const struct rpc_result *result);	/* RESULT is borrowed */

struct rpc;
typedef void rpc_step(struct rpc *c, json_t *reply);

struct rpc_method {
	const char *name;		/* "supervisor.startProcess" */
	const char *returns;		/* type */
	const char *params;		/* "string name, boolean wait" */
	int optional;			/* how many of the last ones may be missing */
	bool always;			/* also while the daemon is shutting down */
	void (*run)(struct rpc *c);
	const char *help;
};

struct rpc {
	struct gateway *gateway;
	const struct rpc_method *method;
	json_t *params;			/* array, owned */
	json_t *status;			/* reply of GetStatus, owned; NULL for methods that run always */
	rpc_done *done;
	void *data;
	/* the step under way */
	const char *asked;		/* method */
	json_t *asked_params;		/* owned */
	rpc_step *then;
	bool (*on_error)(struct rpc *c, const char *error, json_t *reply);	/* true: dealt with. NULL: the usual */
	bool safe;			/* may be asked again when the daemon has been replaced */
	int tries;
	/* what methods keep between steps */
	const char *given;		/* the name as the caller wrote it; in params */
	char *group, *process;		/* its parts; owned. process NULL: the whole group */
	json_t *found;			/* array of io.reeve.Supervisor.Process, owned */
	json_t *kept;			/* owned */
	struct bytes bytes;		/* of a log */
	long long offset, end;
	const char *channel;		/* "stdout" or "stderr" */
	rpc_step *found_then;		/* of rpc_find() */
	bool busy, again;		/* of a multicall */
};


/* ---- for methods ---- */

/*
 * Ask METHOD of io.reeve.*; PARAMETERS are stolen. THEN gets the reply; an error ends the call with the fault that it means, unless
 * ON_ERROR says otherwise.
 */
void rpc_ask(struct rpc *c, const char *method, json_t *parameters, rpc_step *then);
/* The same for what may be asked twice: repeated when the daemon was replaced in the middle. */
void rpc_ask_safe(struct rpc *c, const char *method, json_t *parameters, rpc_step *then);

/* Each of these frees C. */
void rpc_return(struct rpc *c, json_t *value);	/* stolen */
void rpc_true(struct rpc *c);
void rpc_fault(struct rpc *c, enum fault code, const char *extra);	/* "NAME" or "NAME: extra" */
void rpc_fault_text(struct rpc *c, int code, const char *text);		/* with a text that is complete */
void rpc_wrong(struct rpc *c);

/* A member of a result array. */
json_t *rpc_status(const char *name, const char *group, int code, const char *text);

/* Argument I as text; NULL: C has ended, it is no string. */
const char *rpc_string(struct rpc *c, size_t i);
/* Argument I as Python's int() takes it. False: C has ended. */
bool rpc_integer(struct rpc *c, size_t i, long long *ret);
/* Argument I as Python sees its truth; OTHERWISE if it is missing. */
bool rpc_truth(const struct rpc *c, size_t i, bool otherwise);

const char *rpc_text_of(const json_t *object, const char *key);	/* "" where there is none */
long long rpc_number_of(const json_t *object, const char *key);

/*
 * Take argument 0 as supervisord's namespec and look it up: THEN is called with c->given, group, process set and c->found holding the
 * process, or all of the group. Unknown names end the call with BAD_NAME.
 */
void rpc_find(struct rpc *c, rpc_step *then);
/* The same for a group's name. */
void rpc_find_group(struct rpc *c, rpc_step *then);
/* c->found of rpc_find() is one process; false: C has ended with BAD_NAME. */
bool rpc_one(struct rpc *c);
/* "group:process" of the found one, or "group:*". */
json_t *rpc_names(const struct rpc *c);

#endif
