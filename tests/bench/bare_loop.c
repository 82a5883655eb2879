/* What starting N programs costs without a supervisor: vfork and exec in a loop. Prints the seconds until all have been started. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 1000;
	pid_t *pids = calloc((size_t)n, sizeof *pids);
	char *const sleep_argv[] = { (char *)"sleep", (char *)"1000", NULL };
	double began = now();

	if (!pids)
		return 1;
	for (int i = 0; i < n; i++) {
		pids[i] = vfork();
		if (pids[i] == 0) {
			(void)execv("/bin/sleep", sleep_argv);
			_exit(127);
		}
	}
	(void)printf("%.3f\n", now() - began);
	for (int i = 0; i < n; i++)
		if (pids[i] > 0) {
			(void)kill(pids[i], SIGKILL);
			(void)waitpid(pids[i], NULL, 0);
		}
	free(pids);
	return 0;
}
