/* SPDX-License-Identifier: Apache-2.0 */
/* load: sends bursts of packets that are made once and stamped anew each time, and takes what comes.
 *
 * With sessions, the packets are frames full of messages for one subject; publishers take turns, and those
 * that promise what they publish do as far as there is room for it in their reliable flow. Without
 * (gen_load_blast) they are datagrams of nobody, and what comes back is only counted.
 *
 * Owns      Its buffers, until the port is closed.
 * Threads   The generator's.
 * Units     `size`: payload of a message; of a blast: the whole packet.
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
	uint32_t stamped_from; /* those from here on are stamped and not sent yet, */
	uint32_t stamped_to;   /* up to here */
	uint32_t turn;
	struct gen_pace pace;
	uint64_t frames_sent;
	uint64_t back;       /* blast: packets that came back */
	uint64_t back_wrong; /* blast: of another length */
	uint32_t packet_bytes;
};

/* `pack`: messages in a frame; 0: as many as go in. -EMSGSIZE: not even one. The publishers, which have
 * their aliases, are sessions from `first` on. */
int gen_load_init(struct gen_load *l, struct gen *g, uint32_t size, uint32_t pack, uint32_t first,
	uint32_t publishers, uint32_t subscribers);
/* Packets of `size` bytes. */
int gen_load_blast(struct gen_load *l, struct gen *g, uint32_t size);
/* `rate`: messages, or packets, a second; 0: all that goes. `window`: under way at most; 0: any. */
void gen_load_pace(struct gen_load *l, double rate, uint64_t window);

void gen_load_run(struct gen_load *l, uint64_t until);
/* Sends what is stamped, and takes what still comes for so long; what is promised until all of it is back,
 * or for so long nothing came. */
void gen_load_drain(struct gen_load *l, uint64_t ms);
/* Deliveries that are to come; what came too often counts beside them. */
uint64_t gen_load_missing(const struct gen_load *l);

#endif
