/* The blocking client of varlink.h. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "address.h"
#include "message.h"
#include "varlink.h"

struct varlink_client {
	int fd;
	struct bytes in, out;
	json_t *last;			/* holds the error's name */
};

static int connect_error(const char *path, int code, struct error *err)
{
	switch (code) {
	case ENOENT:
		return error_set(err, code, "%s: no such socket; is reeved running with this configuration?", path);
	case ECONNREFUSED:
		return error_set(err, code, "%s: nobody listens on this socket: reeved has ended; start it again", path);
	case EACCES:
	case EPERM:
		return error_set(err, code, "%s: permission denied; ask as root, as the daemon's user, or as a member of control_group",
				 path);
	default:
		return error_set(err, code, "%s: cannot connect: %s", path, errno_name(code));
	}
}

static int open_connection(const char *path, int flags)
{
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	struct address a;
	int r, ret;

	if (fd < 0)
		return -errno;
	r = address_init(&a, path);
	if (r < 0)
		return r;
	r = connect(fd, (struct sockaddr *)&a.un, a.length) < 0 ? -errno : 0;
	address_fini(&a);
	if (r < 0)
		return r;
	ret = fd;
	fd = -1;
	return ret;
}

int varlink_client_connect(const char *path, struct varlink_client **ret, struct error *err)
{
	int fd = open_connection(path, 0);

	if (fd < 0)
		return connect_error(path, -fd, err);
	*ret = calloc(1, sizeof **ret);
	if (!*ret) {
		(void)close(fd);
		return error_set(err, ENOMEM, "out of memory");
	}
	(*ret)->fd = fd;
	return 0;
}

void varlink_client_free(struct varlink_client *c)
{
	if (!c)
		return;
	closep(&c->fd);
	bytes_free(&c->in);
	bytes_free(&c->out);
	json_decref(c->last);
	free(c);
}

int varlink_client_fd(const struct varlink_client *c)
{
	return c->fd;
}

static int wait_for(int fd, short events, double timeout)
{
	struct pollfd p = { .fd = fd, .events = events };
	int r = poll(&p, 1, timeout < 0 ? -1 : (int)(timeout * 1000) + 1);

	if (r < 0)
		return errno == EINTR ? -EINTR : -errno;
	return r ? 0 : -ETIMEDOUT;
}

static int send_call(struct varlink_client *c, const char *method, json_t *parameters, const char *flag)
{
	json_t *call = json_object();
	int r;

	(void)json_object_set_new(call, "method", json_string(method));
	if (parameters)
		(void)json_object_set_new(call, "parameters", parameters);
	if (flag)
		(void)json_object_set_new(call, flag, json_true());
	r = message_put(&c->out, call, VARLINK_QUEUE_MAX);
	while (r == 0 && (r = message_write(c->fd, &c->out)) == -EAGAIN) {
		r = wait_for(c->fd, POLLOUT, -1);
		if (r == -EINTR)
			r = 0;
	}
	return r == -EPIPE ? -ECONNRESET : r;
}

int varlink_client_send(struct varlink_client *c, const char *method, json_t *parameters, bool more)
{
	return send_call(c, method, parameters, more ? "more" : NULL);
}

int varlink_client_receive(struct varlink_client *c, double timeout, json_t **ret_parameters, const char **ret_error,
			   bool *ret_continues)
{
	double deadline = timeout < 0 ? 0 : clock_now() + timeout;
	size_t length;
	char *text;

	while (!(text = message_next(&c->in, &length))) {
		double left = timeout < 0 ? -1 : deadline - clock_now();
		int r = wait_for(c->fd, POLLIN, timeout >= 0 && left < 0 ? 0 : left);
		long n;

		if (r < 0)
			return r;
		n = message_read(c->fd, &c->in);
		if (n == 0)
			return -ECONNRESET;
		if (n < 0 && n != -EAGAIN && n != -EMSGSIZE)
			return (int)n;
	}
	json_decref(c->last);
	c->last = json_loadb(text, length, 0, NULL);
	if (!json_is_object(c->last))
		return -EPROTO;
	*ret_parameters = json_object_get(c->last, "parameters");
	*ret_parameters = *ret_parameters ? json_incref(*ret_parameters) : json_object();
	*ret_error = json_string_value(json_object_get(c->last, "error"));
	*ret_continues = json_is_true(json_object_get(c->last, "continues"));
	return 0;
}

int varlink_client_call(struct varlink_client *c, const char *method, json_t *parameters, double timeout,
			json_t **ret_parameters, const char **ret_error)
{
	bool continues;
	int r = varlink_client_send(c, method, parameters, false);

	return r < 0 ? r : varlink_client_receive(c, timeout, ret_parameters, ret_error, &continues);
}

int varlink_client_upgrade(struct varlink_client **client, const char *method, json_t *parameters, double timeout, int *ret_fd,
			   json_t **ret_parameters, const char **ret_error)
{
	bool continues;
	int r = send_call(*client, method, parameters, "upgrade");

	if (r == 0)
		r = varlink_client_receive(*client, timeout, ret_parameters, ret_error, &continues);
	if (r < 0 || *ret_error)
		return r;
	*ret_fd = (*client)->fd;
	(*client)->fd = -1;
	varlink_client_free(TAKE(*client));
	return 0;
}

int varlink_client_on(int fd, struct varlink_client **ret)
{
	*ret = calloc(1, sizeof **ret);
	if (!*ret) {
		(void)close(fd);
		return -ENOMEM;
	}
	(*ret)->fd = fd;
	return 0;
}
