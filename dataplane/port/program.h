/* SPDX-License-Identifier: Apache-2.0 */
/* program: the XDP program of an interface, and a note of which one is ours.
 *
 * Whoever is killed leaves its program attached. The note, a file in the run directory, tells it from
 * that of another who still needs it: closing a port detaches whatever is there.
 *
 * Errors    0 is no program.
 */
#ifndef MILLRACE_PORT_PROGRAM_H
#define MILLRACE_PORT_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

/* Number of the program attached to an interface. */
uint32_t mr_program_attached(unsigned ifindex);
/* Needs the right to look at programs; "?" without. */
void mr_program_name(uint32_t id, char *out, size_t bytes);
/* If it is that one; needs CAP_NET_ADMIN alone. -errno. */
int mr_program_detach(unsigned ifindex, uint32_t id);

/* DIR/xdp-INTERFACE */
void mr_program_note(const char *dir, const char *interface, uint32_t id);
uint32_t mr_program_noted(const char *dir, const char *interface);
void mr_program_forget(const char *dir, const char *interface);

#endif
