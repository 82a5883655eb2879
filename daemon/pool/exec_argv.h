/* The command of an exec pool with a task's words in it. */
#ifndef REEVE_POOL_EXEC_ARGV_H
#define REEVE_POOL_EXEC_ARGV_H

#include <stdbool.h>

#include "task.h"

/* COMMAND with TASK's words in the place of "{}", or behind it where there is no place. One block to free(). NULL: no memory. */
char **exec_argv(char *const *command, const struct task *task);
/* Does a word of COMMAND hold a place for the task's words? */
bool exec_has_place(const char *word);

#endif
