/*
 * Could this executable take over? It is given a copy of the state and the kept configurations, does with them what a successor does first,
 * and tells which processes it has found again. Nothing outside is touched: no file written, no program started or signalled.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "boot.h"
#include "estate.h"
#include "generation.h"
#include "group.h"
#include "logger_link.h"

static const unsigned deadline = 60;	/* seconds after which it ends by itself, should nobody be left who wants to know */

static void object(struct supervisor *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void object(struct supervisor *s, const char *format, ...)
{
	struct keeper_message m = { .type = KEEPER_NOTIFY };
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(m.text, sizeof m.text, format, ap);
	va_end(ap);
	(void)keeper_send(s->keeper, &m, -1, 0);
}

static bool is_restored(const struct supervisor *s, const struct state_record *record)
{
	for (const struct group *g = s->groups; g; g = g->next)
		for (size_t i = 0; !g->conf->invalid && i < g->n_processes; i++)
			if (g->processes[i]->record == record)
				return true;
	return false;
}

/* Why the group of RECORD would be lost, if it would. */
static void look_at_group(struct supervisor *s, const struct state_record *record)
{
	struct generation *g = generation_find(s, record->generation);
	const struct group_conf *conf = g ? config_group(g->config, record->name) : NULL;

	if (!g)
		object(s, "%s: configuration %u, by which it runs, is not there", record->name, record->generation);
	else if (!conf)
		object(s, "%s: this version does not find it in its configuration", record->name);
	else if (conf->invalid)
		object(s, "%s: this version finds an error: %s", record->name, conf->invalid);
}

static void count(struct supervisor *s, int *able, int *total)
{
	struct state_record *r;

	for (size_t i = 0; (r = state_record_next(&s->state, &i));) {
		if (r->kind == RECORD_GROUP) {
			look_at_group(s, r);
			continue;
		}
		++*total;
		if (is_restored(s, r))
			++*able;
		else
			object(s, "%s cannot be taken over", r->name);
	}
}

static void rehearse(struct supervisor *s, struct estate *e, int *able, int *total)
{
	char logger[4200];
	struct error err = { 0 };
	bool empty;

	if (boot_surroundings(s) < 0 || state_file_map(&s->state, e->state, &empty, &err) < 0 || boot_generations(s, e, &err) < 0) {
		object(s, "%s", err.text[0] ? err.text : "out of memory");
		return;
	}
	if (boot_groups(s, &err) < 0)
		object(s, "%s", err.text);
	count(s, able, total);
	if (!generation_find(s, s->state.header->generation))
		object(s, "the configuration last read is not there; the files would be read again");
	if (!logger_link_find(s, logger, sizeof logger)) {
		object(s, "there is no reeve-logger beside this executable");
		*able = 0;
	}
}

int rehearsal_run(const struct supervisor_settings *settings)
{
	struct supervisor s;
	struct estate e;
	struct error err;
	struct keeper_message m = { .type = KEEPER_REHEARSED };

	(void)alarm(deadline);
	(void)prctl(PR_SET_NAME, "reeve-rehearsal");
	if (supervisor_init(&s, settings) < 0)
		return 1;
	s.loglevel = INT_MAX;
	if (estate_receive(s.keeper, &e, &err) == 0) {
		rehearse(&s, &e, &m.number, &m.pid);
		(void)keeper_send(s.keeper, &m, -1, 0);
	}
	estate_free(&e);
	boot_undo(&s);
	ev_loop_destroy(s.loop);
	return 0;
}
