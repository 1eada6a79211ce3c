/* SPDX-License-Identifier: Apache-2.0 */
/* relay: passes UDP packets on between clients and a bus, and does to them what a bad path does.
 *
 *   client ──▶ listening socket ──▶ faults ──▶ parked ──▶ delayed ──▶ a socket of the client's own ──▶ bus
 *          ◀──                                                                                    ◀──
 *
 * A packet that is to come late is parked until so many later ones of its flow have passed it, or for
 * MR_RELAY_PARK_NS if there are no later ones.
 *
 * Owns      The relay owns its sockets and the packets in it.
 * Threads   One.
 * Errors    What a socket does not take is counted as refused.
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
	/* After so many packets of a client the bus sees it at another port, once; 0: never. */
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
/* The port that clients send to. */
uint16_t mr_relay_port(const struct mr_relay *r);
/* Waits for packets up to timeout_ms and passes on what has come or is due. 0; -EINTR. */
int mr_relay_step(struct mr_relay *r, int timeout_ms);
const struct mr_relay_counts *mr_relay_counts(
	const struct mr_relay *r, enum mr_relay_direction direction);
void mr_relay_close(struct mr_relay *r);

#endif
