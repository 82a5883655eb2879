/*
 * What a process started: everything that lives because of it. A run is over when its whole tree is; this module says whether it is,
 * who is left, and ends them.
 *
 * Where the daemon has a subtree of control groups, the tree of a process is its group: nothing gets out by forking, by a session of its
 * own or by a new environment. Elsewhere it is, of the keeper's adopted children ("strangers") and their descendants: who is in the
 * session or process group of the last run, or has its mark REEVE_RUN in the environment. Nothing is stored: names and marks
 * are derived from the process, so a successor finds the same.
 *
 * Whoever has left something behind is watched until it is gone; then EVENT_EMPTY.
 */
#ifndef REEVE_TREE_H
#define REEVE_TREE_H

#include "process.h"

/* Take part in the subtree that the daemon lies in, and end what a dead predecessor daemon left in it. After the state is mapped. */
void tree_begin(struct supervisor *s);
void tree_end(struct supervisor *s);

/* A descriptor of the group for the next run (the caller's), or -1: there is none. */
int tree_group(struct process *p);
/* Drop the group of a process that is removed. */
void tree_remove(struct process *p);

/* Look who is left of the last run while its main process does not live, and watch them. Returns how many there are. */
unsigned tree_look(struct process *p);
/* The stop signal to all who are left; what already had it with the process group is spared. */
void tree_stop(struct process *p);
/* SIGKILL for the whole tree, main process included. */
void tree_kill(struct process *p);
/* "2 processes of its last run are alive: pid 12 (sh), pid 15 (sleep)". Returns BUFFER; "" when nobody is left. */
char *tree_text(const struct process *p, char *buffer, size_t size);

/* Its main process was killed (SIGKILL, none of ours): was the kernel short of memory? */
enum out_of_memory tree_out_of_memory(struct process *p);

/* The memory of P is about to be freed. */
void tree_forget(struct process *p);

/* An adopted process has ended: perhaps the last one of somebody's tree. */
void tree_stranger_gone(struct supervisor *s);
/* SIGNAL (0: none) for what is in any group or was adopted by the keeper, at the end of the daemon. Returns how many there were. */
unsigned tree_sweep(struct supervisor *s, int signal);

#endif
