/* SPDX-License-Identifier: Apache-2.0 */
/* handoff: reads the workers' hand-off rings, and writes answers into them.
 *
 *   handoff.c        the rings: draining, sleeping, answering
 *   client.c         requests of clients: parses, checks, forwards to the data plane, answers
 *   queues.c         requests about queues and services, sent to home workers by queue_command.c
 *   hello.c          hellos of clients over UDP, answered through handoff.c
 *   queue_command.c  commands to home workers that wait for their answers
 *
 * Owns      Control's side of the rings while the link is up; the link owns the channels.
 * Threads   The loop's.
 * Ordering  [bytes.sleep] arm announces in every ring that control sleeps, before the loop waits.
 * Errors    An answer is dropped and counted if its ring is full: the client repeats its request.
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
	bool answered; /* something was written since the last publish */
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
	/* includes those of earlier links until the kernel ends their reads */
	uint32_t doorbells_alive;
	uint32_t workers_count; /* 0: the link is down */
};

void mr_handoff_init(struct mr_handoff *h, struct mr_loop *loop, struct mr_link *link,
	struct mr_hello *hello, struct mr_queue_commands *queue_commands,
	const struct mr_config *config, struct mr_control_counters *counters);
/* Called when the link comes up, and before it goes down. */
int mr_handoff_up(struct mr_handoff *h);
void mr_handoff_down(struct mr_handoff *h);

/* Handles a bounded batch of each ring. Returns the number of records. */
unsigned mr_handoff_drain(struct mr_handoff *h);
/* Publishes the answers to the workers, and wakes those that sleep. */
void mr_handoff_publish(struct mr_handoff *h);
/* Announces sleep before the loop waits. False if a record arrived meanwhile. mr_handoff_wake ends
 * it. */
bool mr_handoff_arm(struct mr_handoff *h);
void mr_handoff_wake(struct mr_handoff *h);

/* client.c: handles a Control message of a client. */
void mr_handoff_client(
	struct mr_handoff *h, uint64_t session, uint64_t peer, const struct mr_message_view *m);
/* Sends the ClientMessage in `b` to a client. */
void mr_handoff_answer(struct mr_handoff *h, uint64_t session, uint32_t correlation,
	struct mrf_builder *b, enum mrf_client_body type, uint32_t body);
/* Sends a Welcome, the first frame of its session. */
void mr_handoff_welcome(
	struct mr_handoff *h, uint64_t session, struct mrf_builder *b, uint32_t welcome);
/* Sends a Refusal along a path that has no session. */
/* Sends a MulticastResponse into its group, alone in a frame of the group's largest size. */
void mr_handoff_probe(
	struct mr_handoff *h, uint64_t channel, struct mrf_builder *b, uint32_t response);
void mr_handoff_refuse(struct mr_handoff *h, unsigned worker, const struct mrf_network_path *path,
	struct mrf_builder *b, uint32_t refusal);
/* Sends a QueueMessage to a worker; for queue_command.c. */
void mr_handoff_command(
	struct mr_handoff *h, unsigned worker, uint32_t id, const void *data, size_t bytes);

#endif
