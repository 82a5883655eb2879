/* See proc.h. */
#include "proc.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

/* Up to SIZE-1 bytes of a /proc file, NUL-terminated. Returns the length or -errno. */
static ssize_t proc_read(pid_t pid, const char *file, char *buffer, size_t size)
{
	char path[64];
	_cleanup_(closep) int fd = -1;
	ssize_t n;

	(void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, buffer, size - 1);
	if (n < 0)
		return -errno;
	buffer[n] = '\0';
	return n;
}

int proc_stat_read(pid_t pid, struct proc_stat *ret)
{
	char buffer[1024];
	ssize_t n = proc_read(pid, "stat", buffer, sizeof buffer);
	const char *p;
	unsigned long user, system;
	long waited_user, waited_system;
	unsigned long long start;
	long rss;
	int ppid, pgrp, session;

	if (n < 0)
		return (int)n;
	p = strrchr(buffer, ')');	/* the name may hold anything, also blanks and brackets */
	if (!p || sscanf(p + 2, "%c %d %d %d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld %*d %*d %*d %*d %llu %*u %ld", &ret->state,
			 &ppid, &pgrp, &session, &user, &system, &waited_user, &waited_system, &start, &rss) != 10)
		return -EINVAL;
	ret->ppid = ppid;
	ret->pgrp = pgrp;
	ret->session = session;
	ret->start_time = start;
	ret->cpu_time = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
	ret->waited_cpu_time = (double)(waited_user + waited_system) / (double)sysconf(_SC_CLK_TCK);
	ret->rss = rss > 0 ? (uint64_t)rss * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
	return 0;
}

double proc_cpu_wait(pid_t pid)
{
	char buffer[128];
	unsigned long long waited;

	if (proc_read(pid, "schedstat", buffer, sizeof buffer) < 0 || sscanf(buffer, "%*u %llu", &waited) != 1)
		return -1;
	return (double)waited / 1e9;
}

/* The first entry of PID's environment that begins with NAME and END ('=', or '\0': nothing follows NAME); malloc'd, or NULL. */
static char *environment_entry(pid_t pid, const char *name, char end)
{
	char path[32], *line = NULL;
	size_t room = 0, n = strlen(name);
	bool found = false;
	FILE *f;

	(void)snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return NULL;
	while (!found && getdelim(&line, &room, '\0', f) > 0)
		found = strncmp(line, name, n) == 0 && line[n] == end;
	(void)fclose(f);
	if (!found)
		free(TAKE(line));
	return line;
}

bool proc_has_environment(pid_t pid, const char *assignment)
{
	_cleanup_(freep) char *entry = environment_entry(pid, assignment, '\0');

	return entry;
}

bool proc_environment(pid_t pid, const char *name, char *buffer, size_t size)
{
	_cleanup_(freep) char *entry = environment_entry(pid, name, '=');

	if (entry)
		(void)snprintf(buffer, size, "%s", entry + strlen(name) + 1);
	return entry;
}

char *proc_name(pid_t pid, char *buffer, size_t size)
{
	if (proc_read(pid, "comm", buffer, size) <= 0)
		(void)snprintf(buffer, size, "?");
	buffer[strcspn(buffer, "\n")] = '\0';
	return buffer;
}

struct offspring {
	pid_t parent;
	void (*see)(pid_t pid, void *data);
	void *data;
};

static void see_if_child(pid_t pid, void *data)
{
	const struct offspring *o = data;
	struct proc_stat st;

	if (proc_stat_read(pid, &st) == 0 && st.ppid == o->parent)
		o->see(pid, o->data);
}

/* A kernel without CONFIG_PROC_CHILDREN: everybody is asked for their parent. */
static int children_by_search(pid_t pid, void (*see)(pid_t pid, void *data), void *data)
{
	return proc_each(see_if_child, &(struct offspring){ pid, see, data });
}

int proc_children(pid_t pid, void (*see)(pid_t pid, void *data), void *data)
{
	char path[64];
	const struct dirent *entry;
	bool known = false;
	DIR *tasks;

	(void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	if (!tasks)
		return -errno;
	while ((entry = readdir(tasks))) {	/* one list per thread */
		FILE *f;
		int child;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		(void)snprintf(path, sizeof path, "/proc/%d/task/%.20s/children", (int)pid, entry->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		known = true;
		while (fscanf(f, "%d", &child) == 1)
			see(child, data);
		(void)fclose(f);
	}
	(void)closedir(tasks);
	return known ? 0 : children_by_search(pid, see, data);
}

int proc_each(void (*see)(pid_t pid, void *data), void *data)
{
	DIR *dir = opendir("/proc");
	const struct dirent *entry;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]))
			see((pid_t)atol(entry->d_name), data);
	(void)closedir(dir);
	return 0;
}

/* ---- usage of trees ---- */

struct seen {
	pid_t pid, ppid, session;
	double cpu_time;
	uint64_t rss;
	ssize_t root;			/* index in roots, -1: none, -2: not known yet */
};

struct census {
	struct seen *list;
	size_t n, size;
	/* Of those who left their family: whose group are they in? Read when the first one is met. */
	pid_t adopter;			/* parent of the roots, and of all who lost theirs */
	char *adopter_group;		/* owned, as the next one; NULL: none */
	char **groups;			/* one per root, NULL: not known */
};

static void census_add(pid_t pid, void *data)
{
	struct census *c = data;
	struct proc_stat st;

	if (proc_stat_read(pid, &st) < 0)
		return;
	if (c->n == c->size) {
		size_t size = c->size ? 2 * c->size : 256;
		struct seen *list = realloc(c->list, size * sizeof *list);

		if (!list)
			return;
		c->list = list;
		c->size = size;
	}
	c->list[c->n++] = (struct seen){ pid, st.ppid, st.session, st.cpu_time + st.waited_cpu_time, st.rss, -2 };
}

static int seen_compare(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

static int usage_compare(const void *a, const void *b)
{
	const struct proc_usage *x = a, *y = b;

	return (x->root > y->root) - (x->root < y->root);
}

static struct proc_usage *usage_find(struct proc_usage *sorted, size_t n, pid_t pid)
{
	struct proc_usage key = { .root = pid };

	return bsearch(&key, sorted, n, sizeof key, usage_compare);
}

/* Its control group of version 2, malloc'd, or NULL. */
static char *group_of(pid_t pid)
{
	char buffer[4096], *group;

	if (proc_read(pid, "cgroup", buffer, sizeof buffer) <= 0)
		return NULL;
	group = strncmp(buffer, "0::", 3) == 0 ? buffer : strstr(buffer, "\n0::");
	if (!group)
		return NULL;
	group = strchr(group, ':') + 2;
	group[strcspn(group, "\n")] = '\0';
	return strdup(group);
}

static bool is_in(const char *group, const char *outer)
{
	size_t n = outer ? strlen(outer) : 0;

	return n && strncmp(group, outer, n) == 0 && (!group[n] || group[n] == '/');
}

static void read_groups(struct census *c, const struct proc_usage *sorted, size_t n)
{
	c->adopter_group = group_of(c->adopter);
	c->groups = calloc(n, sizeof *c->groups);
	for (size_t i = 0; c->groups && i < n; i++) {
		char *group = sorted[i].root ? group_of(sorted[i].root) : NULL;

		if (group && c->adopter_group && !is_in(c->adopter_group, group))
			c->groups[i] = TAKE(group);
		free(group);
	}
}

static ssize_t adopted_root(struct census *c, const struct seen *s, const struct proc_usage *sorted, size_t n)
{
	_cleanup_(freep) char *group = NULL;

	if (!c->adopter || s->ppid != c->adopter)
		return -1;
	if (!c->groups)
		read_groups(c, sorted, n);
	group = c->groups ? group_of(s->pid) : NULL;
	for (size_t i = 0; group && i < n; i++)
		if (is_in(group, c->groups[i]))
			return (ssize_t)i;
	return -1;
}

static pid_t parent_of_roots(const struct census *c, const struct proc_usage *sorted, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct seen key = { .pid = sorted[i].root };
		const struct seen *s = key.pid ? bsearch(&key, c->list, c->n, sizeof key, seen_compare) : NULL;

		if (s)
			return s->ppid;
	}
	return 0;
}

/* A process belongs to the root that leads its session, else to its parent's root, else to the one whose control group it is in. */
static ssize_t census_root(struct census *c, struct seen *s, struct proc_usage *sorted, size_t n, int depth)
{
	struct proc_usage *u;

	if (s->root != -2 || depth > 64)
		return s->root < 0 ? -1 : s->root;
	u = usage_find(sorted, n, s->pid);
	if (!u)
		u = usage_find(sorted, n, s->session);
	if (u) {
		s->root = u - sorted;
	} else {
		struct seen key = { .pid = s->ppid };
		struct seen *parent = bsearch(&key, c->list, c->n, sizeof key, seen_compare);

		s->root = parent ? census_root(c, parent, sorted, n, depth + 1) : -1;
		if (s->root < 0)
			s->root = adopted_root(c, s, sorted, n);
	}
	return s->root;
}

int proc_tree_usage(struct proc_usage *roots, size_t n)
{
	struct census c = { 0 };
	_cleanup_(freep) struct proc_usage *sorted = malloc((n ? n : 1) * sizeof *sorted);
	int r;

	if (!sorted)
		return -ENOMEM;
	r = proc_each(census_add, &c);
	for (size_t i = 0; i < n; i++)
		sorted[i] = (struct proc_usage){ .root = roots[i].root };
	qsort(sorted, n, sizeof *sorted, usage_compare);
	if (c.n)
		qsort(c.list, c.n, sizeof *c.list, seen_compare);
	c.adopter = c.n ? parent_of_roots(&c, sorted, n) : 0;
	for (size_t i = 0; i < c.n; i++) {
		ssize_t root = census_root(&c, &c.list[i], sorted, n, 0);

		if (root < 0 || !sorted[root].root)
			continue;
		sorted[root].cpu_time += c.list[i].cpu_time;
		sorted[root].rss += c.list[i].rss;
		sorted[root].processes++;
	}
	for (size_t i = 0; i < n; i++) {
		const struct proc_usage *u = usage_find(sorted, n, roots[i].root);

		if (u)
			roots[i] = *u;
	}
	for (size_t i = 0; c.groups && i < n; i++)
		free(c.groups[i]);
	free(c.groups);
	free(c.adopter_group);
	free(c.list);
	return r;
}
