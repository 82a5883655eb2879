/*
 * What the preloaded helpers share: they act in one of Reeve's processes only (FAULT_ROLE: a part of its argv[0]), take their orders
 * from a file that the test maps too (FAULT_FILE, an array of 64-bit numbers), and are not inherited by programs.
 */
#ifndef PRELOAD_H
#define PRELOAD_H

#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

enum { ORDERS = 16 };

static volatile int64_t *orders; /* NULL: not here, or not yet */

static void __attribute__((constructor)) preload_init(int argc, char **argv)
{
	const char *role = getenv("FAULT_ROLE"), *file = getenv("FAULT_FILE");
	int fd;

	if (argc < 1 || !role || !file)
		return;
	/* The last of Reeve's processes that must hear of us. */
	if (strstr(argv[0], strcmp(role, "reeve-logger") == 0 ? "reeve-logger" : "reeve-supervisor"))
		(void)unsetenv("LD_PRELOAD");
	if (!strstr(argv[0], role))
		return;
	fd = open(file, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	orders = mmap(NULL, ORDERS * sizeof *orders, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (orders == MAP_FAILED)
		orders = NULL;
	(void)close(fd);
}

#endif
