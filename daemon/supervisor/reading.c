/* See reading.h. The child reads the files, and parses them to learn what they ask the system; the texts and the answers come to us. */
#include "reading.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "aside.h"
#include "conf/ini.h"
#include "names.h"

enum { PATIENCE = 10 };			/* seconds that the files have */
static const double names_patience = 1;	/* seconds for who the users are: to go on without is better than to wait */

enum told { FAILED, READ, NAMED };	/* what the child tells: an error; the sources; the same with all names */

struct reader {
	struct reader *next;		/* supervisor::readers, oldest first */
	reading_done *done;
	void *data;
	bool joined;			/* its reading is under way */
};

/* The one under way. */
struct reading {
	struct supervisor *s;
	struct aside *aside;
	int fd;				/* memfd with the sources, or -1 */
	bool named;
	struct error err;		/* why there are none */
};

/* ---- the child ---- */

static void tell_sources(int channel, int what, const struct sources *sources)
{
	_cleanup_(closep) int fd = memfd_create("reeve-sources", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : sources_save(sources, fd);
	char text[100];

	(void)snprintf(text, sizeof text, "could not hand on the configuration: %s", errno_name(-r));
	aside_tell(channel, r < 0 ? FAILED : what, r < 0 ? text : "", r < 0 ? -1 : fd);
}

static void work(void *data, int channel, int keep)
{
	const struct reading *r = data;
	struct sources *sources;
	struct config *config = NULL;
	struct error err = { 0 };

	(void)keep;
	sources_tell_steps(aside_doing);
	if (sources_read(r->s->config_path, &sources, &err) < 0) {
		aside_tell(channel, FAILED, err.text, -1);
		return;
	}
	if (config_parse(sources, r->s->overrides, r->s->n_overrides, &config, &err) < 0 && !config) {
		aside_tell(channel, FAILED, err.text, -1);
		return;
	}
	tell_sources(channel, READ, config->sources);
	config_ask_names(config);
	tell_sources(channel, NAMED, config->sources);
}

/* ---- ourselves ---- */

static void told(void *data, int number, const char *text, int fd)
{
	struct reading *r = data;

	if (number == FAILED) {
		closep(&fd);
		(void)error_set(&r->err, EINVAL, "%s", text);
		return;
	}
	closep(&r->fd);
	r->fd = fd;
	r->named = number == NAMED;
	if (number == READ)
		aside_hasten(r->aside, names_patience);
}

/* In supervisord's words, as check.c has them. A name service that does not answer is no reason to refuse. */
static void check_user(struct config *config, const struct process_conf *p)
{
	bool number = *p->user && strspn(p->user, "0123456789") == strlen(p->user);
	char text[300], section[300];
	const char *answer;

	(void)snprintf(text, sizeof text, "user %s", p->user);
	answer = sources_answer(config->sources, text);
	if (!answer || *answer)
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

static int parse(const struct reading *r, struct config **ret, struct error *err)
{
	struct supervisor *s = r->s;
	struct sources *sources;
	struct config *config = NULL;
	int e = sources_load(r->fd, &sources, err);

	if (e == 0)
		e = config_parse(sources, s->overrides, s->n_overrides, &config, err);
	if (e < 0) {
		config_free(config);
		return e;
	}
	if (s->compatible)
		check_users(config);
	names_learn(s, config->sources, r->named);
	*ret = config;
	return 0;
}

/* The child is gone, or given up. 0: there are sources. */
static int conclude(struct reading *r, int error)
{
	const char *at = aside_at(r->aside);

	if (r->fd >= 0 && !r->named && error != -ECANCELED)
		supervisor_log(r->s, LOGLEVEL_WARN, "the name service does not answer (%s); the configuration is taken without it", at);
	if (r->fd >= 0 && error != -ECANCELED)
		return 0;
	if (error == -ETIMEDOUT)
		(void)error_set(&r->err, ETIMEDOUT, "could not read config file %s: no answer within %d seconds (%.300s)", r->s->config_path, PATIENCE,
				at);
	else if (error == -ECANCELED)
		(void)error_set(&r->err, ESHUTDOWN, "shutting down");
	else if (!r->err.code)
		(void)error_set(&r->err, ECHILD, "could not read config file %s: the reader has died", r->s->config_path);
	return -r->err.code;
}

static void reading_free(struct reading *r)
{
	closep(&r->fd);
	free(r);
}

static void answer(struct reader *reader, struct config *config, const struct error *err)
{
	reader->done(reader->data, config, err);
	free(reader);
}

static void begin(struct supervisor *s);

/* Its readers, one after the other: what they do may ask for another reading, or end them all. */
static void ended(void *data, int error)
{
	struct reading *r = data;
	struct supervisor *s = r->s;
	int e = conclude(r, error);
	struct reader *reader;

	while ((reader = s->readers) && reader->joined) {
		struct config *config = NULL;
		struct error err = r->err;

		s->readers = reader->next;
		if (e == 0 && parse(r, &config, &err) < 0)
			config = NULL;
		answer(reader, config, &err);
	}
	s->reading = NULL;
	reading_free(r);
	if (error != -ECANCELED)
		begin(s);
}

static const struct aside_job job = { .work = work, .told = told, .ended = ended, .patience = PATIENCE };

static struct reading *reading_new(struct supervisor *s)
{
	struct reading *r = calloc(1, sizeof *r);

	if (r)
		*r = (struct reading){ .s = s, .fd = -1 };
	return r;
}

static void fail_all(struct supervisor *s, const struct error *err)
{
	struct reader *reader;

	while ((reader = s->readers)) {
		s->readers = reader->next;
		answer(reader, NULL, err);
	}
}

/* For all who wait. */
static void begin(struct supervisor *s)
{
	struct error err = { .code = ENOMEM, .text = "out of memory" };
	struct reading *r;

	if (s->reading || !s->readers)
		return;
	r = reading_new(s);
	if (r)
		r->aside = aside_begin(s, &job, r, -1, &err);
	if (!r || !r->aside) {
		struct error said = err;

		(void)error_set(&err, err.code, "could not read config file %s: %s", s->config_path, said.text);
		free(r);
		fail_all(s, &err);
		return;
	}
	s->reading = r;
	for (struct reader *reader = s->readers; reader; reader = reader->next)
		reader->joined = true;
}

static void begin_soon(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	begin(w->data);
}

int reading_ask(struct supervisor *s, reading_done *done, void *data, struct error *err)
{
	struct reader *reader = malloc(sizeof *reader), **at = &s->readers;

	if (!reader)
		return error_set(err, ENOMEM, "out of memory");
	*reader = (struct reader){ .done = done, .data = data };
	while (*at)
		at = &(*at)->next;
	*at = reader;
	/* Not from here: DONE is never called before we return. And all who ask in one turn share one. */
	if (!ev_is_active(&s->read_soon)) {
		ev_timer_init(&s->read_soon, begin_soon, 0, 0);
		s->read_soon.data = s;
		ev_timer_start(s->loop, &s->read_soon);
	}
	return 0;
}

struct waiter {
	struct config *config;
	struct error err;
};

static void keep_config(void *data, struct config *config, const struct error *err)
{
	struct waiter *w = data;

	w->config = config;
	w->err = *err;
}

int reading_now(struct supervisor *s, struct config **ret, struct error *err)
{
	struct waiter w = { .err = { .code = EIO, .text = "the configuration cannot be read" } };
	int r = reading_ask(s, keep_config, &w, err);

	if (r < 0)
		return r;
	ev_timer_stop(s->loop, &s->read_soon);
	begin(s);
	if (s->reading)
		aside_finish(s->reading->aside);
	*ret = w.config;
	if (w.config)
		return 0;
	*err = w.err;
	return -err->code;
}

void readings_cancel(struct supervisor *s)
{
	struct error err;

	(void)error_set(&err, ESHUTDOWN, "shutting down");
	ev_timer_stop(s->loop, &s->read_soon);
	fail_all(s, &err);
}
