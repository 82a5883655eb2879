/* See expand.h. */
#include "expand.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "strv.h"

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
	(void)error_set(err, EINVAL, "Format string '%.120s' for '%s' contains names ('%.*s') which cannot be expanded. Available names: %s",
			text, label, (int)n, name, list.data ? list.data : "");
	free(list.data);
	return NULL;
}

static char *malformed(const char *text, const char *label, const char *detail, struct error *err)
{
	(void)error_set(err, EINVAL, "Format string '%.200s' for '%s' is badly formatted: %s; write a percent sign as %%%%", text, label,
			detail);
	return NULL;
}

/* One conversion: FLAGS as in printf ("-05.3"), TYPE its letter. False: the type does not fit the value. */
static bool convert(struct text *out, const struct value *v, const char *flags, size_t n_flags, char type)
{
	char format[48];

	if (n_flags > 30)
		return false;
	if (strchr("sra", type)) {
		char number[24];

		(void)snprintf(number, sizeof number, "%lld", v->number);
		(void)snprintf(format, sizeof format, "%%%.*ss", (int)n_flags, flags);
		if (type != 's' && !v->is_number) {
			char *quoted;

			if (asprintf(&quoted, "'%s'", v->text) < 0)
				return false;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			text_printf(out, format, quoted);
			free(quoted);
		} else {
			text_printf(out, format, v->is_number ? number : v->text);
		}
		return true;
	}
	if (!v->is_number)
		return false;
	if (strchr("diuoxX", type)) {
		(void)snprintf(format, sizeof format, "%%%.*sll%c", (int)n_flags, flags, type == 'u' ? 'd' : type);
		text_printf(out, format, v->number);
	} else if (strchr("eEfFgG", type)) {
		(void)snprintf(format, sizeof format, "%%%.*s%c", (int)n_flags, flags, type);
		text_printf(out, format, (double)v->number);
#pragma GCC diagnostic pop
	} else if (type == 'c' && v->number > 0 && v->number < 128) {
		char c = (char)v->number;

		text_add(out, &c, 1);
	} else {
		return false;
	}
	return true;
}

char *expand(const char *text, const struct scope *scope, const char *label, struct error *err)
{
	struct text out = { 0 };
	const char *p = text, *percent;
	char *ret = NULL;

	while ((percent = strchr(p, '%'))) {
		const char *name, *close, *flags;
		struct value v;

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
		close = strchr(name, ')');
		if (!close) {
			ret = malformed(text, label, "incomplete format key", err);
			goto fail;
		}
		if (!lookup(scope, name, (size_t)(close - name), &v)) {
			ret = unknown_name(text, name, (size_t)(close - name), scope, label, err);
			goto fail;
		}
		flags = close + 1;
		p = flags + strspn(flags, "#0- +.123456789");
		if (!*p || !convert(&out, &v, flags, (size_t)(p - flags), *p)) {
			ret = malformed(text, label, *p ? "unsupported format character" : "incomplete format", err);
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
