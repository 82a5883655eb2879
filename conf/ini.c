/* See ini.h. */
#include "ini.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdarg.h>
#include <string.h>

#include "strv.h"
#include "memory.h"

struct reader {
	struct ini *ini;
	const char *file, *here;
	struct diagnostics *diagnostics;
	struct ini_section *section;	/* the present one, or NULL */
	size_t key;			/* its present key, or SIZE_MAX */
	struct text value;		/* of that key, as far as it has been read */
	size_t blank_lines;		/* that will belong to it if another line follows */
	char quote;			/* that this value left open so far, or 0 */
	long indent;			/* of the line that began the present key */
	const char *line;		/* being read, for messages */
	size_t line_length;
	bool line_ends;			/* false: the last one, without its newline */
	struct text bad;		/* lines without delimiter, as supervisord lists them */
	struct error *err;
};

/* ---- diagnostics ---- */

/* The names that are available may differ. */
static bool same_message(const char *a, const char *b)
{
	const char *names = strstr(a, " Available names: ");

	return names ? strncmp(a, b, (size_t)(names - a)) == 0 : strcmp(a, b) == 0;
}

/* The same about the same place: a key that is read for the group and for its processes. */
static bool already_told(const struct diagnostics *d, const char *file, int line, const char *key, const char *text)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->list[i].line == line && same_text(d->list[i].file, file) && same_text(d->list[i].key, key) && text &&
		    d->list[i].text && same_message(d->list[i].text, text))
			return true;
	return false;
}

void diagnostic_add(struct diagnostics *d, enum severity severity, const char *file, int line, const char *section,
		    const char *key, const char *format, ...)
{
	struct diagnostic *list;
	char *text;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	d->n_errors += severity == DIAGNOSTIC_ERROR;
	list = already_told(d, file, line, key, text) ? NULL : realloc(d->list, (d->n + 1) * sizeof *list);
	if (!list) {
		free(text);
		return;
	}
	d->list = list;
	list[d->n++] = (struct diagnostic){ severity, file ? strdup(file) : NULL, line, section ? strdup(section) : NULL,
					    key ? strdup(key) : NULL, text };
}

void diagnostics_free(struct diagnostics *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->list[i].file);
		free(d->list[i].section);
		free(d->list[i].key);
		free(d->list[i].text);
	}
	free(d->list);
	*d = (struct diagnostics){ 0 };
}

void diagnostic_print(const struct diagnostic *d, FILE *out)
{
	(void)fprintf(out, "%s:", d->file ? d->file : "(command line)");
	if (d->line)
		(void)fprintf(out, "%d:", d->line);
	if (d->section)
		(void)fprintf(out, " [%s]", d->section);
	if (d->key)
		(void)fprintf(out, " %s:", d->key);
	(void)fprintf(out, " %s%s", d->severity == DIAGNOSTIC_WARNING ? "warning: " : "", d->text ? d->text : "out of memory");
}

/* ---- lookup ---- */

struct ini_section *ini_section(const struct ini *ini, const char *name)
{
	for (size_t i = 0; i < ini->n_sections; i++)
		if (strcmp(ini->sections[i].name, name) == 0)
			return &ini->sections[i];
	return NULL;
}

static struct ini_key *find_key(struct ini_section *s, const char *name)
{
	for (size_t i = 0; s && i < s->n_keys; i++)
		if (strcmp(s->keys[i].name, name) == 0)
			return &s->keys[i];
	return NULL;
}

struct ini_key *ini_key(const struct ini *ini, struct ini_section *section, const char *name)
{
	struct ini_key *k = find_key(section, name);

	if (!k)
		k = find_key(ini_section(ini, "DEFAULT"), name);
	if (k)
		k->used = true;
	return k;
}

/* ---- comments ---- */

/* The quote that is open behind TEXT if OPEN was in front of it; 0: none. */
static char quote_behind(char open, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (open != '\'' && text[i] == '\\' && i + 1 < length)
			i++;
		else if (open && text[i] == open)
			open = 0;
		else if (!open && (text[i] == '"' || text[i] == '\''))
			open = text[i];
	}
	return open;
}

/* Is a mark at I one of a comment? Not inside quotes that the rest of the line closes. OPEN: the quote that the lines before left. */
static bool begins_comment(const char *line, size_t length, size_t i, char open)
{
	if (i > 0 && !isspace((unsigned char)line[i - 1]))
		return false;
	open = quote_behind(open, line, i);
	return !open || !memchr(line + i, open, length - i);
}

static size_t find_from(const char *line, size_t length, char c, size_t from)
{
	const char *at = from < length ? memchr(line + from, c, length - from) : NULL;

	return at ? (size_t)(at - line) : SIZE_MAX;
}

/*
 * Where the inline comment begins, or SIZE_MAX. The two marks are looked for in rounds (first `;` and first `#`, then the second of each,
 * ...), and the first round that has one ends the search: Python's way, which is not quite "the leftmost".
 */
static size_t inline_comment(const char *line, size_t length, char open)
{
	static const char marks[2] = { ';', '#' };
	size_t next[2] = { 0, 0 }, found = SIZE_MAX;

	while (found == SIZE_MAX && (next[0] != SIZE_MAX || next[1] != SIZE_MAX))
		for (int m = 0; m < 2; m++) {
			size_t at = next[m] == SIZE_MAX ? SIZE_MAX : find_from(line, length, marks[m], next[m]);

			next[m] = at == SIZE_MAX ? SIZE_MAX : at + 1;
			if (at != SIZE_MAX && begins_comment(line, length, at, open) && at < found)
				found = at;
		}
	return found;
}

/* ---- building ---- */

static char *replace_here(const char *value, const char *here)
{
	static const char mark[] = "%(here)s";
	struct text t = { 0 };
	const char *at;

	while (here && (at = strstr(value, mark))) {
		text_add(&t, value, (size_t)(at - value));
		text_puts(&t, here);
		value = at + sizeof mark - 1;
	}
	text_puts(&t, value);
	return text_take(&t);
}

static void end_value(struct reader *r)
{
	char *value;

	if (!r->section || r->key == SIZE_MAX)
		return;
	value = text_take(&r->value);
	if (value) {
		free(r->section->keys[r->key].value);
		r->section->keys[r->key].value = replace_here(value, r->here);
	}
	free(value);
	r->blank_lines = 0;
	r->key = SIZE_MAX;
}

static void begin_section(struct reader *r, const char *name, size_t length, int line)
{
	char *copy = strndup(name, length);
	struct ini_section *list;

	end_value(r);
	if (!copy)
		return;
	r->section = ini_section(r->ini, copy);
	if (r->section) {
		free(copy);
		return;
	}
	list = realloc(r->ini->sections, (r->ini->n_sections + 1) * sizeof *list);
	if (!list) {
		free(copy);
		return;
	}
	r->ini->sections = list;
	r->section = &list[r->ini->n_sections++];
	*r->section = (struct ini_section){ .name = copy, .file = r->file, .line = line };
}

static char *lower_copy(const char *text, size_t length)
{
	char *copy = strndup(text, length);

	for (char *p = copy; p && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return copy;
}

static void begin_key(struct reader *r, const char *name, size_t length, int line)
{
	struct ini_section *s = r->section;
	char *copy = lower_copy(name, length);
	struct ini_key *k = copy ? find_key(s, copy) : NULL;

	if (k) {
		bool here = strcmp(k->file, r->file) == 0;

		diagnostic_add(r->diagnostics, DIAGNOSTIC_WARNING, r->file, line, s->name, copy,
			       "given again: this one counts, not the one in %s%s%d", here ? "line " : k->file, here ? "" : ":", k->line);
		free(copy);
	} else {
		struct ini_key *list = copy ? realloc(s->keys, (s->n_keys + 1) * sizeof *list) : NULL;

		if (!list) {
			free(copy);
			return;
		}
		s->keys = list;
		k = &list[s->n_keys++];
		*k = (struct ini_key){ .name = copy };
	}
	k->file = r->file;
	k->line = line;
	r->key = (size_t)(k - s->keys);
}

static void append_value(struct reader *r, const char *value, size_t length, bool first)
{
	if (!first)
		text_puts(&r->value, "\n");
	for (; r->blank_lines; r->blank_lines--)
		text_puts(&r->value, "\n");
	text_add(&r->value, value, length);
	r->quote = quote_behind(first ? 0 : r->quote, value, length);
}

static size_t trimmed(const char *text, size_t length)
{
	while (length && isspace((unsigned char)text[length - 1]))
		length--;
	return length;
}

/* The present line as supervisord's messages show it. */
static void show_line(const struct reader *r, struct text *out)
{
	struct text line = { 0 };

	text_add(&line, r->line, r->line_length);
	if (r->line_ends)
		text_puts(&line, "\n");
	if (line.data)
		text_repr(out, line.data, line.length);
	free(line.data);
}

static void bad_line(struct reader *r, const char *line, size_t length, int number)
{
	text_printf(&r->bad, "\n\t[line %2d]: ", number);
	show_line(r, &r->bad);
	diagnostic_add(r->diagnostics, DIAGNOSTIC_ERROR, r->file, number, r->section->name, NULL,
		       "neither a section nor a key: '%.*s'; write KEY=VALUE, or indent it if it continues the value above",
		       (int)(length > 60 ? 60 : length), line);
}

static void take_key(struct reader *r, const char *text, size_t length, int number)
{
	size_t delimiter = 0, name;

	while (delimiter < length && text[delimiter] != '=' && text[delimiter] != ':')
		delimiter++;
	name = trimmed(text, delimiter < length ? delimiter : 0);
	end_value(r);
	if (delimiter == length || !name) {
		bad_line(r, text, length, number);
		return;
	}
	begin_key(r, text, name, number);
	delimiter++;
	while (delimiter < length && isspace((unsigned char)text[delimiter]))
		delimiter++;
	append_value(r, text + delimiter, length - delimiter, true);
}

static const char *last_bracket(const char *text, size_t length)
{
	while (length > 0 && text[length - 1] != ']')
		length--;
	return length > 2 ? text + length - 1 : NULL;	/* at least one character inside */
}

static bool continues(const struct reader *r, long column)
{
	return r->section && r->key != SIZE_MAX && column > r->indent;
}

/* A line that is neither empty nor a comment, TEXT being trimmed. */
static int take_line(struct reader *r, const char *text, size_t length, long column, int number)
{
	const char *end;

	if (continues(r, column)) {
		append_value(r, text, length, false);
		return 0;
	}
	r->indent = column;
	end = text[0] == '[' ? last_bracket(text, length) : NULL;
	if (end) {
		begin_section(r, text + 1, (size_t)(end - text - 1), number);
		return 0;
	}
	if (!r->section) {
		if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
			diagnostic_add(r->diagnostics, DIAGNOSTIC_ERROR, r->file, number, NULL, NULL,
				       "a byte order mark stands before the text; save the file without it");
		else
			diagnostic_add(r->diagnostics, DIAGNOSTIC_ERROR, r->file, number, NULL, NULL,
				       "text before the first section: '%.*s'; begin with a section such as [supervisord]",
				       (int)(length > 60 ? 60 : length), text);
		show_line(r, &r->bad);
		(void)error_set(r->err, EINVAL, "File contains no section headers.\nfile: '%s', line: %d\n%.300s", r->file, number,
				r->bad.data ? r->bad.data : "");
		return -EINVAL;
	}
	take_key(r, text, length, number);
	return 0;
}

/* A command that was cut. A comment that is set off by more than one blank is likely meant as one. */
static void warn_cut_command(struct reader *r, const char *line, size_t length, size_t cut, int number)
{
	const struct ini_key *k = r->section && r->key != SIZE_MAX ? &r->section->keys[r->key] : NULL;

	if (!k || strcmp(k->name, "command") != 0 || line[cut] != ';' || cut < 2 || line[cut - 1] != ' ' ||
	    isspace((unsigned char)line[cut - 2]) || trimmed(line + cut, length - cut) < 2)
		return;
	diagnostic_add(r->diagnostics, DIAGNOSTIC_WARNING, r->file, number, r->section->name, k->name,
		       "a comment begins here: \"%.*s\" is no part of the command; quote it if it is meant to be", (int)trimmed(line + cut,
		       length - cut > 60 ? 60 : length - cut), line + cut);
}

static int read_line(struct reader *r, const char *line, size_t length, int number)
{
	size_t start = 0, cut, end;
	int result;

	while (start < length && isspace((unsigned char)line[start]))
		start++;
	cut = inline_comment(line, length, continues(r, (long)start) ? r->quote : 0);
	if (start < length && (line[start] == ';' || line[start] == '#'))
		cut = 0;
	end = trimmed(line, cut == SIZE_MAX ? length : cut);
	if (end <= start) {
		/* An empty line may be part of the value; one with a comment is not. */
		if (cut == SIZE_MAX && r->section && r->key != SIZE_MAX)
			r->blank_lines++;
		return 0;
	}
	result = take_line(r, line + start, end - start, (long)start, number);
	if (cut != SIZE_MAX)
		warn_cut_command(r, line, length, cut, number);
	return result;
}

int ini_read(struct ini *ini, const char *text, const char *file, const char *here, struct diagnostics *diagnostics,
	     struct error *err)
{
	struct reader r = { .ini = ini, .file = file, .here = here, .diagnostics = diagnostics, .key = SIZE_MAX, .err = err };
	unsigned failures = memory_failures;
	int result = 0;

	/* A line ends with \n, \r\n or \r. */
	for (int number = 1; *text && result == 0; number++) {
		r.line = text;
		r.line_length = strcspn(text, "\r\n");
		text += r.line_length;
		r.line_ends = *text != '\0';
		result = read_line(&r, r.line, r.line_length, number);
		text += strncmp(text, "\r\n", 2) == 0 ? 2 : r.line_ends;
	}
	end_value(&r);
	free(text_take(&r.value));
	if (result == 0 && r.bad.length)
		result = error_set(err, EINVAL, "Source contains parsing errors: '%s'%s", file, r.bad.data);
	free(r.bad.data);
	return memory_failures == failures ? result : error_set(err, ENOMEM, "out of memory");
}

void ini_free(struct ini *ini)
{
	for (size_t i = 0; i < ini->n_sections; i++) {
		for (size_t k = 0; k < ini->sections[i].n_keys; k++) {
			free(ini->sections[i].keys[k].name);
			free(ini->sections[i].keys[k].value);
		}
		free(ini->sections[i].keys);
		free(ini->sections[i].name);
	}
	free(ini->sections);
	*ini = (struct ini){ 0 };
}
