/*
 * An executable that rehearses well (the real reeved does it for it) and then fails as a supervisor. HOW is the part of its file name
 * behind the last "-": hang, exit, crash, or late (it works for a moment after it has said that it is ready).
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
	const char *how = n > 0 ? (path[n] = '\0', strrchr(path, '-')) : NULL;

	(void)argc;
	if (strcmp(argv[0], "reeve-rehearsal") == 0)
		(void)execv(REEVED, argv);
	if (how && strcmp(how, "-hang") == 0)
		for (;;)
			(void)pause();
	if (how && strcmp(how, "-crash") == 0)
		(void)raise(SIGSEGV);
	if (how && strcmp(how, "-late") == 0) {
		(void)alarm(1);
		(void)execv(REEVED, argv);
	}
	return 3;
}
