/* See auth.h. */
#include "auth.h"

#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "base/base64.h"
#include "sha1.h"

enum { CREDENTIALS_MAX = 4096 };	/* bytes of the header */

/* Every byte of GIVEN is looked at, whatever the result. */
static bool equal(const char *given, size_t length, const char *expected)
{
	size_t n = strlen(expected);
	unsigned char differs = length != n;

	for (size_t i = 0; i < length; i++)
		differs |= (unsigned char)(given[i] ^ (n ? expected[i % n] : 1));
	return !differs;
}

static bool password_equal(const char *given, size_t length, const char *expected)
{
	char hex[SHA1_HEX];

	if (strncmp(expected, "{SHA}", 5) != 0)
		return equal(given, length, expected);
	sha1_hex(given, length, hex);
	return equal(hex, strlen(hex), expected + 5);
}

enum auth_verdict auth_check(const char *header, const char *username, const char *password)
{
	_cleanup_(freep) char *text = NULL;
	const char *colon;
	bool name_right, password_right;
	size_t length, n;

	if (!header || strncasecmp(header, "Basic ", 6) != 0)
		return AUTH_MISSING;
	text = strlen(header) > CREDENTIALS_MAX ? NULL : base64_decode(header + 6, &n);
	if (!text)
		return AUTH_MALFORMED;
	colon = memchr(text, ':', n);
	length = colon ? (size_t)(colon - text) : n;
	name_right = equal(text, length, username);
	password_right = colon ? password_equal(colon + 1, n - length - 1, password) : password_equal("", 0, password);
	return (name_right & password_right) ? AUTH_RIGHT : AUTH_WRONG;
}
