/* SPDX-License-Identifier: Apache-2.0 */
/* watch: looks four times a second at what the data plane counts, and tells what is wrong with it.
 *
 *   watch.c   the timer, and whose loop stands still
 *   load.c    what load does: slow receivers, publishers that are held up, full queues and tables
 *   trouble.c what is wrong now; logged once when it begins and once when it ends
 *
 * A sleeping worker counts nothing. It is woken by its bell, and must count then.
 *
 * Owns      Nothing of the data plane.
 * Threads   The loop's. Time is passed in, so that a test can step it.
 */
#ifndef MILLRACE_CONTROL_WATCH_H
#define MILLRACE_CONTROL_WATCH_H

#include "lib/config/config.h"
#include "control/link/link.h"
#include "control/watch/trouble.h"

#define MR_WATCH_PERIOD_NS (250 * MR_NS_PER_MS)

struct mr_watch_worker {
	uint64_t loops;
	uint64_t
		silent_ns; /* observed without a loop, and without sleep that ended when it was told to */
	struct mrf_worker_stats was;
};

struct mr_watch {
	struct mr_loop *loop;
	struct mr_link *link;
	const struct mr_config *config;
	struct mr_loop_timer timer;
	uint64_t last_ns; /* of the last look; 0: none since the data plane came */
	uint64_t main_rounds;
	uint64_t main_silent_ns;
	struct mr_watch_worker workers[MR_DATAPLANE_WORKERS_MAX];
	struct mr_troubles troubles;
};

void mr_watch_open(struct mr_watch *w, struct mr_loop *loop, struct mr_link *link,
	const struct mr_config *config);
void mr_watch_close(struct mr_watch *w);
/* The data plane came; it went. */
void mr_watch_up(struct mr_watch *w);
void mr_watch_down(struct mr_watch *w);
void mr_watch_look(struct mr_watch *w, uint64_t now_ns);

/* How long each has made no rounds, once that is too long; 0: it is fine. */
uint32_t mr_watch_dataplane_silent_ms(const struct mr_watch *w);
uint32_t mr_watch_worker_silent_ms(const struct mr_watch *w, unsigned worker);

/* load.c */
void mr_watch_load(struct mr_watch *w, uint64_t elapsed_ns);

#endif
