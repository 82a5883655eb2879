/* run: a transient program under the daemon's supervision, with its logs; --wait makes its exit status ours. */
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "pool.h"

/* "K=V" words as an object; NULL: one is malformed, and that was told. */
static json_t *variables_of(struct ctl *ctl, const json_t *words)
{
	json_t *ret = json_object(), *word;
	size_t i;

	json_array_foreach(words, i, word)
	{
		const char *text = json_string_value(word), *equals = text ? strchr(text, '=') : NULL;
		char key[256];

		if (!equals || equals == text || (size_t)(equals - text) >= sizeof key) {
			(void)printf("Error: --env %s: write --env NAME=VALUE\n", text ? text : "");
			ctl_fail(ctl, CTL_USAGE);
			json_decref(ret);
			return NULL;
		}
		(void)snprintf(key, sizeof key, "%.*s", (int)(equals - text), text);
		(void)json_object_set_new(ret, key, json_string(equals + 1));
	}
	return ret;
}

struct run {
	struct ctl *ctl;
	char name[256]; /* "" until the daemon has said it */
};

static void started(json_t *reply, void *data)
{
	struct run *run = data;

	(void)snprintf(run->name, sizeof run->name, "%s", text_of(reply, "namespec"));
}

/* As a shell reports it: 128 + N for death by signal N. */
static int status_of(const json_t *exitcode)
{
	long long code = json_integer_value(exitcode);

	return code < 0 ? (int)(128 - code) : (int)code;
}

/* The connection broke while we waited: its program runs on, and can be waited for by its name. */
static void wait_again(struct ctl *ctl, const struct run *run)
{
	json_t *reply, *p;

	reply = ctl_call(ctl, "Wait", json_pack("{s:[s]}", "names", run->name), true, NULL, NULL, NULL, NULL);
	p = json_array_get(json_object_get(reply, "processes"), 0);
	if (p && json_is_integer(json_object_get(p, "exitcode")))
		ctl_fail(ctl, status_of(json_object_get(p, "exitcode")));
	else if (reply)
		ctl_fail(ctl, CTL_POOL);
	json_decref(reply);
}

static void interrupted(struct ctl *ctl, const struct run *run)
{
	(void)printf("\n%s runs on; `reevectl stop %s` ends it\n", run->name, run->name);
	ctl_disconnect(ctl);
	ctl_fail(ctl, 130);
}

static void finish(struct ctl *ctl, const json_t *reply, bool wait)
{
	const json_t *exitcode = json_object_get(reply, "exitcode");

	if (!ctl_json(ctl, reply) && !wait)
		(void)printf("%s: started\n", text_of(reply, "namespec"));
	if (*text_of(reply, "spawnerr"))
		(void)fprintf(stderr, "reevectl: %s\n", text_of(reply, "spawnerr"));
	if (json_is_integer(exitcode))
		ctl_fail(ctl, status_of(exitcode));
}

static void run_program(struct ctl *ctl, json_t *parameters, bool wait)
{
	struct run run = { .ctl = ctl };
	json_t *reply;

	if (!ctl_control(ctl)) {
		json_decref(parameters);
		return;
	}
	if (wait)
		ctl_catch_interrupts();
	reply = ctl_stream(ctl, "Run", parameters, started, &run);
	ctl->status = CTL_POOL;
	if (ctl_interrupted && *run.name) {
		interrupted(ctl, &run);
	} else if (!reply && *run.name && ctl_again(ctl)) {
		wait_again(ctl, &run);
	} else if (!reply) {
		(void)printf("error: the daemon has ended or was replaced; whether the program was started is shown by "
			     "status\n");
	} else if (*text_of(reply, "namespec")) {
		ctl->status = CTL_OK;
		finish(ctl, reply, wait);
	}
	json_decref(reply);
}

/* Options end where the command begins. */
static int leading_options(const struct option_row *rows, int argc, char **argv)
{
	int i = 0;

	for (; i < argc && argv[i][0] == '-' && strcmp(argv[i], "--") != 0; i++)
		for (const struct option_row *row = rows; row->name; row++)
			if (strcmp(row->name, argv[i]) == 0 && row->kind != OPTION_FLAG) {
				i++;
				break;
			}
	return i < argc ? i : argc;
}

void command_run_program(struct ctl *ctl, int argc, char **argv)
{
	json_t *variables = json_array(), *environment = NULL;
	const char *name = NULL, *user = NULL, *directory = NULL;
	bool wait = false;
	const struct option_row rows[] = {
		{ "--name", OPTION_TEXT, &name, "N", "Its name; else it is made from the command." },
		{ "--user", OPTION_TEXT, &user, "U", "The user it runs as." },
		{ "--directory", OPTION_TEXT, &directory, "D", "Its working directory." },
		{ "--env", OPTION_LIST, variables, "K=V", "A variable of its environment; may be given several times." },
		{ "--wait", OPTION_FLAG, &wait, NULL, "Wait for its end, and exit as it did." },
		{ 0 }
	};
	int n = leading_options(rows, argc, argv);

	if (pool_options(ctl, rows, n, argv) >= 0)
		environment = variables_of(ctl, variables);
	if (n < argc && strcmp(argv[n], "--") == 0)
		n++;
	if (environment && n == argc) {
		(void)printf("Error: run takes %s\n", command_find("run")->args);
		ctl_fail(ctl, CTL_USAGE);
	} else if (environment) {
		run_program(ctl,
			    json_pack("{s:o, s:s?, s:s?, s:s?, s:O, s:b}", "command", ctl_words(argc - n, argv + n),
				      "name", name, "user", user, "directory", directory, "environment", environment,
				      "wait", (int)wait),
			    wait);
	}
	json_decref(environment);
	json_decref(variables);
}
