/* See cgroup.h. Plain files: openat, read, write, mkdirat, unlinkat. */
#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/base.h"

static const char prefix[] = "reeve-", own_group[] = "/daemon";
enum { DEEP = 16 };	/* levels of groups that a program may make below its own */

/* ---- small files ---- */

static int write_text(int dir, const char *file, const char *text)
{
	_cleanup_(closep) int fd = openat(dir, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int open_dir(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : fd;
}

/* ---- where we are ---- */

/* The path of our group as the kernel tells it ("0::PATH"), without newline. */
static int own_path(char *buffer, size_t size)
{
	_cleanup_(freep) char *line = NULL;
	size_t room = 0;
	int r = -ENOENT;
	FILE *f = fopen("/proc/self/cgroup", "re");

	if (!f)
		return -errno;
	while (r < 0 && getline(&line, &room, f) > 0)
		if (strncmp(line, "0::/", 4) == 0) {
			line[strcspn(line, "\n")] = '\0';
			r = (size_t)snprintf(buffer, size, "%s", line + 3) < size ? 0 : -ENAMETOOLONG;
		}
	(void)fclose(f);
	return r;
}

/* One line of mountinfo: the mount's root and place, if it is a cgroup2 file system. Escapes (\040) are left: nobody mounts it there. */
static bool parse_mount(char *line, char **ret_root, char **ret_place)
{
	char *save, *fields[5] = { 0 }, *type = strstr(line, " - ");

	if (!type || strncmp(type, " - cgroup2 ", 11) != 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		fields[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!fields[i])
			return false;
	}
	*ret_root = fields[3];
	*ret_place = fields[4];
	return true;
}

/* Where the group PATH lies in the file system. */
static int find_place(const char *path, char *buffer, size_t size)
{
	_cleanup_(freep) char *line = NULL;
	size_t room = 0;
	int r = -ENOENT;
	FILE *f = fopen("/proc/self/mountinfo", "re");

	if (!f)
		return -errno;
	while (r < 0 && getline(&line, &room, f) > 0) {
		char *root, *place;
		size_t n;

		if (!parse_mount(line, &root, &place))
			continue;
		n = strcmp(root, "/") == 0 ? 0 : strlen(root);
		if (strncmp(path, root, n) != 0 || (path[n] && path[n] != '/') || strstr(path, "/../"))
			continue;	/* the mount shows another part of the tree */
		r = (size_t)snprintf(buffer, size, "%s%s", place, path + n) < size ? 0 : -ENAMETOOLONG;
	}
	(void)fclose(f);
	return r;
}

/* Ours to divide: delegated by systemd, the root of what we can see, or nobody manages groups here. */
static bool is_delegated(const char *path, const char *place)
{
	static const char *const marks[] = { "user.delegate", "trusted.delegate" };
	char value[2];

	for (size_t i = 0; i < ARRAY_LEN(marks); i++)
		if (getxattr(place, marks[i], value, sizeof value) == 1 && value[0] == '1')
			return true;
	return strcmp(path, "/") == 0 || access("/run/systemd/system", F_OK) < 0;
}

/* ---- the subtree ---- */

static int give(int dir, uid_t uid, gid_t gid)
{
	static const char *const files[] = { "cgroup.procs", "cgroup.threads", "cgroup.subtree_control" };

	if (fchown(dir, uid, gid) < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (fchownat(dir, files[i], uid, gid, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
			return -errno;
	return 0;
}

static int make_dir(int dir, const char *name)
{
	return mkdirat(dir, name, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

int cgroup_enter(const char *name, bool insist, uid_t uid, gid_t gid)
{
	char path[PATH_MAX], place[PATH_MAX];
	_cleanup_(closep) int own = -1, subtree = -1, group = -1;
	int r = own_path(path, sizeof path);

	if (r == 0)
		r = find_place(path, place, sizeof place);
	if (r < 0)
		return r;
	if (!insist && !is_delegated(path, place))
		return -EPERM;
	own = open_dir(AT_FDCWD, place);
	if (own < 0)
		return own;
	r = make_dir(own, name);
	if (r < 0)
		return r;
	subtree = open_dir(own, name);
	if (subtree < 0)
		return subtree;
	r = make_dir(subtree, own_group + 1);
	group = r < 0 ? r : open_dir(subtree, own_group + 1);
	r = group < 0 ? group : 0;
	if (r == 0 && uid != geteuid()) {
		r = give(subtree, uid, gid);
		r = r < 0 ? r : give(group, uid, gid);
	}
	r = r < 0 ? r : write_text(group, "cgroup.procs", "0");
	if (r < 0) {
		(void)unlinkat(subtree, own_group + 1, AT_REMOVEDIR);
		(void)unlinkat(own, name, AT_REMOVEDIR);
	}
	return r;
}

/* The path of our group without "/daemon", if it ends as cgroup_enter makes it; else false. */
static bool in_subtree(char *path)
{
	size_t n = strlen(path), tail = sizeof own_group - 1;
	char *name;

	if (n <= tail || strcmp(path + n - tail, own_group) != 0)
		return false;
	path[n - tail] = '\0';
	name = strrchr(path, '/');
	return name && strncmp(name + 1, prefix, sizeof prefix - 1) == 0;
}

static int subtree_place(char *place, size_t size)
{
	char path[PATH_MAX];
	int r = own_path(path, sizeof path);

	if (r < 0)
		return r;
	return in_subtree(path) ? find_place(path, place, size) : -ENOENT;
}

int cgroup_subtree(void)
{
	char place[PATH_MAX];
	int r = subtree_place(place, sizeof place);

	return r < 0 ? r : open_dir(AT_FDCWD, place);
}

static void remove_one(const char *name, void *data)
{
	(void)cgroup_remove(*(const int *)data, name);
}

void cgroup_leave(void)
{
	char place[PATH_MAX], *name;
	_cleanup_(closep) int subtree = -1, own = -1;

	if (subtree_place(place, sizeof place) < 0)
		return;
	subtree = open_dir(AT_FDCWD, place);
	name = strrchr(place, '/');
	*name++ = '\0';
	own = open_dir(AT_FDCWD, *place ? place : "/");
	if (subtree < 0 || own < 0)
		return;
	(void)write_text(own, "cgroup.procs", "0");
	(void)cgroup_groups(subtree, remove_one, &subtree);
	(void)unlinkat(own, name, AT_REMOVEDIR);
}

/* ---- one group ---- */

int cgroup_open(int subtree, const char *name, bool make)
{
	int fd = open_dir(subtree, name);

	if (fd != -ENOENT || !make)
		return fd;
	if (mkdirat(subtree, name, 0755) < 0 && errno != EEXIST)
		return -errno;
	return open_dir(subtree, name);
}

/* The number behind KEY in FILE, which has lines of "KEY NUMBER". 0 or -errno (-ENOENT: no such file, or no such line). */
static int read_count(int group, const char *file, const char *key, uint64_t *ret)
{
	_cleanup_(closep) int fd = openat(group, file, O_RDONLY | O_CLOEXEC);
	size_t length = strlen(key);
	char text[512];
	const char *at = text;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof text - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	while (at && !(strncmp(at, key, length) == 0 && at[length] == ' '))
		at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL;
	if (!at)
		return -ENOENT;
	*ret = strtoull(at + length, NULL, 10);
	return 0;
}

int cgroup_populated(int subtree, const char *name)
{
	_cleanup_(closep) int group = open_dir(subtree, name);
	uint64_t populated;
	int r = group < 0 ? group : read_count(group, "cgroup.events", "populated", &populated);

	return r < 0 ? r : populated > 0;
}

/* Call SEE for each directory in DIR. */
static int each_directory(int dir, void (*see)(const char *name, void *data), void *data)
{
	int again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = again < 0 ? NULL : fdopendir(again);
	const struct dirent *entry;

	if (!list) {
		closep(&again);
		return -errno;
	}
	while ((entry = readdir(list)))
		if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			see(entry->d_name, data);
	(void)closedir(list);
	return 0;
}

struct walk {
	int dir;			/* where we are */
	int depth;
	void (*see)(pid_t pid, void *data);
	void *data;
};

static void walk_group(int group, const struct walk *w);

static void walk_below(const char *name, void *data)
{
	const struct walk *w = data;
	_cleanup_(closep) int group = open_dir(w->dir, name);

	if (group >= 0 && w->depth < DEEP)
		walk_group(group, w);
}

static void walk_group(int group, const struct walk *w)
{
	struct walk below = { .dir = group, .depth = w->depth + 1, .see = w->see, .data = w->data };
	int fd = openat(group, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	int pid;

	if (f) {
		while (fscanf(f, "%d", &pid) == 1)
			if (pid > 0)	/* 0: of another pid namespace */
				w->see(pid, w->data);
		(void)fclose(f);
	} else {
		closep(&fd);
	}
	(void)each_directory(group, walk_below, &below);
}

int cgroup_each(int subtree, const char *name, void (*see)(pid_t pid, void *data), void *data)
{
	_cleanup_(closep) int group = open_dir(subtree, name);

	if (group < 0)
		return group;
	walk_group(group, &(struct walk){ .see = see, .data = data });
	return 0;
}

static void kill_one(pid_t pid, void *data)
{
	(void)data;
	(void)kill(pid, SIGKILL);
}

int cgroup_kill(int subtree, const char *name)
{
	_cleanup_(closep) int group = open_dir(subtree, name);
	int r;

	if (group < 0)
		return group;
	r = write_text(group, "cgroup.kill", "1");
	if (r != -ENOENT && r != -EACCES)
		return r;
	/* Freezing is not instant, so a fork may still slip through: hence "to be repeated". The thaw lets the killed die. */
	(void)write_text(group, "cgroup.freeze", "1");
	walk_group(group, &(struct walk){ .see = kill_one });
	(void)write_text(group, "cgroup.freeze", "0");
	return 0;
}

struct removal {
	int dir;
	int depth;
};

static void remove_below(const char *name, void *data)
{
	const struct removal *above = data;
	struct removal r = { .dir = open_dir(above->dir, name), .depth = above->depth + 1 };

	if (r.dir >= 0 && r.depth < DEEP)
		(void)each_directory(r.dir, remove_below, &r);
	closep(&r.dir);
	(void)unlinkat(above->dir, name, AT_REMOVEDIR);
}

int cgroup_remove(int subtree, const char *name)
{
	struct removal r = { .dir = open_dir(subtree, name) };

	if (r.dir < 0)
		return r.dir;
	(void)each_directory(r.dir, remove_below, &r);
	closep(&r.dir);
	return unlinkat(subtree, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int cgroup_groups(int subtree, void (*see)(const char *name, void *data), void *data)
{
	return each_directory(subtree, see, data);
}

/* ---- memory ---- */

int cgroup_oom_kills(int group, uint64_t *ret)
{
	return read_count(group, "memory.events", "oom_kill", ret);
}

static int own_group_place(void)
{
	char path[PATH_MAX], place[PATH_MAX];
	int r = own_path(path, sizeof path);

	if (r == 0)
		r = find_place(path, place, sizeof place);
	return r < 0 ? r : open_dir(AT_FDCWD, place);
}

/* False: above the mount point. */
static bool is_cgroup2(int dir)
{
	struct statfs fs;

	return fstatfs(dir, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

int cgroup_memory_group(int subtree)
{
	int group = subtree < 0 ? own_group_place() : open_dir(subtree, ".");
	uint64_t kills;

	for (int up = 0; group >= 0; up++) {
		int above;

		if (is_cgroup2(group) && cgroup_oom_kills(group, &kills) == 0)
			return group;
		above = is_cgroup2(group) && up < DEEP ? open_dir(group, "..") : -ENOENT;
		(void)close(group);
		group = above;
	}
	return group;
}
