/* The texts that a configuration is made of: read from disk once, or kept (config.h). */
#include "sources.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "expand.h"
#include "ini.h"
#include "strv.h"
#include "value.h"
#include "memory.h"

enum { FILE_MAX = 256 << 20 };	/* bytes of one configuration file */

static const char *relative_to;		/* NULL: the working directory */

void sources_relative_to(const char *directory)
{
	relative_to = directory;
}

struct sources *sources_new(void)
{
	unsigned failures = memory_failures;
	struct sources *s = calloc(1, sizeof *s);
	struct utsname names;
	char here[4096];

	if (!s)
		return NULL;
	for (char **e = environ; e && *e; e++)
		(void)strv_push(&s->environment, strdup(*e));
	s->host_node_name = strdup(uname(&names) == 0 ? names.nodename : "localhost");
	s->directory = strdup(relative_to ? relative_to : getcwd(here, sizeof here) ? here : "/");
	if (memory_failures != failures) {
		sources_free(s);
		return NULL;
	}
	return s;
}

void sources_free(struct sources *s)
{
	if (!s)
		return;
	strv_free(s->paths);
	strv_free(s->texts);
	strv_free(s->environment);
	strv_free(s->patterns);
	strv_free(s->unmatched);
	strv_free(s->unreadable);
	strv_free(s->questions);
	strv_free(s->answers);
	free(s->host_node_name);
	free(s->directory);
	free(s);
}

size_t sources_files(const struct sources *s, const char *const **ret_paths)
{
	*ret_paths = (const char *const *)s->paths;
	return strv_length(s->paths);
}

size_t sources_patterns(const struct sources *s, const char *const **ret_patterns)
{
	*ret_patterns = (const char *const *)s->patterns;
	return strv_length(s->patterns);
}

bool sources_equal(const struct sources *a, const struct sources *b)
{
	return strv_equal(a->paths, b->paths) && strv_equal(a->texts, b->texts);
}

/* A regular file's text without the NUL bytes that no configuration has. */
static char *read_text(const char *path, int *ret_error)
{
	_cleanup_(closep) int fd = -1;
	struct text t = { 0 };
	struct stat st;
	char chunk[1 << 16];
	ssize_t n, total = 0;

	tell_step(path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	*ret_error = errno;
	if (fd < 0)
		return NULL;
	*ret_error = EINVAL;
	if (fstat(fd, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode)) || st.st_size > FILE_MAX)
		return NULL;
	while ((n = read(fd, chunk, sizeof chunk)) > 0 && (total += n) <= FILE_MAX)	/* a pipe may have no end */
		for (ssize_t i = 0; i < n;) {
			size_t part = strnlen(chunk + i, (size_t)(n - i));

			text_add(&t, chunk + i, part);
			i += (ssize_t)part + 1;
		}
	*ret_error = n < 0 ? errno : n > 0 ? EFBIG : ENOMEM;
	if (n != 0) {
		free(t.data);
		return NULL;
	}
	return text_take(&t);
}

static int add_file(struct sources *s, const char *path, char *text)
{
	if (strv_push(&s->paths, strdup(path)) < 0) {
		free(text);
		return -ENOMEM;
	}
	return strv_push(&s->texts, text);
}

char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash != path ? strndup(path, (size_t)(slash - path)) : strdup("/");
}

/* Being short of something must not look like a file that is not there: an update would then remove its programs. */
static int is_shortage(const char *path, int error)
{
	(void)path;
	return error == EMFILE || error == ENFILE || error == ENOMEM || error == EIO;
}

/*
 * The files that one pattern of [include] matches, in byte order. A directory is listed but not read. 0, or -errno when we were short
 * of something.
 */
static int include_pattern(struct sources *s, const char *pattern, const char *here)
{
	_cleanup_(freep) char *absolute = NULL;
	glob_t found = { 0 };
	int r;

	if (*pattern == '/')
		absolute = strdup(pattern);
	else if (asprintf(&absolute, "%s/%s", here, pattern) < 0)
		absolute = NULL;
	if (!absolute)
		return -ENOMEM;
	(void)strv_push(&s->patterns, strdup(absolute));
	tell_step(absolute);
	r = glob(absolute, 0, is_shortage, &found);
	if (r == GLOB_NOSPACE || r == GLOB_ABORTED) {
		r = r == GLOB_NOSPACE ? -ENOMEM : -errno;
		globfree(&found);
		return r;
	}
	if (r != 0 || found.gl_pathc == 0)
		(void)strv_push(&s->unmatched, strdup(absolute));
	r = 0;
	for (size_t i = 0; i < found.gl_pathc && r == 0; i++) {
		int error;
		char *text = read_text(found.gl_pathv[i], &error), *note;

		if (text)
			(void)add_file(s, found.gl_pathv[i], text);
		else if (is_shortage(NULL, error))
			r = -error;
		else if (error != EINVAL && asprintf(&note, "%s: %s", found.gl_pathv[i], errno_name(error)) >= 0)
			(void)strv_push(&s->unreadable, note);
	}
	globfree(&found);
	return r;
}

static int read_includes(struct sources *s, const char *here)
{
	struct ini ini = { 0 };
	struct diagnostics ignored = { 0 };
	struct scope scope = { .environment = s->environment, .here = here, .host_node_name = s->host_node_name };
	struct ini_section *section;
	struct ini_key *files = NULL;
	char *patterns = NULL, *save = NULL;
	int r = 0;

	if (ini_read(&ini, s->texts[0], s->paths[0], NULL, &ignored, NULL) == 0) {
		section = ini_section(&ini, "include");
		files = section ? ini_key(&ini, section, "files") : NULL;
	}
	if (files)
		patterns = expand(files->value, &scope, "include.files", NULL);
	for (char *p = patterns ? strtok_r(patterns, " \t\n\r\f\v", &save) : NULL; p && r == 0; p = strtok_r(NULL, " \t\n\r\f\v", &save))
		r = include_pattern(s, p, here);
	free(patterns);
	ini_free(&ini);
	diagnostics_free(&ignored);
	return r;
}

int sources_read_main(const char *path, struct sources **ret, struct error *err)
{
	struct sources *s = sources_new();
	char *absolute = s ? absolute_path(path, s->directory) : NULL;
	char *text;
	int error, r;

	if (!absolute) {
		sources_free(s);
		return error_set(err, ENOMEM, "out of memory");
	}
	s->may_ask = true;
	text = read_text(absolute, &error);
	if (!text)
		r = error == ENOMEM ? error_set(err, error, "out of memory") :
		    error_set(err, error, error == ENOENT ? "could not find config file %s" : "could not read config file %s", path);
	else if (add_file(s, absolute, text) < 0)
		r = error_set(err, ENOMEM, "out of memory");
	else
		r = 0;
	free(absolute);
	if (r < 0)
		sources_free(s);
	else
		*ret = s;
	return r;
}

int sources_read_included(struct sources *s, const char *path, struct error *err)
{
	unsigned failures = memory_failures;
	char *here = directory_of(s->paths[0]);
	int r = here ? read_includes(s, here) : -ENOMEM;

	free(here);
	if (r == 0 && memory_failures != failures)
		r = -ENOMEM;
	return r < 0 ? error_set(err, -r, "could not read config file %s: %s", path, errno_name(-r)) : 0;
}

int sources_read(const char *path, struct sources **ret, struct error *err)
{
	unsigned failures = memory_failures;
	struct sources *s;
	int r = sources_read_main(path, &s, err);

	if (r < 0)
		return r;
	r = sources_read_included(s, path, err);
	if (r == 0 && memory_failures != failures)
		r = error_set(err, ENOMEM, "could not read config file %s: %s", path, errno_name(ENOMEM));
	if (r < 0)
		sources_free(s);
	else
		*ret = s;
	return r;
}

int sources_from_text(const char *path, const char *text, struct sources **ret, struct error *err)
{
	struct sources *s = sources_new();

	if (!s || add_file(s, path, strdup(text)) < 0) {
		sources_free(s);
		return error_set(err, ENOMEM, "out of memory");
	}
	*ret = s;
	return 0;
}

int sources_add_variable(struct sources *s, const char *pair)
{
	return strv_push(&s->environment, strdup(pair));
}

/* ---- kept copies: a JSON object; strings that are not UTF-8 travel as Latin-1, marked ---- */

/* jansson's strings are UTF-8: other bytes are kept as code points 0 to 255. */
static json_t *put_text(const char *text)
{
	json_t *plain = json_string(text);
	struct text t = { 0 };
	json_t *ret;
	char *widened;

	if (plain)
		return json_pack("[o]", plain);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x80)
			text_add(&t, text, 1);
		else
			text_printf(&t, "%c%c", 0xc0 | c >> 6, 0x80 | (c & 0x3f));
	}
	widened = text_take(&t);
	ret = json_pack("[s, b]", widened ? widened : "", 1);
	free(widened);
	return ret;
}

static char *get_text(const json_t *j)
{
	const char *s = json_string_value(json_array_get(j, 0));
	struct text t = { 0 };

	if (!s)
		return NULL;
	if (json_array_size(j) == 1)
		return strdup(s);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c >= 0xc0 && s[1]) {
			c = (unsigned char)((c & 3) << 6 | (s[1] & 0x3f));
			s++;
		}
		text_add(&t, (char *)&c, 1);
	}
	return text_take(&t);
}

static json_t *put_list(char *const *v)
{
	json_t *list = json_array();

	for (size_t i = 0; list && v && v[i]; i++)
		if (json_array_append_new(list, put_text(v[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static char **get_list(const json_t *list)
{
	char **v = NULL;

	for (size_t i = 0; i < json_array_size(list); i++)
		(void)strv_push(&v, get_text(json_array_get(list, i)));
	return v;
}

int sources_save(const struct sources *s, int fd)
{
	json_t *j = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "paths", put_list(s->paths), "texts", put_list(s->texts), "environment",
			      put_list(s->environment), "patterns", put_list(s->patterns), "unmatched",
			      put_list(s->unmatched), "unreadable", put_list(s->unreadable), "host", put_text(s->host_node_name),
			      "directory", put_text(s->directory), "questions", put_list(s->questions), "answers", put_list(s->answers));
	int r;

	if (!j || ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0) {
		json_decref(j);
		return -EIO;
	}
	r = json_dumpfd(j, fd, JSON_COMPACT) < 0 ? -EIO : 0;
	json_decref(j);
	return r;
}

int sources_load(int fd, struct sources **ret, struct error *err)
{
	unsigned failures = memory_failures;
	struct sources *s = calloc(1, sizeof *s);
	json_t *j;

	(void)lseek(fd, 0, SEEK_SET);
	j = json_loadfd(fd, 0, NULL);
	if (s && j) {
		s->paths = get_list(json_object_get(j, "paths"));
		s->texts = get_list(json_object_get(j, "texts"));
		s->environment = get_list(json_object_get(j, "environment"));
		s->patterns = get_list(json_object_get(j, "patterns"));
		s->unmatched = get_list(json_object_get(j, "unmatched"));
		s->unreadable = get_list(json_object_get(j, "unreadable"));
		s->host_node_name = get_text(json_object_get(j, "host"));
		s->directory = get_text(json_object_get(j, "directory"));
		s->questions = get_list(json_object_get(j, "questions"));	/* of an older version: none */
		s->answers = get_list(json_object_get(j, "answers"));
	}
	json_decref(j);
	if (!s || memory_failures != failures || !s->paths || strv_length(s->paths) != strv_length(s->texts) ||
	    strv_length(s->questions) != strv_length(s->answers) || !s->host_node_name || !s->directory) {
		sources_free(s);
		return error_set(err, EINVAL, "the kept configuration cannot be read");
	}
	*ret = s;
	return 0;
}
