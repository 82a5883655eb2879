/* See control.h. */
#include "control.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "../generation.h"
#include "../names.h"
#include "handlers.h"
#include "varlink/interfaces.h"

enum {				/* in one call: what they mean is looked up at once, and nobody else is answered meanwhile */
	NAMES_MAX = 20000,
	PATTERNS_MAX = 256,
};

struct control {
	struct varlink_server *server;
	struct varlink_service service;
	int listen_fd;
};

#define X(name, access, function) { #name, function, access },
static const struct varlink_method methods[] = { HANDLERS(X){ 0 } };
#undef X

static struct varlink_interface interface = { "io.reeve.Supervisor", NULL, methods };
static const struct varlink_interface *const interfaces[] = { &interface, NULL };

static const char *const access_names[] = { "read", "operate", "admin" };

static enum access granted_to_group(const struct supervisor *s)
{
	const char *level = s->loaded->config->supervisord.control_access;

	for (size_t i = 0; level && i < ARRAY_LEN(access_names); i++)
		if (strcmp(level, access_names[i]) == 0)
			return (enum access)i;
	return ACCESS_OPERATE;
}

gid_t control_socket_group(struct supervisor *s)
{
	const char *name = s->loaded->config->supervisord.control_group;

	return name ? names_group(s, name) : (gid_t)-1;
}

mode_t control_socket_mode(struct supervisor *s)
{
	return control_socket_group(s) == (gid_t)-1 ? 0600 : 0660;
}

/* Our own end of a pair whose other one the gateway has. */
static bool is_gateway(const struct varlink_peer *peer)
{
	return peer->pid == getpid();
}

static bool authorise(const struct varlink_peer *peer, const struct varlink_method *method, void *data, const char **ret_error,
		      json_t **ret_parameters)
{
	struct supervisor *s = data;

	/* The HTTP server needs neither, and whoever breaks into it shall not choose a command or a binary for us to run. */
	if (is_gateway(peer) && (method->run == method_run || method->run == method_upgrade)) {
		*ret_error = "io.reeve.Supervisor.PermissionDenied";
		*ret_parameters = json_pack("{s:s, s:s}", "needed", "admin", "text", "not by HTTP");
		return false;
	}
	if (peer->uid == 0 || peer->uid == geteuid())
		return true;
	if (varlink_peer_is_member(peer, control_socket_group(s)) && granted_to_group(s) >= (enum access)method->access)
		return true;
	*ret_error = "io.reeve.Supervisor.PermissionDenied";
	*ret_parameters = json_pack("{s:s, s:s}", "needed", access_names[method->access], "text",
				    "ask as root or the daemon's user, or set control_group and control_access");
	return false;
}

char *fault_text(enum fault code, const char *extra, char *buffer, size_t size)
{
	const char *name = "FAILED";

	switch (code) {
#define X(fault, number)                                                                                               \
	case FAULT_##fault:                                                                                            \
		name = #fault;                                                                                         \
		break;
		FAULTS(X)
#undef X
	}
	(void)snprintf(buffer, size, "%s%s%s", name, extra && *extra ? ": " : "", extra ? extra : "");
	return buffer;
}

void reply_fault(struct varlink_call *call, enum fault code, const char *extra)
{
	char text[700], name[64];

	fault_text(code, NULL, name, sizeof name);
	fault_text(code, extra, text, sizeof text);
	(void)varlink_error(call, "io.reeve.Supervisor.Fault", json_pack("{s:i, s:s, s:s%}", "code", (int)code, "name", name, "text",
									 text, strlen(text)));
}

bool refused(struct supervisor *s, struct varlink_call *call)
{
	if (supervisor_state(s) == DAEMON_RUNNING)
		return false;
	reply_fault(call, FAULT_SHUTDOWN_STATE, NULL);
	return true;
}

/* Does NAME have to be held against every process? */
static bool is_pattern(const char *name)
{
	const char *wild = strpbrk(name, "*?[");

	return wild && !(wild > name && wild[-1] == ':' && strcmp(wild, "*") == 0);
}

const char **string_list(struct varlink_call *call, json_t *parameters, const char *key, size_t *ret_n)
{
	json_t *array = json_object_get(parameters, key);
	const char **list = calloc(json_array_size(array) + 1, sizeof *list);
	size_t patterns = 0;

	if (!list || (array && !json_is_array(array) && !json_is_null(array)) || json_array_size(array) > NAMES_MAX)
		goto bad;
	*ret_n = json_array_size(array);
	for (size_t i = 0; i < *ret_n; i++) {
		list[i] = json_string_value(json_array_get(array, i));
		if (!list[i])
			goto bad;
		patterns += is_pattern(list[i]);
		if (patterns > PATTERNS_MAX)
			goto bad;
	}
	return list;
bad:
	free(list);
	(void)varlink_invalid_parameter(call, key);
	return NULL;
}

/* comm, not cmdline: that one can wait for a client that hangs in a page fault. */
static void client_name(pid_t pid, char *buffer, size_t size)
{
	char path[32];
	int fd;
	ssize_t n;

	buffer[0] = '\0';
	(void)snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = read(fd, buffer, size - 1);
	(void)close(fd);
	buffer[n > 0 ? n : 0] = '\0';
	for (char *c = buffer; *c; c++)
		if (*c == '\n')
			*c = '\0';
		else if (!isprint((unsigned char)*c))
			*c = '?';
}

struct cause cause_of(const struct varlink_call *call)
{
	const struct varlink_peer *peer = varlink_call_peer(call);
	const char *method = strrchr(varlink_call_method(call), '.');
	struct cause cause = { .kind = CAUSE_COMMAND, .uid = (int32_t)peer->uid, .pid = peer->pid };

	(void)snprintf(cause.command, sizeof cause.command, "%s", method ? method + 1 : "?");
	client_name(peer->pid, cause.client, sizeof cause.client);
	if (is_gateway(peer)) {
		cause.pid = 0;
		strcpy(cause.client, "HTTP");
	}
	return cause;
}

struct control *control_new(struct supervisor *s, int listen_fd, struct error *err)
{
	struct control *c = calloc(1, sizeof *c);

	if (!c) {
		(void)close(listen_fd);
		(void)error_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	interface.description = varlink_io_reeve_supervisor;
	c->listen_fd = listen_fd;
	c->service = (struct varlink_service){ "Reeve", "reeved", REEVE_VERSION, "https://varlink.org", interfaces, authorise, s };
	c->server = varlink_server_new(s->loop, listen_fd, &c->service);
	if (!c->server) {
		(void)error_set(err, ENOMEM, "out of memory");
		control_free(c);
		return NULL;
	}
	return c;
}

bool control_serve(struct control *c, int fd)
{
	(void)varlink_server_add(c->server, fd);
	return true;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	varlink_server_free(c->server);
	closep(&c->listen_fd);
	free(c);
}
