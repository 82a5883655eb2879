/*
 * One handler per method of io.reeve.Supervisor; the table is in control.c. And what handlers share.
 */
#ifndef REEVE_CONTROL_HANDLERS_H
#define REEVE_CONTROL_HANDLERS_H

#include "../process.h"
#include "control.h"
#include "varlink/varlink.h"
#include "wire/faults.h"

#define HANDLERS(X)                                                                                                    \
	X(GetStatus, ACCESS_READ, method_get_status)                                                                   \
	X(List, ACCESS_READ, method_list)                                                                              \
	X(Start, ACCESS_OPERATE, method_start)                                                                         \
	X(Stop, ACCESS_OPERATE, method_stop)                                                                           \
	X(Restart, ACCESS_OPERATE, method_restart)                                                                     \
	X(Signal, ACCESS_OPERATE, method_signal)                                                                       \
	X(Wait, ACCESS_READ, method_wait)                                                                              \
	X(SendStdin, ACCESS_OPERATE, method_send_stdin)                                                                \
	X(SendRemoteCommEvent, ACCESS_OPERATE, method_send_remote_comm_event)                                          \
	X(Reread, ACCESS_ADMIN, method_reread)                                                                         \
	X(Plan, ACCESS_READ, method_plan)                                                                              \
	X(Update, ACCESS_ADMIN, method_update)                                                                         \
	X(AddGroup, ACCESS_ADMIN, method_add_group)                                                                    \
	X(RemoveGroup, ACCESS_ADMIN, method_remove_group)                                                              \
	X(GetConfig, ACCESS_READ, method_get_config)                                                                   \
	X(Why, ACCESS_READ, method_why)                                                                                \
	X(Run, ACCESS_ADMIN, method_run)                                                                               \
	X(Events, ACCESS_READ, method_events)                                                                          \
	X(Shutdown, ACCESS_ADMIN, method_shutdown)                                                                     \
	X(Reload, ACCESS_ADMIN, method_reload)                                                                         \
	X(Upgrade, ACCESS_ADMIN, method_upgrade)

enum access { ACCESS_READ, ACCESS_OPERATE, ACCESS_ADMIN };

#define X(name, access, function) varlink_handler function;
HANDLERS(X)
#undef X

/* The error io.reeve.Supervisor.Fault: CODE of lib/wire/faults.h, "NAME" or "NAME: extra". Ends the call. */
void reply_fault(struct varlink_call *call, enum fault code, const char *extra);
/* "NAME" or "NAME: extra" in BUFFER. */
char *fault_text(enum fault code, const char *extra, char *buffer, size_t size);
/* During a shutdown nearly everything is refused: true if CALL has been. */
bool refused(struct supervisor *s, struct varlink_call *call);

/* The strings of the array KEY of PARAMETERS (borrowed, the vector malloc'd); NULL and an answered call if it is no such array, or one
   of more names (20000) or patterns (256) than are looked up in one call. */
const char **string_list(struct varlink_call *call, json_t *parameters, const char *key, size_t *ret_n);

/* Type Process. */
json_t *process_json(const struct process *p);
/* The same for a group whose section has an error: nothing runs, and the message says why. */
json_t *invalid_json(const struct group_conf *g);
/* What its history holds, oldest first. */
json_t *transitions_json(const struct process *p);
/* A string that is valid in any case. */
json_t *text_json(const char *text);
/* A cause that says who asked. */
struct cause cause_of(const struct varlink_call *call);

#endif
