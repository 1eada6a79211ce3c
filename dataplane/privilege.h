/* SPDX-License-Identifier: Apache-2.0 */
/* privilege: capabilities that a process started as root gives up when it needs them no longer.
 *
 * Ports are opened with all of them. To close them again, changing an interface is enough; without a
 * port, nothing is needed. Capabilities belong to threads: each gives up its own.
 */
#ifndef MILLRACE_DATAPLANE_PRIVILEGE_H
#define MILLRACE_DATAPLANE_PRIVILEGE_H

#include <stdbool.h>

/* The calling thread keeps nothing but, if asked to, CAP_NET_ADMIN. Errors are logged. */
void mr_privilege_drop(bool keep_net_admin);
/* The thread in which DPDK answers interrupts, and peers of memifs, keeps nothing. To be called before
 * it has any of them; returns when it is done. */
void mr_privilege_drop_interrupts(void);

#endif
