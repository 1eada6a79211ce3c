/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/net.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world.h"

#define WAITING_MAX 256u /* datagrams in a socket's buffer */

struct datagram {
	struct datagram *next;
	uint16_t port;
	bool to_bus;
	uint32_t bytes;
	alignas(8) uint8_t data[];
};

struct net_port {
	struct process *owner; /* NULL: free */
	uint16_t port;
	struct datagram *first;
	struct datagram **end;
	unsigned waiting;
};

static struct {
	struct net_settings settings;
	struct net_port sockets[NET_SOCKETS_MAX];
	uint16_t ports;
	uint64_t cut_until_ns;
	unsigned flying;
} net;

void (*net_to_bus)(uint16_t port, const uint8_t *data, size_t bytes);

void net_open(const struct net_settings *s)
{
	memset(&net, 0, sizeof(net));
	net.settings = *s;
}

static void empty(struct net_port *s)
{
	while (s->first != NULL) {
		struct datagram *d = s->first;

		s->first = d->next;
		free(d);
	}
	s->end = &s->first;
	s->waiting = 0;
}

void net_close(void)
{
	for (unsigned i = 0; i < NET_SOCKETS_MAX; i++)
		empty(&net.sockets[i]);
	while (net.flying > 0 && world_step())
		continue;
}

void net_set(const struct net_settings *s)
{
	net.settings = *s;
}

void net_cut(uint64_t until_ns)
{
	net.cut_until_ns = until_ns;
}

bool net_is_socket(int fd)
{
	return fd >= NET_FD_FIRST && fd < NET_FD_FIRST + NET_SOCKETS_MAX;
}

int net_socket(void)
{
	for (int i = 0; i < NET_SOCKETS_MAX; i++) {
		struct net_port *s = &net.sockets[i];

		if (s->owner != NULL)
			continue;
		*s = (struct net_port){
			.owner = process_now, .port = (uint16_t)(10000 + net.ports++ % 50000)};
		s->end = &s->first;
		return NET_FD_FIRST + i;
	}
	return -1;
}

void net_socket_close(int fd)
{
	struct net_port *s = &net.sockets[fd - NET_FD_FIRST];

	empty(s);
	s->owner = NULL;
}

static struct net_port *by_port(uint16_t port)
{
	for (int i = 0; i < NET_SOCKETS_MAX; i++)
		if (net.sockets[i].owner != NULL && net.sockets[i].port == port)
			return &net.sockets[i];
	return NULL;
}

static void arrive_at(struct net_port *s, struct datagram *d)
{
	if (s == NULL || process_killed(s->owner) || s->waiting == WAITING_MAX) {
		free(d);
		return;
	}
	d->next = NULL;
	*s->end = d;
	s->end = &d->next;
	s->waiting++;
	process_wake(s->owner);
}

static void arrive(void *arg, uint64_t tag)
{
	struct datagram *d = arg;

	(void)tag;
	net.flying--;
	if (!d->to_bus) {
		arrive_at(by_port(d->port), d);
		return;
	}
	if (net_to_bus != NULL)
		net_to_bus(d->port, d->data, d->bytes);
	free(d);
}

static void fly(uint16_t port, bool to_bus, const void *data, size_t bytes)
{
	uint32_t spread = net.settings.delay_us_max - net.settings.delay_us_min + 1;
	unsigned copies = 1 + world_chance(net.settings.twice);

	if (bytes > NET_DATAGRAM_BYTES)
		world_fail("a datagram of %zu bytes", bytes);
	if (world_chance(net.settings.loss) || world_now_ns() < net.cut_until_ns)
		return;
	for (; copies > 0; copies--) {
		struct datagram *d = malloc(sizeof(*d) + bytes);
		uint64_t us = net.settings.delay_us_min + world_draw(spread);

		if (d == NULL)
			world_fail("no memory");
		*d = (struct datagram){.port = port, .to_bus = to_bus, .bytes = (uint32_t)bytes};
		memcpy(d->data, data, bytes);
		net.flying++;
		world_at(world_now_ns() + us * 1000, arrive, d, 0);
	}
}

void net_send(int fd, const void *data, size_t bytes)
{
	const struct net_port *s = &net.sockets[fd - NET_FD_FIRST];

	if (process_sends(s->owner))
		fly(s->port, true, data, bytes);
}

void net_send_to(uint16_t port, const void *data, size_t bytes)
{
	fly(port, false, data, bytes);
}

bool net_readable(int fd)
{
	return net.sockets[fd - NET_FD_FIRST].first != NULL;
}

long net_receive(int fd, void *to, size_t room)
{
	struct net_port *s = &net.sockets[fd - NET_FD_FIRST];
	struct datagram *d = s->first;
	size_t bytes;

	if (d == NULL)
		return -1;
	bytes = d->bytes < room ? d->bytes : room;
	memcpy(to, d->data, bytes);
	s->first = d->next;
	if (s->first == NULL)
		s->end = &s->first;
	s->waiting--;
	free(d);
	return (long)bytes;
}
