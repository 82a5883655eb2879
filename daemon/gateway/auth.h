/* HTTP basic authentication as supervisord has it: plain passwords, or "{SHA}" and the lower-case hex of SHA-1. Pure. */
#ifndef REEVE_GATEWAY_AUTH_H
#define REEVE_GATEWAY_AUTH_H

#include <stdbool.h>
#include <stddef.h>

enum auth_verdict {
	AUTH_RIGHT,
	AUTH_MISSING,			/* no credentials, or another scheme */
	AUTH_WRONG,
	AUTH_MALFORMED,			/* not base64 */
};

/* HEADER: the value of Authorization, or NULL. Takes the same time wherever a wrong name or password differs. */
enum auth_verdict auth_check(const char *header, const char *username, const char *password);

#endif
