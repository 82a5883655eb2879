/* See exit_status.h. */
#include "exit_status.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

char *exit_status_text(const struct exit_status *s, char *buffer, size_t size)
{
	const char *name;

	if (s->code == EXIT_UNKNOWN) {
		(void)snprintf(buffer, size, "nobody could see how");
		return buffer;
	}
	if (!s->signal) {
		(void)snprintf(buffer, size, "exit status %d", s->code);
		return buffer;
	}
	name = sigabbrev_np(s->signal);
	if (name)
		(void)snprintf(buffer, size, "terminated by SIG%s%s", name, s->core ? " (core dumped)" : "");
	else
		(void)snprintf(buffer, size, "terminated by signal %d%s", s->signal, s->core ? " (core dumped)" : "");
	return buffer;
}

struct exit_status exit_status_from(int how, int value)
{
	struct exit_status s = { 0 };

	if (how == CLD_EXITED) {
		s.code = value;
	} else {
		s.code = -1;
		s.signal = value;
		s.core = how == CLD_DUMPED;
	}
	return s;
}
