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
#include "options.h"

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

static char *rundir_of_url(struct ctl *ctl, const char *url, bool from_file)
{
	if (strncmp(url, "unix://", 7) == 0)
		return rundir_of_path(ctl->config, url + 7);
	if (strncmp(url, "http://", 7) != 0)
		return rundir_of_path(ctl->config, url);
	if (http_is_ours(ctl->config, url, from_file))
		return config_rundir(ctl->config);
	(void)printf("error: %s: only daemons of this machine can be reached, over their sockets: name unix:///SOCKET "
		     "or the run directory with "
		     "-s, or with -c the file whose [inet_http_server] this is\n",
		     url);
	ctl_fail(ctl, CTL_GENERIC);
	return NULL;
}

/* ---- the configuration ---- */

static int read_config(struct ctl *ctl, const char *path, struct error *err)
{
	struct sources *sources;
	int r = sources_read(path, &sources, err);

	return r < 0 ? r : config_parse(sources, NULL, 0, &ctl->config, err);
}

/* supervisorctl insists on its own section, and on nothing else. */
static int check_config(struct ctl *ctl, int r, const struct error *err)
{
	if (ctl->compatible && ctl->config && !ctl->config->has_ctl && r == 0)
		return options_error(ctl, ".ini file does not include supervisorctl section");
	if (r == 0 || (ctl->config && ctl->config->has_ctl))
		return CTL_OK;
	if (ctl->compatible)
		return options_error(ctl, "%s", err->text);
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
	path = ctl->configuration ? strdup(ctl->configuration) : config_find(ctl->program, NULL);
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

const char *ctl_rundir(struct ctl *ctl)
{
	const char *url = ctl->server;
	int r;

	if (ctl->rundir)
		return ctl->rundir;
	r = needs_config(ctl) ? ctl_configure(ctl) : CTL_OK;
	if (r != CTL_OK) {
		ctl_fail(ctl, r);
		return NULL;
	}
	if (!url && ctl->compatible && ctl->config)
		url = ctl->config->ctl.serverurl;
	ctl->rundir = url ? rundir_of_url(ctl, url, !ctl->server) : default_rundir(ctl->config);
	if (ctl->rundir && !ctl->url &&
	    (url ? (ctl->url = strdup(url)) == NULL : asprintf(&ctl->url, "unix://%s/control.sock", ctl->rundir) < 0))
		ctl->url = NULL;
	return ctl->rundir;
}

void ctl_open(struct ctl *ctl, const char *url)
{
	ctl_disconnect(ctl);
	free(ctl->rundir);
	free(ctl->url);
	free(ctl->opened);
	ctl->rundir = ctl->url = NULL;
	ctl->opened = strdup(url);
	ctl->server = ctl->opened;
}

void ctl_fini(struct ctl *ctl)
{
	ctl_disconnect(ctl);
	config_free(ctl->config);
	free(ctl->rundir);
	free(ctl->url);
	free(ctl->opened);
}
