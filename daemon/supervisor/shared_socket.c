/* See shared_socket.h. */
#include "shared_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "http_socket.h"
#include "places.h"
#include "wire/keeper.h"

struct shared_socket {
	struct shared_socket *next;	/* supervisor::sockets */
	char name[KEEPER_NAME_SIZE];
	char *url;			/* owned; NULL: adopted, and not asked for yet */
	int fd;
	int backlog;			/* as listen(2) got it */
	char *access;			/* mode and owner as they were given; owned; NULL: just made, or adopted */
	unsigned users;
};

/* The URL as the description of a listening socket. OWNER: buffer for its owner. */
static struct server_conf place_of(const struct process_conf *c, char host[300], char owner[300])
{
	const struct fcgi_socket_conf *socket = c->socket;
	const char *colon;

	if (strncmp(socket->url, "unix://", 7) == 0) {
		const char *text = socket->owner ? socket->owner : c->user;

		if (text)
			(void)snprintf(owner, 300, "%s", text);
		return (struct server_conf){ .is_unix = true, .file = socket->url + 7, .chmod = socket->mode,
					     .chown = text ? owner : NULL };
	}
	colon = strrchr(socket->url, ':');
	(void)snprintf(host, 300, "%.*s", (int)(colon - socket->url - 6), socket->url + 6);
	if (strcmp(host, "*") == 0)
		host[0] = '\0';
	return (struct server_conf){ .host = host, .port = atoi(colon + 1) };
}

/* The same whatever its mode and owner are: these can change while it is in use. */
static void stored_name(const struct server_conf *place, char name[KEEPER_NAME_SIZE])
{
	struct server_conf bare = *place;
	char http[KEEPER_NAME_SIZE];

	bare.chmod = 0;
	bare.chown = NULL;
	http_socket_name(&bare, http);
	(void)snprintf(name, KEEPER_NAME_SIZE, "fcgi/%s", http + strlen("http/"));
}

static struct shared_socket *find(struct supervisor *s, const char *name)
{
	struct shared_socket *x = s->sockets;

	while (x && strcmp(x->name, name) != 0)
		x = x->next;
	return x;
}

static struct shared_socket *add(struct supervisor *s, const char *name, int fd)
{
	struct shared_socket *x = calloc(1, sizeof *x);

	if (!x)
		return NULL;
	*x = (struct shared_socket){ .next = s->sockets, .fd = fd, .backlog = -1 };
	(void)snprintf(x->name, sizeof x->name, "%s", name);
	s->sockets = x;
	return x;
}

static struct shared_socket *make(struct process *p, const struct server_conf *place, const char *name, struct error *err)
{
	struct supervisor *s = p->supervisor;
	struct shared_socket *x;
	int fd;

	fd = place_socket(s, name, place, err);
	if (fd < 0)
		return NULL;
	supervisor_log(s, LOGLEVEL_INFO, "Creating socket %s", p->conf->socket->url);
	(void)fcntl(fd, F_SETFL, 0);	/* programs expect accept(2) to wait */
	x = add(s, name, fd);
	if (x) {
		supervisor_tell(s, KEEPER_STORE, 0, 0, name, fd);
		return x;
	}
	(void)close(fd);
	(void)error_set(err, ENOMEM, "out of memory");
	return NULL;
}

static void unlink_path(struct supervisor *s, const struct shared_socket *x)
{
	if (x->url && strncmp(x->url, "unix://", 7) == 0)
		place_remove(s, x->url + 7, false);
}

static void release(struct supervisor *s, struct shared_socket *x, bool forget)
{
	if (--x->users > 0)
		return;
	if (forget) {
		supervisor_log(s, LOGLEVEL_INFO, "Closing socket %s", x->url);
		unlink_path(s, x);
		supervisor_tell(s, KEEPER_DROP, 0, 0, x->name, -1);
	}
	for (struct shared_socket **at = &s->sockets; *at; at = &(*at)->next)
		if (*at == x) {
			*at = x->next;
			break;
		}
	(void)close(x->fd);
	free(x->access);
	free(x->url);
	free(x);
}

/* What can change while connections wait in it. */
static int adjust(struct supervisor *s, struct shared_socket *x, const struct process_conf *c, const struct server_conf *place, struct error *err)
{
	int backlog = c->socket->backlog ? c->socket->backlog : SOMAXCONN, r = 0;
	char *access;

	if (backlog != x->backlog && listen(x->fd, backlog) == 0)
		x->backlog = backlog;
	if (!place->is_unix || asprintf(&access, "%o %s", (unsigned)place->chmod, place->chown ? place->chown : "") < 0)
		return 0;
	if (x->access && strcmp(access, x->access) != 0)	/* not when it was just made, or adopted as it is */
		r = place_give_socket(s, place, err);
	if (r == -EAGAIN) {
		free(access);
		return r;
	}
	free(x->access);
	x->access = access;
	return r;
}

int shared_socket_attach(struct process *p, struct error *err)
{
	char host[300], owner[300], name[KEEPER_NAME_SIZE];
	struct shared_socket *old = p->socket, *x;
	struct server_conf place;

	if (!p->conf->socket || !p->conf->socket->url) {
		shared_socket_detach(p, true);
		return 0;
	}
	place = place_of(p->conf, host, owner);
	stored_name(&place, name);
	x = find(p->supervisor, name);
	if (!x)
		x = make(p, &place, name, err);
	if (!x)
		return -(err->code ? err->code : EIO);
	if (!x->url)
		x->url = strdup(p->conf->socket->url);
	if (adjust(p->supervisor, x, p->conf, &place, err) < 0)
		return -err->code;
	if (x == old)
		return 0;
	x->users++;
	p->socket = x;
	if (old)
		release(p->supervisor, old, true);
	return 0;
}

void shared_socket_detach(struct process *p, bool forget)
{
	struct shared_socket *x = TAKE(p->socket);

	if (x)
		release(p->supervisor, x, forget);
}

bool shared_socket_adopt(struct supervisor *s, const char *name, int fd)
{
	return strncmp(name, "fcgi/", 5) == 0 && add(s, name, fd);
}

void shared_sockets_unlink(struct supervisor *s)
{
	for (const struct shared_socket *x = s->sockets; x; x = x->next)
		unlink_path(s, x);
}

int shared_socket_fd(const struct process *p)
{
	return p->socket ? p->socket->fd : -1;
}
