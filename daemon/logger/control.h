/* The supervisor's messages (wire/logger.h). A malformed one is logged and otherwise ignored. */
#ifndef REEVE_LOGGER_CONTROL_H
#define REEVE_LOGGER_CONTROL_H

#include <stddef.h>

#include "logger.h"

/* Act on one packet. FD: the descriptor that came with it, or -1; taken over. */
void control_packet(struct logger *logger, const char *packet, size_t length, int fd);

#endif
