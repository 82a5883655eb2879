/* See expand.h. */
#include "expand.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "strv.h"
#include "memory.h"

struct value {
	const char *text;
	bool is_number;
	long long number;
};

static bool lookup(const struct scope *s, const char *name, size_t n, struct value *ret)
{
	const struct {
		const char *name, *text;
	} words[] = { { "here", s->here }, { "host_node_name", s->host_node_name }, { "program_name", s->program_name },
		      { "group_name", s->group_name } };

	*ret = (struct value){ 0 };
	if (n > 4 && strncmp(name, "ENV_", 4) == 0) {
		ret->text = environment_get(s->own, name + 4, n - 4);
		if (!ret->text)
			ret->text = environment_get(s->added, name + 4, n - 4);
		if (!ret->text)
			ret->text = environment_get(s->environment, name + 4, n - 4);
		return ret->text != NULL;
	}
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (words[i].text && strlen(words[i].name) == n && strncmp(words[i].name, name, n) == 0) {
			ret->text = words[i].text;
			return true;
		}
	ret->is_number = true;
	if (s->numbered && n == 11 && strncmp(name, "process_num", n) == 0) {
		ret->number = s->process_num;
		return true;
	}
	if (s->numbered && n == 8 && strncmp(name, "numprocs", n) == 0) {
		ret->number = s->numprocs;
		return true;
	}
	return false;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_environment(char ***names, char *const *environment)
{
	for (size_t i = 0; environment && environment[i]; i++) {
		char *name;

		if (asprintf(&name, "ENV_%.*s", (int)strcspn(environment[i], "="), environment[i]) >= 0)
			(void)strv_push(names, name);
	}
}

static void available(const struct scope *s, struct text *t)
{
	const char *words[] = { s->here ? "here" : NULL, s->host_node_name ? "host_node_name" : NULL,
				s->program_name ? "program_name" : NULL, s->group_name ? "group_name" : NULL,
				s->numbered ? "process_num" : NULL, s->numbered ? "numprocs" : NULL };
	char **names = NULL;

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (words[i])
			(void)strv_push(&names, strdup(words[i]));
	add_environment(&names, s->environment);
	add_environment(&names, s->added);
	add_environment(&names, s->own);
	if (names)
		qsort(names, strv_length(names), sizeof *names, compare_names);
	for (size_t i = 0; names && names[i]; i++)
		if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
			text_printf(t, "%s%s", t->length ? ", " : "", names[i]);
	strv_free(names);
}

static char *unknown_name(const char *text, const char *name, size_t n, const struct scope *s, const char *label,
			  struct error *err)
{
	struct text list = { 0 };

	available(s, &list);
	(void)error_set(err, ENOENT, "Format string '%.120s' for '%s' contains names ('%.*s') which cannot be expanded. Available names: %s",
			text, label, (int)n, name, list.data ? list.data : "");
	free(list.data);
	return NULL;
}

static char *malformed(const char *text, const char *label, const char *detail, struct error *err)
{
	(void)error_set(err, EINVAL, "Format string '%.200s' for '%s' is badly formatted: %s", text, label, detail);
	return NULL;
}

/* What stands between %(name) and the type: "-05.3". */
struct form {
	char flags[8];
	int width, precision;		/* precision -1: none */
};

enum { FORM_MAX = 4000 };		/* characters that one conversion may ask for */

static const char *parse_number(const char *p, int *ret)
{
	for (*ret = 0; *p >= '0' && *p <= '9'; p++)
		*ret = *ret > FORM_MAX ? *ret : *ret * 10 + (*p - '0');
	return p;
}

/* The type's letter, or NULL: more is asked for than makes sense. */
static const char *parse_form(const char *p, struct form *ret)
{
	size_t n = 0;

	*ret = (struct form){ .precision = -1 };
	for (; *p && strchr("#0- +", *p); p++)
		if (!strchr(ret->flags, *p))
			ret->flags[n++] = *p;
	p = parse_number(p, &ret->width);
	if (*p == '.')
		p = parse_number(p + 1, &ret->precision);
	if (*p == 'h' || *p == 'l' || *p == 'L')
		p++;
	return ret->width > FORM_MAX || ret->precision > FORM_MAX ? NULL : p;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void convert_text(struct text *out, const char *text, const struct form *f)
{
	text_printf(out, strchr(f->flags, '-') ? "%-*.*s" : "%*.*s", f->width, f->precision, text);
}

static void convert_number(struct text *out, long long number, const struct form *f, char type)
{
	const char *prefix = type == 'o' && strchr(f->flags, '#') ? "0o" : "";
	char flags[8], format[24];
	size_t n = 0;

	/* Python writes 0o14 where C writes 014. */
	for (const char *p = f->flags; *p; p++)
		if (*p != '#' || type != 'o')
			flags[n++] = *p;
	flags[n] = '\0';
	text_puts(out, prefix);
	if (strchr("diuoxX", type)) {
		(void)snprintf(format, sizeof format, "%%%s*.*ll%c", flags, type == 'u' ? 'd' : type);
		text_printf(out, format, f->width, f->precision, number);
	} else {
		(void)snprintf(format, sizeof format, "%%%s*.*%c", flags, type);
		text_printf(out, format, f->width, f->precision, (double)number);
	}
}
#pragma GCC diagnostic pop

/* False: the type does not fit the value. */
static bool convert(struct text *out, const struct value *v, const struct form *f, char type)
{
	char short_text[24];

	if (type && strchr("sra", type)) {
		_cleanup_(freep) char *quoted = NULL;
		struct text t = { 0 };

		(void)snprintf(short_text, sizeof short_text, "%lld", v->number);
		if (type != 's' && !v->is_number) {
			text_repr(&t, v->text, strlen(v->text));
			quoted = text_take(&t);
		}
		convert_text(out, v->is_number ? short_text : quoted ? quoted : v->text, f);
	} else if (!v->is_number || !type) {
		return false;
	} else if (strchr("diuoxXeEfFgG", type)) {
		convert_number(out, v->number, f, type);
	} else if (type == 'c' && v->number > 0 && v->number < 128) {
		(void)snprintf(short_text, sizeof short_text, "%c", (char)v->number);
		convert_text(out, short_text, f);
	} else {
		return false;
	}
	return true;
}

/* The parenthesis that closes a name; names may hold pairs of them. */
static const char *end_of_name(const char *p)
{
	for (int depth = 1; *p; p++) {
		depth += (*p == '(') - (*p == ')');
		if (depth == 0)
			return p;
	}
	return NULL;
}

char *expand(const char *text, const struct scope *scope, const char *label, struct error *err)
{
	struct text out = { 0 };
	const char *p = text, *percent;
	char *ret = NULL;

	while ((percent = strchr(p, '%'))) {
		const char *name, *close;
		struct value v;
		struct form form;

		text_add(&out, p, (size_t)(percent - p));
		if (percent[1] == '%') {
			text_puts(&out, "%");
			p = percent + 2;
			continue;
		}
		if (percent[1] == '\0') {
			ret = malformed(text, label, "incomplete format", err);
			goto fail;
		}
		if (percent[1] != '(') {
			ret = malformed(text, label, "a '%' that does not begin %(name)s", err);
			goto fail;
		}
		name = percent + 2;
		close = end_of_name(name);
		if (!close) {
			ret = malformed(text, label, "incomplete format key", err);
			goto fail;
		}
		if (!lookup(scope, name, (size_t)(close - name), &v)) {
			ret = unknown_name(text, name, (size_t)(close - name), scope, label, err);
			goto fail;
		}
		p = parse_form(close + 1, &form);
		if (!p || !convert(&out, &v, &form, *p)) {
			ret = malformed(text, label, !p || *p ? "unsupported format character" : "incomplete format", err);
			if (err)
				err->code = EDOM;
			goto fail;
		}
		p++;
	}
	text_puts(&out, p);
	ret = text_take(&out);
	if (!ret)
		(void)error_set(err, ENOMEM, "out of memory");
	return ret;
fail:
	free(out.data);
	return ret;
}
