/* See exec_argv.h. */
#include "exec_argv.h"

#include <stdlib.h>
#include <string.h>

static const char place[] = "{}";

bool exec_has_place(const char *word)
{
	return strstr(word, place) != NULL;
}

/* WORD with every place filled by the task's words, joined by blanks. TO NULL: only measure. Returns bytes with the NUL. */
static size_t fill_word(char *to, const char *word, const struct task *task)
{
	size_t n = 0;
	const char *at;

	for (; (at = strstr(word, place)); word = at + strlen(place)) {
		if (to)
			memcpy(to + n, word, (size_t)(at - word));
		n += (size_t)(at - word);
		for (size_t i = 0; i < task->length; i++, n++)
			if (to)
				to[n] = task->words[i] ? task->words[i] : ' ';
	}
	if (to)
		strcpy(to + n, word);
	return n + strlen(word) + 1;
}

char **exec_argv(char *const *command, const struct task *task)
{
	size_t n = 0, n_words = task_words(task), slots = 1, bytes = task->length + 1;
	bool placed = false;
	char **argv, *at, *words;

	for (; command[n]; n++) {
		if (!exec_has_place(command[n])) {
			slots++;
			continue;
		}
		placed = true;
		slots += n_words + 1;
		bytes += fill_word(NULL, command[n], task);
	}
	argv = malloc((slots + n_words) * sizeof *argv + bytes);
	if (!argv)
		return NULL;
	words = (char *)(argv + slots + n_words);
	memcpy(words, task->words, task->length);
	words[task->length] = '\0';
	at = words + task->length + 1;
	slots = 0;
	for (size_t i = 0; i <= n; i++) {
		bool whole = i < n ? strcmp(command[i], place) == 0 : !placed;

		if (whole) {
			char *word = words;

			for (size_t k = 0; k < n_words; k++, word += strlen(word) + 1)
				argv[slots++] = word;
		} else if (i < n && exec_has_place(command[i])) {
			argv[slots++] = at;
			at += fill_word(at, command[i], task);
		} else if (i < n) {
			argv[slots++] = command[i];
		}
	}
	argv[slots] = NULL;
	return argv;
}
