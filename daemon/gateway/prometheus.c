/* See prometheus.h. */
#include "prometheus.h"

#include <math.h>
#include <string.h>

void prometheus_family(FILE *out, const char *name, const char *type, const char *help)
{
	(void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_escaped(FILE *out, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n\"\\");

		(void)fwrite(text, 1, n, out);
		text += n;
		if (!*text)
			return;
		(void)fputc('\\', out);
		(void)fputc(*text == '\n' ? 'n' : *text, out);
		text++;
	}
}

void prometheus_sample(FILE *out, const char *name, const struct prometheus_label *labels, double value)
{
	(void)fputs(name, out);
	for (const struct prometheus_label *l = labels; l && l->name; l++) {
		(void)fprintf(out, "%c%s=\"", l == labels ? '{' : ',', l->name);
		put_escaped(out, l->value ? l->value : "");
		(void)fputc('"', out);
	}
	if (labels && labels->name)
		(void)fputc('}', out);
	if (value == floor(value) && fabs(value) < 1e15)
		(void)fprintf(out, " %.0f\n", value);
	else
		(void)fprintf(out, " %.15g\n", value);
}
