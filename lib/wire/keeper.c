/* See keeper.h. */
#include "keeper.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int))];
};

int keeper_send(int socket, const struct keeper_message *message, int fd, int flags)
{
	union control control = { 0 };
	struct iovec part = {
		.iov_base = (void *)message,
		.iov_len = offsetof(struct keeper_message, text) + strnlen(message->text, KEEPER_TEXT_SIZE - 1) + 1,
	};
	struct msghdr packet = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fd >= 0) {
		packet.msg_control = &control;
		packet.msg_controllen = sizeof control;
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
	}
	for (;;) {
		if (sendmsg(socket, &packet, flags | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

int keeper_receive(int socket, struct keeper_message *ret, int *ret_fd, int flags)
{
	union control control;
	struct iovec part = { .iov_base = ret, .iov_len = sizeof *ret };
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
	if ((size_t)n <= offsetof(struct keeper_message, text))
		return -EPROTO;
	ret->text[(size_t)n - offsetof(struct keeper_message, text) - 1] = '\0';
	return 1;
}
