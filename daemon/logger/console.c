/* See console.h. */
#include "console.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"

enum console_format console_format_of(const char *name)
{
	static const char *const names[] = {
		[CONSOLE_RAW] = "raw", [CONSOLE_PREFIX] = "prefix", [CONSOLE_JSON] = "json"
	};

	for (size_t i = CONSOLE_RAW; name && i < ARRAY_LEN(names); i++)
		if (strcmp(name, names[i]) == 0)
			return (enum console_format)i;
	return CONSOLE_NONE;
}

/* Length of the valid UTF-8 sequence at TEXT; 0: not valid. */
static size_t utf8_length(const unsigned char *text, size_t left)
{
	size_t n = text[0] < 0x80		       ? 1
		   : text[0] >= 0xc2 && text[0] < 0xe0 ? 2
		   : (text[0] & 0xf0) == 0xe0	       ? 3
		   : text[0] >= 0xf0 && text[0] < 0xf5 ? 4
						       : 0;

	if (!n || n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] >= 0xa0) ||
	    (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] >= 0x90))
		return 0;
	return n;
}

/* TEXT as the inside of a JSON string; bytes that are no text become U+FFFD. */
static void put_json(FILE *out, const char *text, size_t length)
{
	for (size_t i = 0; i < length;) {
		const unsigned char *at = (const unsigned char *)text + i;
		size_t n = utf8_length(at, length - i);

		if (!n)
			(void)fputs("\\ufffd", out);
		else if (*at == '"' || *at == '\\')
			(void)fprintf(out, "\\%c", *at);
		else if (*at < 0x20 || *at == 0x7f)
			(void)fprintf(out, "\\u%04x", *at);
		else
			(void)fwrite(at, 1, n, out);
		i += n ? n : 1;
	}
}

static void put_line_json(FILE *out, const struct console_line *line)
{
	time_t seconds = (time_t)line->time;
	char when[32];
	struct tm tm;

	(void)gmtime_r(&seconds, &tm);
	(void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)fprintf(out, "{\"time\":\"%s.%03dZ\",\"process\":\"", when, (int)((line->time - (double)seconds) * 1000));
	put_json(out, line->process, strlen(line->process));
	(void)fprintf(out, "\",\"channel\":\"%s\",\"text\":\"", line->channel);
	put_json(out, line->text, line->length);
	(void)fputs(line->partial ? "\",\"partial\":true}\n" : "\"}\n", out);
}

char *console_line(enum console_format format, const struct console_line *line, size_t *ret_length)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_length);

	if (!out)
		return NULL;
	if (format == CONSOLE_JSON) {
		put_line_json(out, line);
	} else {
		if (format == CONSOLE_PREFIX)
			(void)fprintf(out, "%s | ", line->process);
		(void)fwrite(line->text, 1, line->length, out);
		(void)fputc('\n', out);
	}
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
