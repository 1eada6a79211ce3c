/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ways.h"

#include <stdlib.h>
#include <string.h>

#include "client/core/error.h"
#include "client/transport/shm/shm.h"
#include "client/transport/udp/udp.h"
#include "lib/base/bus.h"

/* Shortest time for one of several addresses, ms. */
#define ATTACH_MS_MIN 100u

static void use(struct mr_client *c, unsigned index)
{
	const struct mr_way *way = &c->ways[index];

	c->way = index;
	c->transport = way->transport;
	c->udp = way->udp;
	c->path = way->path;
	c->promised = &c->up; /* a session over UDP may have a ring of its own for them */
}

static int open_shm(struct mr_client *c, struct mr_way *way, const char *path)
{
	if (strlen(path) >= sizeof(way->path))
		return mr_failf(c, -EINVAL, "address: the path must have 1 to %zu bytes",
			sizeof(way->path) - 1);
	strcpy(way->path, path);
	way->transport = &mr_transport_shm;
	return 0;
}

static int open_udp(struct mr_client *c, struct mr_way *way, const char *address)
{
	int error = mr_udp_init(c, address);

	way->transport = &mr_transport_udp;
	way->udp = c->udp;
	if (error != 0 && c->udp != NULL) {
		mr_transport_udp.fini(c);
		way->udp = NULL;
	}
	c->udp = NULL;
	c->transport = &mr_transport_shm;
	return error;
}

/* A malformed address is refused even if others are good. */
static int open_all(struct mr_client *c, const struct mr_bus_addresses *addresses)
{
	int failure = 0;

	for (unsigned i = 0; i < addresses->count; i++) {
		const char *at = addresses->at[i];
		struct mr_way *way = &c->ways[c->ways_count];
		int error = strncmp(at, "udp://", 6) == 0 ? open_udp(c, way, at)
							  : open_shm(c, way, at + 4);

		c->ways_count += error == 0;
		failure = error != 0 ? error : failure;
		if (error == -EINVAL || error == -ENOMEM)
			return error;
	}
	return c->ways_count > 0 ? 0 : failure;
}

static int choose(struct mr_client *c, const char *address, struct mr_bus_addresses *out)
{
	char error[200];
	struct mr_bus bus;

	if (address == NULL || address[0] == '\0') {
		if (mr_bus_default(&bus, error, sizeof(error)) != 0)
			return mr_failf(c, -EINVAL, "%s", error);
		address = bus.server;
	}
	if (mr_bus_addresses(address, out, error, sizeof(error)) != 0)
		return mr_failf(c, -EINVAL, "%s", error);
	return 0;
}

int mr_ways_open(struct mr_client *c, const char *address)
{
	struct mr_bus_addresses addresses;
	int error = choose(c, address, &addresses);

	if (error != 0)
		return error;
	c->ways = calloc(addresses.count, sizeof(*c->ways));
	if (c->ways == NULL)
		return mr_fail(c, -ENOMEM, NULL);
	error = open_all(c, &addresses);
	if (error != 0)
		return error;
	use(c, 0);
	mr_ways_round(c);
	return 0;
}

void mr_ways_close(struct mr_client *c)
{
	for (unsigned i = 0; i < c->ways_count; i++) {
		use(c, i);
		c->transport->fini(c);
	}
	free(c->ways);
	c->ways = NULL;
	c->ways_count = 0;
}

void mr_ways_round(struct mr_client *c)
{
	uint64_t share_ms = c->options.connect_timeout_ms / c->ways_count;

	c->ways_left = c->ways_count - 1;
	c->attach_ms = c->ways_count > 1 && share_ms < ATTACH_MS_MIN ? ATTACH_MS_MIN : share_ms;
}

bool mr_ways_next(struct mr_client *c)
{
	if (c->ways_count > 1)
		use(c, (c->way + 1) % c->ways_count);
	if (c->ways_left == 0) {
		mr_ways_round(c);
		return false;
	}
	c->ways_left--;
	return true;
}

void mr_ways_stats(const struct mr_client *c, struct mr_client_stats *out)
{
	for (unsigned i = 0; i < c->ways_count; i++) {
		const struct mr_udp *u = c->ways[i].udp;

		if (u == NULL)
			continue;
		out->frames_sent += u->frames_sent;
		out->frames_received += u->frames_received;
		out->frames_lost += u->frames_lost;
		out->frames_duplicate += u->frames_duplicate;
		out->frames_strange += u->frames_strange;
		out->unsent += u->unsent;
		out->multicast_frames += u->group_frames;
		out->multicast_lost += u->group_lost;
		out->multicast_refused += u->group_refused;
		out->reliable_sent += u->reliable.frames_sent;
		out->reliable_received += u->reliable.frames_received;
		out->retransmits += u->reliable.retransmits;
		out->retransmit_timeouts += u->reliable.timeouts;
		out->frames_held += u->reliable.frames_held;
	}
	if (c->udp != NULL)
		out->rtt_us = c->udp->reliable.tx.rtt_ns / 1000;
}
