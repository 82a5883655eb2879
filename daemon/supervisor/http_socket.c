/* See http_socket.h. */
#include "http_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "varlink/address.h"
#include "varlink/varlink.h"

void http_socket_place(const struct server_conf *conf, char *buffer, size_t size)
{
	if (conf->is_unix)
		(void)snprintf(buffer, size, "%s", conf->file ? conf->file : "?");
	else
		(void)snprintf(buffer, size, "%s:%d", *conf->host ? conf->host : "*", conf->port);
}

void http_socket_name(const struct server_conf *conf, char name[KEEPER_NAME_SIZE])
{
	char place[4300], key[4600];
	uint32_t hash = 2166136261u;	/* FNV-1a */

	http_socket_place(conf, place, sizeof place);
	(void)snprintf(key, sizeof key, "%d %s %o %s", conf->is_unix, place, (unsigned)conf->chmod, conf->chown ? conf->chown : "");
	for (const char *c = key; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	(void)snprintf(name, KEEPER_NAME_SIZE, "http/%08x", (unsigned)hash);
}

/* ---- unix ---- */

/* Does somebody serve PATH? */
static bool is_answered(const char *path)
{
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct address a;
	bool answered;

	if (fd < 0 || address_init(&a, path) < 0)
		return false;
	answered = connect(fd, (struct sockaddr *)&a.un, a.length) == 0 || errno == EAGAIN;
	address_fini(&a);
	return answered;
}

/* Of a name or a number; or -1. */
static gid_t group_id(const char *name)
{
	char *end;
	unsigned long number = strtoul(name, &end, 10);
	const struct group *g = getgrnam(name);

	if (g)
		return g->gr_gid;
	return *name && !*end ? (gid_t)number : (gid_t)-1;
}

/* "user", "user:group", names or numbers. */
static int owner_of(const char *text, uid_t *ret_uid, gid_t *ret_gid, struct error *err)
{
	_cleanup_(freep) char *user = strndup(text, strcspn(text, ":"));
	const char *group = strchr(text, ':');
	const struct passwd *pw = user ? getpwnam(user) : NULL;
	char *end = NULL;
	unsigned long number = user ? strtoul(user, &end, 10) : 0;

	if (!pw && (!user || !*user || *end))
		return error_set(err, ENOENT, "chown=%.100s: there is no such user", text);
	*ret_uid = pw ? pw->pw_uid : (uid_t)number;
	*ret_gid = group ? group_id(group + 1) : pw ? pw->pw_gid : (gid_t)-1;
	if (group && *ret_gid == (gid_t)-1)
		return error_set(err, ENOENT, "chown=%.100s: there is no such group", text);
	return 0;
}

static int make_unix(const struct server_conf *conf, struct error *err)
{
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;

	if (!conf->file)
		return error_set(err, EINVAL, "it has no file");
	if (conf->chown && owner_of(conf->chown, &uid, &gid, err) < 0)
		return -ENOENT;
	if (is_answered(conf->file))
		return error_set(err, EADDRINUSE, "%s: another program serves it", conf->file);
	return varlink_listen(conf->file, (mode_t)conf->chmod & 0777, uid, gid, err);
}

int http_socket_give(const struct server_conf *conf, struct error *err)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int r;

	if (conf->chown && owner_of(conf->chown, &uid, &gid, err) < 0)
		return -ENOENT;
	r = varlink_socket_give(conf->file, (mode_t)conf->chmod & 0777, uid, gid);
	return r < 0 ? error_set(err, -r, "%s: cannot give it another owner or mode: %s", conf->file, errno_name(-r)) : 0;
}

/* ---- inet ---- */

static int look_up(const char *host, int port, struct sockaddr_storage *ret, socklen_t *ret_length)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST }, *list = NULL;
	size_t n = strlen(host);
	char bare[300], service[8];
	int r;

	(void)snprintf(service, sizeof service, "%d", port);
	if (!*host)
		host = "0.0.0.0";
	if (strcmp(host, "localhost") == 0)
		host = "127.0.0.1";
	if (*host == '[' && host[n - 1] == ']') {
		(void)snprintf(bare, sizeof bare, "%.*s", (int)n - 2, host + 1);
		host = bare;
	}
	r = getaddrinfo(host, service, &hints, &list);
	if (r == EAI_NONAME) {
		hints.ai_flags = AI_PASSIVE;
		hints.ai_family = AF_INET;	/* as supervisord */
		r = getaddrinfo(host, service, &hints, &list);
	}
	if (r)
		return r;
	memcpy(ret, list->ai_addr, list->ai_addrlen);
	*ret_length = list->ai_addrlen;
	freeaddrinfo(list);
	return 0;
}

static int make_inet(const struct server_conf *conf, struct error *err)
{
	struct sockaddr_storage address;
	socklen_t length;
	char place[4300];
	int r = look_up(conf->host, conf->port, &address, &length), on = 1, fd;

	http_socket_place(conf, place, sizeof place);
	if (r)
		return error_set(err, EHOSTUNREACH, "%.300s: %s", place, gai_strerror(r));
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, errno, "%.300s: cannot make a socket: %s", place, errno_name(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (address.ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&address, length) == 0 && listen(fd, 1024) == 0)
		return fd;
	r = error_set(err, errno, "%.300s: %s", place,
		      errno == EADDRINUSE ? "another program listens there" : errno_name(errno));
	(void)close(fd);
	return r;
}

/* A name that is not looked up here counts as public unless it is the one that everybody has. */
bool http_socket_is_public(const struct server_conf *conf)
{
	struct in_addr v4;

	if (conf->is_unix || strcmp(conf->host, "localhost") == 0 || strcmp(conf->host, "[::1]") == 0)
		return false;
	return inet_pton(AF_INET, conf->host, &v4) != 1 || ntohl(v4.s_addr) >> 24 != 127;
}

int http_socket_make(const struct server_conf *conf, struct error *err)
{
	return conf->is_unix ? make_unix(conf, err) : make_inet(conf, err);
}

bool http_socket_is_taken(const struct server_conf *conf)
{
	struct error err;
	int fd;

	if (conf->is_unix)
		return conf->file && is_answered(conf->file);
	fd = make_inet(conf, &err);
	if (fd >= 0)
		(void)close(fd);
	return fd == -EADDRINUSE;
}
