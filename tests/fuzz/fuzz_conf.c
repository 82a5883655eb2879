/*
 * The configuration: reader, expansion, values, checks, dump, kept copy, plan. The input is up to three texts, separated by form feeds: the
 * configuration, a file that it includes, and a second configuration that the plan goes to. Seeds: tests/fuzz/seeds/conf, tests/conf.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "conf/dump.h"
#include "conf/plan.h"
#include "conf/sources.h"
#include "conf/strv.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static FILE *null;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	(void)clearenv();
	(void)setenv("HOME", "/root", 1);
	(void)setenv("X", "100%", 1);
	null = fopen("/dev/null", "w");
	return null ? 0 : -1;
}

/* A million processes are no error of the reader: they only take their time. */
static bool takes_long(const uint8_t *data, size_t size)
{
	size_t digits = 0;

	for (size_t i = 0; i < size; i++) {
		digits = isdigit(data[i]) ? digits + 1 : data[i] == '_' ? digits : 0;
		if (digits > 2 && memmem(data, size, "umprocs", 7))
			return true;
	}
	return false;
}

static struct config *parse(const char *main_text, const char *included)
{
	struct sources *sources;
	struct config *config = NULL;
	struct error err;

	if (sources_from_text("/f/main.ini", main_text, &sources, &err) < 0)
		abort();
	if (included) {
		(void)strv_push(&sources->paths, strdup("/f/d/more.ini"));
		(void)strv_push(&sources->texts, strdup(included));
	}
	(void)config_parse(sources, NULL, 0, &config, &err);
	if (!config)
		abort();
	return config;
}

static void use_processes(const struct config *config)
{
	for (size_t g = 0; g < config->n_groups; g++)
		for (size_t i = 0; i < config->groups[g]->n_processes; i++) {
			const struct process_conf *p = config->groups[g]->processes[i];

			if (!p->name || !p->group || !p->namespec || !p->program || config->groups[g]->invalid)
				abort();
			strv_free(p->command ? command_split(p->command, NULL) : NULL);
		}
}

static json_t *use(const struct config *config)
{
	json_t *dump = config_dump(config);

	for (size_t i = 0; i < config->diagnostics.n; i++)
		diagnostic_print(&config->diagnostics.list[i], null);
	if (config->supervisord.logfile)	/* not where nothing could be made of the text */
		free(config_rundir(config));
	use_processes(config);
	return dump;
}

/* A kept copy means the same. */
static void keep(const struct config *config, json_t *dump)
{
	int fd = memfd_create("kept", MFD_CLOEXEC);
	struct sources *sources;
	struct config *again = NULL;
	struct error err;
	json_t *same;

	if (fd < 0 || sources_save(config->sources, fd) < 0 || sources_load(fd, &sources, &err) < 0)
		abort();
	(void)close(fd);
	(void)config_parse(sources, NULL, 0, &again, &err);
	same = config_dump(again);
	if (!json_equal(same, dump))
		abort();
	json_decref(same);
	config_free(again);
}

static void plan(const struct config *from, const struct config *to)
{
	struct plan *plan;

	if (plan_make(from->groups, from->n_groups, to, &plan) < 0)
		abort();
	for (size_t i = 0; from == to && i < plan->n_groups; i++)
		if (plan->groups[i].action != PLAN_UNCHANGED && plan->groups[i].action != PLAN_INVALID)
			abort();
	plan_free(plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text, *part[3] = { NULL }, *save = NULL;
	struct config *one, *two;
	json_t *dump;

	if (takes_long(data, size))
		return -1;
	text = strndup((const char *)data, size);
	part[0] = strtok_r(text, "\f", &save);
	for (int i = 1; i < 3 && part[i - 1]; i++)
		part[i] = strtok_r(NULL, "\f", &save);
	one = parse(part[0] ? part[0] : "", part[1]);
	two = part[2] ? parse(part[2], NULL) : NULL;
	dump = use(one);
	keep(one, dump);
	plan(one, one);
	if (two) {
		json_decref(use(two));
		plan(one, two);
		plan(two, one);
	}
	json_decref(dump);
	config_free(one);
	config_free(two);
	free(text);
	return 0;
}
