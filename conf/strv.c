/* See strv.h. */
#include "strv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "memory.h"

unsigned memory_failures;

size_t strv_length(char *const *v)
{
	size_t n = 0;

	while (v && v[n])
		n++;
	return n;
}

int strv_push(char ***v, char *text)
{
	size_t n = strv_length(*v);
	char **list = text ? realloc(*v, (n + 2) * sizeof *list) : NULL;

	if (!list) {
		free(text);
		return -ENOMEM;
	}
	list[n] = text;
	list[n + 1] = NULL;
	*v = list;
	return 0;
}

int strv_append(char ***v, size_t *n, char *text)
{
	bool full = !(*n & (*n + 1));	/* room for one less than the next power of two, and the NULL */
	char **list = !text ? NULL : full ? realloc(*v, (2 * *n + 3) * sizeof *list) : *v;

	if (!list) {
		free(text);
		return -ENOMEM;
	}
	list[(*n)++] = text;
	list[*n] = NULL;
	*v = list;
	return 0;
}

void strv_free(char **words)
{
	for (size_t i = 0; words && words[i]; i++)
		free(words[i]);
	free(words);
}

bool strv_equal(char *const *a, char *const *b)
{
	size_t n = strv_length(a);

	if (n != strv_length(b))
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(a[i], b[i]) != 0)
			return false;
	return true;
}

bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

int environment_set(char ***v, char *entry)
{
	size_t n = entry ? strcspn(entry, "=") + 1 : 0;

	for (size_t i = 0; entry && *v && (*v)[i]; i++)
		if (strncmp((*v)[i], entry, n) == 0) {
			free((*v)[i]);
			(*v)[i] = entry;
			return 0;
		}
	return strv_push(v, entry);
}

const char *environment_get(char *const *v, const char *name, size_t length)
{
	for (size_t i = 0; v && v[i]; i++)
		if (strncmp(v[i], name, length) == 0 && v[i][length] == '=')
			return v[i] + length + 1;
	return NULL;
}

void text_add(struct text *t, const char *data, size_t length)
{
	if (t->failed)
		return;
	if (t->length + length + 1 > t->size) {
		size_t size = t->size ? t->size : 64;
		char *grown;

		while (size < t->length + length + 1)
			size *= 2;
		grown = realloc(t->data, size);
		if (!grown) {
			t->failed = true;
			return;
		}
		t->data = grown;
		t->size = size;
	}
	if (length)
		memcpy(t->data + t->length, data, length);
	t->length += length;
	t->data[t->length] = '\0';
}

void text_puts(struct text *t, const char *string)
{
	text_add(t, string, strlen(string));
}

void text_printf(struct text *t, const char *format, ...)
{
	char *line = NULL;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vasprintf(&line, format, ap);
	va_end(ap);
	if (n < 0)
		t->failed = true;
	else
		text_add(t, line, (size_t)n);
	free(n < 0 ? NULL : line);
}

void text_repr(struct text *t, const char *data, size_t length)
{
	static const char escaped[] = "\\\n\r\t", letters[] = "\\nrt";
	char quote = memchr(data, '\'', length) && !memchr(data, '"', length) ? '"' : '\'';

	text_add(t, &quote, 1);
	for (size_t i = 0; i < length; i++) {
		const char *known = data[i] ? strchr(escaped, data[i]) : NULL;

		if (known)
			text_printf(t, "\\%c", letters[known - escaped]);
		else if (data[i] == quote)
			text_printf(t, "\\%c", quote);
		else if ((unsigned char)data[i] < 0x20 || data[i] == 0x7f)
			text_printf(t, "\\x%02x", (unsigned char)data[i]);
		else
			text_add(t, data + i, 1);
	}
	text_add(t, &quote, 1);
}

char *text_take(struct text *t)
{
	char *data = t->data;

	if (t->failed) {
		free(data);
		data = NULL;
	} else if (!data) {
		data = strdup("");
	}
	*t = (struct text){ 0 };
	return data;
}
