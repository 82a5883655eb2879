/*
 * A batch: what was taken from one pipe in one go, from the staging pipe to the file and wherever else it belongs; and
 * the completion of a batch that an earlier logger left.
 */
#ifndef REEVE_LOGGER_BATCH_H
#define REEVE_LOGGER_BATCH_H

#include "stream.h"

/* Bytes in pipe FD. */
size_t pipe_bytes(int fd);
/* Copy what is in pipe FD to logger->batch, up to BATCH_MAX bytes, without consuming it. */
size_t batch_peek(struct logger *logger, int fd);
/* The staging pipe holds LENGTH bytes of STREAM, a copy of which is in logger->batch: write them, and drain it. */
void batch_process(struct stream *stream, size_t length);
/* The staged batch of an earlier life belongs to STREAM: finish it. */
void batch_recover(struct stream *stream);
/* Nobody knows the staged batch's stream any more: finish it by the path in the journal. */
void batch_recover_orphan(struct logger *logger);

#endif
