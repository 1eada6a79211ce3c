/* SPDX-License-Identifier: Apache-2.0 */
/* pci: what a PCI card was found to have and was set to, for `millrace ports`.
 *
 * Threads   The table writer.
 */
#ifndef MILLRACE_PORT_PCI_H
#define MILLRACE_PORT_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/config/config.h"

struct mr_port;

#define MR_PCI_REDIRECTION_MAX 512 /* entries; cards have 64 to 512 */
#define MR_PCI_TEXT_BYTES      512
#define MR_PCI_EXTENDED_BYTES  4096 /* so that the rows of all ports fit a packet of the link */

/* How packets find their queue. */
enum mr_pci_steering {
	MR_PCI_STEERING_NONE, /* the card, or the host of a virtual one, decides */
	MR_PCI_STEERING_RSS,  /* by hash and redirection table */
	MR_PCI_STEERING_FLOW, /* the same, by a rule for the message port */
};

struct mr_pci {
	char driver[32];   /* DPDK's */
	int32_t numa_node; /* -1: not known */
	bool mapped;       /* the card may reach the port's buffers */
	uint64_t rx_offloads;
	uint64_t tx_offloads;
	enum mr_pci_steering steering;
	uint16_t redirection_count;
	uint16_t redirection[MR_PCI_REDIRECTION_MAX]; /* hash -> queue */
	void *flows[2];                               /* rules for IPv4 and IPv6, or NULL */
};

/* Refuses, with a message, a PCI port whose card cannot be opened. Called before EAL starts, as EAL
 * takes the cards that it is told of. */
int mr_pci_check(const struct mr_config *config);

/* For ports with a card: */
/* Writes the work that the card does, with commas between. */
void mr_pci_offloads_text(const struct mr_port *p, char out[MR_PCI_TEXT_BYTES]);
/* Writes how many entries of the redirection table each queue has: 0=64,1=64. */
void mr_pci_redirection_text(const struct mr_port *p, char out[MR_PCI_TEXT_BYTES]);
const char *mr_pci_steering_name(const struct mr_port *p);
/* Writes the driver's own statistics that are not zero: name=value,... */
void mr_pci_extended_text(const struct mr_port *p, char out[MR_PCI_EXTENDED_BYTES]);
/* Returns the speed of the link, Mbit/s, or 0. */
uint32_t mr_pci_speed(const struct mr_port *p);

#endif
