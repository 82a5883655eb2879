/* See manager.h. */
#include "manager.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#if HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "base/base.h"

#if HAVE_SYSTEMD

static const char *const kept[] = { "control", "loglisten" };
static const char activated[] = "activated";

void manager_notify(const char *text)
{
	(void)sd_notify(0, text);
}

double manager_watchdog(void)
{
	uint64_t usec;

	return sd_watchdog_enabled(0, &usec) > 0 ? (double)usec / 2e6 : 0;
}

static bool is_kept(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (strcmp(name, kept[i]) == 0)
			return true;
	return false;
}

static void forget_one(const char *name)
{
	char text[64];

	(void)snprintf(text, sizeof text, "FDSTOREREMOVE=1\nFDNAME=%s", name);
	(void)sd_notify(0, text);
}

void manager_forget(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (!name || strcmp(name, kept[i]) == 0)
			forget_one(kept[i]);
}

void manager_keep(const char *name, int fd)
{
	char text[64];

	if (!is_kept(name))
		return;
	forget_one(name);		/* or there would be two of one name */
	(void)snprintf(text, sizeof text, "FDSTORE=1\nFDNAME=%s", name);
	(void)sd_pid_notify_with_fds(0, 0, text, &fd, 1);
}

void manager_listeners(void (*take)(const char *name, int fd, void *data), void *data)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names);

	for (int i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		if (names[i] && (is_kept(names[i]) || strcmp(names[i], activated) == 0) &&
		    sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) > 0)
			take(names[i], fd, data);
		else
			(void)close(fd);
	}
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

#else

void manager_notify(const char *text)
{
	(void)text;
}

double manager_watchdog(void)
{
	return 0;
}

void manager_keep(const char *name, int fd)
{
	(void)name;
	(void)fd;
}

void manager_forget(const char *name)
{
	(void)name;
}

void manager_listeners(void (*take)(const char *name, int fd, void *data), void *data)
{
	(void)take;
	(void)data;
}

#endif
