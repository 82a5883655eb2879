/* See editor.h: the kind without editing, for pipes and for builds without libedit. */
#include "editor_plain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

int plain_line(const char *prompt, char **ret)
{
	size_t size = 0;
	ssize_t n;

	(void)fputs(prompt, stdout);
	(void)fflush(stdout);
	*ret = NULL;
	n = getline(ret, &size, stdin);
	if (n <= 0) {
		free(*ret);
		return -1;
	}
	if ((*ret)[n - 1] == '\n')
		(*ret)[n - 1] = '\0';
	return 0;
}
