/*
 * Reading the configuration files, aside (aside.h), for whoever asks. One reading at a time; all who ask while it goes on share the next
 * one, so that nobody is told of files as they were before he asked.
 */
#ifndef REEVE_READING_H
#define REEVE_READING_H

#include "supervisor.h"

/* CONFIG (the callee's), perhaps with errors; or NULL and ERR in one sentence. */
typedef void reading_done(void *data, struct config *config, const struct error *err);

/* DONE is called later, in every case. -ENOMEM with ERR: it is not. */
int reading_ask(struct supervisor *s, reading_done *done, void *data, struct error *err);
/* Wait for it: for a supervisor that has no loop yet. 0 or -errno with ERR. */
int reading_now(struct supervisor *s, struct config **ret, struct error *err);
/* All who wait are told -ESHUTDOWN. */
void readings_cancel(struct supervisor *s);

#endif
