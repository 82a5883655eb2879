/* Names in requests: which of them no other site can have put there. Pure. */
#ifndef REEVE_GATEWAY_GUARD_H
#define REEVE_GATEWAY_GUARD_H

#include <stdbool.h>

/* Is HOST (with or without port) an address, "localhost" or OWN_NAME: something that no foreign name server can give? */
bool guard_host(const char *host, const char *own_name);
/* Is ORIGIN ("https://name:port") the page of HOST ("name:port")? HOST may be NULL. */
bool guard_origin(const char *origin, const char *host);
/* Are A and B equal? In a time that does not depend on where they differ. */
bool guard_equal(const char *a, const char *b);

#endif
