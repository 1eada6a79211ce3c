/* SPDX-License-Identifier: Apache-2.0 */
/* bus_bind: queues bound to subjects, and publishes into them: the router around the real engine.
 *
 *   publish ──▶ bound queues ──▶ promised, and one of them has no room: the session waits
 *                           └──▶ mr_queues_publish, once for each queue
 *
 * Checked here: a publish is counted exactly once by each queue, as taken, as a duplicate, or by
 * the reason why not. A promised one is taken. It waits only while a queue has no room.
 *
 * Threads   The world's.
 */
#ifndef MILLRACE_TESTS_SIM_BUS_BIND_H
#define MILLRACE_TESTS_SIM_BUS_BIND_H

#include "tests/sim/bus.h"
#include "tests/sim/model.h"

#define BIND_SUBJECTS 4u

/* The subjects that programs publish to. */
extern const char *const bind_subjects[BIND_SUBJECTS];

void bus_bind_open(void);
/* Binds a queue to a random pattern, or takes a binding away. */
void bus_bind_some(void);

/* For bus.c and bus_queues.c. */
void bus_bind_hold(void *arg, enum mr_queue_held what, uint64_t index, uint64_t of);
/* Returns the alias of a subject, or 0. */
uint32_t bus_bind_alias(struct mrf_string subject);
/* Takes a Publish. False: it must wait. */
bool bus_publish(struct bus_session *s, const struct mr_message_view *m);
/* Fails if sessions wait for long, and all queues have room. */
void bus_bind_watch(void);

#endif
