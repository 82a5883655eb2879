/* See task_json.h. Bytes that JSON cannot carry travel as base64. */
#include "task_json.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"

enum {
	PLAIN_MAX = 256 << 10,		/* longer text travels as base64 too: escapes could make it six times as long */
	OUTPUT_MAX = 1 << 20,		/* of each stream in one reply */
};

/* Can TEXT be a JSON string that is not much longer? */
static bool is_plain(const char *text, size_t length)
{
	if (length > PLAIN_MAX)
		return false;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < ' ' && text[i] != '\n' && text[i] != '\t' && text[i] != '\r')
			return false;
	return true;
}

static json_t *bytes_json(const char *data, size_t length, bool *binary)
{
	json_t *json = NULL;
	char *text;

	if (!*binary && is_plain(data, length))
		json = json_stringn(data ? data : "", length);
	if (json)
		return json;
	*binary = true;
	text = base64_encode(data, length);
	json = text ? json_string(text) : NULL;
	free(text);
	return json;
}

/* For reading only: what is no UTF-8 becomes a question mark. */
static json_t *word_json(const char *word)
{
	json_t *json = json_string(word);
	char *copy = json ? NULL : strdup(word);

	for (char *at = copy; at && *at; at++)
		if ((unsigned char)*at >= 0x80)
			*at = '?';
	if (copy)
		json = json_string(copy);
	free(copy);
	return json ? json : json_string("");
}

static json_t *words_json(const struct task *task)
{
	json_t *array = json_array();
	size_t n;
	char **words = task_split(task, &n);

	for (size_t i = 0; words && i < n; i++)
		(void)json_array_append_new(array, word_json(words[i]));
	free(words);
	return array;
}

static void set(json_t *object, const char *name, json_t *value)
{
	(void)json_object_set_new(object, name, value);
}

static void set_output(json_t *json, const struct result *r)
{
	size_t out = r->out_length < OUTPUT_MAX ? r->out_length : OUTPUT_MAX;
	size_t err = r->err_length < OUTPUT_MAX ? r->err_length : OUTPUT_MAX;
	bool binary = false;
	json_t *output = bytes_json(r->out, out, &binary), *errors;

	if (!binary) {
		errors = bytes_json(r->err, err, &binary);
		if (binary) {
			json_decref(output);
			output = bytes_json(r->out, out, &binary);
		}
	} else {
		errors = bytes_json(r->err, err, &binary);
	}
	set(json, "output", output);
	set(json, "errors", errors);
	set(json, "binary", json_boolean(binary));
	set(json, "truncated", json_boolean(r->truncated_out || r->truncated_err || out < r->out_length || err < r->err_length));
}

static void set_result(json_t *json, const struct result *r, bool output)
{
	set(json, "exit", r->state == TASK_CANCELLED && !r->pid ? json_null() : json_integer(r->exit));
	set(json, "attempts", json_integer(r->attempts));
	set(json, "started", r->started > 0 ? json_real(r->started) : json_null());
	set(json, "ended", json_real(r->ended));
	set(json, "worker", r->pid ? json_integer(r->slot) : json_null());
	set(json, "pid", r->pid ? json_integer(r->pid) : json_null());
	set(json, "user_time", json_real((double)r->user_time));
	set(json, "system_time", json_real((double)r->system_time));
	set(json, "max_rss", json_integer(r->max_rss));
	set(json, "truncated", json_boolean(r->truncated_out || r->truncated_err));
	set(json, "why", r->why ? json_string(r->why) : json_null());
	if (output)
		set_output(json, r);
}

json_t *task_json(const struct task *task, const struct result *result, bool output)
{
	json_t *json = json_object();

	set(json, "id", json_integer((json_int_t)task->id));
	set(json, "state", json_string(task_state_name(result ? result->state : task->state)));
	set(json, "args", words_json(task));
	set(json, "priority", json_integer(task->priority));
	set(json, "attempts", json_integer(task->attempts));
	set(json, "retries", json_integer(task->retries));
	set(json, "submitted", json_real(task->submitted));
	set(json, "exit", json_null());
	if (result)
		set_result(json, result, output);
	return json;
}
