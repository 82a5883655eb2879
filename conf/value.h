/* Text to typed values, by supervisord's rules and with its words for what is wrong. All return 0 or -EINVAL with ERR. */
#ifndef REEVE_CONF_VALUE_H
#define REEVE_CONF_VALUE_H

#include "config.h"

int parse_integer(const char *text, long long *ret, struct error *err);	/* Python's int() */
int parse_boolean(const char *text, bool *ret, struct error *err);
int parse_seconds(const char *text, double *ret, struct error *err);	/* a decimal number from 0 on */
int parse_bytes(const char *text, long long *ret, struct error *err);	/* KB, MB, GB */
int parse_octal(const char *text, int *ret, struct error *err);
int parse_exitcodes(const char *text, int **ret, size_t *ret_n, struct error *err);
int parse_signal(const char *text, int *ret, struct error *err);
int parse_loglevel(const char *text, enum loglevel *ret, struct error *err);
int parse_autorestart(const char *text, enum autorestart *ret, struct error *err);
int parse_pool_mode(const char *text, enum pool_mode *ret, struct error *err);
/* supervisord 4.2.5's tokenizer: KEY=VALUE pairs, "K=V" strings out. */
int parse_environment(const char *text, char ***ret, struct error *err);
/* Comma-separated words, trimmed; the empty text has none. */
int parse_list(const char *text, char ***ret);
/* ~ and ~user expanded (malloc'd). */
char *expand_user(const char *path);
/* Absolute against DIRECTORY and normalised as Python's os.path.abspath (malloc'd). */
char *absolute_path(const char *path, const char *directory);
/* *PATH (owned; NULL stays) with ~ expanded, and made absolute so. */
void path_make_absolute(char **path, const char *directory);

const char *loglevel_name(enum loglevel level);
const char *autorestart_name(enum autorestart value);
const char *pool_mode_name(enum pool_mode mode);

#endif
