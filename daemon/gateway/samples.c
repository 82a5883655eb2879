/* See samples.h. */
#include "samples.h"

#include <math.h>

static const struct sample nothing = { .cpu = -1 };

void samples_put(struct samples *s, uint64_t tick, struct sample sample)
{
	if (tick <= s->newest)
		return;
	for (uint64_t gap = tick - s->newest > SAMPLES ? tick - SAMPLES + 1 : s->newest + 1; gap < tick; gap++)
		s->ring[gap % SAMPLES] = nothing;
	if (s->newest == 0)		/* whoever made it has only zeroed it */
		for (unsigned i = 0; i < SAMPLES; i++)
			s->ring[i] = nothing;
	s->ring[tick % SAMPLES] = sample;
	s->newest = tick;
}

struct sample samples_at(const struct samples *s, uint64_t tick)
{
	if (!s || tick == 0 || tick > s->newest || s->newest - tick >= SAMPLES)
		return nothing;
	return s->ring[tick % SAMPLES];
}

json_t *samples_json(const struct samples *s, uint64_t end)
{
	json_t *cpu = json_array(), *memory = json_array(), *events = json_array();

	for (uint64_t tick = end > SAMPLES ? end - SAMPLES + 1 : 1; tick <= end; tick++) {
		struct sample at = samples_at(s, tick);

		if (at.starts || at.crashes || at.stops)
			(void)json_array_append_new(events, json_pack("[I, i, i, i]", (json_int_t)(end - tick), (int)at.starts, (int)at.crashes,
								      (int)at.stops));
		if (at.cpu < 0 && json_array_size(cpu) == 0)
			continue;
		(void)json_array_append_new(cpu, at.cpu < 0 ? json_null() : json_integer(lroundf(at.cpu * 1000)));
		(void)json_array_append_new(memory, at.cpu < 0 ? json_null() : json_integer(at.memory));
	}
	return json_pack("{s:o, s:o, s:o}", "cpu", cpu, "memory", memory, "events", events);
}
