/* SPDX-License-Identifier: Apache-2.0 */
/* exception: a worker's side of the exception path (dataplane/port/exception.h).
 *
 * Packets that are not for the bus are copied into a ring to control, and control's packets are
 * sent after the round's frames: a bounded number a round, under the port's limits. A ring that is
 * full costs packets of the kernel, never a message.
 *
 * Threads   open: the table writer. The rest: the worker.
 * Hot path  No allocation but of buffers. The only system call is the write to control's doorbell,
 *           once a round at most and only while control sleeps.
 */
#ifndef MILLRACE_WORKER_EXCEPTION_H
#define MILLRACE_WORKER_EXCEPTION_H

#include "dataplane/port/exception.h"
#include "dataplane/worker/worker.h"

/* Makes the worker's rings. Their doorbell is to be watched (mr_worker_watch). -ENOMEM, -EMFILE. */
int mr_worker_exceptions_open(struct mr_worker *w);
/* Copies a packet for control, which the caller keeps. False: dropped and counted. */
bool mr_worker_exception(struct mr_worker *w, struct mr_worker_port *wp, const struct rte_mbuf *m);
/* Sends control's packets, and publishes those for control. */
void mr_worker_exceptions(struct mr_worker *w);

#endif
