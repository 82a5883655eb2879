/* See auto.h. */
#include "auto.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "auto_name.h"

static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";

static void choose(char *random)
{
	unsigned char bytes[JOURNAL_RANDOM] = { 0 };

	(void)!getrandom(bytes, sizeof bytes, GRND_NONBLOCK);
	for (size_t i = 1; i < sizeof bytes; i++)
		random[i] = letters[bytes[i] % (sizeof letters - 1)];
	/* The first byte says that there is a name: written last. */
	__atomic_store_n(&random[0], letters[bytes[0] % (sizeof letters - 1)], __ATOMIC_SEQ_CST);
}

char *auto_path(struct stream *stream, const char *dir, const char *name, const char *identifier)
{
	struct journal_record *record = journal_record(&stream->logger->journal, stream->hash, true);
	char spare[JOURNAL_RANDOM], *random = record ? record->random : spare, *path;

	stream->record = record;
	if (!record || !random[0])
		choose(random);
	if (asprintf(&path, "%s/%s-%s---%s-%.*s.log", dir, name, stream->channel == STREAM_STDERR ? "stderr" : "stdout",
		     identifier, JOURNAL_RANDOM, random) < 0)
		return NULL;
	return path;
}

static bool in_use(struct logger *logger, const char *path)
{
	struct file *file;

	LIST_FOREACH(file, &logger->files.files, all)
	{
		size_t length = strlen(file->path);

		if (strncmp(file->path, path, length) == 0 && (!path[length] || path[length] == '.'))
			return true;
	}
	return false;
}

static void closedirp(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

void auto_clean(struct logger *logger, const char *dir, const char *identifier)
{
	_cleanup_(closedirp) DIR *entries = opendir(dir);
	struct dirent *entry;

	if (!entries) {
		logger_log(logger, "warn", "Could not clear childlog dir %s: %s", dir, strerror(errno));
		return;
	}
	while ((entry = readdir(entries))) {
		_cleanup_(freep) char *path = NULL;

		if (!auto_matches(entry->d_name, identifier))
			continue;
		if (asprintf(&path, "%s/%s", dir, entry->d_name) < 0) {
			path = NULL;
			return;
		}
		if (!in_use(logger, path) && unlink(path) < 0 && errno != ENOENT)
			logger_log(logger, "warn", "Failed to clean up '%s': %s", path, strerror(errno));
	}
}
