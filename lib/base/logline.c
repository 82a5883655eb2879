/* See logline.h. */
#include "logline.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* supervisord's tags by its level numbers. */
static const char *tag_of(int level)
{
	static const struct {
		int level;
		const char *tag;
	} tags[] = { { 50, "CRIT" }, { 40, "ERRO" }, { 30, "WARN" }, { 20, "INFO" }, { 10, "DEBG" }, { 5, "TRAC" }, { 0, "BLAT" } };
	size_t i = 0;

	while (level < tags[i].level)
		i++;
	return tags[i].tag;
}

size_t logline_head(char *buffer, size_t size, int level)
{
	struct timespec now;
	struct tm tm;
	size_t n;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)localtime_r(&now.tv_sec, &tm);
	n = strftime(buffer, size, "%Y-%m-%d %H:%M:%S", &tm);
	return n + (size_t)snprintf(buffer + n, size - n, ",%03ld %s ", now.tv_nsec / 1000000, tag_of(level));
}

int logline_write(int fd, int level, const char *format, va_list ap)
{
	char line[PIPE_BUF];
	size_t n = logline_head(line, sizeof line, level);
	int m;

	m = vsnprintf(line + n, sizeof line - n, format, ap);
	if (m < 0)
		return -1;
	n = n + (size_t)m < sizeof line - 1 ? n + (size_t)m : sizeof line - 1;
	line[n++] = '\n';
	return write(fd, line, n) == (ssize_t)n ? 0 : -1;
}
