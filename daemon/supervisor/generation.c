/* See generation.h. */
#include "generation.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "config_watch.h"
#include "live.h"
#include "names.h"
#include "reading.h"
#include "wire/keeper.h"

enum { first_number = 1 };		/* of the one that the daemon was started with */
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

int generation_accept(struct supervisor *s, struct config *config, bool accept_errors, struct generation **ret, struct error *err)
{
	int r;

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

int generation_read(struct supervisor *s, struct generation **ret, struct error *err)
{
	struct config *config;
	int r = reading_now(s, &config, err);

	return r < 0 ? r : generation_accept(s, config, true, ret, err);
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
	names_learn(s, config->sources, false);
	return 0;
}

void generation_note_start(struct supervisor *s)
{
	s->started = generation_find(s, first_number);
	if (s->started)
		(void)generation_use(s->started);
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
