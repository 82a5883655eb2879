/* /logtail/NAME[/stdout|/stderr] and /mainlogtail: the end of a log, and what is written to it from now on, as supervisorctl reads it. */
#ifndef REEVE_GATEWAY_LOGTAIL_H
#define REEVE_GATEWAY_LOGTAIL_H

#include "http.h"

http_handler logtail_handle, mainlogtail_handle;

#endif
