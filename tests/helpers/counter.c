/*
 * A program whose every line and every exit can be accounted for. Usage: counter FOLDER ID MIN_MS MAX_MS LINES. It takes FOLDER/ID.lock
 * (a second instance writes to FOLDER/doubles instead), notes its run in FOLDER/ID.runs ("RUN CODE"), prints up to LINES lines
 * "ID N" whose numbers go on from run to run (the next one is kept in FOLDER/ID.next) over MIN_MS to MAX_MS, and exits with CODE, which
 * follows from ID and RUN. TERM ends it at once, between two lines.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t asked;

static void on_term(int signal)
{
	(void)signal;
	asked = 1;
}

static int open_file(const char *folder, const char *id, const char *suffix, int flags)
{
	char path[4200];

	(void)snprintf(path, sizeof path, "%s/%s%s", folder, id, suffix);
	return open(path, flags | O_CREAT | O_CLOEXEC, 0666);
}

static void note(const char *folder, const char *id, const char *suffix, const char *text)
{
	int fd = open_file(folder, id, suffix, O_WRONLY | O_APPEND);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		_exit(250);
	(void)close(fd);
}

static void sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	(void)nanosleep(&t, NULL);
}

int main(int argc, char **argv)
{
	const char *folder, *id, *run_text = getenv("REEVE_RUN");
	long min, max, lines, run, code;
	uint64_t *next;
	char text[100];
	int lock, fd;

	if (argc != 6 || !run_text || !strrchr(run_text, ':'))
		return 251;
	folder = argv[1];
	id = argv[2];
	min = strtol(argv[3], NULL, 10);
	max = strtol(argv[4], NULL, 10);
	lines = strtol(argv[5], NULL, 10);
	run = strtol(strrchr(run_text, ':') + 1, NULL, 10);
	(void)signal(SIGTERM, on_term);
	lock = open_file(folder, id, ".lock", O_RDWR);
	if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0) {
		note(folder, "", "doubles", run_text);
		note(folder, "", "doubles", "\n");
		return 252;
	}
	fd = open_file(folder, id, ".next", O_RDWR);
	if (fd < 0 || ftruncate(fd, 8) < 0)
		return 253;
	next = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (next == MAP_FAILED)
		return 253;
	code = (strtol(id, NULL, 10) * 31 + run * 7) % 200;
	(void)snprintf(text, sizeof text, "%ld %ld\n", run, code);
	note(folder, id, ".runs", text);
	srandom((unsigned)(run * 1000 + strtol(id, NULL, 10)));
	for (long n = 0, pause = (min + random() % (max - min + 1)) / (lines ? lines : 1); n < lines && !asked; n++) {
		int length = snprintf(text, sizeof text, "%s %llu\n", id, (unsigned long long)*next);

		if (write(STDOUT_FILENO, text, (size_t)length) != length)
			return 254;
		++*next;
		sleep_ms(pause);
	}
	return (int)code;
}
