/* NULL-terminated vectors of owned strings, and a string that grows. */
#ifndef REEVE_CONF_STRV_H
#define REEVE_CONF_STRV_H

#include <stdbool.h>
#include <stddef.h>

/* Append TEXT (taken, also on failure; NULL counts as a failure). 0 or -ENOMEM. */
int strv_push(char ***v, char *text);
/* The same for a list that only this function makes, of *N words (a list of none is NULL or of one NULL): in time that does not grow with it. */
int strv_append(char ***v, size_t *n, char *text);
size_t strv_length(char *const *v);
bool strv_equal(char *const *a, char *const *b);
/* Either may be NULL, which equals nothing else. */
bool same_text(const char *a, const char *b);
/* Set the "K=V" ENTRY (taken), replacing one of the same name. 0 or -ENOMEM. */
int environment_set(char ***v, char *entry);
/* The value of NAME (of LENGTH bytes) or NULL. */
const char *environment_get(char *const *v, const char *name, size_t length);

struct text {
	char *data;			/* owned, NUL-terminated once anything was added */
	size_t length, size;
	bool failed;			/* out of memory: what follows is dropped */
};

void text_add(struct text *t, const char *data, size_t length);
void text_puts(struct text *t, const char *string);
void text_printf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* DATA as Python's repr shows a string: quoted, with control characters escaped. */
void text_repr(struct text *t, const char *data, size_t length);
/* The string, now the caller's (NULL when it failed); T is empty afterwards. */
char *text_take(struct text *t);

#endif
