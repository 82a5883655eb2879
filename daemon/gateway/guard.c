/* See guard.h. */
#include "guard.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* HOST without its port and brackets. */
static bool host_name(const char *host, char *name, size_t size)
{
	size_t n = *host == '[' ? strcspn(++host, "]") : strcspn(host, ":");

	return (size_t)snprintf(name, size, "%.*s", (int)n, host) < size;
}

bool guard_host(const char *host, const char *own_name)
{
	char name[256];
	unsigned char address[16];

	if (!host_name(host, name, sizeof name))
		return false;
	return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1 || !*name ||
	       strcasecmp(name, "localhost") == 0 || (*own_name && strcasecmp(name, own_name) == 0);
}

bool guard_origin(const char *origin, const char *host)
{
	const char *name = strstr(origin, "://");

	return name && host && *host && strcasecmp(name + 3, host) == 0;
}

bool guard_equal(const char *a, const char *b)
{
	size_t n = strlen(a), length = strlen(b);
	unsigned char difference = n != length;

	for (size_t i = 0; i < n && i < length; i++)
		difference |= (unsigned char)(a[i] ^ b[i]);
	return difference == 0;
}
