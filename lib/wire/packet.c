/* See packet.h. */
#include "packet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int))];
};

int packet_send(int socket, const void *data, size_t length, int fd, int flags)
{
	union control control = { 0 };
	struct iovec part = { .iov_base = (void *)data, .iov_len = length };
	struct msghdr packet = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fd >= 0) {
		packet.msg_control = &control;
		packet.msg_controllen = sizeof control;
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
	}
	while (sendmsg(socket, &packet, flags | MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

ssize_t packet_receive(int socket, void *data, size_t size, int *ret_fd, int flags)
{
	union control control;
	struct iovec part = { .iov_base = data, .iov_len = size };
	struct msghdr packet = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	ssize_t n;

	*ret_fd = -1;
	do
		n = recvmsg(socket, &packet, flags | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 && errno != ECONNRESET ? -errno : 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&packet); c; c = CMSG_NXTHDR(&packet, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			memcpy(ret_fd, CMSG_DATA(c), sizeof *ret_fd);
	return n;
}
