/*
 * What is done to files in places that a user names: listening sockets, the pid file, an executable. It is done aside (aside.h) and waited for a moment;
 * what takes longer is completed when the disk, or the name service, answers.
 */
#ifndef REEVE_PLACES_H
#define REEVE_PLACES_H

#include "supervisor.h"

/*
 * The listening socket of CONF (http_socket.h), made under NAME (unique; the keeper's name for it). The descriptor, or -errno with ERR;
 * -EAGAIN: not yet, ask again: what has become of it is kept under its name.
 */
int place_socket(struct supervisor *s, const char *name, const struct server_conf *conf, struct error *err);
/* Give it another mode and owner. 0 or -errno with ERR; -EAGAIN: not yet. */
int place_give_socket(struct supervisor *s, const struct server_conf *conf, struct error *err);
/* Write PID into the file PATH (NULL: none). An error goes to the log. */
void place_write_pid(struct supervisor *s, const char *path, pid_t pid);
/* Remove the file PATH (NULL: none), whatever lies there; REGULAR: only if it is a regular file. */
void place_remove(struct supervisor *s, const char *path, bool regular);
/* The executable PATH that UID names for an upgrade, opened with O_PATH. -errno with ERR; -EAGAIN: it does not answer. */
int place_open_executable(struct supervisor *s, const char *path, uid_t uid, struct error *err);
void places_free(struct supervisor *s);

#endif
