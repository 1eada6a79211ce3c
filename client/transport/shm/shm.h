/* SPDX-License-Identifier: Apache-2.0 */
/* shm: a bus of this host, reached through shared memory: rings that a worker reads and writes, a
 * doorbell each way, and a socket that the bus closes when it ends.
 *
 *   attach.c  the exchange with control      shm.c  the transport
 *
 * Owns      The client owns the mapping and its descriptors while it is attached.
 * Threads   The client's.
 */
#ifndef MILLRACE_CLIENT_TRANSPORT_SHM_SHM_H
#define MILLRACE_CLIENT_TRANSPORT_SHM_SHM_H

#include "client/core/state.h"

extern const struct mr_transport mr_transport_shm;

/* attach.c: as in struct mr_transport. */
int mr_attach_begin(struct mr_client *c);
int mr_attach_step(struct mr_client *c);
void mr_attach_end(struct mr_client *c);

#endif
