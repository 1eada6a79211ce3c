/* SPDX-License-Identifier: Apache-2.0 */
/* answer: what a port with an address owes its neighbours: ARP replies, neighbour advertisements, echo
 * replies, each made in place of what asked for it.
 *
 * Threads   Pure functions over bytes; the port is only read.
 * Hot path  All of it: no call out, lock, allocation or system call.
 */
#ifndef MILLRACE_PORT_ANSWER_H
#define MILLRACE_PORT_ANSWER_H

#include "dataplane/port/packet.h"

/* Turns the packet at `at`, as mr_packet_parse saw it, into its answer; returns the answer's length,
 * or 0 if it does not fit `capacity` bytes. Not for frames. */
uint32_t mr_answer(
	const struct mr_port *p, const struct mr_packet *k, uint8_t *at, uint32_t capacity);

#endif
