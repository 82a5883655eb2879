/* SHA-1 (FIPS 180-4): only for the passwords that supervisord's configurations hold in this form. */
#ifndef REEVE_GATEWAY_SHA1_H
#define REEVE_GATEWAY_SHA1_H

#include <stddef.h>

enum { SHA1_HEX = 41 };

/* The digest of DATA as lower-case hex, with its NUL. */
void sha1_hex(const void *data, size_t length, char hex[SHA1_HEX]);

#endif
