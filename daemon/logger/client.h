/*
 * io.reeve.Log: reading, following, clearing and rotating logs for clients on log.sock.
 */
#ifndef REEVE_LOGGER_CLIENT_H
#define REEVE_LOGGER_CLIENT_H

#include "logger.h"

/* Serve LISTEN_FD (borrowed). NULL: nobody is served (no memory). */
struct client *client_new(struct logger *logger, int listen_fd);
/* Serve FD (taken), a connected socket. CLIENT may be NULL. */
void client_add(struct client *client, int fd);
void client_free(struct client *client); /* accepts NULL */
/* FILE has new bytes, fewer, or is another one: tell those who follow it. CLIENT may be NULL. */
void client_file_changed(struct client *client, struct file *file);

#endif
