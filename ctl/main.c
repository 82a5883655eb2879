/* reevectl, and supervisorctl where it is called so: options, then one command or the shell. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/command_line.h"
#include "ctl.h"
#include "options.h"

static bool called_as(const char *argv0, const char *name)
{
	const char *slash = strrchr(argv0, '/');

	return strcmp(slash ? slash + 1 : argv0, name) == 0;
}

/* --json may also stand behind the command, but not behind "--": there it is somebody else's. */
static int take_json(struct ctl *ctl, int argc, char **argv)
{
	bool literal = false;
	int n = 0;

	for (int i = 0; i < argc; i++) {
		literal = literal || strcmp(argv[i], "--") == 0;
		if (!literal && strcmp(argv[i], "--json") == 0)
			ctl->json = true;
		else
			argv[n++] = argv[i];
	}
	return n;
}

static void run_joined(struct ctl *ctl, int argc, char **argv)
{
	char *line = NULL;
	size_t size;
	FILE *f = open_memstream(&line, &size);

	if (!f)
		return;
	for (int i = 0; i < argc; i++)
		(void)fprintf(f, "%s%s", i ? " " : "", argv[i]);
	if (fclose(f) == 0)
		supervisorctl_run(ctl, line);
	free(line);
}

int main(int argc, char **argv)
{
	struct ctl ctl = { .program = argv[0],
			   .compatible = called_as(argv[0], "supervisorctl"),
			   .server = getenv("REEVE_SOCKET") };
	int at, r = options_parse(&ctl, argc, argv, &at);

	(void)signal(SIGPIPE, SIG_DFL);
	if (r == COMMAND_LINE_GO_ON && ctl.compatible && (r = ctl_configure(&ctl)) == CTL_OK)
		r = COMMAND_LINE_GO_ON;
	if (r != COMMAND_LINE_GO_ON) {
		ctl_fini(&ctl);
		return r;
	}
	argc -= at;
	argv += at;
	if (!ctl.compatible)
		argc = take_json(&ctl, argc, argv);
	if (argc == 0)
		ctl.status = shell_run(&ctl);
	else if (ctl.compatible)
		run_joined(&ctl, argc, argv);
	else
		command_run(&ctl, argc, argv);
	ctl_fini(&ctl);
	return ctl.status;
}
