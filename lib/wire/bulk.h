/*
 * The binary stream that a connection to a pool carries after the Map call was upgraded. Frames in both directions: a header, then
 * `length` bytes of body. Numbers are in the byte order of the machine: the socket never leaves it. Records are packed one behind
 * the other without alignment: copy them out.
 *
 *   client: TASKS* END         tasks are numbered from 0 in the order of their arrival
 *           CANCEL             drop what has not ended; its results (cancelled) still come
 *   pool:   RESULTS* DONE      in the order of completion; DONE after END and the last result, then the pool closes
 *           FAULT              text of a sentence: the pool cannot go on (closed, fatal); the connection is closed
 */
#ifndef REEVE_WIRE_BULK_H
#define REEVE_WIRE_BULK_H

#include <stdint.h>

enum bulk_type { BULK_TASKS = 1, BULK_END, BULK_CANCEL, BULK_RESULTS, BULK_DONE, BULK_FAULT };

struct bulk_header {
	uint32_t length;		/* bytes of body */
	uint32_t type;
};

/* In a TASKS body, followed by `length` bytes: the task's words with NUL between them. */
struct bulk_task {
	uint32_t length;
	uint32_t bare;			/* 1: no word at all (not even an empty one) */
};

enum { BULK_TRUNCATED_OUT = 1, BULK_TRUNCATED_ERR = 2 };

/* In a RESULTS body, followed by out_length bytes of output, err_length of errors, why_length of text. */
struct bulk_result {
	uint64_t index, id;
	uint8_t state;			/* enum task_state */
	uint8_t flags;
	int16_t exit;			/* 0..255, -N: signal */
	uint16_t attempts;
	uint16_t why_length;
	uint32_t slot;
	int32_t pid;
	double started, ended;		/* unix time */
	float user_time, system_time;	/* seconds */
	uint32_t max_rss;		/* KiB */
	uint32_t out_length, err_length, reserved;
};

/* States of a task, shared with clients. The first three are not ended. */
#define TASK_STATES(X)                                                                                                 \
	X(SUBMITTED, "submitted", "not yet durable")                                                                   \
	X(QUEUED, "queued", "waits for a worker")                                                                      \
	X(RUNNING, "running", "a worker has it")                                                                       \
	X(DONE, "done", "ended well")                                                                                  \
	X(FAILED, "failed", "ended with an exit status, or with an answer that says so")                               \
	X(LOST, "lost", "its worker died, or broke the protocol")                                                      \
	X(TIMEOUT, "timeout", "took longer than its timeout")                                                          \
	X(CANCELLED, "cancelled", "dropped or stopped on request")

#define X(name, word, help) TASK_##name,
enum task_state { TASK_STATES(X) TASK_N_STATES };
#undef X

/* "queued"; "?" for what is none. */
const char *task_state_name(unsigned state);

#endif
