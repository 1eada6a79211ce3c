/* SPDX-License-Identifier: Apache-2.0 */
/* net: the simulated network: datagrams between the bus and the sockets of processes. They may be
 * lost, late, out of order and duplicated.
 *
 * Owns      Sockets, and datagrams in flight.
 */
#ifndef MILLRACE_TESTS_SIM_NET_H
#define MILLRACE_TESTS_SIM_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/process.h"

#define NET_FD_FIRST       (1 << 20)
#define NET_SOCKETS_MAX    256
#define NET_DATAGRAM_BYTES 2048u

struct net_settings {
	uint32_t loss;  /* percent */
	uint32_t twice; /* percent */
	uint32_t delay_us_min;
	uint32_t delay_us_max;
};

void net_open(const struct net_settings *s);
void net_close(void);
/* Applies to datagrams sent from now on. */
void net_set(const struct net_settings *s);
/* Drops everything, either way, until then. */
void net_cut(uint64_t until_ns);

/* Returns a descriptor, or -1. */
int net_socket(void);
bool net_is_socket(int fd);
void net_socket_close(int fd);
/* Sends a datagram to the bus. */
void net_send(int fd, const void *data, size_t bytes);
/* Takes the next datagram received; -1: none. */
long net_receive(int fd, void *to, size_t room);
bool net_readable(int fd);

/* Sends from the bus to the socket with that port. */
void net_send_to(uint16_t port, const void *data, size_t bytes);
/* Called with each datagram that arrives at the bus. */
extern void (*net_to_bus)(uint16_t port, const uint8_t *data, size_t bytes);

#endif
