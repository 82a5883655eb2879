/* The command table of reevectl: dispatch, help, manual and completion walk it. */
#include <stdio.h>
#include <string.h>

#include "ctl.h"

const struct command commands[] = {
	{ "status", "[-v] [NAME...]", 0, -1, command_status, "Show what each process is doing.", COMPLETE_PROCESSES },
	{ "list", "[NAME...]", 0, -1, command_list,
	  "Print the names of the processes, one a line.", COMPLETE_PROCESSES },
	{ "start", "NAME...", 0, -1, command_start,
	  "Start processes; return once they are up or have failed.", COMPLETE_PROCESSES },
	{ "stop", "NAME...", 0, -1, command_stop, "Stop processes; return once they are gone.", COMPLETE_PROCESSES },
	{ "restart", "NAME...", 0, -1, command_restart, "Stop processes, then start them.", COMPLETE_PROCESSES },
	{ "signal", "SIGNAL NAME...", 0, -1, command_signal, "Send a signal to processes.", COMPLETE_SIGNAL },
	{ "kill", "NAME...", 1, -1, command_kill,
	  "Send SIGKILL to the whole process group of each process.", COMPLETE_PROCESSES },
	{ "pid", "[NAME...|all]", 0, -1, command_pid,
	  "Print the pid of the daemon, or of processes.", COMPLETE_PROCESSES },
	{ "wait", "[--timeout S] [--until exited|running|stopped] NAME...", 1, -1, command_wait,
	  "Wait until processes have ended (or run); exit 124 when the time is up.", COMPLETE_PROCESSES },
	{ "exitcode", "NAME", 1, 1, command_exitcode,
	  "Print how it ended: a number, -N for signal N; nothing while it runs.", COMPLETE_PROCESSES },
	{ "alive", "NAME", 1, 1, command_alive, "Exit 0 if the process has a pid, 1 if not.", COMPLETE_PROCESSES },
	{ "tail", "[-f|-N] NAME [stdout|stderr]", 0, -1, command_tail,
	  "Print the last 1600 (or N) bytes of a log; -f follows it.", COMPLETE_PROCESSES },
	{ "maintail", "[-f|-N]", 0, -1, command_maintail, "The same for the daemon's own log." },
	{ "fg", "NAME", 0, -1, command_fg,
	  "Follow the output of a process and send it what is typed; Ctrl-C leaves it running.", COMPLETE_PROCESSES },
	{ "clear", "NAME...|all", 0, -1, command_clear, "Empty the logs of processes.", COMPLETE_PROCESSES },
	{ "reread", "", 0, 0, command_reread,
	  "Read the configuration files again and say which groups differ; nothing is started." },
	{ "update", "[--dry-run] [GROUP...]", 0, -1, command_update,
	  "Apply the configuration on disk, touching only what differs.", COMPLETE_GROUPS },
	{ "plan", "[GROUP...]", 0, -1, command_plan,
	  "Show what update would do and why; exit 2 if there is anything.", COMPLETE_GROUPS },
	{ "add", "GROUP...", 0, -1, command_add, "Add groups from the configuration last read.", COMPLETE_GROUPS },
	{ "remove", "GROUP...", 0, -1, command_remove, "Remove groups whose processes are stopped.", COMPLETE_GROUPS },
	{ "avail", "", 0, 0, command_avail, "List the processes of the configuration last read." },
	{ "why", "NAME...", 1, -1, command_why,
	  "Explain the state of a process: what caused it, what happens next.", COMPLETE_PROCESSES },
	{ "events", "[-f]", 0, 1, command_events, "Print recent events; -f goes on with new ones." },
	{ "check", "[FILE]", 0, 1, command_check, "Check a configuration file (reeved --check).", COMPLETE_FILES },
	{ "upgrade", "[--check] [--timeout S] [BINARY]", 0, -1, command_upgrade,
	  "Replace the daemon by another version under its running programs; --check only asks whether it could.", COMPLETE_FILES },
	{ "run", "[--name N] [--user U] [--directory D] [--env K=V]... [--wait] [--] COMMAND...", 1, -1, command_run_program,
	  "Run a program that is in no file; --wait: until it ends, exiting as it did (125: it could not be run).", COMPLETE_NONE, true },
	{ "reload", "", 0, 0, command_reload, "Stop everything, read the configuration afresh, start again." },
	{ "shutdown", "", 0, 0, command_shutdown, "Stop everything and end the daemon." },
	{ "version", "", 0, 0, command_version, "Print the version of the daemon." },
	{ "open", "URL", 0, -1, command_open,
	  "Talk to another daemon: its unix:// URL, run directory or control socket." },
	{ "exit", "", 0, -1, command_quit, "Leave the shell." },
	{ "quit", "", 0, -1, command_quit, "Leave the shell." },
	{ "help", "[COMMAND]", 0, 1, command_help, "Explain the commands, or one of them.", COMPLETE_COMMANDS },
	{ "pool", "[NAME...] | run [--workers N] [OPTION...] -- COMMAND...", 0, -1, command_pool,
	  "Show the pools; `pool run` maps the lines of stdin through a pool of its own.", COMPLETE_POOLS, true },
	{ "submit", "POOL [--wait] [--unique KEY] [--priority N] [--retries N] [--timeout S] [--] [ARG...]", 1, -1, command_submit,
	  "Queue a task and print its name; --wait: print its output and exit as it did.", COMPLETE_POOLS, true },
	{ "map", "POOL [--unordered] [--chunk N] [--bar] [--fail-fast] [--results raw|json] [FILE]", 1, -1, command_map,
	  "Do a task for each line, print the results in the order of the lines; exit with the number of failures.", COMPLETE_POOLS, true },
	{ "starmap", "POOL [as map] [FILE]", 1, -1, command_starmap,
	  "As map, but a line holds several arguments: separated by tabs, or a JSON array.", COMPLETE_POOLS, true },
	{ "result", "[--timeout S] [--keep] TASK...", 1, -1, command_result,
	  "Print what a task printed, waiting for its end; exit as it did.", COMPLETE_NONE, true },
	{ "tasks", "POOL [--state STATE]... [--limit N]", 1, -1, command_tasks,
	  "List the tasks of a pool.", COMPLETE_POOLS, true },
	{ "cancel", "TASK...", 1, -1, command_cancel, "Drop tasks, stopping those that run." },
	{ "retry", "TASK...", 1, -1, command_retry, "Queue tasks again that did not succeed." },
	{ "forget", "TASK...", 1, -1, command_forget, "Remove the results of ended tasks." },
	{ "pause", "POOL...", 1, -1, command_pause, "Start no further tasks.", COMPLETE_POOLS },
	{ "resume", "POOL...", 1, -1, command_resume, "Start tasks again.", COMPLETE_POOLS },
	{ "drain", "[--timeout S] POOL...", 1, -1, command_drain,
	  "Wait until nothing is queued or running.", COMPLETE_POOLS, true },
	{ "close", "POOL...", 1, -1, command_close,
	  "Accept no further tasks; what is queued is still done.", COMPLETE_POOLS },
	{ "reopen", "POOL...", 1, -1, command_reopen,
	  "Accept tasks again after close, terminate or a failure of all workers.", COMPLETE_POOLS },
	{ "join", "[--timeout S] POOL...", 1, -1, command_join,
	  "Wait for the end of closed pools; exit 1 if tasks failed.", COMPLETE_POOLS, true },
	{ "terminate", "POOL...", 1, -1, command_terminate,
	  "Cancel all tasks of a pool, those that run too, and wait for its workers' end.", COMPLETE_POOLS },
	{ "resize", "POOL N", 2, 2, command_resize, "Change the number of workers.", COMPLETE_POOLS },
	{ 0 },
};

const struct command *command_find(const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

void command_usage(const struct ctl *ctl, const char *name)
{
	const struct command *c = command_find(name);

	if (!(ctl->compatible && supervisorctl_help(name)))
		(void)printf("%s %s\t\t%s\n", c->name, c->args, c->help);
}

void command_run(struct ctl *ctl, int argc, char **argv)
{
	const struct command *c = command_find(argv[0]);

	if (!c) {
		(void)printf("*** Unknown syntax: ");
		for (int i = 0; i < argc; i++)
			(void)printf("%s%s", i ? " " : "", argv[i]);
		(void)printf("%s\n", ctl->compatible ? "" : " (`help` lists the commands)");
		ctl_fail(ctl, CTL_GENERIC);
		return;
	}
	argc--;
	if (!ctl->compatible && argc == 1 && strcmp(argv[1], "--help") == 0) {
		(void)printf("%s %s\n\t%s\n", c->name, c->args, c->help);
		if (c->options)
			c->run(ctl, 1, argv + 1);
		return;
	}
	if (c->max == 0 && argc > 0) {
		(void)printf("Error: %s accepts no arguments\n", c->name);
		command_usage(ctl, c->name);
		ctl_fail(ctl, CTL_GENERIC);
	} else if (argc < c->min || (c->max >= 0 && argc > c->max)) {
		(void)printf("Error: %s takes %s\n", c->name, c->args);
		ctl_fail(ctl, CTL_USAGE);
	} else if (ctl->reach == REACH_CHECKED && !ctl_reachable(ctl)) {
		if (strcmp(c->name, "status") == 0 && !ctl->given_up)
			ctl_fail(ctl, CTL_REFUSED);
	} else {
		c->run(ctl, argc, argv + 1);
	}
}

void commands_print(void)
{
	for (const struct command *c = commands; c->name; c++)
		(void)printf("%s\t%s\t%s\n", c->name, c->args, c->help);
}

void completions_print(void)
{
	static const char *const words[] = { "none", "commands", "processes", "groups", "signal", "pools", "files" };

	for (const struct command *c = commands; c->name; c++)
		(void)printf("%s\t%s\n", c->name, words[c->complete]);
}

void command_quit(struct ctl *ctl, int argc, char **argv)
{
	(void)argc, (void)argv;
	if (ctl->compatible)
		(void)putchar('\n');
	ctl->quit = true;
}

enum { HELP_COLUMN = 34 };	/* room for the arguments; longer ones have a line of their own */

static void print_line(const struct command *c)
{
	bool wide = strlen(c->args) > HELP_COLUMN;

	(void)printf("%-10s %-*s%s%*s%s\n", c->name, HELP_COLUMN, c->args, wide ? "\n" : " ",
		     wide ? 10 + 1 + HELP_COLUMN + 1 : 0, "", c->help);
}

void command_help(struct ctl *ctl, int argc, char **argv)
{
	const struct command *c = argc ? command_find(argv[0]) : NULL;

	(void)ctl;
	if (argc && !c)
		(void)printf("*** No help on %s\n", argv[0]);
	else if (c)
		(void)printf("%s %s\n\t%s\n%s%s%s", c->name, c->args, c->help, c->options ? "\t`" : "", c->options ? c->name : "",
			     c->options ? " --help` explains its options.\n" : "");
	else
		for (c = commands; c->name; c++)
			print_line(c);
}
