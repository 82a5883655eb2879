/* Sections become a struct config: which sections there are, what each needs, in which order things stand. Values are value.c's. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "expand.h"
#include "ini.h"
#include "keys.h"
#include "sources.h"
#include "strv.h"
#include "value.h"
#include "memory.h"

struct parser {
	unsigned failures;		/* memory_failures at the beginning */
	struct config *config;
	struct ini ini;
	struct scope base;		/* environment, [supervisord]'s variables */
};

/* What one section is read into, and by which names. */
struct reading {
	struct parser *p;
	struct ini_section *section;
	struct scope scope;
	bool of_program;		/* supervisord names section and file behind its messages */
	char *first_error;		/* supervisord's message of the first error; owned */
};

/* Memory has run out: what has been read may lack anything, and is thrown away at the end. */
static bool starved(const struct parser *p)
{
	return memory_failures != p->failures;
}

/* ---- errors ---- */

static void complain(struct reading *r, const struct ini_key *k, const char *key, const char *hint, const char *text)
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

static void warn(struct reading *r, const struct ini_key *k, const char *key, const char *text)
{
	diagnostic_add(&r->p->config->diagnostics, DIAGNOSTIC_WARNING, k ? k->file : r->section->file,
		       k ? k->line : r->section->line, r->section->name, key, "%s", text);
}

/* ---- one key ---- */

static const char *expansion_hint(int error, int times)
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
			complain(r, k, key, expansion_hint(err.code, times), err.text);
	}
	return value;
}

static char *get(struct reading *r, const char *key, struct ini_key **ret_key)
{
	return get_expanded(r, key, 1, ret_key);
}

static void read_key(struct reading *r, const struct key *key, void *base, int times)
{
	struct ini_key *k;
	struct error err;
	_cleanup_(freep) char *value = get_expanded(r, key->name, times, &k);

	if (value && key_set(key, base, value, &err) < 0)
		complain(r, k, key->name, key_type_hint(key->type), err.text);
}

static void set_defaults(const struct key *table, void *base)
{
	for (const struct key *k = table; k->name; k++)
		if (k->initial && k->type != KEY_OTHER)
			(void)key_set(k, base, k->initial, NULL);
}

static void read_table(struct reading *r, const struct key *table, void *base)
{
	for (const struct key *k = table; k->name; k++)
		if (k->type != KEY_OTHER)
			read_key(r, k, base, 1);
}

/* ---- what is not known ---- */

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

static void consider(const char *wanted, const char *candidate, const char **best, unsigned *best_distance)
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
			consider(k->name, known->name, &best, &d);
	(void)snprintf(text, sizeof text, "unknown key, ignored%s%s%s", best ? "; did you mean " : "", best ? best : "",
		       best ? "?" : "");
	warn(r, k, k->name, text);
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
		warn(&r, NULL, NULL, "a Python plug-in of supervisorctl, which is not loaded here: its commands do not exist");
		return;
	}
	(void)snprintf(head, sizeof head, "%.*s", (int)n, s->name);
	for (const struct section_kind *k = section_kinds; k->name; k++)
		consider(head, k->name, &best, &d);
	(void)snprintf(text, sizeof text, "unknown section, ignored%s%s%s%s", best ? "; did you mean [" : "", best ? best : "",
		       best && s->name[n] ? s->name + n : "", best ? "]?" : "");
	warn(&r, NULL, NULL, text);
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
		warn(r, k, k->name, text);
	}
}

static void warn_unknown(struct parser *p)
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

/* ---- readings ---- */

static struct reading reading_of(struct parser *p, struct ini_section *s)
{
	struct reading r = { .p = p, .section = s, .scope = p->base };

	return r;
}

/* %(here)s of a section: the directory of the file that introduced it. The caller frees. */
static char *here_of(const struct ini_section *s)
{
	return directory_of(s->file);
}

/* ---- [supervisord] ---- */

static char *default_childlogdir(void)
{
	static const char *const variables[] = { "TMPDIR", "TEMP", "TMP" };

	for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
		const char *value = getenv(variables[i]);
		_cleanup_(freep) char *question = NULL, *answer = NULL;

		if (!value || !*value || asprintf(&question, "directory %s", value) < 0)
			continue;
		answer = parsing_answer(question);
		if (!answer || *answer)
			return strdup(value);
	}
	return strdup("/tmp");
}

static void apply_overrides(struct parser *p, const struct override *overrides, size_t n)
{
	static const struct key *const tables[] = { supervisord_keys, NULL };
	static const struct section_kind kind = { .name = "supervisord", .tables = tables };

	for (size_t i = 0; i < n; i++) {
		const struct key *k = key_find(&kind, overrides[i].key);
		struct error err;

		if (k && key_set(k, &p->config->supervisord, overrides[i].value, &err) < 0)
			diagnostic_add(&p->config->diagnostics, DIAGNOSTIC_ERROR, NULL, 0, NULL, overrides[i].key, "%s; %s", err.text,
				       key_type_hint(k->type));
	}
}

static void make_absolute(char **path, const char *directory)
{
	char *home = *path ? expand_user(*path) : NULL;

	if (!home)
		return;
	free(*path);
	*path = absolute_path(home, directory);
	free(home);
}

static void make_user_path(char **path)
{
	char *home = *path ? expand_user(*path) : NULL;

	if (!home)
		return;
	free(*path);
	*path = home;
}

/* Daemon keys that have rules beyond their type. */
static void check_supervisord(struct reading *r)
{
	struct supervisord_conf *c = &r->p->config->supervisord;

	if (c->control_access && strcmp(c->control_access, "read") != 0 && strcmp(c->control_access, "operate") != 0 && strcmp(c->control_access, "admin") != 0)
		complain(r, ini_key(&r->p->ini, r->section, "control_access"), "control_access", "write read, operate or admin",
			 "no such level");
	if (c->heartbeat < 1)
		complain(r, ini_key(&r->p->ini, r->section, "heartbeat"), "heartbeat", "write a number of seconds from 1 on",
			 "too short");
	if (c->stop_deadline < 0)
		complain(r, ini_key(&r->p->ini, r->section, "stop_deadline"), "stop_deadline",
			 "write a number of seconds, or 0 for no limit", "negative");
}

static void read_supervisord(struct parser *p, struct ini_section *s, const struct override *overrides, size_t n_overrides)
{
	struct supervisord_conf *c = &p->config->supervisord;
	struct reading r = reading_of(p, s);
	const struct key *environment = &supervisord_keys[0];

	r.scope.here = p->config->here;
	set_defaults(supervisord_keys, c);
	c->childlogdir = default_childlogdir();
	for (const struct key *k = supervisord_keys; k->name; k++)
		if (k->type != KEY_ENVIRONMENT)
			read_key(&r, k, c, 1);
	/* Last, because the keys above do not see it; expanded twice, as in supervisord 4.2.5. */
	read_key(&r, environment, c, 2);
	p->base.added = c->environment;
	check_supervisord(&r);
	apply_overrides(p, overrides, n_overrides);
	if (c->logfile && strcmp(c->logfile, "syslog") != 0)
		make_absolute(&c->logfile, p->config->sources->directory);
	make_absolute(&c->pidfile, p->config->sources->directory);
	make_user_path(&c->childlogdir);
	make_user_path(&c->directory);
	free(r.first_error);
}

/* ---- names ---- */

static bool check_name(struct reading *r, const char *key, const char *name)
{
	const char *bad = name ? strpbrk(name, " :/") : NULL;
	struct reading plain = { .p = r->p, .section = r->section };
	char text[400];

	if (!bad)
		return true;
	(void)snprintf(text, sizeof text, "Invalid name: '%.200s' because of character: '%c'", name, *bad);
	complain(key ? r : &plain, NULL, key, "leave it out of the name", text);	/* a section's name is told without its place */
	if (!r->first_error)
		r->first_error = TAKE(plain.first_error);
	free(plain.first_error);
	return false;
}

/* The trimmed part of a section's name after the colon (malloc'd). */
static char *name_after_colon(const char *section)
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

/* ---- programs ---- */

static void process_conf_free(struct process_conf *c)
{
	if (!c)
		return;
	for (const struct key *k = program_keys; k->name; k++)
		key_free(k, c);
	for (const struct key *k = pool_keys; c->pool && k->name; k++)
		key_free(k, c->pool);
	free(c->pool);
	if (c->socket) {
		free(c->socket->url);
		free(c->socket->owner);
		free(c->socket);
	}
	free(c->name);
	free(c->group);
	free(c->namespec);
	free(c->program);
	free(c);
}

static void finish_channels(struct reading *r, struct process_conf *c)
{
	static const char *const names[N_CHANNELS] = { "stdout", "stderr" };

	for (int i = 0; i < N_CHANNELS; i++) {
		char key[40];
		struct ini_key *k;

		(void)snprintf(key, sizeof key, "%s_logfile", names[i]);
		k = ini_key(&r->p->ini, r->section, key);
		if (k && strcasecmp(k->value, "syslog") == 0) {
			char text[300];

			c->channel[i].syslog = true;
			(void)snprintf(text, sizeof text,
				       "For [%.100s], %s_logfile=syslog but this is deprecated and will be removed.  Use "
				       "%s_syslog=true to enable syslog instead.",
				       r->section->name, names[i], names[i]);
			warn(r, k, key, text);
		}
	}
	if (c->redirect_stderr) {
		struct channel_conf *e = &c->channel[CHANNEL_STDERR];
		struct ini_key *k = ini_key(&r->p->ini, r->section, "stderr_logfile");

		if (e->logfile_kind == LOGFILE_PATH && k)
			warn(r, k, "stderr_logfile", "not used, because redirect_stderr=true sends stderr to the stdout log");
		free(e->logfile);
		e->logfile = NULL;
		e->logfile_kind = LOGFILE_NONE;
	}
}

/* [supervisord] environment overlaid by the section's own. */
static void merge_environment(struct parser *p, struct process_conf *c)
{
	char **own = c->environment, **merged = NULL;

	for (char **e = p->config->supervisord.environment; e && *e; e++)
		(void)strv_push(&merged, strdup(*e));
	for (char **e = own; e && *e; e++)
		(void)environment_set(&merged, strdup(*e));
	strv_free(own);
	c->environment = merged;
}

/* Which keys see process_num: the rest is read once a section in supervisord, with fewer names. */
static bool per_process(const struct key *k)
{
	bool of_channel = strncmp(k->name, "stdout_", 7) == 0 || strncmp(k->name, "stderr_", 7) == 0;

	return strcmp(k->name, "command") == 0 || strcmp(k->name, "environment") == 0 || strcmp(k->name, "directory") == 0 ||
	       (of_channel && (strncmp(k->name + 7, "logfile", 7) == 0 || strcmp(k->name + 7, "syslog") == 0));
}

/* Of a section without processes only what is read once is read. */
static void read_program_keys(struct reading *r, struct process_conf *c, bool no_processes)
{
	for (const struct key *k = program_keys; k->name; k++) {
		r->scope.numbered = per_process(k);
		r->scope.own = r->scope.numbered ? c->environment : NULL;
		if (!r->scope.numbered || !no_processes)
			read_key(r, k, c, k->type == KEY_LOGFILE ? 2 : 1);
	}
	r->scope.own = NULL;
	r->scope.numbered = true;
}

static void check_program(struct reading *r, struct process_conf *c, bool no_processes)
{
	struct ini_key *kill_key = ini_key(&r->p->ini, r->section, "killasgroup");

	if (!ini_key(&r->p->ini, r->section, "command") && !no_processes) {
		char text[300];

		(void)snprintf(text, sizeof text, "program section %.200s does not specify a command", r->section->name);
		complain(r, NULL, "command", "add command=PROGRAM ARGUMENTS", text);
	}
	if (!kill_key)
		c->killasgroup = c->stopasgroup;
	else if (c->stopasgroup && !c->killasgroup)
		complain(r, kill_key, "killasgroup", "leave it out, or set it to true",
			 "Cannot set stopasgroup=true and killasgroup=false");
	if (c->serverurl && strcasecmp(c->serverurl, "AUTO") == 0) {
		free(c->serverurl);
		c->serverurl = NULL;
	}
}

/* A relative path of a queue's file means the directory of the section's file, wherever the pool runs. */
static void make_queue_absolute(struct pool_conf *pool, const char *here)
{
	static const char sqlite[] = "sqlite:";
	size_t n = sizeof sqlite - 1;
	char *path, *queue;

	if (!pool->queue || strncmp(pool->queue, sqlite, n) != 0)
		return;
	path = strdup(pool->queue + n);
	make_absolute(&path, here);
	if (path && asprintf(&queue, "%s%s", sqlite, path) >= 0) {
		free(pool->queue);
		pool->queue = queue;
	}
	free(path);
}

static bool queue_is_known(const char *queue)
{
	static const char *const prefixes[] = { "sqlite:", "redis://", "unix:" };

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (strncmp(queue, prefixes[i], strlen(prefixes[i])) == 0 && queue[strlen(prefixes[i])])
			return true;
	return strcmp(queue, "memory") == 0;
}

static void read_pool(struct reading *r, struct process_conf *c)
{
	struct pool_conf *pool = c->pool = calloc(1, sizeof *c->pool);
	const struct ini_key *k = ini_key(&r->p->ini, r->section, "queue");

	if (!pool)
		return;
	set_defaults(pool_keys, pool);
	read_table(r, pool_keys, pool);
	if (starved(r->p))
		return;
	if (!queue_is_known(pool->queue))
		complain(r, k, "queue", "write memory, sqlite:FILE, redis://HOST:PORT/DB?stream=NAME or unix:SOCKET?stream=NAME",
			 "no such kind of queue");
	make_queue_absolute(pool, r->scope.here);
	if (pool->claim && strcmp(pool->queue, "memory") == 0)
		warn(r, ini_key(&r->p->ini, r->section, "claim"), "claim", "has no meaning for queue=memory, which forgets all tasks anyway");
	if (pool->window > 1 && pool->mode == MODE_EXEC)
		warn(r, ini_key(&r->p->ini, r->section, "window"), "window", "has no meaning for mode=exec, where a process has one task");
}

static struct process_conf *read_process(struct reading *r, const struct instances *n, long long number, const char *program,
					 const char *group, enum group_kind kind)
{
	struct process_conf *c = calloc(1, sizeof *c);
	struct error err = { .code = ENOMEM, .text = "out of memory" };
	char label[300];

	if (!c)
		return NULL;
	c->umask = -1;
	c->kind = kind;
	c->number = number;
	c->file = r->section->file;
	c->line = r->section->line;
	set_defaults(program_keys, c);
	r->scope.numbered = true;
	r->scope.process_num = number;
	r->scope.numprocs = n->numprocs;
	read_program_keys(r, c, n->numprocs < 1);
	r->scope.own = c->environment;
	(void)snprintf(label, sizeof label, "%s.process_name", r->section->name);
	c->name = n->numprocs < 1 ? strdup(program) : expand(n->process_name, &r->scope, label, &err);
	r->scope.own = NULL;
	if (!c->name) {
		complain(r, ini_key(&r->p->ini, r->section, "process_name"), "process_name", expansion_hint(err.code, 1), err.text);
		c->name = strdup(program);
	}
	merge_environment(r->p, c);
	finish_channels(r, c);
	check_program(r, c, n->numprocs < 1);
	if (kind == GROUP_POOL)
		read_pool(r, c);
	c->group = strdup(group);
	c->program = strdup(program);
	if (c->name && c->group && strcmp(c->name, c->group) == 0)
		c->namespec = strdup(c->name);
	else if (asprintf(&c->namespec, "%s:%s", group, c->name ? c->name : "") < 0)
		c->namespec = NULL;
	return c;
}

static int by_priority_and_name(const void *a, const void *b)
{
	const struct process_conf *x = *(struct process_conf *const *)a, *y = *(struct process_conf *const *)b;

	int r = strcmp(x->name, y->name);

	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	return r ? r : (x->number > y->number) - (x->number < y->number);
}

enum { NUMPROCS_MAX = 16000 };

static void read_instances(struct reading *r, struct instances *n, const char *program)
{
	struct ini_key *k = ini_key(&r->p->ini, r->section, "process_name");

	*n = (struct instances){ 0 };
	set_defaults(instance_keys, n);
	read_key(r, &instance_keys[0], n, 1);
	read_key(r, &instance_keys[1], n, 1);
	if (k) {
		free(n->process_name);
		n->process_name = strdup(k->value);
	}
	(void)program;
	if (n->process_name && check_name(r, "process_name", n->process_name) && n->numprocs > 1 &&
	    !strstr(n->process_name, "%(process_num)"))
		complain(r, k, "process_name", "write for instance %(program_name)s_%(process_num)02d",
			 "%(process_num) must be present within process_name when numprocs > 1");
	if (n->numprocs > NUMPROCS_MAX) {
		complain(r, ini_key(&r->p->ini, r->section, "numprocs"), "numprocs", "write at most 16000", "too many processes");
		n->numprocs = 0;
	}
}

static void append_process(struct group_conf *g, struct process_conf *c)
{
	struct process_conf **list = g->processes;

	if (!c->name) {			/* out of memory */
		process_conf_free(c);
		return;
	}
	if ((g->n_processes & (g->n_processes - 1)) == 0)	/* it grows at powers of two */
		list = realloc(list, (g->n_processes ? g->n_processes * 2 : 1) * sizeof(struct process_conf *));
	if (!list) {
		process_conf_free(c);
		return;
	}
	g->processes = list;
	list[g->n_processes++] = c;
}

/* A later process of the same name replaces the earlier one, as in supervisord's map. */
static void add_process(struct group_conf *g, struct process_conf *c)
{
	for (size_t i = 0; i < g->n_processes; i++)
		if (strcmp(g->processes[i]->name, c->name) == 0) {
			process_conf_free(g->processes[i]);
			g->processes[i] = c;
			return;
		}
	append_process(g, c);
}

/* The processes of one section, sorted; of equal names the last one stays. They are G's then. */
static void add_section(struct group_conf *g, struct group_conf *own)
{
	bool alone = g->n_processes == 0;

	if (own->n_processes)
		qsort(own->processes, own->n_processes, sizeof *own->processes, by_priority_and_name);
	for (size_t i = 0; i < own->n_processes; i++)
		if (i + 1 < own->n_processes && strcmp(own->processes[i]->name, own->processes[i + 1]->name) == 0)
			process_conf_free(own->processes[i]);
		else
			(alone ? append_process : add_process)(g, own->processes[i]);
	free(own->processes);
}

/* All processes of one section, added to G. False: the section has an error. */
static bool read_program(struct parser *p, struct ini_section *s, struct group_conf *g, enum group_kind kind)
{
	struct reading r = reading_of(p, s);
	char *here = here_of(s), *program = name_after_colon(s->name);
	struct instances n;
	struct group_conf own = { 0 };
	size_t errors = p->config->diagnostics.n_errors;

	if (!here || !program) {	/* out of memory */
		free(here);
		free(program);
		return false;
	}
	r.scope.here = here;
	r.scope.host_node_name = p->config->sources->host_node_name;
	r.scope.program_name = program;
	r.scope.group_name = g->name;
	r.of_program = true;
	(void)check_name(&r, NULL, program);
	if (kind == GROUP_POOL)
		n = (struct instances){ .numprocs = 1, .process_name = strdup("%(program_name)s") };
	else
		read_instances(&r, &n, program);
	if (!n.process_name)
		n.numprocs = 0;
	else if (n.numprocs < 1 && p->config->diagnostics.n_errors == errors) {
		/* No process, but the section is checked: what is read once a process excepted. */
		process_conf_free(read_process(&r, &n, n.numprocs_start, program, g->name, kind));
	}
	for (long long i = 0; i < n.numprocs && p->config->diagnostics.n_errors == errors; i++) {
		struct process_conf *c = read_process(&r, &n, n.numprocs_start + i, program, g->name, kind);

		if (c)
			append_process(&own, c);
	}
	add_section(g, &own);
	free(n.process_name);
	if (r.first_error && !g->invalid)
		g->invalid = strdup(r.first_error);
	free(r.first_error);
	free(here);
	free(program);
	return p->config->diagnostics.n_errors == errors;
}

/* ---- groups ---- */

static void group_conf_free(struct group_conf *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->n_processes; i++)
		process_conf_free(g->processes[i]);
	free(g->processes);
	free(g->name);
	free(g->invalid);
	strv_free(g->events);
	free(g->result_handler);
	free(g->socket.url);
	free(g->socket.owner);
	free(g);
}

static struct group_conf *group_add(struct parser *p, char *name, enum group_kind kind)
{
	struct config *c = p->config;
	struct group_conf **list = realloc(c->groups, (c->n_groups + 1) * sizeof(struct group_conf *));
	struct group_conf *g = list ? calloc(1, sizeof *g) : NULL;

	if (list)
		c->groups = list;
	if (!g || !name) {
		free(g);
		free(name);
		return NULL;
	}
	*g = (struct group_conf){ .name = name, .kind = kind, .priority = 999 };
	list[c->n_groups++] = g;
	return g;
}

/* Keys that supervisord reads for the group as a whole, with fewer names. */
static struct reading group_reading(struct parser *p, struct ini_section *s, char **ret_here)
{
	struct reading r = reading_of(p, s);

	*ret_here = here_of(s);
	r.scope.here = *ret_here;
	return r;
}

static void read_group_priority(struct reading *r, struct group_conf *g)
{
	struct ini_key *k;
	struct error err;
	_cleanup_(freep) char *value = get(r, "priority", &k);

	if (value && parse_integer(value, &g->priority, &err) < 0)
		complain(r, k, "priority", key_type_hint(KEY_INTEGER), err.text);
}

static void finish_group(struct reading *r, struct group_conf *g, char *here)
{
	if (r->first_error && !g->invalid)
		g->invalid = strdup(r->first_error);
	free(r->first_error);
	free(here);
	if (!g->invalid)
		return;
	for (size_t i = 0; i < g->n_processes; i++)
		process_conf_free(g->processes[i]);
	g->n_processes = 0;
}

/* Every process of an fcgi program knows the section's socket, in whatever group it is. */
static void share_socket(struct group_conf *g, size_t from, const struct fcgi_socket_conf *socket)
{
	for (size_t i = from; i < g->n_processes; i++) {
		struct fcgi_socket_conf *copy = socket->url ? malloc(sizeof *copy) : NULL;

		if (!copy)
			return;
		*copy = *socket;
		copy->url = strdup(socket->url);
		copy->owner = socket->owner ? strdup(socket->owner) : NULL;
		g->processes[i]->socket = copy;
	}
}

static void read_homogeneous(struct parser *p, struct ini_section *s, enum group_kind kind,
			     void (*extra)(struct reading *r, struct group_conf *g))
{
	struct group_conf *g = group_add(p, name_after_colon(s->name), kind);
	struct reading r;
	char *here;

	if (!g)
		return;
	if (kind == GROUP_EVENTLISTENER)
		g->priority = -1;
	r = group_reading(p, s, &here);
	if (extra)
		extra(&r, g);
	read_group_priority(&r, g);
	(void)read_program(p, s, g, kind);
	share_socket(g, 0, &g->socket);
	finish_group(&r, g, here);
}

static const char *const event_types[] = {
	"EVENT", "PROCESS_STATE", "PROCESS_STATE_STARTING", "PROCESS_STATE_RUNNING", "PROCESS_STATE_BACKOFF", "PROCESS_STATE_STOPPING",
	"PROCESS_STATE_EXITED", "PROCESS_STATE_STOPPED", "PROCESS_STATE_FATAL", "PROCESS_STATE_UNKNOWN", "PROCESS_COMMUNICATION",
	"PROCESS_COMMUNICATION_STDOUT", "PROCESS_COMMUNICATION_STDERR", "PROCESS_LOG", "PROCESS_LOG_STDOUT", "PROCESS_LOG_STDERR",
	"REMOTE_COMMUNICATION", "SUPERVISOR_STATE_CHANGE", "SUPERVISOR_STATE_CHANGE_RUNNING", "SUPERVISOR_STATE_CHANGE_STOPPING",
	"TICK", "TICK_5", "TICK_60", "TICK_3600", "PROCESS_GROUP", "PROCESS_GROUP_ADDED", "PROCESS_GROUP_REMOVED",
};

static bool known_event(char *name)
{
	for (char *c = name; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	for (size_t i = 0; i < ARRAY_LEN(event_types); i++)
		if (strcmp(event_types[i], name) == 0)
			return true;
	return false;
}

static const char *event_hint(const char *name, char *buffer, size_t size)
{
	const char *best = NULL;
	unsigned d = 4;

	if (!*name)
		return "a comma too many";
	for (size_t i = 0; i < ARRAY_LEN(event_types); i++)
		consider(name, event_types[i], &best, &d);
	(void)snprintf(buffer, size, "did you mean %s?", best ? best : "EVENT (all of them)");
	return buffer;
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void read_events(struct reading *r, struct group_conf *g)
{
	struct ini_key *k;
	_cleanup_(freep) char *value = get(r, "events", &k);
	char text[300], hint[100];

	if (!value || !*value) {
		(void)snprintf(text, sizeof text, "[%.200s] section requires an \"events\" line", r->section->name);
		complain(r, k, "events", "name event types such as PROCESS_STATE", text);
		return;
	}
	(void)parse_list(value, &g->events);
	for (char **e = g->events; e && *e; e++)
		if (!known_event(*e)) {
			(void)snprintf(text, sizeof text, "Unknown event type %.80s in [%.100s] events", *e, r->section->name);
			complain(r, k, "events", event_hint(*e, hint, sizeof hint), text);
		}
	if (g->events)
		qsort(g->events, strv_length(g->events), sizeof *g->events, compare_strings);
}

static void read_listener(struct reading *r, struct group_conf *g)
{
	struct ini_key *k = ini_key(&r->p->ini, r->section, "redirect_stderr");
	char text[300];
	bool redirect;

	set_defaults(listener_keys, g);
	read_table(r, listener_keys, g);
	read_events(r, g);
	if (g->buffer_size < 1) {
		(void)snprintf(text, sizeof text, "[%.150s] section sets invalid buffer_size (%lld)", r->section->name, g->buffer_size);
		complain(r, ini_key(&r->p->ini, r->section, "buffer_size"), "buffer_size", "write a number from 1 on", text);
	}
	if (g->result_handler && strcmp(g->result_handler, "supervisor.dispatchers:default_handler") != 0)
		warn(r, ini_key(&r->p->ini, r->section, "result_handler"), "result_handler",
		     "a Python callable, which is not called here: the default rule applies (OK is success)");
	if (k && parse_boolean(k->value, &redirect, NULL) == 0 && redirect) {
		(void)snprintf(text, sizeof text,
			       "[%.100s] section sets redirect_stderr=true but this is not allowed because it will interfere with the "
			       "eventlistener protocol",
			       r->section->name);
		complain(r, k, "redirect_stderr", "leave it out", text);
	}
}

/* ---- fcgi sockets ---- */

/* What is wrong with URL, in TEXT; false: nothing. */
static bool bad_socket_url(const char *url, const char *section, char *text, size_t size)
{
	const char *host = url + 6, *colon = strrchr(url, ':');
	size_t length = colon > host ? (size_t)(colon - host) : 0;
	long long port;

	*text = '\0';
	if (strncmp(url, "unix://", 7) == 0) {
		if (url[7] != '/')
			(void)snprintf(text, size, "Unix socket path %.100s is not an absolute path in [%.100s] socket", url + 7, section);
	} else if (strncmp(url, "tcp://", 6) != 0 || !length || strcspn(host, " :") < length || parse_integer(colon + 1, &port, NULL) < 0) {
		(void)snprintf(text, size, "Bad socket format %.100s in [%.100s] socket", url, section);
	} else if (port < 1) {
		(void)snprintf(text, size, "%lld is below lower bound (1) in [%.100s] socket", port, section);
	} else if (port > 65535) {
		(void)snprintf(text, size, "%lld is above upper bound (65535) in [%.100s] socket", port, section);
	}
	return *text;
}

static void read_socket_numbers(struct reading *r, struct group_conf *g, bool is_unix)
{
	struct ini_key *k;
	char *mode = get(r, "socket_mode", &k), *backlog = get(r, "socket_backlog", NULL);
	long long number;
	char text[300];

	g->socket.mode = is_unix ? 0700 : -1;
	if (mode && parse_octal(mode, &g->socket.mode, NULL) < 0) {
		(void)snprintf(text, sizeof text, "Invalid socket_mode value %.100s in [%.100s] socket", mode, r->section->name);
		complain(r, k, "socket_mode", "write an octal number such as 0770", text);
	}
	if ((mode || g->socket.owner) && !is_unix)
		complain(r, mode ? k : ini_key(&r->p->ini, r->section, "socket_owner"), mode ? "socket_mode" : "socket_owner",
			 "leave it out, or listen on a unix socket",
			 "socket_owner and socket_mode params should only be used with a Unix domain socket");
	if (backlog && (parse_integer(backlog, &number, NULL) < 0 || number < 1 || number > 65535)) {
		(void)snprintf(text, sizeof text, "Invalid socket_backlog value %.100s", backlog);
		complain(r, ini_key(&r->p->ini, r->section, "socket_backlog"), "socket_backlog", "write a number from 1 to 65535", text);
	} else if (backlog) {
		g->socket.backlog = (int)number;
	}
	free(mode);
	free(backlog);
}

static void read_fcgi(struct reading *r, struct group_conf *g)
{
	char *program = name_after_colon(r->section->name);
	struct ini_key *k;
	char text[300];

	r->scope.program_name = program;
	read_table(r, fcgi_keys, g);
	k = ini_key(&r->p->ini, r->section, "socket");
	if (!k) {
		(void)snprintf(text, sizeof text, "[%.150s] section requires a \"socket\" line", r->section->name);
		complain(r, NULL, "socket", "write tcp://host:port or unix:///path", text);
	} else if (g->socket.url && bad_socket_url(g->socket.url, r->section->name, text, sizeof text)) {
		complain(r, k, "socket", "write tcp://host:port or unix:///path", text);
	}
	if (g->socket.url)
		read_socket_numbers(r, g, strncmp(g->socket.url, "unix:", 5) == 0);
	r->scope.program_name = NULL;
	free(program);
}

/* ---- [group:x] ---- */

static struct ini_section *find_program(struct parser *p, const char *kind, const char *name)
{
	size_t n = strlen(kind);

	for (size_t i = 0; i < p->ini.n_sections; i++)
		if (strncmp(p->ini.sections[i].name, kind, n) == 0) {
			char *own = name_after_colon(p->ini.sections[i].name);
			bool found = own && strcmp(own, name) == 0;

			free(own);
			if (found)
				return &p->ini.sections[i];
		}
	return NULL;
}

/* supervisord forgets the socket of an fcgi program that is listed in a group; here it keeps it. */
static void read_member_socket(struct reading *r, struct ini_section *section, struct group_conf *g, size_t first)
{
	struct group_conf alone = { .name = g->name, .kind = GROUP_FCGI };
	char *here;
	struct reading own = group_reading(r->p, section, &here);

	read_fcgi(&own, &alone);
	if (own.first_error && !r->first_error)
		r->first_error = TAKE(own.first_error);
	share_socket(g, first, &alone.socket);
	free(alone.socket.url);
	free(alone.socket.owner);
	free(own.first_error);
	free(here);
}

static void read_member(struct reading *r, struct group_conf *g, const char *name, const struct ini_key *k, char ***claimed)
{
	struct ini_section *program = find_program(r->p, "program:", name), *fcgi = find_program(r->p, "fcgi-program:", name);
	size_t first = g->n_processes;
	char text[300];

	if (program && fcgi) {
		(void)snprintf(text, sizeof text, "[%.100s] name %.100s is ambiguous (exists as program and fcgi-program)",
			       r->section->name, name);
		complain(r, k, "programs", "rename one of them", text);
	} else if (!program && !fcgi) {
		(void)snprintf(text, sizeof text, "[%.100s] names unknown program or fcgi-program %.100s", r->section->name, name);
		complain(r, k, "programs", "correct the name, or add its section", text);
	} else {
		(void)strv_push(claimed, strdup((program ? program : fcgi)->name));
		(void)read_program(r->p, program ? program : fcgi, g, program ? GROUP_PROGRAM : GROUP_FCGI);
		if (fcgi)
			read_member_socket(r, fcgi, g, first);
	}
}

static void read_heterogeneous(struct parser *p, struct ini_section *s, char ***claimed)
{
	struct group_conf *g = group_add(p, name_after_colon(s->name), GROUP_PROGRAM);
	char *here, *value, **names = NULL;
	struct reading r;
	struct ini_key *k;

	if (!g)
		return;
	r = group_reading(p, s, &here);
	(void)check_name(&r, NULL, g->name);
	read_group_priority(&r, g);
	value = get(&r, "programs", &k);
	if (value)
		(void)parse_list(value, &names);
	for (char **name = names; name && *name; name++)
		read_member(&r, g, *name, k, claimed);
	strv_free(names);
	free(value);
	finish_group(&r, g, here);
}

static bool is_claimed(char *const *claimed, const char *name)
{
	for (size_t i = 0; claimed && claimed[i]; i++)
		if (strcmp(claimed[i], name) == 0)
			return true;
	return false;
}

static void read_sections(struct parser *p, const char *prefix, enum group_kind kind,
			  void (*extra)(struct reading *r, struct group_conf *g), char *const *claimed)
{
	for (size_t i = 0; i < p->ini.n_sections; i++)
		if (strncmp(p->ini.sections[i].name, prefix, strlen(prefix)) == 0 && !is_claimed(claimed, p->ini.sections[i].name))
			read_homogeneous(p, &p->ini.sections[i], kind, extra);
}

static int by_group_order(const struct group_conf *a, const struct group_conf *b)
{
	if (a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	return strcmp(a->name, b->name);
}

/* Of two groups of one name the first in order counts. */
static void sort_groups(struct config *c)
{
	for (size_t i = 1; i < c->n_groups; i++) {
		struct group_conf *g = c->groups[i];
		size_t k = i;

		for (; k > 0 && by_group_order(c->groups[k - 1], g) > 0; k--)
			c->groups[k] = c->groups[k - 1];
		c->groups[k] = g;
	}
}

/* Some section that makes a group called NAME, preferably a [group:NAME]. */
static const struct ini_section *section_of_group(const struct ini *ini, const char *name)
{
	const struct ini_section *found = NULL;

	for (size_t i = 0; i < ini->n_sections; i++) {
		const char *colon = strchr(ini->sections[i].name, ':');
		_cleanup_(freep) char *own = colon ? name_after_colon(ini->sections[i].name) : NULL;

		if (own && strcmp(own, name) == 0 && (!found || strncmp(ini->sections[i].name, "group:", 6) == 0))
			found = &ini->sections[i];
	}
	return found;
}

static void drop_doubles(struct parser *p)
{
	struct config *c = p->config;
	size_t kept = 0;

	for (size_t i = 0; i < c->n_groups; i++) {
		struct group_conf *g = c->groups[i];
		bool twice = false;

		for (size_t k = 0; k < kept && !twice; k++)
			twice = strcmp(c->groups[k]->name, g->name) == 0;
		if (twice) {
			const struct ini_section *s = section_of_group(&p->ini, g->name);

			diagnostic_add(&c->diagnostics, DIAGNOSTIC_WARNING, s ? s->file : c->path, s ? s->line : 0, s ? s->name : g->name,
				       NULL, "two groups are called %s: only the first in start order is used; rename one", g->name);
			group_conf_free(g);
		} else {
			c->groups[kept++] = g;
		}
	}
	c->n_groups = kept;
}

static bool names_process(const struct config *c, const char *name)
{
	char both[600];

	for (size_t i = 0; i < c->n_groups; i++)
		for (size_t k = 0; k < c->groups[i]->n_processes; k++) {
			const struct process_conf *p = c->groups[i]->processes[k];

			(void)snprintf(both, sizeof both, "%s:%s", p->group, p->name);
			if (strcmp(name, p->namespec) == 0 || strcmp(name, both) == 0)
				return true;
		}
	return false;
}

static void check_exit_with(struct config *c)
{
	if (c->supervisord.exit_with && !names_process(c, c->supervisord.exit_with))
		diagnostic_add(&c->diagnostics, DIAGNOSTIC_WARNING, c->path, 0, "supervisord", "exit_with",
			       "there is no process %s: nothing will end the daemon; write the name of one process (of several: "
			       "group:name)", c->supervisord.exit_with);
}

static void read_groups(struct parser *p)
{
	char **claimed = NULL;

	for (size_t i = 0; i < p->ini.n_sections; i++)
		if (strncmp(p->ini.sections[i].name, "group:", 6) == 0)
			read_heterogeneous(p, &p->ini.sections[i], &claimed);
	read_sections(p, "program:", GROUP_PROGRAM, NULL, claimed);
	read_sections(p, "eventlistener:", GROUP_EVENTLISTENER, read_listener, NULL);
	read_sections(p, "fcgi-program:", GROUP_FCGI, read_fcgi, claimed);
	read_sections(p, "pool:", GROUP_POOL, NULL, NULL);
	strv_free(claimed);
	if (starved(p))
		return;
	sort_groups(p->config);
	drop_doubles(p);
	check_exit_with(p->config);
}

/* ---- servers ---- */

static void read_credentials(struct reading *r, struct server_conf *v)
{
	char text[300];

	v->username = get(r, "username", NULL);
	v->password = get(r, "password", NULL);
	if ((v->username != NULL) != (v->password != NULL)) {
		(void)snprintf(text, sizeof text,
			       "Section [%.80s] contains incomplete authentication: If a username or a password is specified, both the "
			       "username and password must be specified",
			       r->section->name);
		complain(r, NULL, v->username ? "password" : "username", "add the missing one", text);
	}
}

static void read_unix_server(struct reading *r, struct server_conf *v)
{
	struct ini_key *k;
	char *mode = get(r, "chmod", &k);
	char text[300];

	v->is_unix = true;
	v->chmod = 0700;
	v->file = get(r, "file", NULL);
	v->chown = get(r, "chown", NULL);
	if (!v->file) {
		(void)snprintf(text, sizeof text, "section [%.200s] has no file value", r->section->name);
		complain(r, NULL, "file", "add file=/path/to/socket", text);
	}
	make_absolute(&v->file, r->p->config->sources->directory);
	if (mode && parse_octal(mode, &v->chmod, NULL) < 0) {
		(void)snprintf(text, sizeof text, "Invalid chmod value %.100s", mode);
		complain(r, k, "chmod", "write an octal number such as 0700", text);
	}
	free(mode);
}

static void read_inet_server(struct reading *r, struct server_conf *v)
{
	struct ini_key *k;
	_cleanup_(freep) char *port = get(r, "port", &k);
	const char *colon = port ? strrchr(port, ':') : NULL;
	const char *number = colon ? colon + 1 : port;
	long long value = 0;
	char text[300] = "";

	v->host = strdup("");
	if (!port)
		(void)snprintf(text, sizeof text, "section [%.200s] has no port value", r->section->name);
	else if (!*number && colon)
		(void)snprintf(text, sizeof text, "no port number specified in '%.100s'", number);
	else if (parse_integer(number, &value, NULL) < 0 || (!colon && (value < 1 || value > 65535)))
		(void)snprintf(text, sizeof text, colon ? "invalid literal for int() with base 10: '%.100s'" : "not a valid port number: '%.100s' ",
			       number);
	else if (value < 1)
		(void)snprintf(text, sizeof text, "%lld is below lower bound (1)", value);
	else if (value > 65535)
		(void)snprintf(text, sizeof text, "%lld is above upper bound (65535)", value);
	if (*text)
		complain(r, k, "port", "write HOST:PORT or PORT", text);
	v->port = (int)value;
	for (const struct key *key = server_inet_keys; key->name; key++)
		if (key->type == KEY_BOOLEAN)
			read_key(r, key, v, 1);
	if (colon && strncmp(port, "*:", 2) != 0) {
		free(v->host);
		v->host = strndup(port, (size_t)(colon - port));
		for (char *c = v->host; c && *c; c++)
			*c = (char)tolower((unsigned char)*c);
	}
}

static void read_server(struct parser *p, struct ini_section *s, bool is_unix)
{
	struct config *c = p->config;
	struct server_conf *list = realloc(c->servers, (c->n_servers + 1) * sizeof *list);
	struct reading r = reading_of(p, s);
	char *here = here_of(s);

	if (list) {
		c->servers = list;
		list[c->n_servers] = (struct server_conf){ .section = strdup(s->name) };
		if (is_unix)
			r.scope.here = here;
		(is_unix ? read_unix_server : read_inet_server)(&r, &list[c->n_servers]);
		read_credentials(&r, &list[c->n_servers]);
		c->n_servers++;
	}
	free(r.first_error);
	free(here);
}

/* supervisord opens inet servers first; the URL for children prefers unix ones. */
static void read_servers(struct parser *p)
{
	struct config *c = p->config;
	const struct server_conf *chosen = NULL;

	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < p->ini.n_sections; i++)
			if (strncmp(p->ini.sections[i].name, pass ? "unix_http_server" : "inet_http_server", 16) == 0)
				read_server(p, &p->ini.sections[i], pass == 1);
	if (starved(p))
		return;
	for (size_t i = 0; i < c->n_servers; i++)
		if (!chosen || !chosen->is_unix)
			chosen = c->servers[i].is_unix || !chosen || !chosen->is_unix ? &c->servers[i] : chosen;
	if (chosen && chosen->is_unix && chosen->file && asprintf(&c->serverurl, "unix://%s", chosen->file) < 0)
		c->serverurl = NULL;
	if (chosen && !chosen->is_unix &&
	    asprintf(&c->serverurl, "http://%s:%d", *chosen->host ? chosen->host : "localhost", chosen->port) < 0)
		c->serverurl = NULL;
}

/* ---- [supervisorctl], [rpcinterface:x] ---- */

static void read_ctl(struct parser *p)
{
	struct ini_section *s = ini_section(&p->ini, "supervisorctl");
	struct config *c = p->config;
	struct reading r;
	char *path;

	if (!s)
		s = ini_section(&p->ini, "reevectl");
	set_defaults(ctl_keys, &c->ctl);
	if (!s)
		return;
	c->has_ctl = true;
	r = reading_of(p, s);
	r.scope.here = c->here;
	read_table(&r, ctl_keys, &c->ctl);
	if (c->ctl.serverurl && strncmp(c->ctl.serverurl, "unix://", 7) == 0) {
		path = strdup(c->ctl.serverurl + 7);
		make_absolute(&path, c->sources->directory);
		free(c->ctl.serverurl);
		if (!path || asprintf(&c->ctl.serverurl, "unix://%s", path) < 0)
			c->ctl.serverurl = NULL;
		free(path);
	}
	make_absolute(&c->ctl.history_file, c->sources->directory);
	free(r.first_error);
}

static const char stock_factory[] = "supervisor.rpcinterface:make_main_rpcinterface";

static void read_rpcinterface(struct parser *p, struct ini_section *s)
{
	struct config *c = p->config;
	struct rpcinterface_conf *list = realloc(c->rpcinterfaces, (c->n_rpcinterfaces + 1) * sizeof *list);
	struct reading r = reading_of(p, s);
	struct rpcinterface_conf *x;
	char text[300];

	if (!list)
		return;
	c->rpcinterfaces = list;
	x = &list[c->n_rpcinterfaces++];
	*x = (struct rpcinterface_conf){ .name = name_after_colon(s->name) };
	x->factory = get(&r, "supervisor.rpcinterface_factory", NULL);
	if (!x->factory) {
		(void)snprintf(text, sizeof text, "section [%.150s] does not specify a supervisor.rpcinterface_factory", s->name);
		complain(&r, NULL, "supervisor.rpcinterface_factory",
			 "write supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface", text);
	} else if (strcmp(x->factory, stock_factory) != 0) {
		warn(&r, ini_key(&p->ini, s, "supervisor.rpcinterface_factory"), "supervisor.rpcinterface_factory",
		     "a Python plug-in, which is not loaded here: its methods do not exist");
	}
	for (size_t i = 0; i < s->n_keys; i++) {
		char *value, *entry;

		if (strcmp(s->keys[i].name, "supervisor.rpcinterface_factory") == 0)
			continue;
		value = get(&r, s->keys[i].name, NULL);
		if (value && asprintf(&entry, "%s=%s", s->keys[i].name, value) >= 0)
			(void)strv_push(&x->settings, entry);
		if (x->factory && strcmp(x->factory, stock_factory) == 0)
			warn(&r, &s->keys[i], s->keys[i].name, "the stock interface takes no settings: ignored");
		free(value);
	}
	free(r.first_error);
}

static void read_rpcinterfaces(struct parser *p)
{
	for (size_t i = 0; i < p->ini.n_sections; i++)
		if (strncmp(p->ini.sections[i].name, "rpcinterface:", 13) == 0)
			read_rpcinterface(p, &p->ini.sections[i]);
}

/* ---- the whole ---- */

/* What the sources could not include. A file that is there but cannot be read may hold programs that run: an update must not go on. */
static void tell_not_included(struct parser *p, int line)
{
	const struct sources *s = p->config->sources;
	struct diagnostics *d = &p->config->diagnostics;

	for (char **u = s->unmatched; u && *u; u++)
		diagnostic_add(d, DIAGNOSTIC_WARNING, s->paths[0], line, "include", "files", "No file matches via include \"%s\"",
			       *u);
	for (char **u = s->unreadable; u && *u; u++)
		diagnostic_add(d, strstr(*u, ": ENOENT") ? DIAGNOSTIC_WARNING : DIAGNOSTIC_ERROR, s->paths[0], line, "include", "files",
			       "cannot be read: %s; let this user read it, or remove it", *u);
}

/* The patterns of [include] as sources.c saw them: 0, or -EINVAL. */
static int check_include(struct parser *p, struct ini_section *include, struct error *err)
{
	struct error why;
	const struct sources *s = p->config->sources;
	struct scope scope = { .environment = s->environment, .here = p->config->here, .host_node_name = s->host_node_name };
	struct ini_key *files = ini_key(&p->ini, include, "files");
	char *patterns;
	int r = 0;

	if (!files) {
		diagnostic_add(&p->config->diagnostics, DIAGNOSTIC_ERROR, include->file, include->line, "include", "files",
			       ".ini file has [include] section, but no files setting; add files=PATTERNS");
		return error_set(err, EINVAL, ".ini file has [include] section, but no files setting");
	}
	patterns = expand(files->value, &scope, "include.files", &why);
	if (!patterns) {
		r = error_set(err, EINVAL, "%s", why.text);
		diagnostic_add(&p->config->diagnostics, DIAGNOSTIC_ERROR, files->file, files->line, "include", "files", "%s", why.text);
	}
	free(patterns);
	return r;
}

static int read_files(struct parser *p, struct error *err)
{
	struct sources *s = p->config->sources;
	struct diagnostics *d = &p->config->diagnostics;
	struct ini_section *include;
	int line, r = ini_read(&p->ini, s->texts[0], s->paths[0], NULL, d, err);

	include = ini_section(&p->ini, "include");
	if (r < 0 || !include)
		return r;
	p->config->partial = true;
	r = check_include(p, include, err);
	if (r < 0)
		return r;
	/* With an [include], %(here)s is replaced before anything else, by each file's own directory. */
	line = include->line;
	ini_free(&p->ini);
	diagnostics_free(d);
	for (size_t i = 0; s->paths[i] && r == 0; i++) {
		char *here = directory_of(s->paths[i]);

		r = ini_read(&p->ini, s->texts[i], s->paths[i], here, d, err);
		free(here);
	}
	tell_not_included(p, line);
	p->config->partial = r < 0;
	return r;
}

/* All that is there is read, except what another file may complete: enough for a client to find its daemon by. */
static void read_partial(struct parser *p, struct ini_section *main_section)
{
	read_supervisord(p, main_section, NULL, 0);
	read_servers(p);
	read_ctl(p);
}

static int parse(struct parser *p, const struct override *overrides, size_t n_overrides, struct error *err)
{
	static void (*const readers[])(struct parser *p) = { read_servers, read_rpcinterfaces, read_groups, read_ctl, warn_unknown };
	struct config *c = p->config;
	struct ini_section *main_section;
	int r = read_files(p, err);

	if (starved(p))
		return error_set(err, ENOMEM, "out of memory");
	if (r < 0 && !c->partial)
		return r;
	main_section = ini_section(&p->ini, "supervisord");
	if (!main_section)
		main_section = ini_section(&p->ini, "reeved");
	p->base = (struct scope){ .environment = c->sources->environment };
	if (r < 0 && main_section) {
		read_partial(p, main_section);
		return memory_failures == p->failures ? r : error_set(err, ENOMEM, "out of memory");
	}
	if (!main_section) {		/* enough for a client */
		c->partial = false;
		read_ctl(p);
		diagnostic_add(&c->diagnostics, DIAGNOSTIC_ERROR, c->path, 0, NULL, NULL,
			       ".ini file does not include supervisord section; add a line [supervisord]");
		return error_set(err, EINVAL, ".ini file does not include supervisord section");
	}
	read_supervisord(p, main_section, overrides, n_overrides);
	for (size_t i = 0; i < ARRAY_LEN(readers) && !starved(p); i++)
		readers[i](p);
	return starved(p) ? error_set(err, ENOMEM, "out of memory") : 0;
}

int config_parse(struct sources *sources, const struct override *overrides, size_t n_overrides, struct config **ret,
		 struct error *err)
{
	struct parser p = { .failures = memory_failures, .config = calloc(1, sizeof(struct config)) };
	int r;

	if (!p.config) {
		sources_free(sources);
		return error_set(err, ENOMEM, "out of memory");
	}
	p.config->sources = sources;
	p.config->path = strdup(sources->paths[0]);
	p.config->here = directory_of(sources->paths[0]);
	answers_from(sources);
	r = p.config->path && p.config->here ? parse(&p, overrides, n_overrides, err) : -ENOMEM;
	answers_from(NULL);
	ini_free(&p.ini);
	if (starved(&p)) {
		config_free(p.config);
		*ret = NULL;
		return error_set(err, ENOMEM, "out of memory");
	}
	*ret = p.config;
	return r;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_groups; i++)
		group_conf_free(c->groups[i]);
	free(c->groups);
	for (size_t i = 0; i < c->n_servers; i++) {
		struct server_conf *v = &c->servers[i];

		free(v->section);
		free(v->username);
		free(v->password);
		free(v->file);
		free(v->chown);
		free(v->host);
	}
	free(c->servers);
	for (size_t i = 0; i < c->n_rpcinterfaces; i++) {
		free(c->rpcinterfaces[i].name);
		free(c->rpcinterfaces[i].factory);
		strv_free(c->rpcinterfaces[i].settings);
	}
	free(c->rpcinterfaces);
	for (const struct key *k = supervisord_keys; k->name; k++)
		key_free(k, &c->supervisord);
	for (const struct key *k = ctl_keys; k->name; k++)
		key_free(k, &c->ctl);
	diagnostics_free(&c->diagnostics);
	free(c->first_error);
	sources_free(c->sources);
	free(c->serverurl);
	free(c->path);
	free(c->here);
	free(c);
}

struct group_conf *config_group(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_groups; i++)
		if (strcmp(c->groups[i]->name, name) == 0)
			return c->groups[i];
	return NULL;
}

/* ---- places ---- */

char *config_find(const char *argv0, struct error *err)
{
	static const char *const fixed[] = { "supervisord.conf", "etc/supervisord.conf", "/etc/reeve.ini", "/etc/reeve/reeve.ini",
					     "/etc/supervisord.conf", "/etc/supervisor/supervisord.conf" };
	_cleanup_(freep) char *bin = directory_of(argv0);
	struct text tried = { 0 };
	char path[4096], *found;

	if (!bin) {
		(void)error_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	for (size_t i = 0; i < ARRAY_LEN(fixed) + 2; i++) {
		if (i < 2)
			(void)snprintf(path, sizeof path, "%s/../%ssupervisord.conf", strchr(argv0, '/') ? bin : "/usr/bin",
				       i == 0 ? "etc/" : "");
		else
			(void)snprintf(path, sizeof path, "%s", fixed[i - 2]);
		if (access(path, F_OK) == 0) {
			free(tried.data);
			found = strdup(path);
			if (!found)
				(void)error_set(err, ENOMEM, "out of memory");
			return found;
		}
		text_printf(&tried, "%s%s", tried.length ? ", " : "", path);
	}
	(void)error_set(err, ENOENT,
			"No config file found at default paths (%s); use the -c option to specify a config file at a different path",
			tried.data ? tried.data : "");
	free(tried.data);
	return NULL;
}

char *config_rundir(const struct config *c)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char *path = NULL;

	if (c->supervisord.rundir)
		return absolute_path(c->supervisord.rundir, c->here);
	for (size_t i = 0; i < c->n_servers; i++)
		if (c->servers[i].is_unix && c->servers[i].file)
			return asprintf(&path, "%s.reeve", c->servers[i].file) < 0 ? NULL : path;
	if (geteuid() == 0)
		return strdup("/run/reeve");
	if (runtime && *runtime)
		return asprintf(&path, "%s/reeve", runtime) < 0 ? NULL : path;
	return asprintf(&path, "/tmp/reeve-%u", (unsigned)geteuid()) < 0 ? NULL : path;
}
