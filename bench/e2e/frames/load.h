/* SPDX-License-Identifier: Apache-2.0 */
/* load: sends bursts of packets that are built once and stamped anew each time, and receives.
 *
 * With sessions, the packets are frames full of messages for one subject. Publishers take turns;
 * those that promise send only as far as their reliable flow has room. Without sessions
 * (gen_load_blast) the packets are plain datagrams, and those that come back are only counted.
 *
 * Owns      Its buffers, until the port is closed.
 * Threads   The generator's.
 * Units     `size`: payload of a message; for a blast the whole packet.
 * Hot path  run: no allocation, no system call but the driver's.
 */
#ifndef MILLRACE_BENCH_E2E_FRAMES_LOAD_H
#define MILLRACE_BENCH_E2E_FRAMES_LOAD_H

#include "bench/e2e/frames/generator.h"
#include "bench/e2e/frames/pace.h"

#define GEN_PATIENCE_MS 5u

struct gen_load {
	struct gen *g;
	/* read-only after init */
	uint32_t publisher_first;
	uint32_t publishers; /* 0: a blast */
	uint32_t subscribers;
	uint32_t per_frame; /* messages; 1 for a blast */
	struct rte_mbuf *buffers[GEN_BURST];
	struct gen_frame frames[GEN_BURST];
	/* changes */
	uint32_t stamped_from; /* first packet that is stamped and not sent yet */
	uint32_t stamped_to;   /* end of the stamped packets */
	uint32_t turn;
	struct gen_pace pace;
	uint64_t frames_sent;
	uint64_t back;       /* blast: packets that came back */
	uint64_t back_wrong; /* blast: packets of another length */
	uint32_t packet_bytes;
};

/* Prepares frames of `pack` messages; 0: as many as fit. -EMSGSIZE: not even one fits. The
 * publishers are the sessions from `first` on, and have their aliases. */
int gen_load_init(struct gen_load *l, struct gen *g, uint32_t size, uint32_t pack, uint32_t first,
	uint32_t publishers, uint32_t subscribers);
/* Prepares packets of `size` bytes. */
int gen_load_blast(struct gen_load *l, struct gen *g, uint32_t size);
/* `rate`: messages, or packets, a second; 0: no limit. `window`: most in flight; 0: no limit. */
void gen_load_pace(struct gen_load *l, double rate, uint64_t window);

void gen_load_run(struct gen_load *l, uint64_t until);
/* Sends the stamped packets and receives for `ms`. With promises: until all came back, or nothing
 * came for `ms`. */
void gen_load_drain(struct gen_load *l, uint64_t ms);
/* Deliveries that have not arrived. Duplicates are counted apart. */
uint64_t gen_load_missing(const struct gen_load *l);

#endif
