/* SPDX-License-Identifier: Apache-2.0 */
/* machine: reads a description of the machine from sysfs and procfs.
 *
 * Threads   Before the workers start.
 */
#ifndef MILLRACE_DATAPLANE_MACHINE_H
#define MILLRACE_DATAPLANE_MACHINE_H

#include <sched.h>

#include "dataplane/placement.h"

/* Reads what is known of the machine whose files are below `root`: "" for this one, another
 * directory for tests. `affinity`: CPUs on which the process may run. Isolated CPUs are allowed,
 * too, if the process may run on all others: it was started without a choice of its own, and the
 * kernel leaves them out then. `nics`: kernel interfaces, or PCI addresses ("0000:03:00.0"). A file
 * that is missing counts as one that says nothing. */
void mr_machine_read(const char *root, const cpu_set_t *affinity, const char *const *nics,
	unsigned nics_count, struct mr_machine *out);

#endif
