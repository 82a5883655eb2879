/* See address.h. */
#include "address.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int address_init(struct address *a, const char *path)
{
	const char *slash = strrchr(path, '/');
	int n;

	*a = (struct address){ .un.sun_family = AF_UNIX, .directory = -1 };
	if (strlen(path) < sizeof a->un.sun_path) {
		strcpy(a->un.sun_path, path);
	} else {
		char directory[4096];

		if (!slash || (size_t)(slash - path) >= sizeof directory)
			return -ENAMETOOLONG;
		memcpy(directory, path, (size_t)(slash - path));
		directory[slash - path] = '\0';
		a->directory = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (a->directory < 0)
			return -errno;
		n = snprintf(a->un.sun_path, sizeof a->un.sun_path, "/proc/self/fd/%d%s", a->directory, slash);
		if (n < 0 || (size_t)n >= sizeof a->un.sun_path) {
			address_fini(a);
			return -ENAMETOOLONG;
		}
	}
	a->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(a->un.sun_path) + 1);
	return 0;
}

void address_fini(struct address *a)
{
	if (a->directory >= 0)
		(void)close(a->directory);
	a->directory = -1;
}
