/* See read.h. Groups: those that a program, listener, fcgi program or pool makes for itself, and those of [group:x]. */
#include <ctype.h>
#include <string.h>

#include "read.h"
#include "strv.h"
#include "value.h"
#include "memory.h"

void group_conf_free(struct group_conf *g)
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
	struct reading r = section_reading(p, s);

	*ret_here = directory_of(s->file);
	r.scope.here = *ret_here;
	return r;
}

static void read_group_priority(struct reading *r, struct group_conf *g)
{
	struct ini_key *k;
	struct error err;
	_cleanup_(freep) char *value = section_get(r, "priority", &k);

	if (value && parse_integer(value, &g->priority, &err) < 0)
		section_error(r, k, "priority", key_type_hint(KEY_INTEGER), err.text);
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
	struct group_conf *g = group_add(p, section_own_name(s->name), kind);
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
		consider_name(name, event_types[i], &best, &d);
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
	_cleanup_(freep) char *value = section_get(r, "events", &k);
	char text[300], hint[100];

	if (!value || !*value) {
		(void)snprintf(text, sizeof text, "[%.200s] section requires an \"events\" line", r->section->name);
		section_error(r, k, "events", "name event types such as PROCESS_STATE", text);
		return;
	}
	(void)parse_list(value, &g->events);
	for (char **e = g->events; e && *e; e++)
		if (!known_event(*e)) {
			(void)snprintf(text, sizeof text, "Unknown event type %.80s in [%.100s] events", *e, r->section->name);
			section_error(r, k, "events", event_hint(*e, hint, sizeof hint), text);
		}
	if (g->events)
		qsort(g->events, strv_length(g->events), sizeof *g->events, compare_strings);
}

static void read_listener(struct reading *r, struct group_conf *g)
{
	struct ini_key *k = ini_key(&r->p->ini, r->section, "redirect_stderr");
	char text[300];
	bool redirect;

	keys_set_defaults(listener_keys, g);
	section_read(r, listener_keys, g);
	read_events(r, g);
	if (g->buffer_size < 1) {
		(void)snprintf(text, sizeof text, "[%.150s] section sets invalid buffer_size (%lld)", r->section->name, g->buffer_size);
		section_error(r, ini_key(&r->p->ini, r->section, "buffer_size"), "buffer_size", "write a number from 1 on", text);
	}
	if (g->result_handler && strcmp(g->result_handler, "supervisor.dispatchers:default_handler") != 0)
		section_warn(r, ini_key(&r->p->ini, r->section, "result_handler"), "result_handler",
		     "a Python callable, which is not called here: the default rule applies (OK is success)");
	if (k && parse_boolean(k->value, &redirect, NULL) == 0 && redirect) {
		(void)snprintf(text, sizeof text,
			       "[%.100s] section sets redirect_stderr=true but this is not allowed because it will interfere with the "
			       "eventlistener protocol",
			       r->section->name);
		section_error(r, k, "redirect_stderr", "leave it out", text);
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
	char *mode = section_get(r, "socket_mode", &k), *backlog = section_get(r, "socket_backlog", NULL);
	long long number;
	char text[300];

	g->socket.mode = is_unix ? 0700 : -1;
	if (mode && parse_octal(mode, &g->socket.mode, NULL) < 0) {
		(void)snprintf(text, sizeof text, "Invalid socket_mode value %.100s in [%.100s] socket", mode, r->section->name);
		section_error(r, k, "socket_mode", "write an octal number such as 0770", text);
	}
	if ((mode || g->socket.owner) && !is_unix)
		section_error(r, mode ? k : ini_key(&r->p->ini, r->section, "socket_owner"), mode ? "socket_mode" : "socket_owner",
			 "leave it out, or listen on a unix socket",
			 "socket_owner and socket_mode params should only be used with a Unix domain socket");
	if (backlog && (parse_integer(backlog, &number, NULL) < 0 || number < 1 || number > 65535)) {
		(void)snprintf(text, sizeof text, "Invalid socket_backlog value %.100s", backlog);
		section_error(r, ini_key(&r->p->ini, r->section, "socket_backlog"), "socket_backlog", "write a number from 1 to 65535", text);
	} else if (backlog) {
		g->socket.backlog = (int)number;
	}
	free(mode);
	free(backlog);
}

static void read_fcgi(struct reading *r, struct group_conf *g)
{
	char *program = section_own_name(r->section->name);
	struct ini_key *k;
	char text[300];

	r->scope.program_name = program;
	section_read(r, fcgi_keys, g);
	k = ini_key(&r->p->ini, r->section, "socket");
	if (!k) {
		(void)snprintf(text, sizeof text, "[%.150s] section requires a \"socket\" line", r->section->name);
		section_error(r, NULL, "socket", "write tcp://host:port or unix:///path", text);
	} else if (g->socket.url && bad_socket_url(g->socket.url, r->section->name, text, sizeof text)) {
		section_error(r, k, "socket", "write tcp://host:port or unix:///path", text);
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
			char *own = section_own_name(p->ini.sections[i].name);
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
		section_error(r, k, "programs", "rename one of them", text);
	} else if (!program && !fcgi) {
		(void)snprintf(text, sizeof text, "[%.100s] names unknown program or fcgi-program %.100s", r->section->name, name);
		section_error(r, k, "programs", "correct the name, or add its section", text);
	} else {
		(void)strv_push(claimed, strdup((program ? program : fcgi)->name));
		(void)read_program(r->p, program ? program : fcgi, g, program ? GROUP_PROGRAM : GROUP_FCGI);
		if (fcgi)
			read_member_socket(r, fcgi, g, first);
	}
}

static void read_heterogeneous(struct parser *p, struct ini_section *s, char ***claimed)
{
	struct group_conf *g = group_add(p, section_own_name(s->name), GROUP_PROGRAM);
	char *here, *value, **names = NULL;
	struct reading r;
	struct ini_key *k;

	if (!g)
		return;
	r = group_reading(p, s, &here);
	(void)section_check_name(&r, NULL, g->name);
	read_group_priority(&r, g);
	value = section_get(&r, "programs", &k);
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
		_cleanup_(freep) char *own = colon ? section_own_name(ini->sections[i].name) : NULL;

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

void read_groups(struct parser *p)
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
	if (parser_starved(p))
		return;
	sort_groups(p->config);
	drop_doubles(p);
	check_exit_with(p->config);
}
