/* The inside of `struct sources`, for conf/ alone; config.h has its functions. */
#ifndef REEVE_CONF_SOURCES_H
#define REEVE_CONF_SOURCES_H

#include "config.h"

struct sources {
	char **paths, **texts;		/* the main file, then the included ones in order */
	char **environment;		/* what %(ENV_X)s sees */
	char **patterns;		/* of [include], absolute */
	char **unmatched;		/* include patterns that match nothing */
	char **unreadable;		/* "PATH: ERRNO" of matches that cannot be read */
	char *host_node_name;
	char *directory;		/* the working directory: paths are made absolute against it */
	char **questions, **answers;	/* what the system has been asked, and said */
	bool may_ask;			/* it still may be: these are not a kept copy */
};

/* Called before SOURCES are parsed: whose answers a "~user" and the like are looked up in meanwhile. NULL: the system's own. */
void answers_from(struct sources *sources);
/* To the one who wants to know (sources_tell_steps). */
void tell_step(const char *what);
/* As sources_answer(), of those that are being parsed; malloc'd. */
char *parsing_answer(const char *question);

/* With environment, host name and directory of this process; NULL: out of memory. */
struct sources *sources_new(void);
/* malloc'd. */
char *directory_of(const char *path);

#endif
