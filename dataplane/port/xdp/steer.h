/* SPDX-License-Identifier: Apache-2.0 */
/* steer: our XDP program on an interface. Packets for the bus go to AF_XDP sockets, all others to
 * the kernel, which keeps its addresses, ARP, ssh and routes.
 *
 * Owns      The program, its maps and its link. The kernel detaches the program when the link is
 *           closed, or when the process ends in any way: nothing is left behind.
 * Threads   The table writer.
 * Errors    0 or -errno. Opening needs CAP_BPF, CAP_NET_ADMIN and, for the map of sockets,
 *           CAP_NET_RAW; counting needs no capability (Linux 6.0).
 */
#ifndef MILLRACE_PORT_XDP_STEER_H
#define MILLRACE_PORT_XDP_STEER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/config/config.h"
#include "dataplane/port/xdp/shared.h"

struct mr_steer;

/* Loads the program with its settings. Does not attach it. */
int mr_steer_open(const struct mr_xdp_settings *settings, struct mr_steer **out);
/* Attaches the program to an interface: in its driver, or if that refuses, in the kernel's generic
 * code. *native tells which. -EBUSY: another program is attached. */
int mr_steer_attach(struct mr_steer *s, unsigned ifindex, bool *native);
/* Detaches and unloads. NULL is allowed. */
void mr_steer_close(struct mr_steer *s);

/* Returns the kernel's number of the program. */
uint32_t mr_steer_id(const struct mr_steer *s);
/* Descriptors of the program and of the map of sockets, valid until close. For tests. */
int mr_steer_program_fd(const struct mr_steer *s);
int mr_steer_sockets_fd(const struct mr_steer *s);
/* Replaces the settings, but their version and guard. */
int mr_steer_set(struct mr_steer *s, const struct mr_xdp_settings *settings);
/* Sets a limit or prefix, or replaces the one in its place. `rule` was checked. -ENOSPC: a table of
 * prefixes is full. */
int mr_steer_rule_set(struct mr_steer *s, const struct mr_config_rule *rule);
/* -ENOENT: nothing stands in the rule's place. */
int mr_steer_rule_remove(struct mr_steer *s, const struct mr_config_rule *rule);
/* Returns the limits and prefixes, valid until the next change. */
const struct mr_config_rule *mr_steer_rules(const struct mr_steer *s, uint32_t *count);
/* Reads what one queue has counted. Queue MR_XDP_QUEUES_MAX: all queues above. */
int mr_steer_counts(const struct mr_steer *s, uint32_t queue, struct mr_xdp_counts *out);

#endif
