/* See boot.h. */
#include "boot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "aside.h"
#include "control/control.h"
#include "control/operation.h"
#include "control/run.h"
#include "control/update.h"
#include "config_watch.h"
#include "control/upgrade.h"
#include "environment.h"
#include "estate.h"
#include "gateway_link.h"
#include "generation.h"
#include "group.h"
#include "listener/pool.h"
#include "listener/ticks.h"
#include "live.h"
#include "names.h"
#include "logger_link.h"
#include "orphan.h"
#include "pipes.h"
#include "places.h"
#include "process/proc.h"
#include "reading.h"
#include "shared_socket.h"
#include "shutdown.h"
#include "tree.h"
#include "varlink/varlink.h"

/* ---- the parts ---- */

static int open_own_log(struct supervisor *s, struct estate *e)
{
	int both = estate_take(e, "log");

	if (both < 0) {
		both = pipe_new();
		if (both < 0)
			return both;
		supervisor_tell(s, KEEPER_STORE, 0, 0, "log", both);
	}
	s->log_fd = pipe_reopen(both, O_WRONLY | O_NONBLOCK);
	(void)close(both);
	return s->log_fd < 0 ? s->log_fd : 0;
}

int boot_generations(struct supervisor *s, struct estate *e, struct error *err)
{

	for (size_t i = 0; i < e->n; i++) {
		unsigned number;

		if (e->list[i].fd >= 0 && sscanf(e->list[i].name, "config/%u", &number) == 1) {
			int fd = e->list[i].fd;

			e->list[i].fd = -1;
			if (generation_restore(s, number, fd, err) < 0)
				return -EINVAL;
		}
	}
	return 0;
}

static void store_events(int fd, void *data)
{
	supervisor_tell(data, KEEPER_STORE, 0, 0, "replay", fd);
}

static int open_events(struct supervisor *s, struct estate *e)
{
	int journal = estate_take(e, "replay");

	s->events = event_bus_new(s->state.header->event_serial, store_events, s);
	if (!s->events) {
		closep(&journal);
		return -ENOMEM;
	}
	if (journal >= 0)
		event_bus_adopt(s->events, journal);
	return 0;
}

static int restore_generations(struct supervisor *s, struct estate *e, struct error *err)
{
	struct generation *last;
	int r = boot_generations(s, e, err);

	if (r < 0)
		return r;
	last = generation_find(s, s->state.header->generation);
	if (!last)
		return generation_read(s, &last, err);
	generation_load(s, last);
	return 0;
}

static int first_generation(struct supervisor *s, struct error *err)
{
	struct generation *g;

	return generation_read(s, &g, err);
}

/* The listening socket NAME: the one that the keeper holds, or a new one at FILE in the run directory. */
static int listening(struct supervisor *s, struct estate *e, const char *name, const char *file, struct error *err)
{
	char path[4200];
	int fd = estate_take(e, name);

	(void)snprintf(path, sizeof path, "%s/%s", s->rundir, file);
	/* At the very beginning it can only come from the service manager, and its file may be gone. */
	if (fd >= 0 && s->first && access(path, F_OK) < 0) {
		(void)close(fd);
		fd = -1;
	}
	if (fd >= 0)
		return fd;
	fd = varlink_listen(path, control_socket_mode(s), (uid_t)-1, control_socket_group(s), err);
	if (fd >= 0)
		supervisor_tell(s, KEEPER_STORE, 0, 0, name, fd);
	return fd;
}

static int connect_logger(struct supervisor *s, struct estate *e, struct error *err)
{
	int listen = listening(s, e, "loglisten", "log.sock", err);
	int socket = estate_take(e, "logger");

	if (listen < 0)
		return listen;
	s->logger = logger_link_new(s, socket, estate_take(e, "journal"), estate_take(e, "staging"), listen);
	return s->logger ? 0 : error_set(err, ENOMEM, "out of memory");
}

static int connect_gateway(struct supervisor *s, struct estate *e, struct error *err)
{
	s->gateway = gateway_link_new(s);
	if (!s->gateway)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < e->n; i++)
		if (e->list[i].fd >= 0 && gateway_link_adopt(s->gateway, e->list[i].name, e->list[i].fd))
			e->list[i].fd = -1;
	return 0;
}

/* Those that are not there yet. */
static void make_groups(struct supervisor *s)
{
	const struct config *c = s->loaded->config;

	for (size_t i = 0; i < c->n_groups; i++) {
		struct error err;

		if (c->groups[i]->invalid || group_find(s, c->groups[i]->name))
			continue;
		if (!group_new(s, s->loaded, c->groups[i], NULL, &err))
			supervisor_log(s, LOGLEVEL_ERROR, "%s", err.text);
	}
}

static int restore_group(struct supervisor *s, struct state_record *record, struct error *err)
{
	struct generation *g = generation_find(s, record->generation);
	const struct group_conf *conf = g ? config_group(g->config, record->name) : NULL;

	if (!conf)
		supervisor_log(s, LOGLEVEL_ERROR, "the group %s cannot be taken over: its configuration is lost", record->name);
	else if (!group_new(s, g, conf, record, err))
		return -ENOMEM;
	return 0;
}

int boot_groups(struct supervisor *s, struct error *err)
{
	struct state_record *record;
	int r = 0;

	for (size_t i = 0; r == 0 && (record = state_record_next(&s->state, &i));)
		if (record->kind == RECORD_GROUP)
			r = restore_group(s, record, err);
	return r;
}

static int adopt_pipes(struct supervisor *s, struct estate *e)
{
	struct process **by_index = calloc(STATE_RECORDS, sizeof(struct process *));
	int r = 0;

	if (!by_index)
		return -ENOMEM;
	for (struct group *g = s->groups; g; g = g->next)
		for (size_t i = 0; i < g->n_processes; i++)
			by_index[state_record_index(&s->state, g->processes[i]->record)] = g->processes[i];
	for (size_t i = 0; i < e->n && r == 0; i++) {
		const char *slash = strchr(e->list[i].name, '/');
		unsigned long index = slash ? strtoul(slash + 1, NULL, 10) : STATE_RECORDS;

		if (e->list[i].fd < 0 || index >= STATE_RECORDS || !by_index[index])
			continue;
		r = pipes_adopt(by_index[index], e->list[i].name, e->list[i].fd);
		if (r > 0)
			e->list[i].fd = -1;
		r = r < 0 ? r : 0;
	}
	free(by_index);
	return r;
}

static void adopt_sockets(struct supervisor *s, struct estate *e)
{
	struct error err;

	for (size_t i = 0; i < e->n; i++)
		if (e->list[i].fd >= 0 && shared_socket_adopt(s, e->list[i].name, e->list[i].fd))
			e->list[i].fd = -1;
	for (struct group *g = s->groups; g; g = g->next)
		for (size_t i = 0; i < g->n_processes; i++)
			if (shared_socket_attach(g->processes[i], &err) < 0)
				supervisor_log(s, LOGLEVEL_ERROR, "%s: %s", g->processes[i]->conf->namespec, err.text);
}

static void adopt_events(struct supervisor *s, struct estate *e)
{
	for (struct group *g = s->groups; g; g = g->next) {
		char name[KEEPER_NAME_SIZE];
		int fd;

		if (!g->listeners)
			continue;
		(void)snprintf(name, sizeof name, "events/%u", (unsigned)state_record_index(&s->state, g->record) % STATE_RECORDS);
		fd = estate_take(e, name);
		if (fd >= 0)
			listener_pool_adopt(g->listeners, fd);
	}
}

static void resume_processes(struct supervisor *s)
{
	for (struct group *g = s->groups; g; g = g->next)
		for (size_t i = 0; i < g->n_processes; i++)
			process_resume(g->processes[i]);
	for (struct group *g = s->groups; g; g = g->next)
		if (g->listeners)
			listener_pool_resume(g->listeners);
}

static void autostart(struct supervisor *s)
{
	static const struct cause cause = { .kind = CAUSE_AUTOSTART };

	for (struct group *g = s->groups; g; g = g->next)
		group_autostart(g, &cause);
}

static int oom_score_adj(pid_t pid)
{
	char path[48];
	int value = 0;
	FILE *f;

	(void)snprintf(path, sizeof path, "/proc/%d/oom_score_adj", (int)pid);
	f = fopen(path, "re");
	if (f) {
		if (fscanf(f, "%d", &value) != 1)
			value = 0;
		(void)fclose(f);
	}
	return value;
}

static char *executable_dir(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
	char *slash;

	if (n < 0)
		return strdup("/usr/sbin");
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (slash)
		*slash = '\0';
	return strdup(path);
}

/* Who made our socket. Not our parent: the keeper may be dead already, and then that is somebody whose children are not ours to end. */
static pid_t keeper_of(int socket)
{
	struct ucred cred = { 0 };
	socklen_t size = sizeof cred;

	return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &cred, &size) == 0 && cred.pid > 0 ? cred.pid : 0;
}

int boot_surroundings(struct supervisor *s)
{
	struct proc_stat keeper;

	s->keeper_pid = keeper_of(s->keeper);
	if (!s->keeper_pid || getppid() != s->keeper_pid || proc_stat_read(s->keeper_pid, &keeper) < 0)
		keeper.start_time = UINT64_MAX;	/* gone: nothing counts as of its time */
	s->keeper_started = keeper.start_time;
	s->oom_score_adj = oom_score_adj(s->keeper_pid);
	s->executable_dir = executable_dir();
	s->environ = environment_inherited();
	s->path = getenv("PATH");
	return s->executable_dir && s->environ ? 0 : -ENOMEM;
}

/* ---- the whole ---- */

/* Also what a successor repeats when this was interrupted: what is there stays, what has been started is not started again. */
static void make_and_start(struct supervisor *s)
{
	struct state_header *h = s->state.header;

	h->phase = PHASE_BEGINNING;
	h->daemon_state = DAEMON_RUNNING;
	h->stop_by = 0;
	make_groups(s);
	event_publish(s->events, "SUPERVISOR_STATE_CHANGE_RUNNING", "", 0);
	autostart(s);
	h->phase = PHASE_BEGUN;
}

static void begin_first(struct supervisor *s)
{
	const struct supervisord_conf *c = &s->loaded->config->supervisord;

	if (geteuid() == 0 && !c->user)
		supervisor_log(s, LOGLEVEL_CRITICAL,
			       "Supervisor is running as root.  Privileges were not dropped because no user is specified in the "
			       "config file.  If you intend to run as root, you can set user=root in the config file to avoid "
			       "this message.");
	if (!c->nocleanup)
		logger_link_clean(s->logger, c->childlogdir, c->identifier);
	live_write_pidfile(s);
	supervisor_log(s, LOGLEVEL_INFO, "supervisord started with pid %d", (int)s->keeper_pid);
	make_and_start(s);
}

/* What was tried before us, or that we are what is tried. */
static void note_upgrade(struct supervisor *s, const struct estate *e)
{
	if (e->hello == KEEPER_TRIAL) {
		s->upgraded = "done";
		(void)snprintf(s->upgrade_text, sizeof s->upgrade_text, "%s has taken over", REEVE_VERSION);
	} else if (e->hello == KEEPER_RETURNED) {
		s->upgraded = "returned";
		(void)snprintf(s->upgrade_text, sizeof s->upgrade_text, "the new executable %.100s; %s has returned", e->text, REEVE_VERSION);
		supervisor_log(s, LOGLEVEL_ERROR, "upgrade: %s", s->upgrade_text);
	}
}

/* What cannot be taken over for want of memory or descriptors is not given up: we end, and the keeper tries again. */
static int begin_succession(struct supervisor *s, struct estate *e, struct error *err)
{
	int r;

	note_upgrade(s, e);
	r = boot_groups(s, err);
	if (r < 0)
		return r;
	r = adopt_pipes(s, e);
	if (r < 0)
		return error_set(err, -r, "cannot take over the programs' pipes: %s", errno_name(-r));
	adopt_events(s, e);
	adopt_sockets(s, e);
	logger_link_announce_soon(s->logger);
	resume_processes(s);
	if (e->hello != KEEPER_USUAL)
		logger_link_renew(s->logger);
	supervisor_log(s, LOGLEVEL_WARN, "supervisor %d of this daemon has taken over %zu processes", e->number + 1, s->n_processes);
	for (size_t i = 0; i < e->n; i++)
		if (e->list[i].fd >= 0 && update_adopt(s, e->list[i].name, e->list[i].fd))
			e->list[i].fd = -1;
	if (s->state.header->phase == PHASE_BEGINNING && s->state.header->daemon_state == DAEMON_RUNNING)
		make_and_start(s);
	if (s->state.header->daemon_state != DAEMON_RUNNING)
		supervisor_shutdown(s, s->state.header->daemon_state == DAEMON_RESTARTING);
	else
		shutdown_look(s);
	return 0;
}

/* The records of the predecessors, or the first ones; ours from here on. */
static int open_state(struct supervisor *s, struct estate *e, struct error *err)
{
	int r = state_file_map(&s->state, e->state, &s->first, err);

	if (r < 0)
		return r;
	s->first = s->state.header->phase == PHASE_NEW;
	if (s->first) {
		s->state.header->daemon_state = DAEMON_RUNNING;
		s->state.header->start_time = clock_wall();
		s->state.header->event_serial = 1;
	}
	if (e->hello != KEEPER_USUAL)	/* the gateway belongs to a version too */
		s->state.header->gateway_settings = 0;
	state_file_claim(&s->state);
	s->state.header->supervisors++;
	return 0;
}

/* Where clients come in: the service manager's socket, or ours. */
static int control_socket(struct supervisor *s, struct estate *e, struct error *err)
{
	int fd = estate_take(e, "activated");

	s->activated = fd >= 0;
	if (fd >= 0)
		(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	else
		fd = listening(s, e, "control", "control.sock", err);
	return fd;
}

static int boot_with(struct supervisor *s, struct estate *e, struct error *err)
{
	int control, r = estate_receive(s->keeper, e, err);

	if (r < 0)
		return r;
	if (boot_surroundings(s) < 0)
		return error_set(err, ENOMEM, "out of memory");
	r = open_state(s, e, err);
	if (r < 0)
		return r;
	r = open_own_log(s, e);
	if (r < 0)
		return error_set(err, -r, "cannot make the log's pipe: %s", errno_name(-r));
	r = open_events(s, e);
	if (r < 0)
		return error_set(err, -r, "out of memory");
	r = s->first ? first_generation(s, err) : restore_generations(s, e, err);
	if (r < 0)
		return r;
	generation_note_start(s);
	s->loglevel = s->loaded->config->supervisord.loglevel;
	tree_begin(s);
	control = control_socket(s, e, err);
	if (control < 0)
		return control;
	r = connect_logger(s, e, err);
	if (r < 0)
		return r;
	s->control = control_new(s, control, err);
	if (!s->control)
		return -ENOMEM;
	r = connect_gateway(s, e, err);
	if (r < 0)
		return r;
	if (s->state.header->daemon_state != DAEMON_SHUTDOWN)
		gateway_link_apply(s->gateway);
	if (!s->first)
		return begin_succession(s, e, err);
	begin_first(s);
	return 0;
}

int boot(struct supervisor *s, struct error *err)
{
	struct estate e = { .state = -1 };
	int r = boot_with(s, &e, err);

	estate_free(&e);
	return r;
}

void boot_afresh(struct supervisor *s, struct config *config, const struct error *why)
{
	struct generation *g;
	struct error err = *why;

	if (!config || generation_accept(s, config, true, &g, &err) < 0)
		supervisor_log(s, LOGLEVEL_ERROR, "the new configuration cannot be used, the old one stays: %s", err.text);
	while (s->groups)
		group_remove(s->groups);
	s->loglevel = s->loaded->config->supervisord.loglevel;
	logger_link_announce(s->logger);
	gateway_link_apply(s->gateway);
	live_write_pidfile(s);
	make_and_start(s);
	s->ready = false;
}

void boot_undo(struct supervisor *s)
{
	s->stopping_for_successor = true;
	control_free(s->control);
	operations_free(s);
	runs_free(s);
	upgrade_free(s);
	updates_free(s);
	while (s->groups)
		group_free(s->groups);
	orphan_free(s);
	ticks_stop(s);
	config_watch_free(s);
	readings_cancel(s);
	asides_free(s);
	names_free(s);
	places_free(s);
	gateway_link_free(s->gateway);
	logger_link_free(s->logger);
	tree_end(s);
	if (s->loaded)
		generation_release(s, s->loaded);
	if (s->started)
		generation_release(s, s->started);
	while (s->generations) {
		s->generations->users = 1;
		generation_release(s, s->generations);
	}
	event_bus_free(s->events);
	closep(&s->log_fd);
	state_file_unmap(&s->state);
	free(s->environ);
	free(s->executable_dir);
	spawn_collect();
}
