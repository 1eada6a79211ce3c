/* SPDX-License-Identifier: Apache-2.0 */
/* transport: a way to the bus: shared memory (transport/shm) or UDP (transport/udp). Both end in
 * the same two rings of bytes, so no function here is called for each message.
 *
 * Errors    0 or -errno.
 */
#ifndef MILLRACE_CLIENT_CORE_TRANSPORT_H
#define MILLRACE_CLIENT_CORE_TRANSPORT_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

struct mr_client;

/* A multicast group that the bus offers to a subscription. */
struct mr_group_offer {
	uint64_t channel;    /* session in the frames' headers; 0: no group */
	uint8_t address[16]; /* network order, IPv4 mapped into IPv6 */
	uint32_t frame_bytes;
	uint16_t udp_port;
};

struct mr_transport {
	/* Starts an attach exchange. */
	int (*attach_begin)(struct mr_client *c);
	/* Continues it. 0: attached; -EAGAIN: not yet; else the reason of the failure. */
	int (*attach_step)(struct mr_client *c);
	void (*attach_end)(struct mr_client *c);
	/* Wakes the reader of the up ring, which sleeps, after the tail was published. */
	void (*wake)(struct mr_client *c);
	/* Fills an empty down ring with arrived messages. True: the ring is not empty. NULL: the
	 * bus writes into the ring itself. */
	bool (*fill)(struct mr_client *c);
	/* Asks for a wake-up. False: something has arrived. */
	bool (*arm)(struct mr_client *c);
	/* Returns the descriptors to sleep on. The first carries messages; events of the others
	 * need housekeeping. */
	unsigned (*sleep_on)(const struct mr_client *c, struct pollfd fds[2]);
	/* Sleeps for at most a millisecond, until the up ring has room. */
	void (*room_sleep)(struct mr_client *c);
	/* Receives acknowledgements, which make room, while a call waits for room or for a drain
	 * and hands out nothing. NULL: the bus makes room by itself. */
	void (*make_room)(struct mr_client *c);
	/* Sends acknowledgements that are due, when everything received was handed out. NULL: there
	 * are none. */
	void (*flush_acks)(struct mr_client *c);
	/* Checks whether the bus is still there; sets eof. Makes a system call. */
	void (*check_bus)(struct mr_client *c);
	/* Returns the time at which it wants `check_bus`, or MR_NEVER_NS. */
	uint64_t (*due_ns)(const struct mr_client *c);
	/* Lets a subscription receive from a group. Repeating it changes nothing. `interface`: the
	 * one to join on; empty: where the session's route leads. NULL: there are no groups. */
	int (*group_join)(struct mr_client *c, const struct mr_group_offer *offer,
		uint32_t subscription, const char *interface);
	void (*group_leave)(struct mr_client *c, uint32_t subscription);
	/* Returns when the group was last heard; 0: no probe came yet. */
	uint64_t (*group_heard_ns)(const struct mr_client *c, uint32_t subscription);
	/* Returns how long a group may be silent. */
	uint64_t (*group_dead_ns)(const struct mr_client *c);
	/* Ends the session, if there is one. */
	void (*unmap)(struct mr_client *c);
	void (*fini)(struct mr_client *c);
};

#endif
