/* Plans against what runs, and plans and diagnostics as the control socket tells them. JSON is the caller's. */
#ifndef REEVE_CONTROL_PLAN_H
#define REEVE_CONTROL_PLAN_H

#include <jansson.h>

#include "../supervisor.h"
#include "conf/plan.h"

/* What would make CONFIG run. No file knows of transient groups: they are left out. plan_free() it; NULL: out of memory. */
struct plan *plan_against(const struct supervisor *s, const struct config *config);

/* The reply to Reread. */
json_t *reread_json(const struct plan *plan, const struct config *config);
/* The changes of PLAN, of the N groups that NAMES says (0: all). *RET_PENDING becomes true if there is one. */
json_t *plan_json(const struct plan *plan, const char *const *names, size_t n, bool *ret_pending);
/* The changed keys of the daemon itself. *RET_PENDING as above. */
json_t *plan_daemon_json(const struct supervisor *s, const struct config *config, bool *ret_pending);
/* Errors and warnings of CONFIG (NULL: none), a line each. */
json_t *diagnostics_json(const struct config *config);

#endif
