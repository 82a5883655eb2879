/*
 * Who users and groups are. The name service (LDAP, a server that is down) may take any time: it is asked aside, and where its answer is
 * late, what it said before is used: at the last start, or when the configuration was read.
 */
#ifndef REEVE_NAMES_H
#define REEVE_NAMES_H

#include "supervisor.h"

struct identity {
	uid_t uid;
	gid_t gid;
	gid_t groups[256];
	int n_groups;
	char name[256], shell[256], home[500];
};

/* USER (a name or a number) as of now. 0; -ENOENT: there is none; -EAGAIN: not known yet, and being asked. With ERR. */
int names_user(struct supervisor *s, const char *user, struct identity *ret, struct error *err);
/* As far as it is known already, without asking. -ENOENT if not. */
int names_known_user(const struct supervisor *s, const char *user, struct identity *ret);
/* The id of GROUP (a name or a number), (gid_t)-1: none, or not known yet. Never waits. */
gid_t names_group(struct supervisor *s, const char *group);
/* What SOURCES remember is known from now on. FRESH: it has just been asked. */
void names_learn(struct supervisor *s, const struct sources *sources, bool fresh);
void names_free(struct supervisor *s);

#endif
