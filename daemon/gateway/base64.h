/* Base64 to bytes, for passwords, XML-RPC, and the logger's replies. */
#ifndef REEVE_GATEWAY_BASE64_H
#define REEVE_GATEWAY_BASE64_H

#include <stddef.h>

/* Decode TEXT (blanks are skipped) into BUFFER of SIZE bytes; LENGTH / 4 * 3 + 3 is always enough. The length, or -1: malformed or too long. */
long base64_decode(const char *text, size_t length, unsigned char *buffer, size_t size);

#endif
