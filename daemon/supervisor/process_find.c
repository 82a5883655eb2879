/* See process_parts.h. Hash chains in the supervisor. */
#include <stdint.h>
#include <string.h>

#include "process_parts.h"

/* ---- by pid ---- */

static struct process **bucket(struct supervisor *s, pid_t pid)
{
	return &s->by_pid[(unsigned)pid % ARRAY_LEN(s->by_pid)];
}

struct process *process_by_pid(struct supervisor *s, pid_t pid)
{
	for (struct process *p = *bucket(s, pid); p; p = p->by_pid)
		if (p->record->pid == pid)
			return p;
	return NULL;
}

void process_add_pid(struct process *p)
{
	struct process **b = bucket(p->supervisor, p->record->pid);

	p->by_pid = *b;
	*b = p;
}

void process_remove_pid(struct process *p)
{
	for (struct process **at = bucket(p->supervisor, p->record->pid); *at; at = &(*at)->by_pid)
		if (*at == p) {
			*at = p->by_pid;
			return;
		}
}

/* ---- by name ---- */

static struct process **name_bucket(struct supervisor *s, const char *namespec, size_t length)
{
	uint32_t hash = 2166136261u;	/* FNV-1a */

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)namespec[i]) * 16777619u;
	return &s->by_namespec[hash % ARRAY_LEN(s->by_namespec)];
}

struct process *process_by_namespec(struct supervisor *s, const char *namespec, size_t length)
{
	for (struct process *p = *name_bucket(s, namespec, length); p; p = p->by_namespec)
		if (strncmp(p->conf->namespec, namespec, length) == 0 && p->conf->namespec[length] == '\0')
			return p;
	return NULL;
}

void process_add_name(struct process *p)
{
	struct process **b = name_bucket(p->supervisor, p->conf->namespec, strlen(p->conf->namespec));

	p->by_namespec = *b;
	*b = p;
}

void process_remove_name(struct process *p)
{
	struct process **at = name_bucket(p->supervisor, p->conf->namespec, strlen(p->conf->namespec));

	for (; *at; at = &(*at)->by_namespec)
		if (*at == p) {
			*at = p->by_namespec;
			return;
		}
}
