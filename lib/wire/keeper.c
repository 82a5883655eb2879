/* See keeper.h. */
#include "keeper.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "packet.h"

int keeper_send(int socket, const struct keeper_message *message, int fd, int flags)
{
	size_t length = offsetof(struct keeper_message, text) + strnlen(message->text, KEEPER_TEXT_SIZE - 1) + 1;

	return packet_send(socket, message, length, fd, flags);
}

int keeper_receive(int socket, struct keeper_message *ret, int *ret_fd, int flags)
{
	ssize_t n = packet_receive(socket, ret, sizeof *ret, ret_fd, flags);

	if (n <= 0)
		return (int)n;
	if ((size_t)n <= offsetof(struct keeper_message, text))
		return -EPROTO;
	ret->text[(size_t)n - offsetof(struct keeper_message, text) - 1] = '\0';
	return 1;
}
