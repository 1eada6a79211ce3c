/* SPDX-License-Identifier: Apache-2.0 */
/* relay: forwards UDP packets between clients and a bus, with the faults of a bad path.
 *
 *   client ──▶ listening socket ──▶ faults ──▶ parked ──▶ delayed ──▶ the client's socket ──▶ bus
 *          ◀──                                                                            ◀──
 *
 * A packet to be reordered is parked until enough later packets of its flow have passed it, or for
 * MR_RELAY_PARK_NS if there are none.
 *
 * Owns      Its sockets, and the packets in it.
 * Threads   One.
 * Errors    A packet that a socket does not accept is counted as refused.
 */
#ifndef MILLRACE_CLI_BENCH_RELAY_H
#define MILLRACE_CLI_BENCH_RELAY_H

#include <sys/socket.h>

#include "cli/bench/faults.h"

#define MR_RELAY_CLIENTS_MAX 256u
#define MR_RELAY_PARK_NS     2000000u

enum mr_relay_direction {
	MR_RELAY_UP, /* to the bus */
	MR_RELAY_DOWN,
	MR_RELAY_DIRECTIONS,
};

struct mr_relay_options {
	struct sockaddr_storage listen; /* port 0: any */
	struct sockaddr_storage bus;
	struct mr_faults faults[MR_RELAY_DIRECTIONS];
	uint64_t seed;
	/* After this many packets of a client its port changes once, as seen by the bus; 0:
	 * never. */
	uint64_t rebind_after;
};

struct mr_relay_counts {
	uint64_t received;
	uint64_t sent;
	uint64_t dropped;
	uint64_t duplicated;
	uint64_t reordered;
	uint64_t corrupted;
	uint64_t refused;
};

struct mr_relay;

int mr_relay_open(const struct mr_relay_options *options, struct mr_relay **out);
/* Returns the port to which clients send. */
uint16_t mr_relay_port(const struct mr_relay *r);
/* Waits for packets up to timeout_ms, and forwards those that came or are due. 0 or -EINTR. */
int mr_relay_step(struct mr_relay *r, int timeout_ms);
const struct mr_relay_counts *mr_relay_counts(
	const struct mr_relay *r, enum mr_relay_direction direction);
void mr_relay_close(struct mr_relay *r);

#endif
