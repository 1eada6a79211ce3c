/* SPDX-License-Identifier: Apache-2.0 */
/* files: the limit of open file descriptors of this process.
 *
 * Threads   Any, at start.
 */
#ifndef MILLRACE_BASE_FILES_H
#define MILLRACE_BASE_FILES_H

#include <stdint.h>

/* Raises the soft limit to the hard one and returns it. The kernel counts descriptors in flight in
 * a unix socket against the same limit. */
uint64_t mr_files_limit_raise(void);

#endif
