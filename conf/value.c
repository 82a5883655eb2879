/* See value.h. */
#include "value.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>

#include "sources.h"
#include "strv.h"
#include "memory.h"

static const char *skip_blanks(const char *p)
{
	while (isspace((unsigned char)*p))
		p++;
	return p;
}

/* Digits of BASE with single underscores between them; beyond long long it saturates. */
static bool digits(const char **p, int base, long long *ret)
{
	long long n = 0;
	bool any = false;

	for (;; (*p)++) {
		char c = **p;

		if (c == '_' && any && isdigit((unsigned char)(*p)[1]))
			continue;
		if (c < '0' || c >= '0' + base)
			break;
		any = true;
		n = n > (LLONG_MAX - 9) / base ? LLONG_MAX / 2 : n * base + (c - '0');
	}
	*ret = n;
	return any;
}

static bool whole_integer(const char *text, int base, long long *ret)
{
	const char *p = skip_blanks(text);
	bool negative = *p == '-';
	long long n;

	if (*p == '+' || *p == '-')
		p++;
	if (base == 8 && p[0] == '0' && (p[1] == 'o' || p[1] == 'O'))
		p += 2;
	if (!digits(&p, base, &n) || *skip_blanks(p))
		return false;
	*ret = negative ? -n : n;
	return true;
}

int parse_integer(const char *text, long long *ret, struct error *err)
{
	if (!whole_integer(text, 10, ret))
		return error_set(err, EINVAL, "invalid literal for int() with base 10: '%.200s'", text);
	return 0;
}

int parse_boolean(const char *text, bool *ret, struct error *err)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = { { "yes", true }, { "true", true }, { "on", true }, { "1", true },
		      { "no", false }, { "false", false }, { "off", false }, { "0", false } };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcasecmp(text, words[i].word) == 0) {
			*ret = words[i].value;
			return 0;
		}
	return error_set(err, EINVAL, "not a valid boolean value: '%.200s'", text);
}

int parse_seconds(const char *text, double *ret, struct error *err)
{
	char *end;
	double value = isdigit((unsigned char)*text) || *text == '.' ? strtod(text, &end) : -1;

	if (!(value >= 0) || *skip_blanks(end))
		return error_set(err, EINVAL, "not a number of seconds: '%.200s'", text);
	*ret = value;
	return 0;
}

int parse_bytes(const char *text, long long *ret, struct error *err)
{
	static const struct {
		const char *suffix;
		long long factor;
	} units[] = { { "kb", 1LL << 10 }, { "mb", 1LL << 20 }, { "gb", 1LL << 30 } };
	size_t n = strlen(text);
	_cleanup_(freep) char *number = NULL;
	long long factor = 1, value;

	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (n >= 2 && strcasecmp(text + n - 2, units[i].suffix) == 0) {
			factor = units[i].factor;
			n -= 2;
			break;
		}
	number = strndup(text, n);
	if (!number)
		return error_set(err, ENOMEM, "out of memory");
	if (!whole_integer(number, 10, &value)) {
		for (char *c = number; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		return error_set(err, EINVAL, "invalid literal for int() with base 10: '%.200s'", number);
	}
	if (__builtin_mul_overflow(value, factor, &value))
		value = value < 0 ? LLONG_MIN / 2 : LLONG_MAX / 2;
	*ret = value;
	return 0;
}

int parse_octal(const char *text, int *ret, struct error *err)
{
	long long value;

	if (!whole_integer(text, 8, &value) || value > 07777 || value < -07777)
		return error_set(err, EINVAL, "%.200s can not be converted to an octal type", text);
	*ret = (int)value;
	return 0;
}

int parse_list(const char *text, char ***ret)
{
	*ret = NULL;
	if (!*text)
		return 0;
	for (;;) {
		size_t n = strcspn(text, ",");
		const char *from = text;
		size_t length = n;

		while (length && isspace((unsigned char)*from))
			from++, length--;
		while (length && isspace((unsigned char)from[length - 1]))
			length--;
		if (strv_push(ret, strndup(from, length)) < 0)
			return -ENOMEM;
		if (!text[n])
			return 0;
		text += n + 1;
	}
}

int parse_exitcodes(const char *text, int **ret, size_t *ret_n, struct error *err)
{
	char **words = NULL;
	size_t n = 0, i = 0;
	int *codes = NULL;

	if (parse_list(text, &words) == 0) {
		n = strv_length(words);
		codes = calloc(n ? n : 1, sizeof *codes);
	}
	for (; codes && i < n; i++) {
		long long value;

		if (!whole_integer(words[i], 10, &value) || value < 0 || value > 255)
			break;
		codes[i] = (int)value;
	}
	strv_free(words);
	if (!codes)
		return error_set(err, ENOMEM, "out of memory");
	if (i < n) {
		free(codes);
		return error_set(err, EINVAL, "not a valid list of exit codes: '%.200s'", text);
	}
	free(*ret);
	*ret = codes;
	*ret_n = n;
	return 0;
}

/* ---- signals ---- */

static const struct {
	const char *alias;
	int number;
} signal_aliases[] = { { "CLD", SIGCHLD }, { "POLL", SIGPOLL }, { "IO", SIGIO }, { "IOT", SIGABRT }, { "RTMIN", 34 }, { "RTMAX", 64 } };

const char *signal_name(int number)
{
	static char text[16];
	const char *name = number > 0 && number < 32 ? sigabbrev_np(number) : NULL;

	if (number == 34 || number == 64)
		name = number == 34 ? "RTMIN" : "RTMAX";
	if (!name)
		return NULL;
	(void)snprintf(text, sizeof text, "SIG%s", name);
	return text;
}

static bool signal_exists(long long n)
{
	return n == 0 || n == 34 || n == 64 || (n > 0 && n < 32);
}

int signal_parse(const char *text)
{
	long long number;
	const char *p = skip_blanks(text);
	char name[16];
	size_t n = 0;

	if (whole_integer(text, 10, &number))
		return signal_exists(number) ? (int)number : -1;
	for (; p[n] && !isspace((unsigned char)p[n]) && n + 1 < sizeof name; n++)
		name[n] = (char)toupper((unsigned char)p[n]);
	name[n] = '\0';
	if (!n || *skip_blanks(p + n))
		return -1;
	p = strncmp(name, "SIG", 3) == 0 ? name + 3 : name;
	for (int s = 1; s < 32; s++)
		if (sigabbrev_np(s) && strcmp(sigabbrev_np(s), p) == 0)
			return s;
	for (size_t i = 0; i < ARRAY_LEN(signal_aliases); i++)
		if (strcmp(signal_aliases[i].alias, p) == 0)
			return signal_aliases[i].number;
	return -1;
}

int parse_signal(const char *text, int *ret, struct error *err)
{
	long long number;
	int s = signal_parse(text);

	if (s < 0)
		return error_set(err, EINVAL, "value '%.200s' is not a valid signal %s", text,
				 whole_integer(text, 10, &number) ? "number" : "name");
	*ret = s;
	return 0;
}

/* ---- words ---- */

static const struct {
	const char *name;
	enum loglevel level;
} loglevels[] = { { "critical", LOGLEVEL_CRITICAL }, { "error", LOGLEVEL_ERROR }, { "warn", LOGLEVEL_WARN },
		  { "info", LOGLEVEL_INFO },	     { "debug", LOGLEVEL_DEBUG }, { "trace", LOGLEVEL_TRACE },
		  { "blather", LOGLEVEL_BLATHER } };

int parse_loglevel(const char *text, enum loglevel *ret, struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(loglevels); i++)
		if (strcasecmp(text, loglevels[i].name) == 0) {
			*ret = loglevels[i].level;
			return 0;
		}
	return error_set(err, EINVAL, "bad logging level name '%.200s'", text);
}

const char *loglevel_name(enum loglevel level)
{
	for (size_t i = 0; i < ARRAY_LEN(loglevels); i++)
		if (loglevels[i].level == level)
			return loglevels[i].name;
	return "?";
}

static const char *const autorestart_words[] = { "false", "true", "unexpected" };

const char *autorestart_name(enum autorestart value)
{
	return autorestart_words[value];
}

int parse_autorestart(const char *text, enum autorestart *ret, struct error *err)
{
	bool yes;

	if (strcasecmp(text, "unexpected") == 0)
		*ret = AUTORESTART_UNEXPECTED;
	else if (parse_boolean(text, &yes, NULL) == 0)
		*ret = yes ? AUTORESTART_TRUE : AUTORESTART_FALSE;
	else
		return error_set(err, EINVAL, "invalid 'autorestart' value '%.200s'", text);
	return 0;
}

static const char *const pool_mode_words[] = { [MODE_EXEC] = "exec", [MODE_LINE] = "line", [MODE_FRAME] = "frame" };

const char *pool_mode_name(enum pool_mode mode)
{
	return pool_mode_words[mode];
}

int parse_pool_mode(const char *text, enum pool_mode *ret, struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(pool_mode_words); i++)
		if (strcasecmp(text, pool_mode_words[i]) == 0) {
			*ret = (enum pool_mode)i;
			return 0;
		}
	return error_set(err, EINVAL, "no such mode: '%.200s'", text);
}

/* ---- environment ---- */

/* What separates words: shlex knows these four blanks only. */
static const char word_blanks[] = " \t\r\n";

static bool word_character(unsigned char c)
{
	return isalnum(c) || (c && strchr("_/.+-():", c)) || c >= 0x80;
}

/*
 * One token as shlex's non-posix mode gives it: a quoted text with its quotes (a quote inside a word is part of the word), a word,
 * or any other single character. `#` comments to the end of the line, the newline included, so that a word goes on behind it.
 * 1: a token, 0: the end, -1: an open quote.
 */
static int next_token(const char **at, struct text *ret)
{
	const char *p = *at, *end;

	for (;;) {
		p += strspn(p, word_blanks);
		if (*p != '#')
			break;
		p += strcspn(p, "\n");
	}
	*ret = (struct text){ 0 };
	if (!*p)
		return 0;
	end = p + 1;
	if (*p == '"' || *p == '\'') {
		end = strchr(p + 1, *p);
		if (!end)
			return -1;
		end++;
	} else if (word_character((unsigned char)*p)) {
		while (word_character((unsigned char)*p) || *p == '"' || *p == '\'' || *p == '#') {
			if (*p == '#') {
				p += strcspn(p, "\n");
				p += *p == '\n';
			} else {
				text_add(ret, p++, 1);
			}
		}
		end = p;
	}
	text_add(ret, p, (size_t)(end - p));
	*at = end;
	return 1;
}

static char *pair(const struct text *key, const struct text *text)
{
	const char *value = text->data;
	size_t length = text->length;
	char *entry;

	while (length && (*value == '"' || *value == '\''))
		value++, length--;
	while (length && (value[length - 1] == '"' || value[length - 1] == '\''))
		length--;
	return asprintf(&entry, "%s=%.*s", key->data, (int)length, value) < 0 ? NULL : entry;
}

/* Up to four tokens: KEY, =, VALUE, and one that is skipped whatever it is. 1: added, 0: the end, or an error. */
static int take_pair(const char **at, char ***list, const char *text, struct error *err)
{
	struct text token[4] = { 0 };
	int n = 0, r = 1;

	while (n < 4 && (r = next_token(at, &token[n])) > 0)
		n++;
	if (r < 0)
		r = error_set(err, EINVAL, "No closing quotation");
	else if (n == 0)
		r = 0;
	else if (n < 3 || strcmp(token[1].data ? token[1].data : "", "=") != 0)
		r = error_set(err, EINVAL, "Unexpected end of key/value pairs in value '%.300s'", text);
	else if (!token[0].data || !token[2].data || environment_set(list, pair(&token[0], &token[2])) < 0)
		r = error_set(err, ENOMEM, "out of memory");
	else
		r = 1;
	for (int i = 0; i < 4; i++)
		free(token[i].data);
	return r;
}

int parse_environment(const char *text, char ***ret, struct error *err)
{
	const char *at = text;
	char **list = NULL;
	int r;

	while ((r = take_pair(&at, &list, text, err)) > 0)
		;
	if (r < 0) {
		strv_free(list);
		return r;
	}
	strv_free(*ret);
	*ret = list;
	return 0;
}

/* ---- words of a command ---- */

static int split_word(const char **at, struct text *word, struct error *err)
{
	const char *p = *at;

	for (; *p && !strchr(word_blanks, *p); p++) {
		if (*p == '\\') {
			if (!p[1])
				return error_set(err, EINVAL, "No escaped character");
			text_add(word, ++p, 1);
		} else if (*p == '\'') {
			size_t n = strcspn(p + 1, "'");

			if (!p[1 + n])
				return error_set(err, EINVAL, "No closing quotation");
			text_add(word, p + 1, n);
			p += 1 + n;
		} else if (*p == '"') {
			for (p++; *p && *p != '"'; p++) {
				if (*p == '\\' && !p[1])
					return error_set(err, EINVAL, "No escaped character");
				if (*p == '\\' && (p[1] == '"' || p[1] == '\\'))
					p++;
				text_add(word, p, 1);
			}
			if (!*p)
				return error_set(err, EINVAL, "No closing quotation");
		} else {
			text_add(word, p, 1);
		}
	}
	*at = p;
	return 0;
}

char **command_split(const char *command, struct error *err)
{
	char **words = calloc(1, sizeof *words);
	const char *p = command + strspn(command, word_blanks);
	size_t n = 0;

	while (words && *p) {
		struct text word = { 0 };

		if (split_word(&p, &word, err) < 0) {
			free(word.data);
			strv_free(words);
			return NULL;
		}
		if (strv_append(&words, &n, text_take(&word)) < 0) {
			strv_free(words);
			words = NULL;
			break;
		}
		p += strspn(p, word_blanks);
	}
	if (!words)
		(void)error_set(err, ENOMEM, "out of memory");
	return words;
}

/* ---- paths ---- */

/* The last part of the answer, which may have colons of its own. */
static const char *home_in(const char *answer)
{
	for (int i = 0; answer && i < 5; i++) {
		answer = strchr(answer, ':');
		answer += answer != NULL;
	}
	return answer;
}

char *expand_user(const char *path)
{
	_cleanup_(freep) char *question = NULL, *answer = NULL;
	size_t n = strcspn(path, "/");
	const char *home = NULL;
	char *ret;

	if (*path != '~')
		return strdup(path);
	if (n == 1)
		home = getenv("HOME");
	if (!home) {
		if ((n == 1 ? asprintf(&question, "user %u", (unsigned)getuid()) : asprintf(&question, "user %.*s", (int)n - 1, path + 1)) < 0)
			return NULL;
		answer = parsing_answer(question);
		home = home_in(answer);
	}
	if (!home)
		return strdup(path);
	return asprintf(&ret, "%s%s", home, path + n) < 0 ? NULL : ret;
}

char *absolute_path(const char *path, const char *directory)
{
	struct text full = { 0 }, out = { 0 };
	char *copy, *save = NULL;

	if (*path != '/') {
		text_puts(&full, directory);
		text_puts(&full, "/");
	}
	text_puts(&full, path);
	copy = text_take(&full);
	if (!copy)
		return NULL;
	for (char *part = strtok_r(copy, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
		if (strcmp(part, ".") == 0)
			continue;
		if (strcmp(part, "..") == 0) {
			while (out.length && out.data[--out.length] != '/')
				;
			if (out.data)
				out.data[out.length] = '\0';
			continue;
		}
		text_puts(&out, "/");
		text_puts(&out, part);
	}
	free(copy);
	if (!out.length)
		text_puts(&out, "/");
	/* Exactly two leading slashes are kept: POSIX lets them mean something, so Python does. */
	if (path[0] == '/' && path[1] == '/' && path[2] != '/' && out.data) {
		char *doubled = NULL;

		if (asprintf(&doubled, "/%s", out.data) < 0)
			doubled = NULL;
		free(out.data);
		return doubled;
	}
	return text_take(&out);
}

void path_make_absolute(char **path, const char *directory)
{
	char *home = *path ? expand_user(*path) : NULL;

	if (!home)
		return;
	free(*path);
	*path = absolute_path(home, directory);
	free(home);
}
