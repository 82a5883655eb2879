/*
 * The service manager (systemd), if we run under one: what it is told, and the sockets that it gives. Without libsystemd, or without a
 * manager, every function does nothing. The keeper alone speaks to it: it is the main process, and the manager listens to nobody else.
 */
#ifndef REEVE_KEEPER_MANAGER_H
#define REEVE_KEEPER_MANAGER_H

/* "READY=1\nSTATUS=...": see sd_notify(3). */
void manager_notify(const char *text);
/* Seconds between two keep-alives; 0: none are wanted. */
double manager_watchdog(void);

/*
 * Sockets that clients connect to are also kept by the manager, so that they outlive even the keeper: a client then waits for the restart
 * instead of being refused. KEEP passes over every other NAME. FORGET NULL: all.
 */
void manager_keep(const char *name, int fd);
void manager_forget(const char *name);
/*
 * Call TAKE for each socket that the manager gave at the start: the kept ones by their names, and the control socket of a socket unit as
 * "activated". The descriptor is close-on-exec, and TAKE's. Others are closed.
 */
void manager_listeners(void (*take)(const char *name, int fd, void *data), void *data);

#endif
