/* Prometheus' text format, version 0.0.4: families with their help and type, samples with their labels. */
#ifndef REEVE_GATEWAY_PROMETHEUS_H
#define REEVE_GATEWAY_PROMETHEUS_H

#include <stdio.h>

struct prometheus_label {
	const char *name, *value;	/* any text: it is escaped. A NULL name ends a list */
};

/* Begin a family. TYPE: "gauge" or "counter". */
void prometheus_family(FILE *out, const char *name, const char *type, const char *help);
/* LABELS may be NULL. Numbers that are whole are written as such. */
void prometheus_sample(FILE *out, const char *name, const struct prometheus_label *labels, double value);

#endif
