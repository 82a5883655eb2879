/* A line from stdin, without editing. */
#ifndef REEVE_CTL_EDITOR_PLAIN_H
#define REEVE_CTL_EDITOR_PLAIN_H

/* 0 and a line without its newline (the caller's), or -1: the end, or an interrupt. */
int plain_line(const char *prompt, char **ret);

#endif
