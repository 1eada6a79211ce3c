/* SPDX-License-Identifier: Apache-2.0 */
/* watch: looks four times a second at the data plane's counts, and reports trouble.
 *
 *   watch.c   the timer; threads that make no rounds
 *   load.c    load: slow receivers, blocked publishers, full queues and tables
 *   trouble.c the current troubles; logs begin and end of each
 *
 * A sleeping worker counts nothing, so the watch wakes it by its doorbell; then it must count.
 *
 * Owns      Nothing of the data plane.
 * Threads   The loop's. The time is a parameter, so that a test can step it.
 */
#ifndef MILLRACE_CONTROL_WATCH_H
#define MILLRACE_CONTROL_WATCH_H

#include "lib/config/config.h"
#include "control/link/link.h"
#include "control/watch/trouble.h"

#define MR_WATCH_PERIOD_NS (250 * MR_NS_PER_MS)

struct mr_watch_worker {
	uint64_t loops;
	/* Observed time without a loop. A sleeping worker that makes a round when woken is not
	 * silent. */
	uint64_t silent_ns;
	struct mrf_worker_stats was;
};

struct mr_watch {
	struct mr_loop *loop;
	struct mr_link *link;
	const struct mr_config *config;
	struct mr_loop_timer timer;
	uint64_t last_ns; /* last look; 0: none since the data plane connected */
	uint64_t main_rounds;
	uint64_t main_silent_ns;
	struct mr_watch_worker workers[MR_DATAPLANE_WORKERS_MAX];
	struct mr_troubles troubles;
};

void mr_watch_open(struct mr_watch *w, struct mr_loop *loop, struct mr_link *link,
	const struct mr_config *config);
void mr_watch_close(struct mr_watch *w);
/* Called when the data plane connects and when it is lost. */
void mr_watch_up(struct mr_watch *w);
void mr_watch_down(struct mr_watch *w);
void mr_watch_look(struct mr_watch *w, uint64_t now_ns);

/* Returns for how long the thread has made no rounds, or 0 if it is not silent. */
uint32_t mr_watch_dataplane_silent_ms(const struct mr_watch *w);
uint32_t mr_watch_worker_silent_ms(const struct mr_watch *w, unsigned worker);

/* load.c */
void mr_watch_load(struct mr_watch *w, uint64_t elapsed_ns);

#endif
