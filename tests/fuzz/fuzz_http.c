/*
 * What clients send to the gateway: the first byte chooses a server with a password or without, and how the rest is cut into pieces. The
 * daemons are played by one that gives every call the same answer.
 */
#include "../../daemon/gateway/http_connection.c"

#include "web.h"
#include "wire/gateway.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct gateway gateway;
static struct listener open_door, closed_door;
static int channel;			/* the supervisor's end */
static int daemons[BACKEND_CONNECTIONS * 2];
static size_t n_daemons;

static const char reply[] =
	"{\"parameters\":{\"statecode\":1,\"statename\":\"RUNNING\",\"pid\":7,\"api_version\":\"3.0\",\"supervisor_version\":\"4.2.5\","
	"\"identifier\":\"supervisor\",\"logfile\":\"/l\",\"processes\":[{\"name\":\"a\",\"group\":\"a\",\"namespec\":\"a\",\"state\":20,"
	"\"statename\":\"RUNNING\",\"start\":1.5,\"stop\":0,\"now\":4e9,\"spawnerr\":\"\",\"exitstatus\":0,\"pid\":8,\"description\":\"d\","
	"\"stdout_logfile\":\"/a\",\"stderr_logfile\":\"\"}],\"unknown\":[],\"results\":[{\"name\":\"a\",\"group\":\"a\",\"namespec\":\"a\","
	"\"status\":80,\"description\":\"OK\"}],\"added\":[],\"changed\":[],\"removed\":[],\"data\":\"YWL/Gw==\",\"size\":4,\"offset\":4,"
	"\"overflow\":false,\"events\":[],\"streams\":[],\"changes\":[],\"diagnostics\":[],\"pending\":false,\"transitions\":[]}}";

void gateway_log(struct gateway *g, const char *level, const char *format, ...)
{
	(void)g, (void)level, (void)format;
}

static void settings(void *data, const json_t *message, int fd)
{
	(void)data, (void)message;
	closep(&fd);
}

static void lost(void *data)
{
	(void)data;
	abort();
}

static void give(const char *what)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char text[40];
	struct iovec part = { .iov_base = text };
	struct msghdr packet = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	int pair[2];

	part.iov_len = (size_t)snprintf(text, sizeof text, "{\"op\":\"%s\"}", what);
	if (n_daemons == ARRAY_LEN(daemons) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
		return;
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &pair[1], sizeof(int));
	(void)sendmsg(channel, &packet, MSG_DONTWAIT);
	(void)close(pair[1]);
	daemons[n_daemons++] = pair[0];
}

/* The supervisor and the logger at once. */
static void play_daemons(void)
{
	static char text[1 << 16];
	ssize_t n;

	while ((n = recv(channel, text, sizeof text - 1, MSG_DONTWAIT)) > 0) {
		text[n] = '\0';
		give(strstr(text, "\"log\"") ? "log" : "supervisor");
	}
	for (size_t i = 0; i < n_daemons; i++) {
		n = recv(daemons[i], text, sizeof text, MSG_DONTWAIT);
		for (ssize_t k = 0; k < n; k++)
			if (!text[k])
				(void)send(daemons[i], reply, sizeof reply, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n == 0) {
			(void)close(daemons[i]);
			daemons[i--] = daemons[--n_daemons];
		}
	}
}

static void turn(void)
{
	for (int i = 0; i < 3; i++) {
		(void)ev_run(gateway.loop, EVRUN_NOWAIT);
		play_daemons();
	}
}

static void prepare(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair) < 0)
		abort();
	channel = pair[0];
	gateway.loop = ev_loop_new(0);
	gateway.backend = backend_new(gateway.loop, pair[1], settings, lost, &gateway);
	gateway.web = web_new(&gateway, -1);
	gateway.http = http_new(&gateway);
	if (!gateway.backend || !gateway.web || !gateway.http)
		abort();
	open_door = closed_door = (struct listener){ .http = gateway.http, .fd = -1 };
	closed_door.username = (char *)"u";
	closed_door.password = (char *)"p";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sockaddr_storage address = { .ss_family = AF_UNIX };
	size_t piece;
	int pair[2];

	if (!gateway.loop)
		prepare();
	if (size < 1 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
		return 0;
	add_connection(*data & 1 ? &closed_door : &open_door, pair[0], &address, sizeof(sa_family_t));
	piece = 1 + (*data >> 1) * 16u;
	data++;
	size--;
	while (size) {
		static char answer[1 << 16];
		size_t n = size < piece ? size : piece;

		(void)send(pair[1], data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		data += n;
		size -= n;
		turn();
		(void)recv(pair[1], answer, sizeof answer, MSG_DONTWAIT);
	}
	turn();
	(void)close(pair[1]);
	for (int i = 0; i < 20 && gateway.http->n_connections; i++) {
		swept(gateway.loop, &gateway.http->sweep, 0);
		turn();
	}
	if (gateway.http->n_connections)
		abort();
	return 0;
}
