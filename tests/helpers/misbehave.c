/*
 * Programs that no supervisor would like, one a mode: closes its standard descriptors and goes on; lets a grandchild hold its stdout and
 * ends; becomes a daemon in the old way (double fork, new session); writes NUL and invalid UTF-8; answers each line of stdin with the
 * moment (CLOCK_MONOTONIC, seconds) at which it writes; stops itself.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void forever(void)
{
	for (;;)
		(void)pause();
}

static void close_stdio(void)
{
	for (int fd = 0; fd < 3; fd++)
		(void)close(fd);
	forever();
}

static void hold_stdout(void)
{
	if (fork() == 0) {
		(void)puts("held");
		(void)fflush(stdout);
		forever();
	}
}

static void daemonise(void)
{
	if (fork() == 0) {
		(void)setsid();
		if (fork() == 0)
			forever();
		_exit(0);
	}
}

static void write_binary(void)
{
	static const char bytes[] = "a\0b\n\xff\xfe\xc0\x80 \xed\xa0\x80 \xf4\x90\x80\x80\n\x1b[31mred\x1b[0m\r\n\0\0\0\n";

	for (int i = 0; i < 50; i++)
		if (write(STDOUT_FILENO, bytes, sizeof bytes - 1) < 0)
			break;
	forever();
}

static void answer(void)
{
	char line[100];

	while (fgets(line, sizeof line, stdin)) {
		struct timespec t;

		(void)clock_gettime(CLOCK_MONOTONIC, &t);
		(void)printf("%lld.%09ld\n", (long long)t.tv_sec, t.tv_nsec);
		(void)fflush(stdout);
	}
}

static void stop_itself(void)
{
	(void)raise(SIGSTOP);
	forever();
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} modes[] = { { "close-stdio", close_stdio }, { "hold-stdout", hold_stdout }, { "daemonise", daemonise },
		      { "binary", write_binary },     { "answer", answer },	      { "stop-itself", stop_itself } };

	for (size_t i = 0; argc == 2 && i < sizeof modes / sizeof *modes; i++)
		if (strcmp(argv[1], modes[i].name) == 0) {
			modes[i].run();
			return 0;
		}
	return 2;
}
