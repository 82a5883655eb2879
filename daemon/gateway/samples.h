/*
 * The last hour of one process tree: cpu and memory every SAMPLE_SECONDS, in a ring. Pure: ticks come from outside.
 */
#ifndef REEVE_GATEWAY_SAMPLES_H
#define REEVE_GATEWAY_SAMPLES_H

#include <jansson.h>
#include <stdint.h>

enum {
	SAMPLE_SECONDS = 10,
	SAMPLES = 360,			/* one hour */
};

struct sample {
	float cpu;			/* cores in use since the sample before: 1.5 is one and a half; negative: nothing was measured */
	uint32_t memory;		/* KiB resident */
	uint8_t starts, crashes, stops;	/* since the sample before: starts, exits as they should not be, other exits; 255: or more */
};

struct samples {
	uint64_t newest;		/* tick of the newest sample; 0: none yet */
	struct sample ring[SAMPLES];
};

/* Note SAMPLE for TICK (from 1, growing; one that is not newer than the newest is ignored). Ticks left out are gaps. */
void samples_put(struct samples *samples, uint64_t tick, struct sample sample);
/* The sample of TICK; nothing measured where there is none. Accepts NULL samples. */
struct sample samples_at(const struct samples *samples, uint64_t tick);

/*
 * {"cpu": [...], "memory": [...], "events": [...]}: the hour that ends with tick END, oldest first; cpu in thousandths of a core, memory in KiB,
 * null where nothing was measured. What lies before the first measurement is left out, so the arrays may be shorter than SAMPLES.
 * And "events": [[steps before END, starts, crashes, stops], ...] of those that are not all 0, oldest first.
 */
json_t *samples_json(const struct samples *samples, uint64_t end);

#endif
