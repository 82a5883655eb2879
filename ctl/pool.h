/* What the pool commands share: options, connections to pools, names of tasks. */
#ifndef REEVE_CTL_POOL_H
#define REEVE_CTL_POOL_H

#include "ctl.h"

/* ---- options of a command, wherever they stand before "--" ---- */

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_NUMBER, OPTION_SECONDS, OPTION_LIST };

struct option_row {
	const char *name;		/* with its dashes */
	enum option_kind kind;
	void *value;			/* bool *, const char **, long long *, double *, json_t * (an array that is added to) */
	const char *argument;		/* as --help names its value; NULL for a flag */
	const char *help;
};

/*
 * Take the options of ROWS (ended by a NULL name) out of ARGV, leaving the other words in their order, without the first "--". Returns
 * their number; -1: a line has been printed and ctl->status set, or --help was there and ROWS have been explained.
 */
int pool_options(struct ctl *ctl, const struct option_row *rows, int argc, char **argv);

/* ---- talking ---- */

/* Connect to the pool NAME; NULL: a line has been printed and ctl->status set. */
struct varlink_client *pool_connect(struct ctl *ctl, const char *name);
/* A line on stderr, exit status 125 (or STATUS). */
void pool_fail(struct ctl *ctl, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
/*
 * Call METHOD (without interface) and return the reply's parameters (the caller's); PARAMETERS (may be NULL) is stolen. NULL: a line has
 * been printed and ctl->status set: 124 for a timeout, else 125.
 */
json_t *pool_call(struct ctl *ctl, struct varlink_client *client, const char *method, json_t *parameters);
/* The line for ERROR of METHOD, and the status. */
void pool_error(struct ctl *ctl, const char *error, const json_t *detail);

/* "POOL:ID". 0 with *ret_pool (malloc'd) and *ret_id; -1: a line has been printed. */
int pool_task_name(struct ctl *ctl, const char *text, char **ret_pool, long long *ret_id);

/* ---- for status and why ---- */

/* What the pool NAME is doing, behind the line of its process; nothing if it does not answer within a moment. */
void pool_print_gauges(struct ctl *ctl, const char *name);
/* Why it does not work, where that is so. */
void pool_print_trouble(struct ctl *ctl, const char *name);

/* ---- printing (pool_render.c) ---- */

void pool_print_overview(struct ctl *ctl, const json_t *status);
void pool_print_overview_head(void);
/* One that does not run. */
void pool_print_down(const char *name);
/* Tasks that failed, were lost, or took too long. */
long long pool_unsuccessful(const json_t *status);
void pool_print_details(const json_t *status);
void pool_print_task(const char *pool, const json_t *task);
/* What a task printed to stdout and stderr, and its exit status for a shell. */
int pool_print_output(const json_t *task);

/* ---- map (pool_map.c) ---- */

struct map_options {
	bool star;			/* lines hold several words */
	bool unordered, bar, fail_fast, keep_going, tag, null, detach;
	const char *results;		/* "raw", "json"; NULL: raw */
	const char *file;		/* NULL: stdin */
	long long chunk, priority, retries;	/* -1: the pool's default */
	double timeout;			/* negative: the pool's default */
};

/* The rows of the options above, into ROWS (at least 16). */
void map_option_rows(struct map_options *options, struct option_row *rows);
/* Map through the pool at CLIENT (freed). Sets ctl->status. */
void map_run(struct ctl *ctl, struct varlink_client *client, const struct map_options *options);

/* reevectl pool run (pool_run.c) */
void pool_run(struct ctl *ctl, int argc, char **argv);

#endif
