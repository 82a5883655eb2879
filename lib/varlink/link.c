/* The asynchronous client of varlink.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "message.h"
#include "varlink.h"

struct pending {
	STAILQ_ENTRY(pending) next;
	varlink_receiver *receive;
	void *data;
};

struct varlink_link {
	struct ev_loop *loop;
	int fd;
	ev_io reader, writer;
	struct bytes in, out;
	STAILQ_HEAD(, pending) pending;
	void (*closed)(void *data);
	void *data;
	bool *freed;			/* set while receivers run */
};

static void link_down(struct varlink_link *l)
{
	struct pending *p;
	bool freed = false;

	ev_io_stop(l->loop, &l->reader);
	ev_io_stop(l->loop, &l->writer);
	l->freed = &freed;
	while (!freed && (p = STAILQ_FIRST(&l->pending))) {
		STAILQ_REMOVE_HEAD(&l->pending, next);
		p->receive(p->data, NULL, "io.reeve.Disconnected", false);
		free(p);
	}
	if (freed)
		return;
	l->freed = NULL;
	if (l->closed)
		l->closed(l->data);
}

static bool deliver(struct varlink_link *l, const char *text, size_t length)
{
	struct pending *p = STAILQ_FIRST(&l->pending);
	json_t *reply = json_loadb(text, length, 0, NULL);
	bool continues = json_is_true(json_object_get(reply, "continues"));
	bool freed = false;

	if (!reply || !p) {
		json_decref(reply);
		return true;
	}
	if (!continues)
		STAILQ_REMOVE_HEAD(&l->pending, next);
	l->freed = &freed;
	p->receive(p->data, json_object_get(reply, "parameters"), json_string_value(json_object_get(reply, "error")), continues);
	if (!continues)
		free(p);
	json_decref(reply);
	if (freed)
		return false;
	l->freed = NULL;
	return true;
}

static void readable(struct ev_loop *loop, ev_io *w, int events)
{
	struct varlink_link *l = w->data;
	long n = message_read(l->fd, &l->in);
	size_t length;
	char *text;

	(void)loop;
	(void)events;
	if (n == -EAGAIN)
		return;
	if (n <= 0 && n != -EMSGSIZE) {
		link_down(l);
		return;
	}
	while ((text = message_next(&l->in, &length)))
		if (!deliver(l, text, length))
			return;
}

static void writable(struct ev_loop *loop, ev_io *w, int events)
{
	struct varlink_link *l = w->data;
	int r = message_write(l->fd, &l->out);

	(void)events;
	if (r == 0)
		ev_io_stop(loop, w);
	else if (r != -EAGAIN)
		link_down(l);
}

int varlink_link_on(struct ev_loop *loop, int fd, void (*closed)(void *data), void *data, struct varlink_link **ret)
{
	struct varlink_link *l = calloc(1, sizeof *l);

	if (!l) {
		(void)close(fd);
		return -ENOMEM;
	}
	l->fd = fd;
	l->loop = loop;
	l->closed = closed;
	l->data = data;
	STAILQ_INIT(&l->pending);
	ev_io_init(&l->reader, readable, l->fd, EV_READ);
	ev_io_init(&l->writer, writable, l->fd, EV_WRITE);
	l->reader.data = l->writer.data = l;
	ev_io_start(loop, &l->reader);
	*ret = l;
	return 0;
}

void varlink_link_pause(struct varlink_link *l, bool paused)
{
	if (paused)
		ev_io_stop(l->loop, &l->reader);
	else
		ev_io_start(l->loop, &l->reader);
}

int varlink_link_call(struct varlink_link *l, const char *method, json_t *parameters, bool more, varlink_receiver *receive,
		      void *data)
{
	struct pending *p = malloc(sizeof *p);
	json_t *call = json_object();
	int r;

	(void)json_object_set_new(call, "method", json_string(method));
	if (parameters)
		(void)json_object_set_new(call, "parameters", parameters);
	if (more)
		(void)json_object_set_new(call, "more", json_true());
	r = p ? message_put(&l->out, call, VARLINK_QUEUE_MAX) : -ENOMEM;
	if (r < 0) {
		free(p);
		return r;
	}
	*p = (struct pending){ .receive = receive, .data = data };
	STAILQ_INSERT_TAIL(&l->pending, p, next);
	ev_io_start(l->loop, &l->writer);
	return 0;
}

void varlink_link_free(struct varlink_link *l)
{
	struct pending *p;

	if (!l)
		return;
	if (l->freed)
		*l->freed = true;
	ev_io_stop(l->loop, &l->reader);
	ev_io_stop(l->loop, &l->writer);
	while ((p = STAILQ_FIRST(&l->pending))) {
		STAILQ_REMOVE_HEAD(&l->pending, next);
		free(p);
	}
	(void)close(l->fd);
	bytes_free(&l->in);
	bytes_free(&l->out);
	free(l);
}
