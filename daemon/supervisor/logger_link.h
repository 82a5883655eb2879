/*
 * The supervisor's side of lib/wire/logger.h: starts reeve-logger, restarts it when it dies, and keeps it told which pipes there are.
 * Messages wait in a queue; nothing here blocks.
 */
#ifndef REEVE_LOGGER_LINK_H
#define REEVE_LOGGER_LINK_H

#include "process.h"

struct logger_link;

/*
 * SOCKET, JOURNAL, STAGING, LISTEN: what the keeper stored (-1: to be made anew; LISTEN is made by the caller). All are taken. NULL: out
 * of memory.
 */
struct logger_link *logger_link_new(struct supervisor *s, int socket, int journal, int staging, int listen);
/* Accepts NULL. The logger itself runs on: its other end is the keeper's to close. */
void logger_link_free(struct logger_link *l);

/* (Re)announce everything: the daemon's own log and all processes. */
void logger_link_announce(struct logger_link *l);
/* The same in a moment, when waiting clients have been answered: a logger that runs knows it all already. */
void logger_link_announce_soon(struct logger_link *l);
void logger_link_stream(struct logger_link *l, struct process *p);	/* new, or its settings changed */
void logger_link_ended(struct logger_link *l, struct process *p);	/* its last words are asked for */
void logger_link_pid(struct logger_link *l, struct process *p);	/* another pid behind it */
void logger_link_close(struct logger_link *l, struct process *p);	/* about to be freed */
/* After an upgrade, either way: if the logger that runs is not the one that we would start, it finishes, and ours follows. */
void logger_link_renew(struct logger_link *l);
void logger_link_reopen(struct logger_link *l);
/* Ask for an answer with COOKIE when everything that is in the pipes now has been dealt with. */
void logger_link_flush(struct logger_link *l, const char *cookie);
/*
 * At the end, when the programs are gone: is all that they wrote in its files? Until it is, s->changed is set when it is time to ask again. A
 * logger that dies meanwhile is followed by another; after a few seconds the answer is yes anyway.
 */
bool logger_link_settle(struct logger_link *l);
void logger_link_clean(struct logger_link *l, const char *dir, const char *identifier);

/* Have the logger serve FD, a connected socket, as if it had come over log.sock. False: there is no logger now; else FD is taken. */
bool logger_link_client(struct logger_link *l, int fd);

/* The keeper says that PID ended; true if it was the logger (which is then started again). */
bool logger_link_exited(struct logger_link *l, pid_t pid, const struct exit_status *status);
/* The file that would be started as the logger, in BUFFER; false: it is nowhere. */
bool logger_link_find(const struct supervisor *s, char *buffer, size_t size);
pid_t logger_link_process(const struct logger_link *l);

#endif
