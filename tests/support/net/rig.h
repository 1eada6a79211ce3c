/* SPDX-License-Identifier: Apache-2.0 */
/* rig: workers with a port, stepped by hand in the test's own process. The port's devices are
 * rings: the test puts received packets in and takes sent packets out. The test also plays control.
 *
 * Errors    Anything unexpected ends the program with a message.
 */
#ifndef MILLRACE_TESTS_SUPPORT_NET_RIG_H
#define MILLRACE_TESTS_SUPPORT_NET_RIG_H

#include "dataplane/session/remote.h"
#include "dataplane/worker/frames.h"

#define MR_RIG_WORKERS           3u
#define MR_RIG_LOCALS            4u /* slots of local sessions of a worker */
#define MR_RIG_SLOTS             16u
#define MR_RIG_FRAME_BYTES       1472u
#define MR_RIG_LOG_BYTES         131072u
#define MR_RIG_UDP_PORT          7400u
#define MR_RIG_MESSAGE_BYTES_MAX (1u << 20)
#define MR_RIG_ACK_TIMEOUT_MS    2000u
#define MR_RIG_SECRET            0x5ec7e7u /* secret of every session */

struct rte_ring;

struct mr_rig {
	unsigned workers_count;
	struct mr_worker *workers[MR_RIG_WORKERS];
	struct rte_rcu_qsbr *qsbr;
	struct mr_table *table;
	struct mr_port port;
	struct mr_spsc mesh[MR_RIG_WORKERS][MR_RIG_WORKERS]; /* from, to */
	struct mrf_worker_stats stats[MR_RIG_WORKERS];
	struct mrf_port_stats port_stats[MR_RIG_WORKERS];
	struct mrf_session_stats session_stats[MR_RIG_WORKERS][MR_RIG_SLOTS];
	struct mr_bytes_consumer to_control[MR_RIG_WORKERS];
	struct mr_bytes_producer from_control[MR_RIG_WORKERS];
	int writer_bell_fd;
	uint64_t clock; /* cycles; 0: use the real clock */
};

/* An attached client. */
struct mr_rig_local {
	struct mr_session *session;
	int liveness_fd;
	struct mr_bytes_producer up;
	struct mr_bytes_consumer down;
};

/* A client over UDP: its end of the path, and its counters. */
struct mr_rig_client {
	struct mrf_network_path path; /* from the bus's point of view */
	uint64_t session;
	uint32_t sequence;
};

/* A frame that was received or is being made. */
struct mr_rig_frame {
	struct mrf_frame_header header;
	uint32_t bytes; /* UDP payload */
	alignas(8) uint8_t at[4096];
};

/* Limit of the tables of rigs opened from now on; 0: no limit. */
extern uint32_t mr_rig_copies_max;

/* Opens workers with 10.77.0.1 and fd77::1 on the port. */
void mr_rig_open(struct mr_rig *r, unsigned workers);
void mr_rig_close(struct mr_rig *r);

/* Makes one round of a worker. */
void mr_rig_round(struct mr_rig *r, unsigned worker);
/* Lets time pass. */
void mr_rig_wait_ms(struct mr_rig *r, uint64_t ms);

struct mr_owner mr_rig_attach(
	struct mr_rig *r, unsigned worker, uint32_t slot, struct mr_rig_local *out);
void mr_rig_subscribe(
	struct mr_rig *r, const struct mr_session *s, uint32_t id, const char *subject);
void mr_rig_join(struct mr_rig *r, const struct mr_session *s, uint32_t id, const char *subject,
	const char *group);
/* Pushes a message of a local client and publishes the tail. */
void mr_rig_push(struct mr_rig_local *c, const struct mr_message_plan *plan, uint32_t target);
/* Removes the client and its session. */
void mr_rig_detach(struct mr_rig *r, struct mr_rig_local *c);
/* Gives a worker the payload of a command; makes a round of it and returns its QueueAnswer, valid
 * until the next one. */
void mr_rig_hand_over(struct mr_rig *r, unsigned worker, const void *data, uint32_t bytes);
struct mrf_table mr_rig_command(
	struct mr_rig *r, unsigned worker, const struct mrf_queue_command *command);
/* Next message in the ring of a local client, or false. */
bool mr_rig_next(struct mr_rig_local *c, struct mr_message_view *m);

/* Returns a path from 10.77.0.2 or fd77::2. */
struct mrf_network_path mr_rig_path(bool ip6, uint16_t udp_port);
/* Opens a session for the client, in a slot from MR_RIG_LOCALS on. */
struct mr_session *mr_rig_remote(struct mr_rig *r, unsigned worker, uint32_t slot,
	const struct mrf_network_path *path, uint32_t frame_bytes, struct mr_rig_client *c);
/* Gives a session over UDP an alias, its only one. */
uint32_t mr_rig_alias(struct mr_rig *r, struct mr_session *s, const char *subject);

/* Begins a frame. */
void mr_rig_begin(struct mr_rig_frame *f, uint64_t session, uint32_t sequence);
void mr_rig_add(struct mr_rig_frame *f, enum mrf_message_kind kind, uint32_t target,
	const char *subject, const void *payload, uint32_t bytes);
void mr_rig_add_plan(struct mr_rig_frame *f, const struct mr_message_plan *plan, uint32_t target);
/* Pads the frame to `bytes`. */
void mr_rig_pad(struct mr_rig_frame *f, uint32_t bytes);
/* Sends the client's next frame, with one publish in it. */
void mr_rig_publish(
	struct mr_rig_client *c, struct mr_rig_frame *f, const char *subject, const char *text);

/* Builds the packet from Ethernet up; returns its bytes. */
uint32_t mr_rig_packet(const struct mrf_network_path *path, const struct mr_rig_frame *f,
	uint8_t *out, uint32_t capacity);
void mr_rig_inject(struct mr_rig *r, unsigned worker, const void *packet, uint32_t bytes);
/* Sends a frame along a path. */
void mr_rig_send(struct mr_rig *r, unsigned worker, const struct mrf_network_path *path,
	const struct mr_rig_frame *f);
/* Takes the next packet that a worker sent; 0: none. */
uint32_t mr_rig_collect(struct mr_rig *r, unsigned worker, uint8_t *out, uint32_t capacity);
/* Takes the frame from a sent packet, checked as its receiver would; false if it is an answer to a
 * neighbour instead. */
bool mr_rig_parse(const uint8_t *packet, uint32_t bytes, struct mr_rig_frame *f,
	struct mrf_network_path *path);
/* Takes the next frame that a worker sent, checked as its receiver would; *path as the bus
 * sees it. */
bool mr_rig_receive(
	struct mr_rig *r, unsigned worker, struct mr_rig_frame *f, struct mrf_network_path *path);
/* Returns the messages of a received frame, one after the other; start with *at == 0. */
bool mr_rig_message(const struct mr_rig_frame *f, uint32_t *at, struct mr_message_view *m);

/* Takes away all but `leave` buffers of the port; gives them back. */
void mr_rig_starve(struct mr_rig *r, unsigned leave);
void mr_rig_feed(struct mr_rig *r);

#endif
