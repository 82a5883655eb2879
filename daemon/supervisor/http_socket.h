/*
 * The listening sockets of [unix_http_server] and [inet_http_server]. A unix socket gets its mode and owner before it has its name. What is
 * made or changed here may hang on a dead disk or in the name service: it is called aside (places.h).
 */
#ifndef REEVE_HTTP_SOCKET_H
#define REEVE_HTTP_SOCKET_H

#include <stdbool.h>

#include "conf/config.h"
#include "wire/keeper.h"

/* The name under which the keeper holds it: the same for the same place, mode and owner. */
void http_socket_name(const struct server_conf *conf, char name[KEEPER_NAME_SIZE]);
/*
 * Make it: non-blocking, listening. -errno with ERR; -EADDRINUSE: somebody else answers there. A host that is a name is looked up, which
 * may take its time.
 */
int http_socket_make(const struct server_conf *conf, struct error *err);
/* Does another program serve it now? A host that is a name is looked up. */
bool http_socket_is_taken(const struct server_conf *conf);
/* Give a unix socket that is there the mode and the owner of CONF; without chown= it is ours. 0 or -errno with ERR. */
int http_socket_give(const struct server_conf *conf, struct error *err);
/* Can anybody but this machine reach it? */
bool http_socket_is_public(const struct server_conf *conf);
/* "/run/x.sock", "127.0.0.1:9001", "*:9001". */
void http_socket_place(const struct server_conf *conf, char *buffer, size_t size);

#endif
