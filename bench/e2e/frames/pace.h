/* SPDX-License-Identifier: Apache-2.0 */
/* pace: limits sending to a rate, and to a window of messages in flight.
 *
 * A lost message would stay in flight for ever. So when nothing has come back for a while, all
 * messages in flight are written off.
 *
 * Threads   One.
 * Units     Cycles; the caller decides what it counts.
 */
#ifndef MILLRACE_BENCH_E2E_FRAMES_PACE_H
#define MILLRACE_BENCH_E2E_FRAMES_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct gen_pace {
	double per_cycle; /* 0: no rate */
	uint64_t window;  /* 0: none */
	uint64_t patience;
	uint64_t start;
	uint64_t sent;
	uint64_t back;
	uint64_t written_off;
	uint64_t back_at; /* when something last came back */
};

static inline struct gen_pace gen_pace_first(
	double per_cycle, uint64_t window, uint64_t patience, uint64_t now)
{
	return (struct gen_pace){
		.per_cycle = per_cycle,
		.window = window,
		.patience = patience,
		.start = now,
		.back_at = now,
	};
}

/* True if `count` more may be sent now. `back`: all that came back so far. */
static inline bool gen_pace_allows(struct gen_pace *p, uint64_t count, uint64_t back, uint64_t now)
{
	if (p->per_cycle > 0 && (double)(p->sent + count) > (double)(now - p->start) * p->per_cycle)
		return false;
	if (p->window == 0)
		return true;
	if (back != p->back) {
		p->back = back;
		p->back_at = now;
	}
	/* A message that was written off may still come back. */
	if (back + p->written_off > p->sent)
		p->written_off = p->sent > back ? p->sent - back : 0;
	if (p->sent + count <= back + p->written_off + p->window)
		return true;
	if (now - p->back_at < p->patience)
		return false;
	p->written_off = p->sent > back ? p->sent - back : 0;
	p->back_at = now;
	return true;
}

#endif
