/* SPDX-License-Identifier: Apache-2.0 */
/* privilege: drops the capabilities of a process started as root when it does not need them any
 * more.
 *
 * Opening ports needs all of them. Closing ports needs CAP_NET_ADMIN only; without ports none is
 * needed. Capabilities belong to threads: each thread drops its own.
 */
#ifndef MILLRACE_DATAPLANE_PRIVILEGE_H
#define MILLRACE_DATAPLANE_PRIVILEGE_H

#include <stdbool.h>

/* Drops all capabilities of the calling thread, but for CAP_NET_ADMIN if `keep_net_admin`. Errors
 * are logged. */
void mr_privilege_drop(bool keep_net_admin);
/* Drops all capabilities of DPDK's interrupt thread, which also serves memif peers. Call it before
 * that thread has work; returns when it is done. */
void mr_privilege_drop_interrupts(void);

#endif
