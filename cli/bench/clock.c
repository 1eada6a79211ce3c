/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench/clock.h"

/* Reads both clocks at one moment: takes the closest of several pairs, as an interrupt may come
 * between. */
static void read_both(uint64_t *ticks, uint64_t *ns)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 8; i++) {
		uint64_t before = mr_bench_ticks();
		uint64_t now_ns = mr_cli_now_ns();
		uint64_t after = mr_bench_ticks();

		if (after - before < best) {
			best = after - before;
			*ticks = before + (after - before) / 2;
			*ns = now_ns;
		}
	}
}

void mr_bench_clock_start(struct mr_bench_clock *c)
{
	read_both(&c->ticks, &c->ns);
}

void mr_bench_clock_calibrate(struct mr_bench_clock *c)
{
	uint64_t ticks = 0, ns = 0;

	read_both(&ticks, &ns);
	c->ticks_per_ns = (double)(ticks - c->ticks) / (double)(ns - c->ns);
}
