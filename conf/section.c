/* See section.h. */
#include "section.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "expand.h"
#include "value.h"
#include "memory.h"

bool parser_starved(const struct parser *p)
{
	return memory_failures != p->failures;
}

struct reading section_reading(struct parser *p, struct ini_section *s)
{
	struct reading r = { .p = p, .section = s, .scope = p->base };

	return r;
}

/* ---- errors ---- */

void section_error(struct reading *r, const struct ini_key *k, const char *key, const char *hint, const char *text)
{
	diagnostic_add(&r->p->config->diagnostics, DIAGNOSTIC_ERROR, k ? k->file : r->section->file, k ? k->line : r->section->line,
		       r->section->name, key, "%s%s%s", text, hint ? "; " : "", hint ? hint : "");
	if (!r->first_error)
		r->first_error = strdup(text);
	if (r->p->config->first_error)
		return;
	if (!r->of_program)
		r->p->config->first_error = strdup(text);
	else if (asprintf(&r->p->config->first_error, "%s in section '%s' (file: '%s')", text, r->section->name, r->section->file) < 0)
		r->p->config->first_error = NULL;
}

void section_warn(struct reading *r, const struct ini_key *k, const char *key, const char *text)
{
	diagnostic_add(&r->p->config->diagnostics, DIAGNOSTIC_WARNING, k ? k->file : r->section->file,
		       k ? k->line : r->section->line, r->section->name, key, "%s", text);
}

/* ---- one key ---- */

const char *section_expansion_hint(int error, int times)
{
	if (error == ENOENT)
		return NULL;		/* the message lists what there is */
	if (error == EDOM)
		return "end the name with a letter that fits: s for text, d for a number, as in %(process_num)02d";
	return times == 1 ? "write a percent sign as %%" : "write a percent sign as %%%%, because this key is expanded twice";
}

/* The expanded value of KEY (malloc'd), or NULL: not given, or an error (which is told). TIMES: how often it is expanded. */
static char *get_expanded(struct reading *r, const char *key, int times, struct ini_key **ret_key)
{
	struct ini_key *k = ini_key(&r->p->ini, r->section, key);
	char label[300], *value;

	if (ret_key)
		*ret_key = k;
	if (!k || !k->value)
		return NULL;
	(void)snprintf(label, sizeof label, "%s.%s", r->section->name, key);
	value = strdup(k->value);
	for (int i = 0; i < times && value; i++) {
		struct error err;
		char *again = expand(value, &r->scope, label, &err);

		free(value);
		value = again;
		if (!value)
			section_error(r, k, key, section_expansion_hint(err.code, times), err.text);
	}
	return value;
}

char *section_get(struct reading *r, const char *key, struct ini_key **ret_key)
{
	return get_expanded(r, key, 1, ret_key);
}

void section_read_key(struct reading *r, const struct key *key, void *base, int times)
{
	struct ini_key *k;
	struct error err;
	_cleanup_(freep) char *value = get_expanded(r, key->name, times, &k);

	if (value && key_set(key, base, value, &err) < 0)
		section_error(r, k, key->name, key_type_hint(key->type), err.text);
}

void section_read(struct reading *r, const struct key *table, void *base)
{
	for (const struct key *k = table; k->name; k++)
		if (k->type != KEY_OTHER)
			section_read_key(r, k, base, 1);
}

/* ---- names ---- */

bool section_check_name(struct reading *r, const char *key, const char *name)
{
	const char *bad = name ? strpbrk(name, " :/") : NULL;
	struct reading plain = { .p = r->p, .section = r->section };
	char text[400];

	if (!bad)
		return true;
	(void)snprintf(text, sizeof text, "Invalid name: '%.200s' because of character: '%c'", name, *bad);
	section_error(key ? r : &plain, NULL, key, "leave it out of the name", text);	/* a section's name is told without its place */
	if (!r->first_error)
		r->first_error = TAKE(plain.first_error);
	free(plain.first_error);
	return false;
}

char *section_own_name(const char *section)
{
	const char *name = strchr(section, ':') + 1;
	size_t n;

	while (isspace((unsigned char)*name))
		name++;
	n = strlen(name);
	while (n && isspace((unsigned char)name[n - 1]))
		n--;
	return strndup(name, n);
}
