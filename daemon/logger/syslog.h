/* Lines to /dev/log by datagrams that never block: what syslogd does not take is counted and dropped. */
#ifndef REEVE_LOGGER_SYSLOG_H
#define REEVE_LOGGER_SYSLOG_H

#include <stddef.h>
#include <stdint.h>

struct syslog {
	int fd;		 /* -1: not connected */
	double retry_at; /* clock_now(); not before this time again */
	uint64_t lost;	 /* lines */
};

/* Send each line of DATA as "IDENT[pid]: NAME LINE" (NAME may be NULL). */
void syslog_lines(struct syslog *syslog, const char *ident, const char *name, const char *data, size_t length);
void syslog_fini(struct syslog *syslog);

#endif
