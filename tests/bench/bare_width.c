/*
 * What N processes cost without any pool: vfork and exec, at most WIDTH at a time, stdout to /dev/null. Prints the seconds.
 *   bare_width N WIDTH FILE [ARGUMENT...]
 */
#include <fcntl.h>
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

static pid_t start(char **argv, int null_fd)
{
	pid_t pid = vfork();

	if (pid == 0) {
		(void)dup2(null_fd, STDOUT_FILENO);
		(void)execv(argv[0], argv);
		_exit(127);
	}
	return pid;
}

int main(int argc, char **argv)
{
	int n = argc > 3 ? atoi(argv[1]) : 0, width = argc > 3 ? atoi(argv[2]) : 1, running = 0;
	int null_fd = open("/dev/null", O_WRONLY);
	double began = now();

	if (n < 1 || null_fd < 0 || dup2(null_fd, STDERR_FILENO) < 0)
		return 2;
	for (int i = 0; i < n || running;) {
		if (i < n && running < width) {
			if (start(argv + 3, null_fd) < 0)
				return 1;
			i++;
			running++;
		} else if (wait(NULL) > 0) {
			running--;
		}
	}
	(void)printf("%.4f\n", now() - began);
	return 0;
}
