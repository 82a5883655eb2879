/* See auth.h. */
#include "auth.h"

#include <string.h>
#include <strings.h>

#include "base64.h"
#include "sha1.h"

enum { CREDENTIALS_MAX = 4096 };	/* bytes of "name:password" */

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
	unsigned char bytes[CREDENTIALS_MAX];
	const char *text = (const char *)bytes, *colon;
	bool name_right, password_right;
	size_t length;
	long n;

	if (!header || strncasecmp(header, "Basic ", 6) != 0)
		return AUTH_MISSING;
	n = base64_decode(header + 6, strlen(header + 6), bytes, sizeof bytes);
	if (n < 0)
		return AUTH_MALFORMED;
	colon = memchr(text, ':', (size_t)n);
	length = colon ? (size_t)(colon - text) : (size_t)n;
	name_right = equal(text, length, username);
	password_right = colon ? password_equal(colon + 1, (size_t)n - length - 1, password) : password_equal("", 0, password);
	return (name_right & password_right) ? AUTH_RIGHT : AUTH_WRONG;
}
