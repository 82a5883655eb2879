/* strip_ansi: removal of terminal sequences, ESC [ up to one of the letters that end them. */
#ifndef REEVE_LOGGER_ANSI_H
#define REEVE_LOGGER_ANSI_H

#include <stddef.h>

/* Copy DATA without sequences to OUT, which has room for LENGTH bytes and may be DATA. Returns the bytes written. An
   unfinished sequence at the end is left out. */
size_t ansi_strip(const char *data, size_t length, char *out);
/* Bytes at the end of DATA that may be the beginning of a sequence; 0: none. */
size_t ansi_unfinished(const char *data, size_t length);

#endif
