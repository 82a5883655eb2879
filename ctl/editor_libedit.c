/* See editor.h. libedit where stdin and stdout are a terminal. */
#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include "base/base.h"
#include "editor.h"
#include "editor_plain.h"

enum { HISTORY_SIZE = 1000 }; /* lines */

struct editor {
	const char *prompt, *history_file;
	editor_complete *complete;
	void *data;
	EditLine *el; /* NULL: no terminal */
	History *history;
};

static char *prompt(EditLine *el)
{
	struct editor *e;

	(void)el_get(el, EL_CLIENTDATA, &e);
	return (char *)e->prompt;
}

/* How long the words agree. */
static size_t common_length(char **words)
{
	size_t n = strlen(words[0]);

	for (char **w = words + 1; *w; w++) {
		size_t same = 0;

		while (same < n && (*w)[same] == words[0][same])
			same++;
		n = same;
	}
	return n;
}

static void show(char **words)
{
	(void)fputc('\n', stdout);
	for (char **w = words; *w; w++)
		(void)printf("%s%s", w == words ? "" : "  ", *w);
	(void)fputc('\n', stdout);
	(void)fflush(stdout);
}

static void free_words(char **words)
{
	for (char **w = words; w && *w; w++)
		free(*w);
	free(words);
}

/* Tab: put in what all candidates agree on; where that is nothing, list them. */
static unsigned char on_tab(EditLine *el, int key)
{
	const LineInfo *line = el_line(el);
	size_t start = 0, length = (size_t)(line->cursor - line->buffer), typed, common;
	_cleanup_(freep) char *copy = strndup(line->buffer, length), *rest = NULL;
	unsigned char ret = CC_ERROR;
	struct editor *e;
	char **words;

	(void)key;
	(void)el_get(el, EL_CLIENTDATA, &e);
	words = copy ? e->complete(e->data, copy, length, &start) : NULL;
	if (!words || !words[0]) {
		free_words(words);
		return CC_ERROR;
	}
	typed = length - start;
	common = common_length(words);
	if (!words[1] && asprintf(&rest, "%s ", words[0] + typed) >= 0)
		ret = el_insertstr(el, rest) == 0 ? CC_REFRESH : CC_ERROR;
	else if (words[1] && common > typed && (rest = strndup(words[0] + typed, common - typed)))
		ret = el_insertstr(el, rest) == 0 ? CC_REFRESH : CC_ERROR;
	else if (words[1]) {
		show(words);
		ret = CC_REDISPLAY;
	}
	free_words(words);
	return ret;
}

/* libedit never frees the two texts of a function that is added. */
static void add_completion(EditLine *el)
{
#ifdef __SANITIZE_ADDRESS__
	__lsan_disable();
#endif
	(void)el_set(el, EL_ADDFN, "reeve-complete", "complete the word", on_tab);
#ifdef __SANITIZE_ADDRESS__
	__lsan_enable();
#endif
}

static void open_terminal(struct editor *e)
{
	HistEvent event;

	(void)setlocale(LC_CTYPE, "");
	e->el = el_init("reevectl", stdin, stdout, stderr);
	if (!e->el)
		return;
	e->history = history_init();
	(void)el_set(e->el, EL_CLIENTDATA, e);
	(void)el_set(e->el, EL_PROMPT, prompt);
	(void)el_set(e->el, EL_SIGNAL, 0);
	(void)el_set(e->el, EL_EDITOR, "emacs");
	add_completion(e->el);
	(void)el_set(e->el, EL_BIND, "^I", "reeve-complete", NULL);
	(void)el_set(e->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
	(void)el_source(e->el, NULL);
	if (!e->history)
		return;
	(void)history(e->history, &event, H_SETSIZE, HISTORY_SIZE);
	(void)history(e->history, &event, H_SETUNIQUE, 1);
	(void)el_set(e->el, EL_HIST, history, e->history);
	if (e->history_file)
		(void)history(e->history, &event, H_LOAD, e->history_file);
}

struct editor *editor_new(const char *prompt_text, const char *history_file, editor_complete *complete, void *data)
{
	struct editor *e = calloc(1, sizeof *e);

	if (!e)
		return NULL;
	*e = (struct editor){ .prompt = prompt_text, .history_file = history_file, .complete = complete, .data = data };
	if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		open_terminal(e);
	return e;
}

void editor_free(struct editor *e)
{
	HistEvent event;

	if (!e)
		return;
	if (e->history && e->history_file)
		(void)history(e->history, &event, H_SAVE, e->history_file);
	if (e->history)
		history_end(e->history);
	if (e->el)
		el_end(e->el);
	free(e);
}

static void remember(struct editor *e, const char *line)
{
	HistEvent event;

	if (e->history && line[strspn(line, " \t\n")])
		(void)history(e->history, &event, H_ENTER, line);
}

int editor_line(struct editor *e, char **ret)
{
	const char *line;
	int n = 0;

	if (!e->el)
		return plain_line(e->prompt, ret);
	line = el_gets(e->el, &n);
	if (!line || n <= 0)
		return -1;
	remember(e, line);
	*ret = strndup(line, strcspn(line, "\n"));
	return *ret ? 0 : -1;
}
