/*
 * The supervisor's messages to reeve-logger: the input's lines are packets, each with a pipe that holds some output.
 * Runs with the working directory as its root, because a message may name any path: start it in an empty folder that
 * holds nothing but the corpus, with ASAN_OPTIONS=detect_leaks=0 (there is no /proc).
 */
#include <sys/mman.h>

#include "../../daemon/logger/logger.c"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int other_end;

/* The descriptors of wire/logger.h, as reeved would place them. */
static void place_descriptors(void)
{
	int pair[2], staging[2], sources[4];
	char name[32];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0 || pipe(staging) < 0)
		abort();
	other_end = fcntl(pair[1], F_DUPFD, 100);
	sources[0] = fcntl(pair[0], F_DUPFD, 100);
	sources[1] = fcntl(memfd_create("journal", 0), F_DUPFD, 100);
	sources[3] = fcntl(socket(AF_UNIX, SOCK_STREAM, 0), F_DUPFD, 100);
	(void)snprintf(name, sizeof name, "/proc/self/fd/%d", staging[0]);
	sources[2] = fcntl(open(name, O_RDWR), F_DUPFD, 100);
	for (int i = 0; i < 4; i++)
		(void)dup2(sources[i], LOGGER_FD_SUPERVISOR + i);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	place_descriptors();
	if (chroot(".") < 0)
		abort();
	return 0;
}

static int pipe_with_output(void)
{
	static const char output[] =
		"a line\n\x1b[31mred\x1b[m <!--XSUPERVISOR:BEGIN-->caught<!--XSUPERVISOR:END-->\nrest";
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	(void)!write(ends[1], output, sizeof output - 1);
	(void)close(ends[1]);
	return ends[0];
}

static void run_some(struct logger *logger)
{
	static char sink[1 << 18];

	for (int i = 0; i < 4; i++)
		(void)ev_run(logger->loop, EVRUN_NOWAIT);
	while (recv(other_end, sink, sizeof sink, MSG_DONTWAIT) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct logger logger;

	if (!logger.loop && logger_init(&logger) < 0)
		abort();
	while (size) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t length = end ? (size_t)(end - data) : size;

		control_packet(&logger, (const char *)data, length, length % 3 ? pipe_with_output() : -1);
		run_some(&logger);
		data += length + (end != NULL);
		size -= length + (end != NULL);
	}
	while (!TAILQ_EMPTY(&logger.streams))
		stream_free(TAILQ_FIRST(&logger.streams));
	return 0;
}
