/* Lines from a user: edited with libedit where it is built in and stdin is a terminal, else read as they come. */
#ifndef REEVE_CTL_EDITOR_H
#define REEVE_CTL_EDITOR_H

#include <stdbool.h>
#include <stddef.h>

struct editor;

/*
 * The words that could stand where the word LINE[START..LENGTH) stands: NULL-terminated, malloc'd like its members; NULL: none.
 */
typedef char **editor_complete(void *data, const char *line, size_t length, size_t *ret_start);

/* HISTORY: file that keeps what was typed, or NULL. All arguments must outlive the editor. NULL when out of memory. */
struct editor *editor_new(const char *prompt, const char *history, editor_complete *complete, void *data);
void editor_free(struct editor *editor);	/* saves the history */
/* 0 and a line without its newline (the caller's), or -1: the end of input, or Ctrl-C. */
int editor_line(struct editor *editor, char **ret);

#endif
