/* See read.h. A section with a program becomes its processes: numprocs of them, each expanded for itself. */
#include <errno.h>
#include <string.h>

#include "expand.h"
#include "read.h"
#include "strv.h"
#include "value.h"
#include "memory.h"

void process_conf_free(struct process_conf *c)
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
			section_warn(r, k, key, text);
		}
	}
	if (c->redirect_stderr) {
		struct channel_conf *e = &c->channel[CHANNEL_STDERR];
		struct ini_key *k = ini_key(&r->p->ini, r->section, "stderr_logfile");

		if (e->logfile_kind == LOGFILE_PATH && k)
			section_warn(r, k, "stderr_logfile", "not used, because redirect_stderr=true sends stderr to the stdout log");
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
			section_read_key(r, k, c, k->type == KEY_LOGFILE ? 2 : 1);
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
		section_error(r, NULL, "command", "add command=PROGRAM ARGUMENTS", text);
	}
	if (!kill_key)
		c->killasgroup = c->stopasgroup;
	else if (c->stopasgroup && !c->killasgroup)
		section_error(r, kill_key, "killasgroup", "leave it out, or set it to true",
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
	path_make_absolute(&path, here);
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
	keys_set_defaults(pool_keys, pool);
	section_read(r, pool_keys, pool);
	if (parser_starved(r->p))
		return;
	if (!queue_is_known(pool->queue))
		section_error(r, k, "queue", "write memory, sqlite:FILE, redis://HOST:PORT/DB?stream=NAME or unix:SOCKET?stream=NAME",
			 "no such kind of queue");
	make_queue_absolute(pool, r->scope.here);
	if (pool->claim && strcmp(pool->queue, "memory") == 0)
		section_warn(r, ini_key(&r->p->ini, r->section, "claim"), "claim", "has no meaning for queue=memory, which forgets all tasks anyway");
	if (pool->window > 1 && pool->mode == MODE_EXEC)
		section_warn(r, ini_key(&r->p->ini, r->section, "window"), "window", "has no meaning for mode=exec, where a process has one task");
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
	keys_set_defaults(program_keys, c);
	r->scope.numbered = true;
	r->scope.process_num = number;
	r->scope.numprocs = n->numprocs;
	read_program_keys(r, c, n->numprocs < 1);
	r->scope.own = c->environment;
	(void)snprintf(label, sizeof label, "%s.process_name", r->section->name);
	c->name = n->numprocs < 1 ? strdup(program) : expand(n->process_name, &r->scope, label, &err);
	r->scope.own = NULL;
	if (!c->name) {
		section_error(r, ini_key(&r->p->ini, r->section, "process_name"), "process_name", section_expansion_hint(err.code, 1), err.text);
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

static void read_instances(struct reading *r, struct instances *n)
{
	struct ini_key *k = ini_key(&r->p->ini, r->section, "process_name");

	*n = (struct instances){ 0 };
	keys_set_defaults(instance_keys, n);
	section_read_key(r, &instance_keys[0], n, 1);
	section_read_key(r, &instance_keys[1], n, 1);
	if (k) {
		free(n->process_name);
		n->process_name = strdup(k->value);
	}
	if (n->process_name && section_check_name(r, "process_name", n->process_name) && n->numprocs > 1 &&
	    !strstr(n->process_name, "%(process_num)"))
		section_error(r, k, "process_name", "write for instance %(program_name)s_%(process_num)02d",
			 "%(process_num) must be present within process_name when numprocs > 1");
	if (n->numprocs > NUMPROCS_MAX) {
		section_error(r, ini_key(&r->p->ini, r->section, "numprocs"), "numprocs", "write at most 16000", "too many processes");
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
bool read_program(struct parser *p, struct ini_section *s, struct group_conf *g, enum group_kind kind)
{
	struct reading r = section_reading(p, s);
	char *here = directory_of(s->file), *program = section_own_name(s->name);
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
	(void)section_check_name(&r, NULL, program);
	if (kind == GROUP_POOL)
		n = (struct instances){ .numprocs = 1, .process_name = strdup("%(program_name)s") };
	else
		read_instances(&r, &n);
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
