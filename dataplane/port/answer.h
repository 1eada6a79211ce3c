/* SPDX-License-Identifier: Apache-2.0 */
/* answer: the replies that a port with an address must give: ARP replies, neighbour advertisements
 * and echo replies. Each reply is written over the packet that asked for it.
 *
 * Threads   Pure functions over bytes; the port is only read.
 * Hot path  All of it: no call out, lock, allocation or system call.
 */
#ifndef MILLRACE_PORT_ANSWER_H
#define MILLRACE_PORT_ANSWER_H

#include "dataplane/port/packet.h"

/* Turns the packet at `at`, parsed into `k` by mr_packet_parse, into its reply. Returns the reply's
 * bytes, or 0 if it does not fit `capacity` bytes or the packet is a frame. */
uint32_t mr_answer(
	const struct mr_port *p, const struct mr_packet *k, uint8_t *at, uint32_t capacity);

#endif
