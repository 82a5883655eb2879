/*
 * Where the daemon is: options, the configuration's [supervisorctl] and servers, or the default run directory. All of
 * them lead to a run directory on this machine, whose sockets reevectl speaks to; an http:// URL is only a name for
 * one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl.h"
#include "base/command_line.h"
#include "reading.h"

/* ---- URLs ---- */

static const struct server_conf *unix_server(const struct config *config, const char *file)
{
	for (size_t i = 0; config && i < config->n_servers; i++)
		if (config->servers[i].is_unix && config->servers[i].file && strcmp(config->servers[i].file, file) == 0)
			return &config->servers[i];
	return NULL;
}

/* Host and port of "http://[user[:password]@]HOST[:PORT][/...]". */
static void http_parts(const char *url, char *host, size_t size, int *ret_port)
{
	const char *at = url + strlen("http://"), *end = at + strcspn(at, "/"), *colon;

	for (const char *p = at; p < end; p++)
		if (*p == '@')
			at = p + 1;
	colon = *at == '[' ? memchr(at, ']', (size_t)(end - at)) : at;
	colon = colon ? memchr(colon, ':', (size_t)(end - colon)) : NULL;
	*ret_port = colon ? atoi(colon + 1) : 80;
	(void)snprintf(host, size, "%.*s", (int)((colon ? colon : end) - at), at);
}

static bool is_here(const char *host)
{
	char name[256] = "";

	(void)gethostname(name, sizeof name - 1);
	return !*host || strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
	       strcmp(host, "[::1]") == 0 || strcmp(host, name) == 0;
}

/* Is URL the daemon of CONFIG? FROM_FILE: it is what the file itself says. */
static bool http_is_ours(const struct config *config, const char *url, bool from_file)
{
	char host[256];
	int port;

	http_parts(url, host, sizeof host, &port);
	for (size_t i = 0; config && i < config->n_servers; i++)
		if (!config->servers[i].is_unix && config->servers[i].port == port)
			return is_here(host) || strcmp(host, config->servers[i].host) == 0;
	return from_file && config && is_here(host);
}

/* The control socket itself, its directory, or supervisord's socket F (then F.reeve is the directory). */
static char *rundir_of_path(const struct config *config, const char *path)
{
	static const char control[] = "/control.sock";
	size_t n = strlen(path);
	struct stat st;
	char *ret = NULL;

	if (unix_server(config, path))
		return config_rundir(config);
	if (n > sizeof control - 1 && strcmp(path + n - (sizeof control - 1), control) == 0)
		return strndup(path, n - (sizeof control - 1));
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return strdup(path);
	return asprintf(&ret, "%s.reeve", path) < 0 ? NULL : ret;
}

static bool usable(const char *rundir)
{
	char control[4200];

	(void)snprintf(control, sizeof control, "%s/control.sock", rundir);
	return access(control, W_OK) == 0;
}

/* supervisord's own socket, or ours where the run directory is not for us: there is only HTTP. */
static bool only_http(const char *rundir, const char *path)
{
	struct stat st;

	return !usable(rundir) && stat(path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	       strncmp(path, rundir, strlen(rundir)) != 0;
}

/* Rather no answer than that of another daemon. */
static int no_memory(void)
{
	(void)printf("error: out of memory\n");
	return CTL_GENERIC;
}

static void set_place(struct ctl *ctl, const char *url)
{
	const struct ctl_conf *c = ctl->config && ctl->config->has_ctl ? &ctl->config->ctl : NULL;
	const char *username = ctl->username ? ctl->username : c ? c->username : NULL;
	const char *password = ctl->password ? ctl->password : c ? c->password : NULL;

	ctl->place = calloc(1, sizeof *ctl->place);
	if (!ctl->place) {
		ctl_fail(ctl, no_memory());
		return;
	}
	if (!http_place_parse(url, ctl->place)) {
		if (!ctl->quiet)
			(void)printf("error: %s: write http://HOST:PORT or unix:///SOCKET\n", url);
		ctl_fail(ctl, CTL_GENERIC);
		free(TAKE(ctl->place));
		return;
	}
	if (username && !*ctl->place->username) {
		(void)snprintf(ctl->place->username, sizeof ctl->place->username, "%s", username);
		(void)snprintf(ctl->place->password, sizeof ctl->place->password, "%s", password ? password : "");
	}
}

/* The run directory of URL in ctl->rundir, or its HTTP server in ctl->place. */
static void find_url(struct ctl *ctl, const char *url, bool from_file)
{
	bool is_unix = strncmp(url, "unix://", 7) == 0, is_http = strncmp(url, "http://", 7) == 0;

	if (is_http && !http_is_ours(ctl->config, url, from_file && !ctl->client_file)) {
		set_place(ctl, url);
	} else if (is_http) {
		ctl->rundir = config_rundir(ctl->config);
		if (ctl->rundir && !usable(ctl->rundir) && !from_file) {
			free(TAKE(ctl->rundir));
			set_place(ctl, url);
		}
	} else {
		ctl->rundir = rundir_of_path(ctl->config, is_unix ? url + 7 : url);
		if (is_unix && ctl->rundir && only_http(ctl->rundir, url + 7)) {
			free(TAKE(ctl->rundir));
			set_place(ctl, url);
		}
	}
}

/* ---- the configuration ---- */

static int read_config(struct ctl *ctl, const char *path, struct error *err)
{
	struct sources *sources;
	int r = reading(path, ctl->quiet, &sources, err);

	return r < 0 ? r : config_parse(sources, NULL, 0, &ctl->config, err);
}

/* A default place that supervisorctl does not know: what it insists on need not be there. */
static bool found_ours(const struct ctl *ctl)
{
	return !ctl->configuration && ctl->config && strncmp(ctl->config->path, "/etc/reeve", strlen("/etc/reeve")) == 0;
}

/*
 * supervisorctl insists on its own section, and on nothing else. A mistake in an included file is the daemon's to tell: who asks for
 * status must get it all the same.
 */
static int check_config(struct ctl *ctl, int r, const struct error *err)
{
	if (ctl->config && ctl->config->partial)
		r = 0;
	if (ctl->compatible && ctl->config && !ctl->config->has_ctl && r == 0 && !ctl->quiet && !found_ours(ctl))
		return command_line_error(ctl->program, ".ini file does not include supervisorctl section");
	if (ctl->quiet && r < 0 && !(ctl->config && ctl->config->has_ctl))
		return CTL_USAGE;
	ctl->client_file = r < 0 && ctl->config && ctl->config->has_ctl;
	if (r == 0 || ctl->client_file)
		return CTL_OK;
	if (ctl->compatible)
		return command_line_error(ctl->program, "%s", err->text);
	(void)printf("error: %s\n", err->text);
	return CTL_USAGE;
}

int ctl_configure(struct ctl *ctl)
{
	struct error err = { 0 };
	char *path;
	int r;

	if (ctl->configured)
		return CTL_OK;
	path = ctl->configuration ? strdup(ctl->configuration) : config_find(ctl->program, &err);
	if (!path && err.code != ENOENT)
		return no_memory();
	r = path ? check_config(ctl, read_config(ctl, path, &err), &err) : CTL_OK;
	free(path);
	ctl->configured = r == CTL_OK;
	return r;
}

/* ---- the run directory ---- */

static char *default_rundir(const struct config *config)
{
	static const struct config none;

	return config_rundir(config ? config : &none);
}

/* A server that was named needs no configuration; one that was not found or has errors does not matter then. */
static bool needs_config(const struct ctl *ctl)
{
	return ctl->compatible || ctl->configuration || !ctl->server || strncmp(ctl->server, "http://", 7) == 0;
}

/* What the file says, where nothing was named: its [supervisorctl] for supervisorctl, its daemon for reevectl. */
static char *url_of_file(const struct ctl *ctl)
{
	const struct config *c = ctl->config;
	_cleanup_(freep) char *rundir = default_rundir(c);
	char *url = NULL;

	if ((ctl->compatible || ctl->client_file) && c && (c->has_ctl || !found_ours(ctl)))
		return c->ctl.serverurl ? strdup(c->ctl.serverurl) : NULL;
	for (size_t i = 0; c && rundir && i < c->n_servers && !url; i++)
		if (c->servers[i].is_unix && c->servers[i].file && only_http(rundir, c->servers[i].file) &&
		    asprintf(&url, "unix://%s", c->servers[i].file) < 0)
			url = NULL;
	return url;
}

const char *ctl_find(struct ctl *ctl)
{
	_cleanup_(freep) char *url = NULL;
	int r;

	if (ctl->rundir || ctl->place)
		return ctl->rundir;
	r = needs_config(ctl) ? ctl_configure(ctl) : CTL_OK;
	if (r != CTL_OK) {
		ctl_fail(ctl, r);
		return NULL;
	}
	url = ctl->server ? strdup(ctl->server) : url_of_file(ctl);
	if (!url && ctl->server) {
		ctl_fail(ctl, no_memory());
		return NULL;
	}
	if (url)
		find_url(ctl, url, !ctl->server);
	else
		ctl->rundir = default_rundir(ctl->config);
	free(ctl->url);
	if (!url && ctl->rundir && asprintf(&url, "unix://%s/control.sock", ctl->rundir) < 0)
		url = NULL;
	ctl->url = TAKE(url);
	return ctl->rundir;
}

bool ctl_is_remote(struct ctl *ctl)
{
	(void)ctl_find(ctl);
	return ctl->place;
}

const char *ctl_rundir(struct ctl *ctl)
{
	const char *rundir = ctl_find(ctl);

	if (ctl->place) {
		(void)printf("error: %s: this needs the daemon's own socket, on its machine\n", ctl->url);
		ctl_fail(ctl, CTL_GENERIC);
	}
	return rundir;
}

void ctl_open(struct ctl *ctl, const char *url)
{
	char *opened = strdup(url);

	if (!opened) {
		ctl_fail(ctl, no_memory());
		return;
	}
	ctl_disconnect(ctl);
	free(ctl->rundir);
	free(ctl->url);
	free(ctl->opened);
	free(TAKE(ctl->place));
	ctl->rundir = ctl->url = NULL;
	ctl->opened = opened;
	ctl->server = ctl->opened;
}

void ctl_fini(struct ctl *ctl)
{
	ctl_disconnect(ctl);
	config_free(ctl->config);
	free(ctl->rundir);
	free(ctl->place);
	free(ctl->url);
	free(ctl->opened);
}
