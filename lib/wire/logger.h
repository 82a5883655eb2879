/*
 * The private conversation of supervisor and logger: a SOCK_SEQPACKET pair, one JSON object per packet, descriptors beside it
 * (SCM_RIGHTS). Everything is idempotent: a new supervisor sends the whole set again, ended by "sync", and streams that were not
 * named since "begin" are then closed.
 *
 * Supervisor to logger ("op"):
 *   begin                         a new supervisor (or a new logger): the set follows
 *   stream  id,process,channel    + descriptor: the pipe (read-write; reopen O_RDONLY). A known id keeps its state, takes new settings.
 *           path|null, auto:{dir,name,identifier}|null, maxbytes, backups, owner_uid?, strip_ansi, syslog:ident|null,
 *           later:bool (make the file when there is a process), events:bool, capture:bytes, group, pid, console:"raw"|"prefix"|"json"|null (a copy on the daemon's stdout),
 *           debug:bool (a copy in the daemon's own log)
 *   pid     id, pid               the process behind a stream (for events); 0: none
 *   ended   id                    its process has ended: answer "tail" when what it wrote has been taken from the pipe
 *   main    path|null, maxbytes, backups, stdout:bool, json:bool (its form there), syslog:bool   + descriptor: the pipe of the daemon's own log
 *   close   id                    drain what is in the pipe, then forget it ("flush" tells when; keep the pipe until then)
 *   sync                          end of the set
 *   reopen                        SIGUSR2
 *   rotate|clear id               (clients use io.reeve.Log instead)
 *   flush   cookie                answer "flushed" when everything that was in the pipes at this moment is on disk
 *   clean   dir, identifier       remove old AUTO logs (supervisord's nocleanup=false)
 *   client  + descriptor: a connected socket to be served as if it had come over log.sock
 *   settings access:{uid, group, level?}  who may use log.sock ("read": not clear or rotate); watch:bool
 *
 * Logger to supervisor ("event"):
 *   opened  id, path              the file in use (an AUTO name as it was made)
 *   log     id, level, text       a line for the daemon's own log that only the supervisor should word (rare)
 *   output  id, pid, data(base64) PROCESS_LOG, for streams with events
 *   capture id, pid, data(base64) PROCESS_COMMUNICATION; a long one comes in parts with "offset" and "more"
 *                                 output and capture carry "seq": a number that was seen before is a repetition after our death
 *   tail    id, data(base64)      the end of the file, at most LOGGER_TAIL_MAX bytes in whole lines
 *   stats   dropped, bytes        per stream totals, at most once a second and only when changed and asked for ("watch": true)
 *   flushed cookie
 *   missing id                    the pipe of this stream did not arrive: too many open files. Name it again later
 *   fault   id, text              the file cannot be written (once per outage); text null: it can again, with "dropped"
 *
 * Descriptors at exec: 3 the logger's end of the pair, 4 the journal memfd, 5 the staging pipe (read-write), 6 the listening log.sock.
 */
#ifndef REEVE_WIRE_LOGGER_H
#define REEVE_WIRE_LOGGER_H

enum {
	LOGGER_FD_SUPERVISOR = 3,
	LOGGER_FD_JOURNAL = 4,
	LOGGER_FD_STAGING = 5,
	LOGGER_FD_LISTEN = 6,
	LOGGER_TAIL_MAX = 2048,
	LOGGER_PACKET_MAX = 128 << 10,	/* bytes of one packet */
};

#endif
