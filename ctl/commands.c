/* The command table of reevectl: dispatch, help, manual and completion walk it. */
#include <stdio.h>
#include <string.h>

#include "ctl.h"

const struct command commands[] = {
	{ "status", "[-v] [NAME...]", 0, -1, command_status, "Show what each process is doing." },
	{ "list", "[NAME...]", 0, -1, command_list, "Print the names of the processes, one a line." },
	{ "start", "NAME...", 0, -1, command_start, "Start processes; return once they are up or have failed." },
	{ "stop", "NAME...", 0, -1, command_stop, "Stop processes; return once they are gone." },
	{ "restart", "NAME...", 0, -1, command_restart, "Stop processes, then start them." },
	{ "signal", "SIGNAL NAME...", 0, -1, command_signal, "Send a signal to processes." },
	{ "kill", "NAME...", 1, -1, command_kill, "Send SIGKILL to the whole process group of each process." },
	{ "pid", "[NAME...|all]", 0, -1, command_pid, "Print the pid of the daemon, or of processes." },
	{ "wait", "[--timeout S] [--until exited|running|stopped] NAME...", 1, -1, command_wait,
	  "Wait until processes have ended (or run); exit 124 when the time is up." },
	{ "exitcode", "NAME", 1, 1, command_exitcode, "Print how it ended: a number, -N for signal N; nothing while it runs." },
	{ "alive", "NAME", 1, 1, command_alive, "Exit 0 if the process has a pid, 1 if not." },
	{ "tail", "[-f|-N] NAME [stdout|stderr]", 0, -1, command_tail, "Print the last 1600 (or N) bytes of a log; -f follows it." },
	{ "maintail", "[-f|-N]", 0, -1, command_maintail, "The same for the daemon's own log." },
	{ "clear", "NAME...|all", 0, -1, command_clear, "Empty the logs of processes." },
	{ "reread", "", 0, 0, command_reread, "Read the configuration files again and say which groups differ; nothing is started." },
	{ "update", "[--dry-run] [GROUP...]", 0, -1, command_update, "Apply the configuration on disk, touching only what differs." },
	{ "plan", "[GROUP...]", 0, -1, command_plan, "Show what update would do and why; exit 2 if there is anything." },
	{ "add", "GROUP...", 0, -1, command_add, "Add groups from the configuration last read." },
	{ "remove", "GROUP...", 0, -1, command_remove, "Remove groups whose processes are stopped." },
	{ "avail", "", 0, 0, command_avail, "List the processes of the configuration last read." },
	{ "why", "NAME", 1, 1, command_why, "Explain the state of a process: what caused it, what happens next." },
	{ "events", "[-f]", 0, 1, command_events, "Print recent events; -f goes on with new ones." },
	{ "check", "[FILE]", 0, 1, command_check, "Check a configuration file (reeved --check)." },
	{ "upgrade", "[--check] [--timeout S] [BINARY]", 0, -1, command_upgrade,
	  "Replace the daemon by another version under its running programs; --check only asks whether it could." },
	{ "reload", "", 0, 0, command_reload, "Stop everything, read the configuration afresh, start again." },
	{ "shutdown", "", 0, 0, command_shutdown, "Stop everything and end the daemon." },
	{ "version", "", 0, 0, command_version, "Print the version of the daemon." },
	{ "help", "[COMMAND]", 0, 1, command_help, "Explain the commands, or one of them." },
	{ "pool", "[NAME...] | run [--workers N] [OPTION...] -- COMMAND...", 0, -1, command_pool,
	  "Show the pools; `pool run` maps the lines of stdin through a pool of its own." },
	{ "submit", "POOL [--wait] [--unique KEY] [--priority N] [--retries N] [--timeout S] [--] [ARG...]", 1, -1, command_submit,
	  "Queue a task and print its name; --wait: print its output and exit as it did." },
	{ "map", "POOL [--unordered] [--chunk N] [--bar] [--fail-fast] [--results raw|json] [FILE]", 1, -1, command_map,
	  "Do a task for each line, print the results in the order of the lines; exit with the number of failures." },
	{ "starmap", "POOL [as map] [FILE]", 1, -1, command_starmap,
	  "As map, but a line holds several arguments: separated by tabs, or a JSON array." },
	{ "result", "[--timeout S] [--keep] TASK...", 1, -1, command_result, "Print what a task printed, waiting for its end; exit as it did." },
	{ "tasks", "POOL [--state STATE]... [--limit N]", 1, -1, command_tasks, "List the tasks of a pool." },
	{ "cancel", "TASK...", 1, -1, command_cancel, "Drop tasks, stopping those that run." },
	{ "retry", "TASK...", 1, -1, command_retry, "Queue tasks again that did not succeed." },
	{ "forget", "TASK...", 1, -1, command_forget, "Remove the results of ended tasks." },
	{ "pause", "POOL...", 1, -1, command_pause, "Start no further tasks." },
	{ "resume", "POOL...", 1, -1, command_resume, "Start tasks again." },
	{ "drain", "[--timeout S] POOL...", 1, -1, command_drain, "Wait until nothing is queued or running." },
	{ "close", "POOL...", 1, -1, command_close, "Accept no further tasks; what is queued is still done." },
	{ "reopen", "POOL...", 1, -1, command_reopen, "Accept tasks again after close, terminate or a failure of all workers." },
	{ "join", "[--timeout S] POOL...", 1, -1, command_join, "Wait for the end of closed pools; exit 1 if tasks failed." },
	{ "terminate", "POOL...", 1, -1, command_terminate, "Cancel all tasks of a pool, those that run too, and wait for its workers' end." },
	{ "resize", "POOL N", 2, 2, command_resize, "Change the number of workers." },
	{ 0 },
};

const struct command *command_find(const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

void command_run(struct ctl *ctl, int argc, char **argv)
{
	const struct command *c = command_find(argv[0]);

	if (!c) {
		(void)printf("*** Unknown syntax: ");
		for (int i = 0; i < argc; i++)
			(void)printf("%s%s", i ? " " : "", argv[i]);
		(void)putchar('\n');
		ctl_fail(ctl, CTL_GENERIC);
		return;
	}
	argc--;
	if (c->max == 0 && argc > 0) {
		(void)printf("Error: %s accepts no arguments\n", c->name);
		(void)printf("%s\t\t%s\n", c->name, c->help);
		ctl_fail(ctl, CTL_GENERIC);
	} else if (argc < c->min || (c->max >= 0 && argc > c->max)) {
		(void)printf("Error: %s takes %s\n", c->name, c->args);
		ctl_fail(ctl, CTL_USAGE);
	} else {
		c->run(ctl, argc, argv + 1);
	}
}

void commands_print(void)
{
	for (const struct command *c = commands; c->name; c++)
		(void)printf("%s\t%s\t%s\n", c->name, c->args, c->help);
}

void command_help(struct ctl *ctl, int argc, char **argv)
{
	const struct command *c = argc ? command_find(argv[0]) : NULL;

	(void)ctl;
	if (argc && !c)
		(void)printf("*** No help on %s\n", argv[0]);
	else if (c)
		(void)printf("%s %s\n\t%s\n", c->name, c->args, c->help);
	else
		for (c = commands; c->name; c++)
			(void)printf("%-10s %-34s %s\n", c->name, c->args, c->help);
}
