/* See bulk.h. */
#include "bulk.h"

#define X(name, word, help) word,
static const char *const state_names[] = { TASK_STATES(X) };
#undef X

const char *task_state_name(unsigned state)
{
	return state < TASK_N_STATES ? state_names[state] : "?";
}
