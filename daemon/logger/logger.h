/*
 * The logger: owns the loop, all streams and files, the journal, the staging pipe and both sockets.
 */
#ifndef REEVE_LOGGER_LOGGER_H
#define REEVE_LOGGER_LOGGER_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "file.h"
#include "journal.h"
#include "output.h"
#include "syslog.h"

struct stream;
struct client;
struct packet;
TAILQ_HEAD(stream_list, stream);

enum {
	BATCH_MAX = 64 << 10,  /* bytes that are taken from a pipe in one go */
	TURN_MAX = 4 << 20,    /* bytes that are taken from all pipes before the loop looks elsewhere */
	PACKETS_MAX = 4 << 20, /* bytes of messages that wait for the supervisor */
};

struct logger {
	struct ev_loop *loop;	     /* owned */
	int control, staging, pipes; /* socket to the supervisor; staging pipe; epoll of all pipes */
	int scratch[2];		     /* where tee(2) copies to */
	int null;		     /* /dev/null, where drained bytes go */
	struct journal journal;
	struct file_set files;
	struct output out, err;
	struct syslog syslog;

	struct stream_list streams; /* owns; all of them, in order of arrival */
	struct stream_list ready;   /* have bytes; each has its turn */
	struct stream_list partial; /* hold an unfinished line */
	struct stream *main;	    /* the daemon's own log; in `streams` too; NULL until it is named */

	ev_io control_readable, control_writable, pipes_readable;
	ev_idle work;	       /* active while `ready` has members */
	ev_timer partial_tick; /* active while `partial` has members */
	ev_timer retry_tick;   /* active while a file has an outage */
	ev_timer stats_tick;   /* active when "watch" is on and something changed */

	TAILQ_HEAD(, packet) packets; /* owned; to the supervisor, in order */
	size_t packet_bytes;
	uint64_t packets_lost;

	bool recovering; /* the staging pipe holds a batch of an earlier life */
	bool finishing;	 /* nobody will speak to us again: drain and exit */
	bool begun;	 /* the set of streams is being sent */
	bool watch;
	unsigned goals;	 /* streams that a flush still waits for */
	json_t *flushes; /* cookies of the flushes that wait */

	uid_t access_uid; /* who else may use log.sock; -1: nobody */
	gid_t access_gid;
	bool access_read_only;
	struct client *client; /* owned */

	char batch[BATCH_MAX], text[BATCH_MAX]; /* the batch as read, and as transformed */
};

/* Take over the descriptors of wire/logger.h and run until everything is drained. Returns the exit status. */
int logger_run(void);

/* Send a message to the supervisor (steals it). Queued while the supervisor is busy or away. */
void logger_send(struct logger *logger, json_t *message);
/* A line for the daemon's own log. LEVEL: "error", "warn", "info", "debug". */
void logger_log(struct logger *logger, const char *level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Tell a supervisor that may not know: STREAM's file cannot be written (TEXT NULL: it can again). */
void logger_tell_fault(const struct stream *stream, const char *text);
/* Something became ready: see that the loop gives it its turn. */
void logger_wake(struct logger *logger);
/* A stream's numbers changed. */
void logger_touch(struct logger *logger);
/* The flushes that were waiting for streams are done when none is left. */
void logger_flush_check(struct logger *logger);

#endif
