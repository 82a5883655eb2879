/*
 * reeve-gateway: started by reeved where the configuration has an HTTP server. Its channel is descriptor 0, its listening sockets are
 * those of LISTEN_FDS; see lib/wire/gateway.h. Not meant to be started by hand.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/base.h"
#include "gateway.h"
#include "web.h"
#include "wire/gateway.h"

void gateway_log(struct gateway *g, const char *level, const char *format, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	backend_log(g->backend, level, text);
}

static int listening_sockets(void)
{
	const char *count = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
	int n = count ? atoi(count) : 0;

	if (!pid || atoi(pid) != (int)getpid() || n > GATEWAY_LISTEN_MAX)
		return 0;
	for (int i = 0; i < n; i++)
		(void)fcntl(GATEWAY_FD_LISTEN + i, F_SETFD, FD_CLOEXEC);
	(void)close(GATEWAY_FD_LISTEN + n);	/* our own binary */
	return n;
}

/* The first message: who may come in. Later ones do not occur, a changed configuration starts another gateway. */
static void begin(void *data, const json_t *settings, int curves)
{
	struct gateway *g = data;
	const json_t *servers = json_object_get(settings, "servers");
	int n = listening_sockets();

	if (g->http) {
		closep(&curves);
		return;
	}
	g->web = web_new(g, curves);
	g->http = g->web ? http_new(g) : NULL;
	if (!g->http || json_array_size(servers) != (size_t)n) {
		gateway_log(g, "error", "cannot serve HTTP: %s", g->http ? "settings and sockets do not agree" : "out of memory");
		ev_break(g->loop, EVBREAK_ALL);
		return;
	}
	for (int i = 0; i < n; i++) {
		const json_t *server = json_array_get(servers, (size_t)i);
		struct http_listener_conf conf = {
			.fd = GATEWAY_FD_LISTEN + i,
			.section = json_string_value(json_object_get(server, "section")),
			.username = json_string_value(json_object_get(server, "username")),
			.password = json_string_value(json_object_get(server, "password")),
		};

		if (http_listen(g->http, &conf) < 0)
			gateway_log(g, "error", "[%s]: cannot listen: out of memory",
				    json_string_value(json_object_get(server, "section")));
	}
}

static void finished(void *data)
{
	ev_break(((struct gateway *)data)->loop, EVBREAK_ALL);
}

/* The supervisor wants no more of us, or is no more. */
static void lost(void *data)
{
	struct gateway *g = data;

	if (g->http)
		http_finish(g->http, finished, g);
	else
		finished(g);
}

int main(int argc, char **argv)
{
	struct gateway g = { 0 };
	int channel;

	if (argc > 1) {
		(void)fprintf(strcmp(argv[1], "--version") == 0 ? stdout : stderr,
			      "reeve-gateway %s: started by reeved, not by hand\n", REEVE_VERSION);
		return strcmp(argv[1], "--version") == 0 ? 0 : 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	(void)prctl(PR_SET_NAME, "reeve-gateway");
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)prctl(PR_SET_DUMPABLE, 0);	/* passwords are in our memory */
	channel = fcntl(GATEWAY_FD_CHANNEL, F_DUPFD_CLOEXEC, GATEWAY_FD_LISTEN + GATEWAY_LISTEN_MAX);
	g.loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	if (channel < 0 || !g.loop)
		return 1;
	g.backend = backend_new(g.loop, channel, begin, lost, &g);
	if (!g.backend)
		return 1;
	ev_run(g.loop, 0);
	http_free(g.http);
	web_free(g.web);
	backend_free(g.backend);
	ev_loop_destroy(g.loop);
	return 0;
}
