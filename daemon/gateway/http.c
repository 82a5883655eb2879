/*
 * See http.h. libmicrohttpd parses and writes; it runs on our loop through its epoll descriptor. The other jobs: http_parts.h.
 */
#include "http_parts.h"

enum { CONNECTIONS_SPARE = 32 };	/* that MHD may hold beyond ours: those that end just now */

static void run(struct http *h)
{
	MHD_UNSIGNED_LONG_LONG milliseconds;

	h->kick = false;
	(void)MHD_run(h->daemon);
	ev_timer_stop(h->loop, &h->timer);
	if (MHD_get_timeout(h->daemon, &milliseconds) == MHD_YES || h->kick) {
		ev_timer_set(&h->timer, h->kick ? 0.0 : (double)milliseconds / 1000, 0);
		ev_timer_start(h->loop, &h->timer);
	}
}

static void on_epoll(struct ev_loop *loop, ev_io *w, int events)
{
	(void)loop;
	(void)events;
	run(w->data);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	run(w->data);
}

static void on_prepare(struct ev_loop *loop, ev_prepare *w, int events)
{
	struct http *h = w->data;

	(void)loop;
	(void)events;
	if (h->kick)
		run(h);
}

static void be_silent(void *data, const char *format, va_list ap)
{
	(void)data;
	(void)format;
	(void)ap;
}

static struct MHD_Daemon *start_daemon(struct http *h)
{
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, request_came, h,
				MHD_OPTION_EXTERNAL_LOGGER, be_silent, NULL,
				MHD_OPTION_NOTIFY_CONNECTION, connection_changed, h,
				MHD_OPTION_NOTIFY_COMPLETED, request_completed, h,
				MHD_OPTION_URI_LOG_CALLBACK, request_line, h,
				MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_HEADER_MAX,
				MHD_OPTION_CONNECTION_LIMIT, (unsigned)(HTTP_CONNECTIONS + CONNECTIONS_SPARE),
				MHD_OPTION_CONNECTION_TIMEOUT, 0U, MHD_OPTION_END);
}

struct http *http_new(struct gateway *gateway)
{
	const union MHD_DaemonInfo *info;
	struct http *h = calloc(1, sizeof *h);

	if (!h)
		return NULL;
	h->gateway = gateway;
	h->loop = gateway->loop;
	connections_init(h);
	h->daemon = start_daemon(h);
	info = h->daemon ? MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info) {
		if (h->daemon)
			MHD_stop_daemon(h->daemon);
		free(h);
		return NULL;
	}
	ev_io_init(&h->watcher, on_epoll, info->epoll_fd, EV_READ);
	ev_timer_init(&h->timer, on_timer, 0, 0);
	ev_prepare_init(&h->prepare, on_prepare);
	h->watcher.data = h->timer.data = h->prepare.data = h;
	ev_io_start(h->loop, &h->watcher);
	ev_prepare_start(h->loop, &h->prepare);
	return h;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	connections_doom(h);
	(void)MHD_run(h->daemon);
	MHD_stop_daemon(h->daemon);
	connections_fini(h);
	ev_io_stop(h->loop, &h->watcher);
	ev_timer_stop(h->loop, &h->timer);
	ev_prepare_stop(h->loop, &h->prepare);
	free(h);
}
