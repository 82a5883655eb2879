/*
 * A stream: one pipe of one process, and what is to be done with its bytes. Moves them from the pipe through the
 * staging pipe to the file, so that a kill at any moment neither loses nor doubles a byte of the file.
 */
#ifndef REEVE_LOGGER_STREAM_H
#define REEVE_LOGGER_STREAM_H

#include "capture.h"
#include "console.h"
#include "logger.h"

enum stream_channel { STREAM_STDOUT, STREAM_STDERR };

struct stream {
	TAILQ_ENTRY(stream) all, ready_link, partial_link; /* logger's lists */
	struct logger *logger;
	char *id, *process, *group; /* owned; id "" : the daemon's own log */
	uint64_t hash;		    /* of the id */
	int pipe;		    /* owned */
	ino_t pipe_ino;
	pid_t pid;			     /* 0: none */
	struct file *file;		     /* held; NULL: no file */
	char *syslog;			     /* owned; ident; NULL: no syslog */
	struct journal_record *record;	     /* in the journal; NULL: none */
	struct capture capture;		     /* max 0: off */
	size_t ring_size;		     /* of the mapping */
	uint64_t consumed, goal;	     /* bytes taken from the pipe; where a flush is satisfied */
	uint64_t dropped, written;	     /* bytes that the file did not get, and that it did */
	uint64_t told_dropped, told_written; /* as of the last "stats" */
	double partial_since;
	enum stream_channel channel;
	bool id_number;		     /* the id came as a number and goes back as one */
	enum console_format console; /* the copy on our stdout */
	bool strip_ansi, events;
	bool debug; /* a copy in the daemon's own log */
	bool is_ready, is_partial, force, named, closing;
	bool holds_token; /* what waits may be the beginning of a token or terminal sequence */
	bool drop_line;	  /* the beginning of the present line was dropped: drop its rest */
};

struct stream *stream_new(struct logger *logger, const char *id, bool id_number);
/* Forget at once. */
void stream_free(struct stream *stream);
/* Replace the pipe (descriptor taken over). A stream that already reads this pipe keeps its own descriptor. */
int stream_attach(struct stream *stream, int fd);
/* Keep MAX captured bytes; 0: no capture mode. */
int stream_set_capture(struct stream *stream, uint32_t max);

/* There are bytes, or there may be. */
void stream_wake(struct stream *stream);
/* Take what is in the pipe at this moment, before the stream's settings change. */
void stream_drain(struct stream *stream);
/* Take one batch. Returns the bytes taken; a stream with nothing to take leaves the ready list. */
size_t stream_turn(struct stream *stream);
/* Everything that is in the pipe now must reach the disk: counts as a goal of the logger until it has. */
void stream_set_goal(struct stream *stream);

struct stream *stream_find(struct logger *logger, const char *id);

#endif
