/* SPDX-License-Identifier: Apache-2.0 */
/* eal: DPDK's environment (EAL) for this process. Lcore 0 is the table writer, lcore 1 + i is
 * worker i.
 *
 * Errors    0 or -errno, logged.
 */
#ifndef MILLRACE_DATAPLANE_EAL_H
#define MILLRACE_DATAPLANE_EAL_H

#include "lib/config/config.h"

/* Starts EAL without root, hugepages or devices; leaves no files behind. */
int mr_eal_open(const struct mr_config *config);
void mr_eal_close(void);

#endif
