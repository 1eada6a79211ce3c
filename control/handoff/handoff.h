/* SPDX-License-Identifier: Apache-2.0 */
/* handoff: takes from the workers' hand-off rings what they cannot handle, and answers into them.
 *
 *   handoff.c  the rings: draining, sleeping, answering
 *   client.c   the requests of clients: parsed, checked, passed on to the data plane, answered
 *   queues.c   those of them that are about queues and services, which the courier takes further
 *
 * Hellos of clients over UDP go to session/hello.h, whose answers come through here.
 *
 * Owns      Its sides of the rings while the link is up; the channels are the link's.
 * Threads   The loop's.
 * Ordering  [bytes.sleep] arm says for every ring that control will sleep before the loop waits.
 * Errors    An answer that finds its ring full is dropped and counted: the client asks again.
 */
#ifndef MILLRACE_CONTROL_HANDOFF_H
#define MILLRACE_CONTROL_HANDOFF_H

#include "lib/config/config.h"
#include "control/handoff/queue_command.h"
#include "control/link/link.h"
#include "lib/loop/doorbell.h"
#include "control/handoff/hello.h"
#include "lib/wire/message.h"

struct mr_handoff_worker {
	struct mr_bytes_consumer from_worker;
	struct mr_bytes_producer to_worker;
	int worker_bell_fd;
	bool answered; /* since the last publish */
};

struct mr_handoff {
	struct mr_loop *loop;
	struct mr_link *link;
	struct mr_hello *hello;
	struct mr_queue_commands *queue_commands;
	const struct mr_config *config;
	struct mr_control_counters *counters;
	struct mr_handoff_worker workers[MR_DATAPLANE_WORKERS_MAX];
	struct mr_handoff_doorbell *doorbells;
	uint32_t doorbells_alive; /* those of links before too, until the kernel lets go of them */
	uint32_t workers_count;   /* 0: the link is down */
};

void mr_handoff_init(struct mr_handoff *h, struct mr_loop *loop, struct mr_link *link,
	struct mr_hello *hello, struct mr_queue_commands *queue_commands,
	const struct mr_config *config, struct mr_control_counters *counters);
/* The link is up; will be down. */
int mr_handoff_up(struct mr_handoff *h);
void mr_handoff_down(struct mr_handoff *h);

/* A bounded batch of each ring. Returns how many records there were. */
unsigned mr_handoff_drain(struct mr_handoff *h);
/* Shows the workers what was answered. */
void mr_handoff_publish(struct mr_handoff *h);
/* Before the loop waits: false if something has come meanwhile. After it: wake. */
bool mr_handoff_arm(struct mr_handoff *h);
void mr_handoff_wake(struct mr_handoff *h);

/* client.c: a Control message of a client. */
void mr_handoff_client(struct mr_handoff *h, uint64_t session, const struct mr_message_view *m);
/* A ClientMessage to a client, as written into `b`. */
void mr_handoff_answer(struct mr_handoff *h, uint64_t session, uint32_t correlation,
	struct mrf_builder *b, enum mrf_client_body type, uint32_t body);
/* The same with a Welcome, as the first frame of its session. */
void mr_handoff_welcome(
	struct mr_handoff *h, uint64_t session, struct mrf_builder *b, uint32_t welcome);
/* The same with a Refusal, along a path on which there is no session. */
void mr_handoff_refuse(struct mr_handoff *h, unsigned worker, const struct mrf_network_path *path,
	struct mrf_builder *b, uint32_t refusal);
/* For the courier: a QueueMessage to a worker. */
void mr_handoff_command(
	struct mr_handoff *h, unsigned worker, uint32_t id, const void *data, size_t bytes);

#endif
