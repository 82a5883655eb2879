/* Unix socket addresses of any length: a path beyond sun_path is reached through its directory's descriptor. */
#ifndef REEVE_VARLINK_ADDRESS_H
#define REEVE_VARLINK_ADDRESS_H

#include <sys/socket.h>
#include <sys/un.h>

struct address {
	struct sockaddr_un un;
	socklen_t length;
	int directory;			/* kept open while the address is used, or -1 */
};

/* 0 or -errno. */
int address_init(struct address *address, const char *path);
void address_fini(struct address *address);

#endif
