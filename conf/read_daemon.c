/* See read.h. The sections about the daemon itself and its doors: [supervisord], HTTP servers, [supervisorctl], [rpcinterface:x]. */
#include <ctype.h>
#include <string.h>

#include "read.h"
#include "strv.h"
#include "value.h"
#include "memory.h"

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
		section_error(r, ini_key(&r->p->ini, r->section, "control_access"), "control_access", "write read, operate or admin",
			 "no such level");
	if (c->heartbeat < 1)
		section_error(r, ini_key(&r->p->ini, r->section, "heartbeat"), "heartbeat", "write a number of seconds from 1 on",
			 "too short");
	if (c->stop_deadline < 0)
		section_error(r, ini_key(&r->p->ini, r->section, "stop_deadline"), "stop_deadline",
			 "write a number of seconds, or 0 for no limit", "negative");
}

void read_supervisord(struct parser *p, struct ini_section *s, const struct override *overrides, size_t n_overrides)
{
	struct supervisord_conf *c = &p->config->supervisord;
	struct reading r = section_reading(p, s);
	const struct key *environment = &supervisord_keys[0];

	r.scope.here = p->config->here;
	keys_set_defaults(supervisord_keys, c);
	c->childlogdir = default_childlogdir();
	for (const struct key *k = supervisord_keys; k->name; k++)
		if (k->type != KEY_ENVIRONMENT)
			section_read_key(&r, k, c, 1);
	/* Last, because the keys above do not see it; expanded twice, as in supervisord 4.2.5. */
	section_read_key(&r, environment, c, 2);
	p->base.added = c->environment;
	check_supervisord(&r);
	apply_overrides(p, overrides, n_overrides);
	if (c->logfile && strcmp(c->logfile, "syslog") != 0)
		path_make_absolute(&c->logfile, p->config->sources->directory);
	path_make_absolute(&c->pidfile, p->config->sources->directory);
	make_user_path(&c->childlogdir);
	make_user_path(&c->directory);
	free(r.first_error);
}

/* ---- servers ---- */

static void read_credentials(struct reading *r, struct server_conf *v)
{
	char text[300];

	v->username = section_get(r, "username", NULL);
	v->password = section_get(r, "password", NULL);
	if ((v->username != NULL) != (v->password != NULL)) {
		(void)snprintf(text, sizeof text,
			       "Section [%.80s] contains incomplete authentication: If a username or a password is specified, both the "
			       "username and password must be specified",
			       r->section->name);
		section_error(r, NULL, v->username ? "password" : "username", "add the missing one", text);
	}
}

static void read_unix_server(struct reading *r, struct server_conf *v)
{
	struct ini_key *k;
	char *mode = section_get(r, "chmod", &k);
	char text[300];

	v->is_unix = true;
	v->chmod = 0700;
	v->file = section_get(r, "file", NULL);
	v->chown = section_get(r, "chown", NULL);
	if (!v->file) {
		(void)snprintf(text, sizeof text, "section [%.200s] has no file value", r->section->name);
		section_error(r, NULL, "file", "add file=/path/to/socket", text);
	}
	path_make_absolute(&v->file, r->p->config->sources->directory);
	if (mode && parse_octal(mode, &v->chmod, NULL) < 0) {
		(void)snprintf(text, sizeof text, "Invalid chmod value %.100s", mode);
		section_error(r, k, "chmod", "write an octal number such as 0700", text);
	}
	free(mode);
}

static void read_inet_server(struct reading *r, struct server_conf *v)
{
	struct ini_key *k;
	_cleanup_(freep) char *port = section_get(r, "port", &k);
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
		section_error(r, k, "port", "write HOST:PORT or PORT", text);
	v->port = (int)value;
	for (const struct key *key = server_inet_keys; key->name; key++)
		if (key->type == KEY_BOOLEAN)
			section_read_key(r, key, v, 1);
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
	struct reading r = section_reading(p, s);
	char *here = directory_of(s->file);

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
void read_servers(struct parser *p)
{
	struct config *c = p->config;
	const struct server_conf *chosen = NULL;

	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < p->ini.n_sections; i++)
			if (strncmp(p->ini.sections[i].name, pass ? "unix_http_server" : "inet_http_server", 16) == 0)
				read_server(p, &p->ini.sections[i], pass == 1);
	if (parser_starved(p))
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

void read_ctl(struct parser *p)
{
	struct ini_section *s = ini_section(&p->ini, "supervisorctl");
	struct config *c = p->config;
	struct reading r;
	char *path;

	if (!s)
		s = ini_section(&p->ini, "reevectl");
	keys_set_defaults(ctl_keys, &c->ctl);
	if (!s)
		return;
	c->has_ctl = true;
	r = section_reading(p, s);
	r.scope.here = c->here;
	section_read(&r, ctl_keys, &c->ctl);
	if (c->ctl.serverurl && strncmp(c->ctl.serverurl, "unix://", 7) == 0) {
		path = strdup(c->ctl.serverurl + 7);
		path_make_absolute(&path, c->sources->directory);
		free(c->ctl.serverurl);
		if (!path || asprintf(&c->ctl.serverurl, "unix://%s", path) < 0)
			c->ctl.serverurl = NULL;
		free(path);
	}
	path_make_absolute(&c->ctl.history_file, c->sources->directory);
	free(r.first_error);
}

static const char stock_factory[] = "supervisor.rpcinterface:make_main_rpcinterface";

static void read_rpcinterface(struct parser *p, struct ini_section *s)
{
	struct config *c = p->config;
	struct rpcinterface_conf *list = realloc(c->rpcinterfaces, (c->n_rpcinterfaces + 1) * sizeof *list);
	struct reading r = section_reading(p, s);
	struct rpcinterface_conf *x;
	char text[300];

	if (!list)
		return;
	c->rpcinterfaces = list;
	x = &list[c->n_rpcinterfaces++];
	*x = (struct rpcinterface_conf){ .name = section_own_name(s->name) };
	x->factory = section_get(&r, "supervisor.rpcinterface_factory", NULL);
	if (!x->factory) {
		(void)snprintf(text, sizeof text, "section [%.150s] does not specify a supervisor.rpcinterface_factory", s->name);
		section_error(&r, NULL, "supervisor.rpcinterface_factory",
			 "write supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface", text);
	} else if (strcmp(x->factory, stock_factory) != 0) {
		section_warn(&r, ini_key(&p->ini, s, "supervisor.rpcinterface_factory"), "supervisor.rpcinterface_factory",
		     "a Python plug-in, which is not loaded here: its methods do not exist");
	}
	for (size_t i = 0; i < s->n_keys; i++) {
		char *value, *entry;

		if (strcmp(s->keys[i].name, "supervisor.rpcinterface_factory") == 0)
			continue;
		value = section_get(&r, s->keys[i].name, NULL);
		if (value && asprintf(&entry, "%s=%s", s->keys[i].name, value) >= 0)
			(void)strv_push(&x->settings, entry);
		if (x->factory && strcmp(x->factory, stock_factory) == 0)
			section_warn(&r, &s->keys[i], s->keys[i].name, "the stock interface takes no settings: ignored");
		free(value);
	}
	free(r.first_error);
}

void read_rpcinterfaces(struct parser *p)
{
	for (size_t i = 0; i < p->ini.n_sections; i++)
		if (strncmp(p->ini.sections[i].name, "rpcinterface:", 13) == 0)
			read_rpcinterface(p, &p->ini.sections[i]);
}
