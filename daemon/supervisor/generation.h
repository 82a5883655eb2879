/*
 * Configuration generations: each configuration that is taken over gets a number and is kept, here parsed and with the keeper as text, for as long
 * as a group runs by it. So a successor runs what was running, not what is on disk by then.
 */
#ifndef REEVE_GENERATION_H
#define REEVE_GENERATION_H

#include "supervisor.h"

/* Make a generation of CONFIG (taken in every case), as it was read (reading.h). On success it is also supervisor::loaded. -EINVAL with
   ERR: nothing changed. ACCEPT_ERRORS: take it although sections have errors (their groups are invalid). */
int generation_accept(struct supervisor *s, struct config *config, bool accept_errors, struct generation **ret, struct error *err);
/* The same with the files as they are, errors accepted: for a supervisor that has no loop yet. */
int generation_read(struct supervisor *s, struct generation **ret, struct error *err);
/* Keep the one that the daemon was started with, if it is still there: what needs a restart of the daemon is compared with it. */
void generation_note_start(struct supervisor *s);
/* The first error of CONFIG, which has one, for an answer of one line. Returns -EINVAL. */
int generation_first_error(const struct config *config, struct error *err);
/* Take over the one that the keeper stored as config/NUMBER in FD (taken). */
int generation_restore(struct supervisor *s, uint32_t number, int fd, struct error *err);
/* A configuration that is in no file (a transient program); VARIABLES are for its %(ENV_...)s. The caller uses it, or releases it. */
int generation_from_text(struct supervisor *s, const char *text, char *const *variables, struct generation **ret, struct error *err);
bool generation_is_transient(const struct generation *g);

/* G as the keeper keeps it: its name there in NAME (KEEPER_NAME_SIZE bytes), and a memfd of the caller's. 0 or -errno. */
int generation_save(const struct generation *g, char *name, int *ret_fd);

struct generation *generation_find(struct supervisor *s, uint32_t number);
struct generation *generation_use(struct generation *g);
void generation_release(struct supervisor *s, struct generation *g);
/* Make G the one last read. */
void generation_load(struct supervisor *s, struct generation *g);

#endif
