/* supervisor.*: reading and clearing logs. */
#include <stdint.h>
#include <string.h>

#include "base/base.h"
#include "base/base64.h"
#include "rpc_methods.h"
#include "xmlrpc.h"

enum { PART = 512 << 10 };		/* bytes that the logger gives at once */

/* ---- reading ---- */

static bool take_bytes(struct rpc *c, const char *base64, size_t *ret_n)
{
	_cleanup_(freep) char *bytes = base64_decode(base64, ret_n);

	return bytes && bytes_add(&c->bytes, bytes, *ret_n) == 0;
}

static json_t *bytes_text(const struct rpc *c)
{
	return bytes_length(&c->bytes) ? xmlrpc_text(bytes_at(&c->bytes), bytes_length(&c->bytes)) : json_string("");
}

static void ask_part(struct rpc *c, long long offset, long long length, rpc_step *then)
{
	rpc_ask_safe(c, "io.reeve.Log.Read",
		     json_pack("{s:s, s:s, s:I, s:I}", "process", rpc_text_of(c->kept, "process"), "channel", rpc_text_of(c->kept, "channel"),
			       "offset", (json_int_t)offset, "length", (json_int_t)length),
		     then);
}

/* A part has come; the logger cuts what is longer. */
static void part_read(struct rpc *c, json_t *reply)
{
	size_t n;

	if (!take_bytes(c, rpc_text_of(reply, "data"), &n)) {
		rpc_fault(c, FAULT_FAILED, NULL);
		return;
	}
	if (c->end < 0)
		c->end = rpc_number_of(reply, "size");
	c->offset += (long long)n;
	if (n < PART || c->offset >= c->end)
		rpc_return(c, bytes_text(c));
	else if (bytes_length(&c->bytes) >= RPC_LOG_MAX)
		rpc_fault(c, FAULT_FAILED, "more than 64 MiB: ask for a part");
	else
		ask_part(c, c->offset, c->end - c->offset, part_read);
}

/* The last bytes, more than a part: from where they begin. */
static void size_known(struct rpc *c, json_t *reply)
{
	c->end = rpc_number_of(reply, "size");
	c->offset = c->offset + c->end < 0 ? 0 : c->offset + c->end;
	if (c->offset == c->end)
		rpc_return(c, json_string(""));
	else
		ask_part(c, c->offset, c->end - c->offset, part_read);
}

/* c->kept says which log; the arguments from FIRST on are offset and length. */
static void read_log(struct rpc *c, size_t first)
{
	long long offset, length;

	if (!rpc_integer(c, first, &offset) || !rpc_integer(c, first + 1, &length))
		return;
	c->offset = offset;
	c->end = length > 0 && offset >= 0 ? (offset > INT64_MAX - length ? INT64_MAX : offset + length) : -1;
	if (offset < -PART && length == 0)
		ask_part(c, 0, 1, size_known);
	else
		ask_part(c, offset, length, part_read);
}

/* c->channel of the process that was found becomes c->kept. False: it has no file. */
static bool choose_log(struct rpc *c)
{
	const json_t *p = json_array_get(c->found, 0);
	const char *path = rpc_text_of(p, strcmp(c->channel, "stderr") == 0 ? "stderr_logfile" : "stdout_logfile");

	c->kept = json_pack("{s:s+++, s:s, s:s}", "process", c->group, ":", c->process, "", "channel", c->channel, "path", path);
	return *path;
}

static void read_found(struct rpc *c, json_t *reply)
{
	(void)reply;
	if (!rpc_one(c))
		return;
	if (choose_log(c))
		read_log(c, 1);
	else
		rpc_fault(c, FAULT_NO_FILE, NULL);
}

void rpc_read_stdout_log(struct rpc *c)
{
	c->channel = "stdout";
	rpc_find(c, read_found);
}

void rpc_read_stderr_log(struct rpc *c)
{
	c->channel = "stderr";
	rpc_find(c, read_found);
}

void rpc_read_main_log(struct rpc *c)
{
	c->kept = json_pack("{s:s, s:s, s:s}", "process", "", "channel", "stdout", "path", rpc_text_of(c->status, "logfile"));
	read_log(c, 0);
}

/* ---- the end of a log ---- */

static void tail_read(struct rpc *c, json_t *reply)
{
	size_t n;

	if (!take_bytes(c, rpc_text_of(reply, "data"), &n))
		rpc_fault(c, FAULT_FAILED, NULL);
	else
		rpc_return(c, json_pack("[o, O, O]", bytes_text(c), json_object_get(reply, "offset"),
					json_object_get(reply, "overflow")));
}

static void no_tail(struct rpc *c, long long offset)
{
	rpc_return(c, json_pack("[s, I, b]", "", (json_int_t)offset, 0));
}

static bool tail_failed(struct rpc *c, const char *error, json_t *reply)
{
	(void)reply;
	if (strncmp(error, "io.reeve.Log.", 13) != 0)
		return false;
	no_tail(c, 0);
	return true;
}

static void tail_found(struct rpc *c, json_t *reply)
{
	long long offset, length;

	(void)reply;
	if (!rpc_one(c))
		return;
	if (!choose_log(c)) {
		no_tail(c, 0);
		return;
	}
	if (!rpc_integer(c, 1, &offset) || !rpc_integer(c, 2, &length))
		return;
	c->on_error = tail_failed;
	rpc_ask_safe(c, "io.reeve.Log.Tail",
		     json_pack("{s:O, s:s, s:I, s:I}", "process", json_object_get(c->kept, "process"), "channel", c->channel, "offset",
			       (json_int_t)offset, "length", (json_int_t)length),
		     tail_read);
}

void rpc_tail_stdout_log(struct rpc *c)
{
	c->channel = "stdout";
	rpc_find(c, tail_found);
}

void rpc_tail_stderr_log(struct rpc *c)
{
	c->channel = "stderr";
	rpc_find(c, tail_found);
}

/* ---- clearing ---- */

/* A process that the logger does not know has never written anything. */
static bool is_cleared(const json_t *result)
{
	return rpc_number_of(result, "status") == FAULT_SUCCESS || rpc_number_of(result, "status") == FAULT_BAD_NAME;
}

static void cleared(struct rpc *c, json_t *reply)
{
	if (is_cleared(json_array_get(json_object_get(reply, "results"), 0)))
		rpc_true(c);
	else
		rpc_fault(c, FAULT_FAILED, c->given);
}

static void clear_found(struct rpc *c, json_t *reply)
{
	(void)reply;
	if (rpc_one(c))
		rpc_ask_safe(c, "io.reeve.Log.Clear", json_pack("{s:o}", "processes", rpc_names(c)), cleared);
}

void rpc_clear_process_logs(struct rpc *c)
{
	rpc_find(c, clear_found);
}

static void all_cleared(struct rpc *c, json_t *reply)
{
	const json_t *results = json_object_get(reply, "results");
	json_t *list = json_array(), *p;
	size_t i;

	json_array_foreach(c->found, i, p) {
		bool good = is_cleared(json_array_get(results, i));
		_cleanup_(freep) char *text = NULL;

		if (!good && asprintf(&text, "FAILED: %s", rpc_text_of(p, "namespec")) < 0)
			text = NULL;
		(void)json_array_append_new(list, rpc_status(rpc_text_of(p, "name"), rpc_text_of(p, "group"),
							     good ? FAULT_SUCCESS : FAULT_FAILED, text ? text : "OK"));
	}
	rpc_return(c, list);
}

static void all_known(struct rpc *c, json_t *reply)
{
	json_t *names = json_array(), *p;
	size_t i;

	c->found = json_incref(json_object_get(reply, "processes"));
	json_array_foreach(c->found, i, p)
		(void)json_array_append_new(names, json_sprintf("%s:%s", rpc_text_of(p, "group"), rpc_text_of(p, "name")));
	rpc_ask_safe(c, "io.reeve.Log.Clear", json_pack("{s:o}", "processes", names), all_cleared);
}

void rpc_clear_all_logs(struct rpc *c)
{
	rpc_ask_safe(c, "io.reeve.Supervisor.List", NULL, all_known);
}

static void main_cleared(struct rpc *c, json_t *reply)
{
	if (rpc_number_of(json_array_get(json_object_get(reply, "results"), 0), "status") == FAULT_SUCCESS)
		rpc_true(c);
	else
		rpc_fault(c, FAULT_FAILED, NULL);
}

static void main_exists(struct rpc *c, json_t *reply)
{
	(void)reply;
	rpc_ask_safe(c, "io.reeve.Log.Clear", json_pack("{s:[s]}", "processes", ""), main_cleared);
}

static bool main_is_missing(struct rpc *c, const char *error, json_t *reply)
{
	(void)reply;
	if (strcmp(error, "io.reeve.Log.NoFile") != 0 && strcmp(error, "io.reeve.Log.BadName") != 0)
		return false;
	rpc_fault(c, FAULT_NO_FILE, NULL);
	return true;
}

void rpc_clear_log(struct rpc *c)
{
	c->on_error = main_is_missing;
	rpc_ask_safe(c, "io.reeve.Log.Read", json_pack("{s:s, s:i, s:i}", "process", "", "offset", 0, "length", 1), main_exists);
}
