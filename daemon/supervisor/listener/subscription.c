/* See subscription.h. */
#include "subscription.h"

#include <stdbool.h>
#include <string.h>

static bool means(const char *subscription, const char *type)
{
	size_t n = strlen(subscription);

	return strcmp(subscription, "EVENT") == 0 || (strncmp(subscription, type, n) == 0 && (type[n] == '\0' || type[n] == '_'));
}

size_t subscription_count(char *const *subscriptions, const char *type)
{
	size_t count = 0;

	for (char *const *s = subscriptions; s && *s; s++)
		count += means(*s, type);
	return count;
}
