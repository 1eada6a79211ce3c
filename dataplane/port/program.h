/* SPDX-License-Identifier: Apache-2.0 */
/* program: the XDP program of anybody that is attached to an interface.
 *
 * Errors    Id 0 means no program.
 */
#ifndef MILLRACE_PORT_PROGRAM_H
#define MILLRACE_PORT_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Returns the id of the program attached to an interface. */
uint32_t mr_program_attached(unsigned ifindex);
/* Writes the program's name, or "?" if the process may not read programs (CAP_SYS_ADMIN). */
void mr_program_name(uint32_t id, char *out, size_t bytes);
/* True if the program is this one of millrace: it has our map of settings. */
bool mr_program_is_ours(uint32_t id);

#endif
