/* See routes.h. */
#include "routes.h"

#include <string.h>

#include "base/base.h"
#include "logtail.h"
#include "rpc.h"
#include "web.h"

static void answer_ok(struct request *r)
{
	http_answer_static(r, 200, "text/plain;charset=utf-8", "OK", 2);
}

static const struct route routes[] = {
	{ NULL, "/RPC2", ROUTE_PREFIX, ROUTE_PASSWORD, rpc_handle },
	{ NULL, "/logtail", ROUTE_BELOW, ROUTE_PASSWORD, logtail_handle },
	{ NULL, "/mainlogtail", ROUTE_PREFIX, ROUTE_PASSWORD, mainlogtail_handle },
	{ "GET", "/ok.html", ROUTE_EXACT, ROUTE_PASSWORD, answer_ok },
	{ "GET", "/", ROUTE_EXACT, ROUTE_PASSWORD, page_file },
	{ "GET", "/index.html", ROUTE_EXACT, ROUTE_PASSWORD, page_file },
	{ "GET", "/tail.html", ROUTE_EXACT, ROUTE_PASSWORD, classic_tail },
	{ "GET", "/web", ROUTE_BELOW, ROUTE_PASSWORD, page_file },
	{ "GET", "/api/state", ROUTE_EXACT, ROUTE_PASSWORD, api_state },
	{ "GET", "/api/events", ROUTE_EXACT, ROUTE_PASSWORD, api_events },
	{ "GET", "/api/history", ROUTE_EXACT, ROUTE_PASSWORD, api_history },
	{ "GET", "/api/why", ROUTE_BELOW, ROUTE_PASSWORD, api_why },
	{ "GET", "/api/plan", ROUTE_EXACT, ROUTE_PASSWORD, api_plan },
	{ "GET", "/api/log", ROUTE_BELOW, ROUTE_PASSWORD, api_log },
	{ "POST", "/api", ROUTE_BELOW, ROUTE_PASSWORD, api_act },
	{ "GET", "/metrics", ROUTE_EXACT, ROUTE_PASSWORD, metrics_run },
	{ "GET", "/healthz", ROUTE_EXACT, ROUTE_OPEN, probe_health },
	{ "GET", "/readyz", ROUTE_EXACT, ROUTE_OPEN, probe_ready },
};

static bool matches(const struct route *route, const char *path)
{
	size_t n = strlen(route->path);

	switch (route->match) {
	case ROUTE_EXACT:
		return strcmp(path, route->path) == 0;
	case ROUTE_PREFIX:
		return strncmp(path, route->path, n) == 0;
	case ROUTE_BELOW:
		return strncmp(path, route->path, n) == 0 && (!path[n] || path[n] == '/');
	}
	return false;
}

const struct route *route_find(const char *method, const char *path, bool *ret_other)
{
	*ret_other = false;
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		if (!matches(&routes[i], path))
			continue;
		if (!routes[i].method || strcmp(routes[i].method, method) == 0)
			return &routes[i];
		*ret_other = true;
	}
	return NULL;
}
