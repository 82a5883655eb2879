/*
 * The control socket: the method table of io.reeve.Supervisor, who may call what, and the few things that others ask of it.
 */
#ifndef REEVE_CONTROL_H
#define REEVE_CONTROL_H

#include <jansson.h>

#include "../supervisor.h"

/* Serve LISTEN_FD (taken). NULL with ERR. */
struct control *control_new(struct supervisor *s, int listen_fd, struct error *err);
void control_free(struct control *c);	/* accepts NULL */

/* Serve FD, one connected socket whose other end is trusted like ourselves. Taken unless false. */
bool control_serve(struct control *c, int fd);

/* How the sockets in the run directory are made: 0600, or 0660 and the control group's. */
mode_t control_socket_mode(struct supervisor *s);
gid_t control_socket_group(struct supervisor *s);

/* Apply what is on disk, as `reevectl update` does; the result goes to the log. The keeper is told that SIGNAL
   has been acted on when it cannot be lost any more; false: that is still to be told. */
bool control_update(struct supervisor *s, int signal);
/* The same if the files say anything else than what is loaded. */
void control_update_if_changed(struct supervisor *s);

#endif
