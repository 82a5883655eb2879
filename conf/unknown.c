/* See read.h. Sections and keys that nobody knows, and what was probably meant. Also lines that look like keys but belong to the value above. */
#include <ctype.h>
#include <limits.h>
#include <string.h>

#include "read.h"
#include "memory.h"

static unsigned distance(const char *a, const char *b)
{
	unsigned row[64], n = (unsigned)strlen(b);

	if (n >= ARRAY_LEN(row) || strlen(a) >= ARRAY_LEN(row))
		return UINT_MAX;
	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 1; a[i - 1]; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= n; j++) {
			unsigned best = diagonal + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[n];
}

void consider_name(const char *wanted, const char *candidate, const char **best, unsigned *best_distance)
{
	unsigned d = distance(wanted, candidate);

	if (d < *best_distance) {
		*best = candidate;
		*best_distance = d;
	}
}

static void warn_unknown_key(struct reading *r, const struct section_kind *kind, const struct ini_key *k)
{
	const char *best = NULL;
	unsigned d = 3;
	char text[300];

	for (const struct key *const *table = kind->tables; *table; table++)
		for (const struct key *known = *table; known->name; known++)
			consider_name(k->name, known->name, &best, &d);
	(void)snprintf(text, sizeof text, "unknown key, ignored%s%s%s", best ? "; did you mean " : "", best ? best : "",
		       best ? "?" : "");
	section_warn(r, k, k->name, text);
}

static const struct section_kind *kind_of(const char *name)
{
	size_t n = strcspn(name, ":");

	for (const struct section_kind *k = section_kinds; k->name; k++) {
		bool server = strstr(k->name, "_http_server") != NULL;

		if (strncmp(k->name, name, strlen(k->name)) != 0)
			continue;
		if (server || (k->named && strlen(k->name) == n && name[n] == ':') || (!k->named && strcmp(k->name, name) == 0))
			return k;
	}
	return NULL;
}

static void warn_unknown_section(struct parser *p, struct ini_section *s)
{
	struct reading r = { .p = p, .section = s };
	size_t n = strcspn(s->name, ":");
	char head[64], text[300];
	const char *best = NULL;
	unsigned d = 4;

	if (strcmp(s->name, "DEFAULT") == 0)
		return;
	if (strncmp(s->name, "ctlplugin:", 10) == 0) {
		section_warn(&r, NULL, NULL, "a Python plug-in of supervisorctl, which is not loaded here: its commands do not exist");
		return;
	}
	(void)snprintf(head, sizeof head, "%.*s", (int)n, s->name);
	for (const struct section_kind *k = section_kinds; k->name; k++)
		consider_name(head, k->name, &best, &d);
	(void)snprintf(text, sizeof text, "unknown section, ignored%s%s%s%s", best ? "; did you mean [" : "", best ? best : "",
		       best && s->name[n] ? s->name + n : "", best ? "]?" : "");
	section_warn(&r, NULL, NULL, text);
}

/* A line of a value that looks like a key of its section: indented by mistake. */
static void warn_swallowed(struct reading *r, const struct section_kind *kind, const struct ini_key *k)
{
	const struct key *row = key_find(kind, k->name);
	const char *line = row && row->type == KEY_ENVIRONMENT ? NULL : strchr(k->value, '\n');

	for (; line; line = strchr(line, '\n')) {
		size_t n = strcspn(++line, " \t=:\n");
		const char *after = line + n + strspn(line + n, " \t");
		char name[64], text[300];

		(void)snprintf(name, sizeof name, "%.*s", (int)n, line);
		if (*after != '=' || !key_find(kind, name))
			continue;
		(void)snprintf(text, sizeof text, "the line \"%.*s\" is indented deeper than this key, so it belongs to the value; indent it less",
			       (int)strcspn(line, "\n") > 60 ? 60 : (int)strcspn(line, "\n"), line);
		section_warn(r, k, k->name, text);
	}
}

void warn_unknown(struct parser *p)
{
	for (size_t i = 0; i < p->ini.n_sections; i++) {
		struct ini_section *s = &p->ini.sections[i];
		const struct section_kind *kind = kind_of(s->name);
		struct reading r = { .p = p, .section = s };

		if (!kind) {
			warn_unknown_section(p, s);
			continue;
		}
		for (size_t k = 0; k < s->n_keys; k++) {
			warn_swallowed(&r, kind, &s->keys[k]);
			if (!key_find(kind, s->keys[k].name) && strcmp(kind->name, "rpcinterface") != 0)
				warn_unknown_key(&r, kind, &s->keys[k]);
		}
	}
}
