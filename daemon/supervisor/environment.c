/* See environment.h. */
#include "environment.h"

#include <stdio.h>
#include <string.h>

#include "group.h"

static bool same_name(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return strncmp(a, b, n) == 0 && b[n] == '=';
}

static bool meant_for_us(const char *entry)
{
	static const char *const names[] = { "NOTIFY_SOCKET=", "WATCHDOG_PID=", "WATCHDOG_USEC=", "LISTEN_PID=", "LISTEN_FDS=",
					     "LISTEN_FDNAMES=", "REEVE_RUN=" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strncmp(entry, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

char **environment_inherited(void)
{
	size_t n = 0, m = 0;
	char **kept;

	while (environ[n])
		n++;
	kept = malloc((n + 1) * sizeof *kept);
	if (!kept)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (!meant_for_us(environ[i]))
			kept[m++] = environ[i];
	kept[m] = NULL;
	return kept;
}

const char *environment_path(const struct process_conf *conf, const struct supervisor *s)
{
	for (char **e = conf->environment; e && *e; e++)
		if (strncmp(*e, "PATH=", 5) == 0)
			return *e + 5;
	return s->path;
}

/* Later entries win over earlier ones of the same name. */
struct list {
	const char **entries;
	size_t n;
};

static void put(struct list *l, const char *entry)
{
	for (size_t i = 0; i < l->n; i++)
		if (same_name(entry, l->entries[i])) {
			l->entries[i] = entry;
			return;
		}
	l->entries[l->n++] = entry;
}

static char **flatten(const struct list *l)
{
	size_t bytes = 0;
	char **block, *at;

	for (size_t i = 0; i < l->n; i++)
		bytes += strlen(l->entries[i]) + 1;
	block = malloc((l->n + 1) * sizeof *block + bytes);
	if (!block)
		return NULL;
	at = (char *)(block + l->n + 1);
	for (size_t i = 0; i < l->n; i++) {
		size_t size = strlen(l->entries[i]) + 1;

		block[i] = memcpy(at, l->entries[i], size);
		at += size;
	}
	block[l->n] = NULL;
	return block;
}

static size_t count(char **strings)
{
	size_t n = 0;

	while (strings && strings[n])
		n++;
	return n;
}

char **environment_make(const struct supervisor *s, const struct process_conf *conf, uint32_t run, const struct identity *user)
{
	char line[10][512];
	int n = 0;
	const char *url = conf->serverurl ? conf->serverurl : s->loaded->config->serverurl;
	struct list l = { 0 };
	char **ret;

	l.entries = malloc((count(s->environ) + count(conf->environment) + ARRAY_LEN(line) + 1) * sizeof *l.entries);
	if (!l.entries)
		return NULL;
	for (char **e = s->environ; *e; e++)
		l.entries[l.n++] = *e;
	(void)snprintf(line[n++], sizeof line[0], "SUPERVISOR_ENABLED=1");
	(void)snprintf(line[n++], sizeof line[0], "SUPERVISOR_PROCESS_NAME=%s", conf->name);
	(void)snprintf(line[n++], sizeof line[0], "SUPERVISOR_GROUP_NAME=%s", conf->group);
	(void)snprintf(line[n++], sizeof line[0], "REEVE_RUN=%s:%u", conf->namespec, run);
	if (url && *url)
		(void)snprintf(line[n++], sizeof line[0], "SUPERVISOR_SERVER_URL=%s", url);
	if (user) {
		(void)snprintf(line[n++], sizeof line[0], "HOME=%s", user->home);
		(void)snprintf(line[n++], sizeof line[0], "USER=%s", user->name);
		(void)snprintf(line[n++], sizeof line[0], "LOGNAME=%s", user->name);
		(void)snprintf(line[n++], sizeof line[0], "SHELL=%s", user->shell);
	}
	for (int i = 0; i < n; i++)
		put(&l, line[i]);
	for (char **e = conf->environment; e && *e; e++)
		put(&l, *e);
	ret = flatten(&l);
	free(l.entries);
	return ret;
}
