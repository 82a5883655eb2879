/* See capture.h. */
#include "capture.h"

#include "worker.h"

void capture_open(struct worker *w, struct capture *c, int fd, void (*readable)(struct ev_loop *, ev_io *, int))
{
	c->fd = fd;
	ev_io_init(&c->watcher, readable, fd, EV_READ);
	c->watcher.data = w;
	ev_io_start(w->pool->loop, &c->watcher);
}

void capture_close(struct worker *w, struct capture *c)
{
	if (c->fd < 0)
		return;
	ev_io_stop(w->pool->loop, &c->watcher);
	(void)close(c->fd);
	c->fd = -1;
}
