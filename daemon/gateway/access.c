/* See web.h: which requests a browser may have been tricked into. */
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "guard.h"
#include "web.h"

static void refuse(struct request *r, const char *why)
{
	http_answer_json(r, 403, json_pack("{s:s}", "error", why));
}

bool access_read(struct request *r)
{
	const char *host = http_header(r, "Host");
	char own_name[256] = "";

	(void)gethostname(own_name, sizeof own_name - 1);
	if (r->authenticated || !host || guard_host(host, own_name))
		return true;
	refuse(r, "this name is not known to be this machine's: use its address or localhost, or set a password");
	return false;
}

bool access_plain(struct request *r)
{
	const char *agent = http_header(r, "User-Agent");

	return !agent || strncmp(agent, "Mozilla/", 8) != 0 || access_read(r);
}

static bool same_origin(const struct request *r)
{
	const char *site = http_header(r, "Sec-Fetch-Site"), *origin = http_header(r, "Origin");

	if (site)
		return strcmp(site, "same-origin") == 0;
	return !origin || guard_origin(origin, http_header(r, "Host")) || guard_origin(origin, http_header(r, "X-Forwarded-Host"));
}

bool access_write(struct request *r, const char *token)
{
	const char *type = http_header(r, "Content-Type"), *given = http_header(r, "X-Reeve-Token");

	if (!access_read(r))
		return false;
	if (!same_origin(r))
		refuse(r, "this request comes from another site's page");
	else if (!type || strncasecmp(type, "application/json", 16) != 0)
		refuse(r, "the body must be application/json");
	else if (!given || !guard_equal(given, token))
		refuse(r, "the token is missing or not today's: load the page again");
	else
		return true;
	return false;
}
