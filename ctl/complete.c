/* See complete.h. Which kind of word a command takes is a column of the command table. */
#include "complete.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"

struct candidates {
	const char *prefix;
	size_t prefix_length;
	char **words; /* NULL-terminated */
	size_t n;
};

static void offer(struct candidates *c, const char *word)
{
	char **grown;

	if (!*word || strncmp(word, c->prefix, c->prefix_length) != 0)
		return;
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->words[i], word) == 0)
			return;
	grown = realloc(c->words, (c->n + 2) * sizeof *grown);
	if (!grown)
		return;
	c->words = grown;
	grown[c->n] = strdup(word);
	if (grown[c->n])
		grown[++c->n] = NULL;
	else
		grown[c->n] = NULL;
}

static void offer_commands(struct ctl *ctl, struct candidates *c)
{
	for (const struct command *row = commands; row->name; row++)
		if (!ctl->compatible || supervisorctl_knows(row->name))
			offer(c, row->name);
}

/* The processes (and each group as group:*), or the names of the groups. A connection of its own, and no word about
 * failures. */
static void offer_names(struct ctl *ctl, struct candidates *c, bool groups)
{
	struct varlink_client *client = NULL;
	const char *rundir = ctl_find(ctl);
	char path[4200], all[300];
	const char *error = NULL;
	struct error err;
	json_t *reply = NULL, *p;
	size_t i;

	(void)snprintf(path, sizeof path, "%s/control.sock", rundir ? rundir : "");
	if (!rundir || varlink_client_connect(path, &client, &err) < 0)
		return;
	if (varlink_client_call(client, "io.reeve.Supervisor.List", json_pack("{s:[]}", "names"), 2, &reply, &error) ==
		    0 &&
	    !error)
		json_array_foreach(json_object_get(reply, "processes"), i, p)
		{
			offer(c, text_of(p, groups ? "group" : "namespec"));
			(void)snprintf(all, sizeof all, "%s:*", text_of(p, "group"));
			if (!groups && strcmp(text_of(p, "group"), text_of(p, "name")) != 0)
				offer(c, all);
		}
	json_decref(reply);
	varlink_client_free(client);
}

static void offer_signals(struct candidates *c)
{
	for (int i = 1; i < 32; i++)
		if (signal_name(i))
			offer(c, signal_name(i) + 3);
}

/* The entries of FOLDER, each behind HEAD; SUFFIX is demanded and left out. */
static void offer_entries(struct candidates *c, const char *folder, const char *head, const char *suffix)
{
	DIR *d = opendir(folder);
	const struct dirent *entry;
	char name[4200];

	while (d && (entry = readdir(d))) {
		size_t n = strlen(entry->d_name), m = strlen(suffix);

		if (n <= m || strcmp(entry->d_name + n - m, suffix) != 0 ||
		    (entry->d_name[0] == '.' && c->prefix[strlen(head)] != '.'))
			continue;
		(void)snprintf(name, sizeof name, "%s%.*s", head, (int)(n - m), entry->d_name);
		offer(c, name);
	}
	if (d)
		(void)closedir(d);
}

static void offer_files(struct candidates *c)
{
	const char *slash = strrchr(c->prefix, '/');
	char head[4096];

	(void)snprintf(head, sizeof head, "%.*s", slash ? (int)(slash - c->prefix) + 1 : 0, c->prefix);
	offer_entries(c, *head ? head : ".", head, "");
}

static void offer_pools(struct ctl *ctl, struct candidates *c)
{
	const char *rundir = ctl_find(ctl);
	char path[4200];

	(void)snprintf(path, sizeof path, "%s/pool", rundir ? rundir : "");
	if (rundir)
		offer_entries(c, path, "", ".sock");
}

static void offer_arguments(struct ctl *ctl, struct candidates *c, const struct command *command, size_t at)
{
	switch (command->complete) {
	case COMPLETE_NONE:
		break;
	case COMPLETE_COMMANDS:
		offer_commands(ctl, c);
		break;
	case COMPLETE_PROCESSES:
		offer_names(ctl, c, false);
		break;
	case COMPLETE_GROUPS:
		offer_names(ctl, c, true);
		break;
	case COMPLETE_SIGNAL:
		if (at == 1)
			offer_signals(c);
		else
			offer_names(ctl, c, false);
		break;
	case COMPLETE_POOLS:
		offer_pools(ctl, c);
		break;
	case COMPLETE_FILES:
		offer_files(c);
		break;
	}
}

char **complete_line(void *data, const char *line, size_t length, size_t *ret_start)
{
	struct ctl *ctl = data;
	int status = ctl->status;
	struct candidates c = { 0 };
	size_t start = length, at = 0, first = strspn(line, " \t");
	const struct command *command;
	char name[32];

	while (start && line[start - 1] != ' ' && line[start - 1] != '\t')
		start--;
	for (size_t i = 1; i < start; i++)
		at += (line[i] == ' ' || line[i] == '\t') && line[i - 1] != ' ' && line[i - 1] != '\t';
	c.prefix = line + start;
	c.prefix_length = length - start;
	*ret_start = start;
	if (first >= start) {
		offer_commands(ctl, &c);
		return c.words;
	}
	(void)snprintf(name, sizeof name, "%.*s", (int)strcspn(line + first, " \t"), line + first);
	command = command_find(name);
	ctl->quiet = true;
	if (command)
		offer_arguments(ctl, &c, command, at);
	ctl->quiet = false;
	ctl->status = status;
	return c.words;
}
