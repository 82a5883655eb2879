/* Files become a struct config: includes, then section by section (read.h), in the order that supervisord has. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "expand.h"
#include "read.h"
#include "strv.h"
#include "value.h"
#include "memory.h"

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

	if (parser_starved(p))
		return error_set(err, ENOMEM, "out of memory");
	if (r < 0 && !c->partial)
		return r;
	main_section = ini_section(&p->ini, "supervisord");
	if (!main_section)
		main_section = ini_section(&p->ini, "reeved");
	p->base = (struct scope){ .environment = c->sources->environment };
	if (r < 0 && main_section) {
		read_partial(p, main_section);
		return parser_starved(p) ? error_set(err, ENOMEM, "out of memory") : r;
	}
	if (!main_section) {		/* enough for a client */
		c->partial = false;
		read_ctl(p);
		diagnostic_add(&c->diagnostics, DIAGNOSTIC_ERROR, c->path, 0, NULL, NULL,
			       ".ini file does not include supervisord section; add a line [supervisord]");
		return error_set(err, EINVAL, ".ini file does not include supervisord section");
	}
	read_supervisord(p, main_section, overrides, n_overrides);
	for (size_t i = 0; i < ARRAY_LEN(readers) && !parser_starved(p); i++)
		readers[i](p);
	return parser_starved(p) ? error_set(err, ENOMEM, "out of memory") : 0;
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
	if (parser_starved(&p)) {
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
