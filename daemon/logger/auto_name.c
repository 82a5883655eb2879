/* Recognising an AUTO log by its name: pure. See auto.h. */
#include "auto_name.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

bool auto_matches(const char *name, const char *identifier)
{
	_cleanup_(freep) char *middle = NULL;

	if (!*name || asprintf(&middle, "---%s-", identifier) < 0) {
		middle = NULL;
		return false;
	}
	for (const char *at = strstr(name + 1, middle); at; at = strstr(at + 1, middle)) {
		const char *random = at + strlen(middle), *end = random;

		while (*end && !isspace((unsigned char)*end))
			end++;
		for (const char *dot = random + 1; dot + 4 <= end; dot++)
			if (strncmp(dot, ".log", 4) == 0)
				return true;
	}
	return false;
}
