/* See remote.h. */
#include "remote.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>

#include "http.h"
#include "wire/faults.h"
#include "xmlrpc.h"

enum { NEVER = -1 /* seconds: a start may take long */ };

struct call {
	struct ctl *ctl;
	const json_t *parameters;
	void (*partial)(json_t *reply, void *data); /* or NULL */
	void *data;
	int fault;  /* 0: none; -1: another failure, which has been told */
	char *text; /* of the fault; owned */
};

/* ---- one request ---- */

static void read_line(const char *question, char *buffer, size_t size, bool hidden)
{
	struct termios old, quiet;
	bool terminal = hidden && tcgetattr(STDIN_FILENO, &old) == 0;

	(void)fputs(question, stdout);
	(void)fflush(stdout);
	if (terminal) {
		quiet = old;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &quiet);
	}
	if (!fgets(buffer, (int)size, stdin))
		buffer[0] = '\0';
	buffer[strcspn(buffer, "\n")] = '\0';
	if (terminal)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &old);
}

/* Ask who it is, where somebody can answer. */
static bool ask_credentials(struct ctl *ctl)
{
	(void)printf("Server requires authentication\n");
	if (!ctl->interactive)
		return false;
	read_line("Username:", ctl->place->username, sizeof ctl->place->username, false);
	read_line("Password:", ctl->place->password, sizeof ctl->place->password, true);
	(void)putchar('\n');
	return *ctl->place->username;
}

static void tell_unreachable(struct ctl *ctl, int code, const char *text)
{
	if (code == EINTR && ctl_interrupted)
		return;
	if (ctl->compatible) {
		supervisorctl_unreachable(ctl, code);
		return;
	}
	(void)printf("error: %s: %s\n", ctl->url, text);
	ctl_fail(ctl, code == ENOENT ? CTL_NOT_RUNNING : CTL_REFUSED);
}

static void tell_status(struct ctl *ctl, int status)
{
	if (ctl->compatible)
		(void)printf("error: <class 'xmlrpc.client.ProtocolError'>, <ProtocolError for %s/RPC2: %d>: file: "
			     "reevectl line: 0\n",
			     ctl->place->is_unix ? "localhost" : ctl->place->host, status);
	else
		(void)printf("error: %s: HTTP status %d\n", ctl->url, status);
	ctl->given_up = true;
	ctl_fail(ctl, CTL_GENERIC);
}

/* METHOD of supervisord's interface with PARAMETERS (stolen). NULL: c->fault. */
static json_t *rpc(struct call *c, const char *method, json_t *parameters)
{
	char name[80], *answer = NULL;
	_cleanup_(freep) char *text = NULL;
	struct error err = { .text = "out of memory" };
	json_t *ret = NULL;
	int status = 0, r;

	(void)snprintf(name, sizeof name, "supervisor.%s", method);
	text = xmlrpc_call(name, parameters);
	json_decref(parameters);
	c->fault = -1;
	do {
		free(TAKE(answer));
		r = text ? http_request(c->ctl->place, "/RPC2", text, NEVER, &status, &answer, &err) : -ENOMEM;
	} while (r == 0 && status == 401 && ask_credentials(c->ctl));
	if (r < 0) {
		tell_unreachable(c->ctl, -r, err.text);
	} else if (status != 200) {
		tell_status(c->ctl, status);
	} else if (xmlrpc_answer(answer, &ret, &c->fault, &c->text) < 0) {
		(void)printf("error: %s: the answer is no XML-RPC\n", c->ctl->url);
		ctl_fail(c->ctl, CTL_GENERIC);
	} else if (ret) {
		c->fault = 0;
	}
	free(answer);
	return ret;
}

bool remote_check(struct ctl *ctl)
{
	struct call c = { .ctl = ctl };
	json_t *version = rpc(&c, "getVersion", json_array());
	bool same = version && json_is_string(version) && strcmp(json_string_value(version), "3.0") == 0;

	if (c.fault == FAULT_UNKNOWN_METHOD) {
		(void)printf("The server does not know supervisord's methods: its configuration needs the section "
			     "[rpcinterface:supervisor].\n");
		ctl_fail(ctl, CTL_DOWN);
	} else if (c.fault > 0) {
		ctl_fault(ctl, c.fault, c.text);
	} else if (version && !same) {
		(void)printf("Sorry, this version of supervisorctl expects to talk to a server with API version 3.0, "
			     "but the remote version is "
			     "%s.\n",
			     json_is_string(version) ? json_string_value(version) : "?");
		ctl_fail(ctl, 5);
	}
	free(c.text);
	json_decref(version);
	return same;
}

/* ---- names ---- */

static void namespec(const char *group, const char *name, char *buffer, size_t size)
{
	if (strcmp(group, name) == 0)
		(void)snprintf(buffer, size, "%s", name);
	else
		(void)snprintf(buffer, size, "%s:%s", group, name);
}

static bool matches(const json_t *info, const char *wanted)
{
	const char *group = text_of(info, "group");
	size_t n = strcspn(wanted, ":");
	char full[600], shown[600];

	if (strcmp(wanted, "all") == 0)
		return true;
	if (names_group(wanted))
		return strlen(group) == n && strncmp(group, wanted, n) == 0;
	(void)snprintf(full, sizeof full, "%s:%s", group, text_of(info, "name"));
	namespec(group, text_of(info, "name"), shown, sizeof shown);
	if (is_pattern(wanted))
		return fnmatch(wanted, shown, 0) == 0;
	return strcmp(wanted, shown) == 0 || strcmp(wanted, full) == 0;
}

static void add_namespec(json_t *object)
{
	char text[600];

	namespec(text_of(object, "group"), text_of(object, "name"), text, sizeof text);
	(void)json_object_set_new(object, "namespec", json_string(text));
}

/* ---- what only tells ---- */

static json_t *get_status(struct call *c)
{
	json_t *pid = rpc(c, "getPID", json_array()),
	       *version = pid ? rpc(c, "getSupervisorVersion", json_array()) : NULL;

	if (version)
		return json_pack("{s:o, s:O, s:o}", "pid", pid, "version", version, "supervisor_version", version);
	json_decref(pid);
	return NULL;
}

static json_t *list(struct call *c)
{
	const json_t *names = json_object_get(c->parameters, "names");
	json_t *all = rpc(c, "getAllProcessInfo", json_array()), *ret, *name, *info;
	size_t i, k;

	if (!all)
		return NULL;
	json_array_foreach(all, k, info) add_namespec(info);
	if (!json_array_size(names))
		return json_pack("{s:o, s:[]}", "processes", all, "unknown");
	ret = json_pack("{s:[], s:[]}", "processes", "unknown");
	json_array_foreach(names, i, name)
	{
		bool found = false;

		json_array_foreach(all, k, info) if (matches(info, json_string_value(name)))
		{
			(void)json_array_append(json_object_get(ret, "processes"), info);
			found = true;
		}
		if (!found)
			(void)json_array_append(json_object_get(ret, "unknown"), name);
	}
	json_decref(all);
	return ret;
}

static json_t *get_config(struct call *c)
{
	json_t *all = rpc(c, "getAllConfigInfo", json_array());

	return all ? json_pack("{s:o}", "processes", all) : NULL;
}

static json_t *reread(struct call *c)
{
	json_t *answer = rpc(c, "reloadConfig", json_array()), *lists = json_array_get(answer, 0), *ret = NULL;

	if (json_array_size(lists) == 3)
		ret = json_pack("{s:O, s:O, s:O}", "added", json_array_get(lists, 0), "changed",
				json_array_get(lists, 1), "removed", json_array_get(lists, 2));
	json_decref(answer);
	return ret;
}

/* ---- what acts on processes ---- */

static void add_result(struct call *c, json_t *results, json_t *result, const char *phase)
{
	if (!json_object_get(result, "namespec"))
		add_namespec(result);
	if (phase)
		(void)json_object_set_new(result, "phase", json_string(phase));
	(void)json_array_append_new(results, result);
	if (c->partial) {
		json_t *reply = json_pack("{s:O}", "result", result);

		c->partial(reply, c->data);
		json_decref(reply);
	}
}

/* VERB ("start") for NAME; EXTRA (borrowed): the last parameter. False: what was unforeseen is in c->fault. */
static bool one_name(struct call *c, json_t *results, const char *verb, const char *name, json_t *extra,
		     const char *phase)
{
	bool all = strcmp(name, "all") == 0, group = names_group(name);
	char method[40], bare[300];
	json_t *answer, *result;
	size_t i;

	(void)snprintf(method, sizeof method, all ? "%sAllProcesses" : group ? "%sProcessGroup" : "%sProcess", verb);
	(void)snprintf(bare, sizeof bare, "%.*s", group ? (int)strcspn(name, ":") : (int)strlen(name), name);
	answer = rpc(c, method, all ? json_pack("[O]", extra) : json_pack("[s, O]", bare, extra));
	if (json_is_array(answer)) {
		json_array_foreach(answer, i, result) add_result(c, results, json_incref(result), phase);
	} else if (answer || (c->fault > 0 && !all && c->fault != FAULT_SHUTDOWN_STATE)) {
		result = json_pack("{s:s, s:i, s:s}", "namespec", name, "status", answer ? FAULT_SUCCESS : c->fault,
				   "description", answer ? "OK" : c->text);
		c->fault = 0;
		free(TAKE(c->text));
		add_result(c, results, result, phase);
	}
	json_decref(answer);
	return c->fault == 0;
}

static json_t *each_name(struct call *c, const char *verb, json_t *extra, const char *phase, json_t *results)
{
	json_t *name;
	size_t i;

	json_array_foreach(json_object_get(c->parameters, "names"), i,
			   name) if (!one_name(c, results, verb, json_string_value(name), extra, phase)) break;
	json_decref(extra);
	if (c->fault == 0)
		return results;
	json_decref(results);
	return NULL;
}

static json_t *results_of(json_t *results)
{
	return results ? json_pack("{s:o}", "results", results) : NULL;
}

static json_t *start(struct call *c)
{
	return results_of(each_name(c, "start", json_true(), NULL, json_array()));
}

static json_t *stop(struct call *c)
{
	return results_of(each_name(c, "stop", json_true(), NULL, json_array()));
}

static json_t *restart(struct call *c)
{
	json_t *results = each_name(c, "stop", json_true(), "stop", json_array());

	return results ? results_of(each_name(c, "start", json_true(), "start", results)) : NULL;
}

static json_t *send_signal(struct call *c)
{
	return results_of(each_name(c, "signal", json_string(text_of(c->parameters, "signal")), NULL, json_array()));
}

/* ---- what acts on the daemon ---- */

static json_t *simple(struct call *c, const char *method, json_t *parameters)
{
	json_t *answer = rpc(c, method, parameters);

	json_decref(answer);
	return answer ? json_object() : NULL;
}

static json_t *send_stdin(struct call *c)
{
	return simple(c, "sendProcessStdin",
		      json_pack("[s, s]", text_of(c->parameters, "name"), text_of(c->parameters, "data")));
}

static json_t *add_group(struct call *c)
{
	return simple(c, "addProcessGroup", json_pack("[s]", text_of(c->parameters, "name")));
}

static json_t *remove_group(struct call *c)
{
	return simple(c, "removeProcessGroup", json_pack("[s]", text_of(c->parameters, "name")));
}

static json_t *shut_down(struct call *c)
{
	return simple(c, "shutdown", json_array());
}

static json_t *reload(struct call *c)
{
	return simple(c, "restart", json_array());
}

/* ---- Update: supervisorctl's own way of it ---- */

static bool is_chosen(const json_t *groups, const char *name)
{
	json_t *one;
	size_t i;

	json_array_foreach(groups, i, one) if (strcmp(json_string_value(one), name) == 0 ||
					       strcmp(json_string_value(one), "all") == 0) return true;
	return json_array_size(groups) == 0;
}

static void tell_change(struct call *c, json_t *changes, const char *group, const char *action)
{
	json_t *reply = json_pack("{s:{s:s, s:s}}", "change", "group", group, "action", action);

	(void)json_array_append(changes, json_object_get(reply, "change"));
	if (c->partial)
		c->partial(reply, c->data);
	json_decref(reply);
}

/* Stop GROUP and take it out; WORD, if any, says that. */
static bool take_out(struct call *c, json_t *changes, const char *group, const char *word)
{
	json_t *answer = rpc(c, "stopProcessGroup", json_pack("[s]", group)), *result;
	bool fails = false;
	size_t i;

	json_array_foreach(answer, i, result) fails = fails || number_of(result, "status") == FAULT_FAILED;
	if (answer)
		tell_change(c, changes, group, "stopped");
	json_decref(answer);
	if (!answer)
		return false;
	if (fails && word) {
		tell_change(c, changes, group, "stuck");
		return true;
	}
	answer = rpc(c, "removeProcessGroup", json_pack("[s]", group));
	json_decref(answer);
	if (answer && word)
		tell_change(c, changes, group, word);
	return answer;
}

static bool put_in(struct call *c, json_t *changes, const char *group, const char *word)
{
	json_t *answer = rpc(c, "addProcessGroup", json_pack("[s]", group));

	json_decref(answer);
	if (answer)
		tell_change(c, changes, group, word);
	return answer;
}

static void tell_unknown_groups(struct call *c, json_t *changes, const json_t *added)
{
	const json_t *groups = json_object_get(c->parameters, "groups");
	json_t *all = json_array_size(groups) ? rpc(c, "getAllProcessInfo", json_array()) : NULL, *name, *one;
	size_t i, k;

	json_array_foreach(groups, i, name)
	{
		bool known = strcmp(json_string_value(name), "all") == 0;

		json_array_foreach(all, k, one) known =
			known || strcmp(text_of(one, "group"), json_string_value(name)) == 0;
		json_array_foreach(added, k, one) known =
			known || strcmp(json_string_value(one), json_string_value(name)) == 0;
		if (!known)
			tell_change(c, changes, json_string_value(name), "unknown");
	}
	json_decref(all);
}

static json_t *update(struct call *c)
{
	const json_t *groups = json_object_get(c->parameters, "groups");
	json_t *lists = reread(c), *changes = json_array(), *name;
	bool good = lists;
	size_t i;

	if (lists)
		tell_unknown_groups(c, changes, json_object_get(lists, "added"));
	json_array_foreach(json_object_get(lists, "removed"), i,
			   name) if (good && is_chosen(groups, json_string_value(name))) good =
		take_out(c, changes, json_string_value(name), "removed");
	json_array_foreach(json_object_get(lists, "changed"), i,
			   name) if (good && is_chosen(groups, json_string_value(name))) good =
		take_out(c, changes, json_string_value(name), NULL) &&
		put_in(c, changes, json_string_value(name), "updated");
	json_array_foreach(json_object_get(lists, "added"), i,
			   name) if (good && is_chosen(groups, json_string_value(name))) good =
		put_in(c, changes, json_string_value(name), "added");
	json_decref(lists);
	if (good)
		return json_pack("{s:o}", "changes", changes);
	json_decref(changes);
	return NULL;
}

/* ---- the table ---- */

static const struct {
	const char *method;
	json_t *(*run)(struct call *c);
} methods[] = {
	{ "GetStatus", get_status },
	{ "List", list },
	{ "GetConfig", get_config },
	{ "Reread", reread },
	{ "Update", update },
	{ "Start", start },
	{ "Stop", stop },
	{ "Restart", restart },
	{ "Signal", send_signal },
	{ "SendStdin", send_stdin },
	{ "AddGroup", add_group },
	{ "RemoveGroup", remove_group },
	{ "Shutdown", shut_down },
	{ "Reload", reload },
};

json_t *remote_call(struct ctl *ctl, const char *method, json_t *parameters, void (*partial)(json_t *reply, void *data),
		    void *data, int *ret_fault, char **ret_text)
{
	struct call c = { .ctl = ctl, .parameters = parameters, .partial = partial, .data = data };
	json_t *ret = NULL;
	bool known = false;

	for (size_t i = 0; i < ARRAY_LEN(methods) && !known; i++)
		if (strcmp(methods[i].method, method) == 0) {
			known = true;
			ret = methods[i].run(&c);
		}
	if (!known) {
		(void)printf("error: %s: this needs the daemon's own socket, on its machine\n", ctl->url);
		ctl_fail(ctl, CTL_GENERIC);
		c.fault = -1;
	}
	if (!ret && c.fault > 0 && !ret_fault)
		ctl_fault(ctl, c.fault, c.text);
	if (ret_fault)
		*ret_fault = ret ? 0 : c.fault;
	if (ret_text && !ret)
		*ret_text = TAKE(c.text);
	free(c.text);
	return ret;
}

/* ---- logs ---- */

char *remote_read_log(struct ctl *ctl, const char *process, const char *channel, long long bytes, int *ret_fault)
{
	struct call c = { .ctl = ctl };
	const char *method = !*process			      ? "readLog"
			     : strcmp(channel, "stderr") == 0 ? "readProcessStderrLog"
							      : "readProcessStdoutLog";
	json_t *answer = rpc(&c, method,
			     *process ? json_pack("[s, I, i]", process, (json_int_t)-bytes, 0)
				      : json_pack("[I, i]", (json_int_t)-bytes, 0));
	char *ret = json_is_string(answer) ? strdup(json_string_value(answer)) : NULL;

	*ret_fault = c.fault;
	free(c.text);
	json_decref(answer);
	return ret;
}

int remote_clear(struct ctl *ctl, const char *process)
{
	struct call c = { .ctl = ctl };
	json_t *answer = rpc(&c, "clearProcessLogs", json_pack("[s]", process));

	json_decref(answer);
	free(c.text);
	return answer ? 0 : c.fault;
}

void remote_follow(struct ctl *ctl, const char *process, const char *channel)
{
	struct http_stream *stream;
	struct error err;
	char path[700], buffer[8192];
	long n;

	(void)printf("==> Press Ctrl-C to exit <==\n");
	(void)fflush(stdout);
	ctl_catch_interrupts();
	if (*process)
		(void)snprintf(path, sizeof path, "/logtail/%s/%s", process, channel);
	else
		(void)snprintf(path, sizeof path, "/mainlogtail");
	if (http_stream_open(ctl->place, path, &stream, &err) < 0) {
		(void)printf("error: %s: %s\n", ctl->url, err.text);
		ctl_fail(ctl, CTL_GENERIC);
		return;
	}
	while (!ctl_interrupted && (n = http_stream_read(stream, buffer, sizeof buffer)) > 0) {
		(void)fwrite(buffer, 1, (size_t)n, stdout);
		(void)fflush(stdout);
	}
	if (ctl_interrupted)
		(void)putchar('\n');
	else if (http_stream_status(stream) != 200)
		(void)fprintf(stderr, "%s%s Cannot read, status code %d\n", ctl->url, path, http_stream_status(stream));
	http_stream_free(stream);
}
