/* See web.h: which requests a browser may have been tricked into. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "web.h"

static void refuse(struct request *r, const char *why)
{
	http_answer_json(r, 403, json_pack("{s:s}", "error", why));
}

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

bool guard_read(struct request *r)
{
	const char *host = http_header(r, "Host");
	char own_name[256] = "";

	(void)gethostname(own_name, sizeof own_name - 1);
	if (r->authenticated || !host || guard_host(host, own_name))
		return true;
	refuse(r, "this name is not known to be this machine's: use its address or localhost, or set a password");
	return false;
}

static bool same_origin(const struct request *r)
{
	const char *site = http_header(r, "Sec-Fetch-Site"), *origin = http_header(r, "Origin");

	if (site)
		return strcmp(site, "same-origin") == 0;
	return !origin || guard_origin(origin, http_header(r, "Host")) || guard_origin(origin, http_header(r, "X-Forwarded-Host"));
}

/* In a time that does not depend on where they differ. */
static bool equal(const char *a, const char *b)
{
	size_t n = strlen(a), length = strlen(b);
	unsigned char difference = n != length;

	for (size_t i = 0; i < n && i < length; i++)
		difference |= (unsigned char)(a[i] ^ b[i]);
	return difference == 0;
}

bool guard_write(struct request *r, const char *token)
{
	const char *type = http_header(r, "Content-Type"), *given = http_header(r, "X-Reeve-Token");

	if (!guard_read(r))
		return false;
	if (!same_origin(r))
		refuse(r, "this request comes from another site's page");
	else if (!type || strncasecmp(type, "application/json", 16) != 0)
		refuse(r, "the body must be application/json");
	else if (!given || !equal(given, token))
		refuse(r, "the token is missing or not today's: load the page again");
	else
		return true;
	return false;
}
