/* SPDX-License-Identifier: Apache-2.0 */
/* sleep_ports: lets packets wake a sleeping worker. Private to the worker.
 *
 * Threads   The worker's lcore, while it reports quiescence: no driver is called after that.
 */
#ifndef MILLRACE_WORKER_SLEEP_PORTS_H
#define MILLRACE_WORKER_SLEEP_PORTS_H

#include "dataplane/worker/worker.h"

/* Lets packets that come from now on wake the worker. True: packets wait already, in `rx` of the
 * ports. */
bool mr_worker_ports_arm(struct mr_worker *w);
/* Ends that, after the sleep or instead of it. */
void mr_worker_ports_disarm(struct mr_worker *w);
/* Returns how long a worker with ports may sleep, in nanoseconds; -1: it has no ports. The bound is
 * the next time-out of a flow, the next check of the sessions over UDP, or the next look at a queue
 * that cannot wake the worker. */
int64_t mr_worker_ports_sleep_ns(const struct mr_worker *w);

/* ports.c: takes packets into `rx` for the next round, unless there are some; true: there are. The
 * link is up. */
bool mr_worker_port_peek(struct mr_worker_port *wp);

#endif
