/* SPDX-License-Identifier: Apache-2.0 */
/* eal: DPDK's environment for this process: lcore 0 writes tables, lcore 1 + i is worker i.
 *
 * Errors    0 or -errno, logged.
 */
#ifndef MILLRACE_DATAPLANE_EAL_H
#define MILLRACE_DATAPLANE_EAL_H

#include "lib/config/config.h"

/* The embedded default: no root, no hugepages, no devices; leaves no files. */
int mr_eal_open(const struct mr_config *config);
void mr_eal_close(void);

#endif
