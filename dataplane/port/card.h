/* SPDX-License-Identifier: Apache-2.0 */
/* card: checks that a PCI card can be opened through vfio-pci, by what the kernel says of it.
 * Changes nothing, and starts nothing of DPDK.
 *
 * Threads   Any.
 */
#ifndef MILLRACE_PORT_CARD_H
#define MILLRACE_PORT_CARD_H

#define MR_CARD_WHY_BYTES  160
#define MR_CARD_HINT_BYTES 512

/* Why a card cannot be opened, and the next step. */
struct mr_card_fault {
	char why[MR_CARD_WHY_BYTES];
	char hint[MR_CARD_HINT_BYTES];
};

/* Returns 0 if the card at `address` (0000:03:00.0) is a network card in an IOMMU group that only
 * vfio-pci uses, and its group can be opened. Otherwise -errno, with the reason in `f`. `root`: the
 * directory that holds sys/ and dev/: "" but in tests. */
int mr_card_check(const char *root, const char *address, struct mr_card_fault *f);

#endif
