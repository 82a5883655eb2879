/* See generation.h. */
#include "generation.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "conf/ini.h"
#include "config_watch.h"
#include "live.h"
#include "wire/keeper.h"

static const char transient_path[] = "/run";	/* the path of no file: it is a directory */

static void stored_name(uint32_t number, char name[KEEPER_NAME_SIZE])
{
	(void)snprintf(name, KEEPER_NAME_SIZE, "config/%u", number % 100000000);
}

static void log_diagnostics(const struct supervisor *s, const struct config *config)
{
	for (size_t i = 0; i < config->diagnostics.n; i++) {
		const struct diagnostic *d = &config->diagnostics.list[i];
		_cleanup_(freep) char *line = NULL;
		size_t size;
		FILE *f = open_memstream(&line, &size);

		if (!f)
			return;
		diagnostic_print(d, f);
		(void)fclose(f);
		supervisor_log(s, d->severity == DIAGNOSTIC_ERROR ? LOGLEVEL_ERROR : LOGLEVEL_WARN, "%s", line);
	}
}

int generation_first_error(const struct config *config, struct error *err)
{
	return error_set(err, EINVAL, "%s", config->first_error ? config->first_error : "the configuration has errors");
}

static int parse(struct supervisor *s, struct sources *sources, struct config **ret, struct error *err)
{
	struct config *config = NULL;
	int r = config_parse(sources, s->overrides, s->n_overrides, &config, err);

	if (r < 0) {
		config_free(config);
		return r;
	}
	*ret = config;
	return 0;
}

/* In supervisord's words, as check.c has them. */
static void check_user(struct config *config, const struct process_conf *p)
{
	bool number = *p->user && strspn(p->user, "0123456789") == strlen(p->user);
	char text[300], section[300];

	if (number ? getpwuid((uid_t)strtoul(p->user, NULL, 10)) : getpwnam(p->user))
		return;
	(void)snprintf(text, sizeof text, "Invalid user %s %s", number ? "id" : "name", p->user);
	(void)snprintf(section, sizeof section, "program:%s", p->program);
	diagnostic_add(&config->diagnostics, DIAGNOSTIC_ERROR, p->file, p->line, section, "user", "%s", text);
	if (!config->first_error && asprintf(&config->first_error, "%s in section '%s' (file: '%s')", text, section, p->file) < 0)
		config->first_error = NULL;
}

/*
 * Called as supervisord we do not start with a user who does not exist: then an update must not take one either, or the next start fails.
 * Directories, which check.c looks at too, are left out: a dead file server would hold us up.
 */
static void check_users(struct config *config)
{
	const char *known = NULL;	/* the processes of a section have the same */

	for (size_t g = 0; g < config->n_groups; g++)
		for (size_t i = 0; i < config->groups[g]->n_processes; i++) {
			const struct process_conf *p = config->groups[g]->processes[i];

			if (!p->user || (known && strcmp(known, p->user) == 0))
				continue;
			known = p->user;
			check_user(config, p);
		}
}

int generation_peek(struct supervisor *s, struct config **ret, struct error *err)
{
	struct sources *sources;
	int r = sources_read(s->config_path, &sources, err);

	r = r < 0 ? r : parse(s, sources, ret, err);
	if (r == 0 && s->compatible)
		check_users(*ret);
	return r;
}

static struct generation *add(struct supervisor *s, uint32_t number, struct config *config)
{
	struct generation *g = calloc(1, sizeof *g);

	if (!g)
		return NULL;
	*g = (struct generation){ .next = s->generations, .number = number, .config = config };
	s->generations = g;
	return g;
}

int generation_save(const struct generation *g, char *name, int *ret_fd)
{
	int fd = memfd_create("reeve-config", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = sources_save(g->config->sources, fd);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	stored_name(g->number, name);
	*ret_fd = fd;
	return 0;
}

static int store(struct supervisor *s, const struct generation *g)
{
	char name[KEEPER_NAME_SIZE];
	int fd;
	int r = generation_save(g, name, &fd);

	if (r < 0)
		return r;
	supervisor_tell(s, KEEPER_STORE, 0, 0, name, fd);
	(void)close(fd);
	return 0;
}

static int take(struct supervisor *s, struct config *config, struct generation **ret, struct error *err)
{
	struct generation *g = add(s, ++s->state.header->last_generation, config);
	int r;

	if (!g) {
		config_free(config);
		return error_set(err, ENOMEM, "out of memory");
	}
	r = store(s, g);
	if (r < 0)		/* we go on; a successor would have to read the files again */
		supervisor_log(s, LOGLEVEL_ERROR, "cannot keep the configuration for a successor: %s", errno_name(-r));
	*ret = g;
	return 0;
}

int generation_read(struct supervisor *s, bool accept_errors, struct generation **ret, struct error *err)
{
	struct config *config;
	int r = generation_peek(s, &config, err);

	if (r < 0)
		return r;
	if (config->diagnostics.n_errors && !accept_errors) {
		r = generation_first_error(config, err);
		config_free(config);
		return r;
	}
	log_diagnostics(s, config);
	r = take(s, config, ret, err);
	if (r == 0)
		generation_load(s, *ret);
	return r;
}

bool generation_is_transient(const struct generation *g)
{
	return strcmp(g->config->path, transient_path) == 0;
}

int generation_from_text(struct supervisor *s, const char *text, char *const *variables, struct generation **ret, struct error *err)
{
	struct sources *sources;
	struct config *config = NULL;
	int r = sources_from_text(transient_path, text, &sources, err);

	if (r < 0)
		return r;
	for (; *variables; variables++)
		if (sources_add_variable(sources, *variables) < 0) {
			sources_free(sources);
			return error_set(err, ENOMEM, "out of memory");
		}
	r = parse(s, sources, &config, err);
	if (r < 0)
		return r;
	if (config->diagnostics.n_errors) {
		r = generation_first_error(config, err);
		config_free(config);
		return r;
	}
	return take(s, config, ret, err);
}

int generation_restore(struct supervisor *s, uint32_t number, int fd, struct error *err)
{
	struct sources *sources;
	struct config *config = NULL;
	int r = sources_load(fd, &sources, err);

	(void)close(fd);
	if (r == 0)
		r = parse(s, sources, &config, err);
	if (r < 0)
		return r;
	if (!add(s, number, config)) {
		config_free(config);
		return error_set(err, ENOMEM, "out of memory");
	}
	return 0;
}

struct generation *generation_find(struct supervisor *s, uint32_t number)
{
	struct generation *g = s->generations;

	while (g && g->number != number)
		g = g->next;
	return g;
}

struct generation *generation_use(struct generation *g)
{
	g->users++;
	return g;
}

void generation_release(struct supervisor *s, struct generation *g)
{
	char name[KEEPER_NAME_SIZE];

	if (--g->users > 0)
		return;
	stored_name(g->number, name);
	if (!s->stopping_for_successor)
		supervisor_tell(s, KEEPER_DROP, 0, 0, name, -1);
	for (struct generation **at = &s->generations; *at; at = &(*at)->next)
		if (*at == g) {
			*at = g->next;
			break;
		}
	config_free(g->config);
	free(g);
}

void generation_load(struct supervisor *s, struct generation *g)
{
	struct generation *old = s->loaded;

	s->loaded = generation_use(g);
	s->state.header->generation = g->number;
	config_watch_update(s);
	if (!old)
		return;
	live_apply(s, old->config);
	generation_release(s, old);
}
