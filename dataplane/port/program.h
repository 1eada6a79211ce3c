/* SPDX-License-Identifier: Apache-2.0 */
/* program: the XDP program attached to an interface, and a note of the one that this data plane
 * attached.
 *
 * A data plane that is killed leaves its program attached. The note, a file in the run directory,
 * names it, so that the next run does not take over somebody else's program: closing a port
 * detaches any program.
 *
 * Errors    Id 0 means no program.
 */
#ifndef MILLRACE_PORT_PROGRAM_H
#define MILLRACE_PORT_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

/* Returns the id of the program attached to an interface. */
uint32_t mr_program_attached(unsigned ifindex);
/* Writes the program's name, or "?" if the process may not read programs (CAP_SYS_ADMIN). */
void mr_program_name(uint32_t id, char *out, size_t bytes);
/* Detaches the program if it is the one attached; does nothing for id 0 or another program. Needs
 * only CAP_NET_ADMIN. 0 or -errno. */
int mr_program_detach(unsigned ifindex, uint32_t id);

/* The note is the file DIR/xdp-INTERFACE. Writes it, reads it, removes it. */
void mr_program_note(const char *dir, const char *interface, uint32_t id);
uint32_t mr_program_noted(const char *dir, const char *interface);
void mr_program_forget(const char *dir, const char *interface);

#endif
