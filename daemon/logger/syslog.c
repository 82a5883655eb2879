/* See syslog.h. syslog(3) is not used because it waits for a syslogd that has stopped reading. */
#include "syslog.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"

enum { PRIORITY = 14 /* LOG_USER | LOG_INFO */, LINE_MAX_BYTES = 8 << 10 };
static const double retry_after = 1; /* seconds */

static int syslog_connect(struct syslog *syslog)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
	double now = clock_now();

	if (syslog->fd >= 0)
		return 0;
	if (now < syslog->retry_at)
		return -1;
	syslog->retry_at = now + retry_after;
	syslog->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (syslog->fd < 0)
		return -1;
	if (connect(syslog->fd, (struct sockaddr *)&address, sizeof address) < 0) {
		syslog_fini(syslog);
		return -1;
	}
	return 0;
}

static int send_line(struct syslog *syslog, const char *head, size_t head_length, const char *line, size_t length)
{
	struct iovec parts[] = { { (void *)head, head_length }, { (void *)line, length } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };

	/* Twice: a syslogd that was restarted refuses the old connection. */
	for (int try = 0; try < 2; try++) {
		if (syslog_connect(syslog) < 0)
			return -1;
		if (sendmsg(syslog->fd, &message, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno == EAGAIN || errno == ENOBUFS || errno == EMSGSIZE)
			return -1;
		syslog_fini(syslog);
		syslog->retry_at = try ? syslog->retry_at : 0;
	}
	return -1;
}

void syslog_lines(struct syslog *syslog, const char *ident, const char *name, const char *data, size_t length)
{
	char head[512], when[32];
	time_t now = time(NULL);
	struct tm tm;
	int n;

	(void)localtime_r(&now, &tm);
	(void)strftime(when, sizeof when, "%b %e %H:%M:%S", &tm);
	n = snprintf(head, sizeof head, "<%d>%s %s[%d]: %s%s", PRIORITY, when, ident, (int)getpid(), name ? name : "",
		     name ? " " : "");
	if (n >= (int)sizeof head)
		n = sizeof head - 1;
	while (length && data[length - 1] == '\n')
		length--;
	while (length) {
		const char *end = memchr(data, '\n', length);
		size_t line = end ? (size_t)(end - data) : length;

		if (send_line(syslog, head, (size_t)n, data, line < LINE_MAX_BYTES ? line : LINE_MAX_BYTES) < 0)
			syslog->lost++;
		data += line + (end != NULL);
		length -= line + (end != NULL);
	}
}

void syslog_fini(struct syslog *syslog)
{
	if (syslog->fd >= 0)
		(void)close(syslog->fd);
	syslog->fd = -1;
}
