/*
 * The readers of the sections, each in its file; config.c calls them in supervisord's order. What they find goes into parser::config.
 */
#ifndef REEVE_CONF_READ_H
#define REEVE_CONF_READ_H

#include "section.h"

/* ---- read_daemon.c ---- */

/* OVERRIDES are the options of the command line: they count more than the section. */
void read_supervisord(struct parser *p, struct ini_section *s, const struct override *overrides, size_t n_overrides);
void read_servers(struct parser *p);
void read_rpcinterfaces(struct parser *p);
void read_ctl(struct parser *p);

/* ---- read_program.c ---- */

/* All processes of one section, added to G. False: the section has an error. */
bool read_program(struct parser *p, struct ini_section *s, struct group_conf *g, enum group_kind kind);
void process_conf_free(struct process_conf *c);

/* ---- read_group.c ---- */

void read_groups(struct parser *p);
void group_conf_free(struct group_conf *g);

/* ---- unknown.c ---- */

/* Warnings about sections and keys that nobody knows. */
void warn_unknown(struct parser *p);
/* CANDIDATE becomes *BEST if it is nearer to WANTED than *BEST_DISTANCE (in letters to change). */
void consider_name(const char *wanted, const char *candidate, const char **best, unsigned *best_distance);

#endif
