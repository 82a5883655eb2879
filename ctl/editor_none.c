/* See editor.h. Built where there is no libedit: no history, no completion. */
#include "editor.h"

#include <stdlib.h>

#include "editor_plain.h"

struct editor {
	const char *prompt;
};

struct editor *editor_new(const char *prompt, const char *history, editor_complete *complete, void *data)
{
	struct editor *e = calloc(1, sizeof *e);

	(void)history, (void)complete, (void)data;
	if (e)
		e->prompt = prompt;
	return e;
}

void editor_free(struct editor *e)
{
	free(e);
}

int editor_line(struct editor *e, char **ret)
{
	return plain_line(e->prompt, ret);
}
