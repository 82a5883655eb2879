/*
 * Varlink: framing and messages, as a server, as an asynchronous client and as a blocking one. The first byte of the input chooses who
 * reads and the size of the pieces in which the rest arrives. Seeds: tests/fuzz/seeds/varlink.
 */
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "varlink/varlink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct varlink_call *kept;	/* by Hold */

static void echo(struct varlink_call *call, json_t *parameters, void *data)
{
	(void)data;
	(void)varlink_reply(call, json_pack("{s:O}", "back", parameters));
}

static void left(void *data)
{
	(void)data;
	kept = NULL;
}

static void hold(struct varlink_call *call, json_t *parameters, void *data)
{
	(void)parameters, (void)data;
	kept = call;
	varlink_call_on_gone(call, left, NULL);
}

static void count(struct varlink_call *call, json_t *parameters, void *data)
{
	(void)data;
	for (int i = 0; i < 3 && varlink_call_more(call); i++)
		(void)varlink_reply_more(call, json_pack("{s:O}", "i", parameters));
	(void)varlink_invalid_parameter(call, varlink_call_method(call));
}

static void upgrade(struct varlink_call *call, json_t *parameters, void *data)
{
	struct varlink_upgraded u;

	(void)parameters, (void)data;
	if (!varlink_call_upgrade(call)) {
		(void)varlink_error(call, "test.it.NoUpgrade", NULL);
	} else if (varlink_reply_upgrade(call, NULL, &u) == 0) {
		(void)close(u.fd);
		bytes_free(&u.received);
		bytes_free(&u.unsent);
	}
}

static const struct varlink_method methods[] = { { "Echo", echo, 0 }, { "Hold", hold, 0 }, { "Count", count, 0 }, { "Up", upgrade, 1 }, { 0 } };
static const struct varlink_interface interface = { "test.it", "interface test.it\n", methods };
static const struct varlink_interface *const interfaces[] = { &interface, NULL };

static bool authorise(const struct varlink_peer *peer, const struct varlink_method *method, void *data, const char **ret_error,
		      json_t **ret_parameters)
{
	(void)data;
	*ret_error = "test.it.No";
	*ret_parameters = json_pack("{s:i}", "uid", (int)peer->uid);
	if (method->access == 0 || peer->n_groups < 1000) {
		json_decref(*ret_parameters);
		return true;
	}
	return false;
}

static const struct varlink_service service = { "v", "p", "1", "u", interfaces, authorise, NULL };

static void received(void *data, json_t *parameters, const char *error, bool continues)
{
	(void)data, (void)error, (void)continues;
	if (parameters)
		free(json_dumps(parameters, JSON_ENCODE_ANY));
}

static void closed(void *data)
{
	*(bool *)data = true;
}

static void turn(struct ev_loop *loop, int fd)
{
	static char sink[1 << 16];

	for (int i = 0; i < 3; i++)
		(void)ev_run(loop, EVRUN_NOWAIT);
	while (recv(fd, sink, sizeof sink, MSG_DONTWAIT) > 0)
		;
}

static void feed(struct ev_loop *loop, int fd, const uint8_t *data, size_t size, size_t piece)
{
	while (size) {
		size_t n = size < piece ? size : piece;

		if (send(fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
		turn(loop, fd);
		data += n;
		size -= n;
	}
}

static void as_server(struct ev_loop *loop, const int pair[2], const uint8_t *data, size_t size, size_t piece)
{
	struct varlink_server *server = varlink_server_new(loop, -1, &service);

	if (!server || varlink_server_add(server, pair[0]) < 0)
		abort();
	feed(loop, pair[1], data, size, piece);
	if (kept) {
		varlink_call_on_gone(kept, NULL, NULL);
		(void)varlink_reply(kept, NULL);
		kept = NULL;
		turn(loop, pair[1]);
	}
	varlink_server_free(server);
	kept = NULL;
}

static void as_link(struct ev_loop *loop, const int pair[2], const uint8_t *data, size_t size, size_t piece)
{
	struct varlink_link *link;
	bool gone = false;

	if (varlink_link_on(loop, pair[0], closed, &gone, &link) < 0)
		abort();
	for (int i = 0; i < 3; i++)
		(void)varlink_link_call(link, "test.it.Count", NULL, i != 1, received, NULL);
	feed(loop, pair[1], data, size, piece);
	varlink_link_free(link);
}

static void as_client(const int pair[2], const uint8_t *data, size_t size)
{
	struct varlink_client *client;
	json_t *parameters = NULL;
	const char *error;
	bool more;

	if (varlink_client_on(pair[0], &client) < 0)
		abort();
	(void)varlink_client_send(client, "test.it.Count", NULL, true);
	(void)!send(pair[1], data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)shutdown(pair[1], SHUT_WR);
	while (varlink_client_receive(client, 1, &parameters, &error, &more) == 0) {
		json_decref(parameters);
		parameters = NULL;
	}
	varlink_client_free(client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ev_loop *loop;
	size_t piece;
	int pair[2], who;

	if (!size)
		return -1;
	if (!loop)
		loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	if (!loop || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	who = data[0] % 4;
	piece = (size_t)data[0] / 4 * 37 + 1;
	if (who == 3)
		as_client(pair, data + 1, size - 1);
	else
		(who == 2 ? as_link : as_server)(loop, pair, data + 1, size - 1, piece);
	(void)close(pair[1]);
	return 0;
}
