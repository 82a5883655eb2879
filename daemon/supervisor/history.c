/* See history.h. */
#include "history.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/base.h"

#define X(name, word) word,
static const char *const kind_names[] = { CAUSES(X) };
#undef X

void history_add(struct history *h, const struct transition *t)
{
	h->ring[h->n % HISTORY_LENGTH] = *t;
	atomic_signal_fence(memory_order_release);
	h->n++;
}

const struct transition *history_get(const struct history *h, unsigned i)
{
	if (i >= HISTORY_LENGTH - 1 || i >= h->n)
		return NULL;
	return &h->ring[(h->n - 1 - i) % HISTORY_LENGTH];
}

const char *cause_kind_name(enum cause_kind kind)
{
	return kind < ARRAY_LEN(kind_names) ? kind_names[kind] : "?";
}

bool cause_has_client(const struct cause *c)
{
	return c->kind == CAUSE_COMMAND || (c->kind == CAUSE_CONFIG && (c->pid || c->client[0]));
}

/* "Stop asked for by uid 0 (reevectl, pid 812)", "Stop asked for over HTTP" */
static char *client_text(const struct cause *c, char *buffer, size_t size)
{
	if (!c->pid && c->client[0]) {
		(void)snprintf(buffer, size, "%s asked for over %.16s", c->command, c->client);
		return buffer;
	}
	(void)snprintf(buffer, size, "%s asked for by uid %d (%.16s%spid %d)", c->command, c->uid, c->client, c->client[0] ? ", " : "", c->pid);
	return buffer;
}

/* What is known, not more: another process of the group may have been the victim. */
static const char *memory_text(enum out_of_memory oom)
{
	switch (oom) {
	case OOM_OWN_GROUP:
		return "; the kernel has killed in its control group for want of memory";
	case OOM_SHARED_GROUP:
		return "; meanwhile the kernel has killed for want of memory, in a control group that it shares with others";
	case OOM_NO:
		break;
	}
	return "";
}

char *cause_text(const struct cause *c, char *buffer, size_t size)
{
	char status[64], client[100];

	switch ((enum cause_kind)c->kind) {
	case CAUSE_NONE:
		(void)snprintf(buffer, size, "no cause recorded");
		break;
	case CAUSE_AUTOSTART:
		(void)snprintf(buffer, size, "autostart is true");
		break;
	case CAUSE_COMMAND:
		(void)client_text(c, buffer, size);
		break;
	case CAUSE_CONFIG:
		(void)snprintf(buffer, size, "the configuration changed (generation %u)%s%s", c->generation,
			       cause_has_client(c) ? ", " : "", cause_has_client(c) ? client_text(c, client, sizeof client) : "");
		break;
	case CAUSE_SHUTDOWN:
		(void)snprintf(buffer, size, "the daemon is shutting down");
		break;
	case CAUSE_EXIT:
		(void)snprintf(buffer, size, "it ended: %s%s", exit_status_text(&c->exit, status, sizeof status),
			       memory_text((enum out_of_memory)c->stage));
		break;
	case CAUSE_START_FAILED:
		(void)snprintf(buffer, size, "it could not be started: %s: %s", spawn_stage_name(c->stage), errno_name(c->error));
		break;
	case CAUSE_SHORTAGE:
		(void)snprintf(buffer, size, "we were short of a resource: %s", errno_name(c->error));
		break;
	case CAUSE_STAYED_UP:
		(void)snprintf(buffer, size, "it stayed up for startsecs");
		break;
	case CAUSE_RETRY:
		(void)snprintf(buffer, size, "the wait before the next try was over");
		break;
	case CAUSE_GAVE_UP:
		(void)snprintf(buffer, size, "it died too early more than startretries times in a row");
		break;
	case CAUSE_STOP_OVERDUE:
		(void)snprintf(buffer, size, "it did not end within stopwaitsecs");
		break;
	case CAUSE_RECOVERY:
		(void)snprintf(buffer, size, "started again, because the supervisor died while it delivered an event");
		break;
	case CAUSE_AUTORESTART:
		(void)snprintf(buffer, size, "autorestart says so");
		break;
	case CAUSE_TREE_EMPTY:
		(void)snprintf(buffer, size, "everything that its last run left behind has ended");
		break;
	case CAUSE_TREE_OVERDUE:
		(void)snprintf(buffer, size, "what it left behind did not end within stopwaitsecs");
		break;
	case CAUSE_SIGNAL_FAILED:
		(void)snprintf(buffer, size, "it could not be signalled: %s", errno_name(c->error));
		break;
	}
	return buffer;
}
