/* reevectl: the command line. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"

static const struct option long_options[] = {
	{ "configuration", required_argument, NULL, 'c' }, { "serverurl", required_argument, NULL, 's' },
	{ "json", no_argument, NULL, 'j' },		   { "print", required_argument, NULL, 'P' },
	{ "version", no_argument, NULL, 'v' },		   { "help", no_argument, NULL, 'h' },
	{ 0 },
};

static void help(const char *program)
{
	(void)printf("usage: %s [-c FILE] [-s SOCKET] [--json] COMMAND [ARGUMENT...]\n\n"
		     "  -c, --configuration=FILE  configuration file of the daemon to talk to\n"
		     "  -s, --serverurl=SOCKET    its control socket, its run directory, or supervisord's socket;\n"
		     "                            the variable REEVE_SOCKET is the same\n"
		     "      --json                print answers as JSON\n"
		     "      --version             print the version\n"
		     "  -h, --help                print this text\n\nCommands:\n\n",
		     program);
	command_help(NULL, 0, NULL);
}

/* An option: 0 to go on, else the exit status plus one. */
static int take_option(struct ctl *ctl, int option)
{
	switch (option) {
	case 'c':
		ctl->configuration = optarg;
		return 0;
	case 's':
		ctl->server = optarg;
		return 0;
	case 'j':
		ctl->json = true;
		return 0;
	case 'P':
		if (strcmp(optarg, "commands") != 0)
			break;
		commands_print();
		return 1;
	case 'v':
		(void)puts(REEVE_VERSION);
		return 1;
	case 'h':
		help(ctl->program);
		return 1;
	}
	(void)fprintf(stderr, "For help, use %s -h\n", ctl->program);
	return CTL_USAGE + 1;
}

int main(int argc, char **argv)
{
	struct ctl ctl = { .program = argv[0], .server = getenv("REEVE_SOCKET") };
	int option, n = 0;
	bool literal = false;

	(void)signal(SIGPIPE, SIG_DFL);
	while ((option = getopt_long(argc, argv, "+c:s:h", long_options, NULL)) != -1) {
		int r = take_option(&ctl, option);

		if (r)
			return r - 1;
	}
	/* --json may also stand behind the command, but not behind "--": there it is somebody else's. */
	for (int i = optind; i < argc; i++) {
		literal = literal || strcmp(argv[i], "--") == 0;
		if (!literal && strcmp(argv[i], "--json") == 0)
			ctl.json = true;
		else
			argv[optind + n++] = argv[i];
	}
	if (n == 0) {
		help(argv[0]);
		return CTL_USAGE;
	}
	command_run(&ctl, n, argv + optind);
	ctl_disconnect(&ctl);
	free(ctl.rundir);
	return ctl.status;
}
