/* SPDX-License-Identifier: Apache-2.0 */
/* files: how many descriptors this process may have.
 *
 * Threads   Any, at start.
 */
#ifndef MILLRACE_BASE_FILES_H
#define MILLRACE_BASE_FILES_H

#include <stdint.h>

/* Lifts the soft limit to the hard one and returns it. The kernel holds descriptors that are under
 * way in a socket against the same number. */
uint64_t mr_files_limit_raise(void);

#endif
