/* SPDX-License-Identifier: Apache-2.0 */
/* shared: the maps of the XDP program, as the kernel and user space see them.
 *
 * Owns      Nothing. The table writer writes the settings; the program only reads them.
 * Threads   The program counts on each processor apart; a reader adds the processors up.
 * Units     Addresses and UDP ports in network order.
 */
#ifndef MILLRACE_PORT_XDP_SHARED_H
#define MILLRACE_PORT_XDP_SHARED_H

#include <linux/types.h>

#define MR_XDP_QUEUES_MAX    64
#define MR_XDP_ADDRESSES_MAX 8

/* The end of a packet in the program. All but BUS go to the kernel, unchanged. */
enum mr_xdp_verdict {
	MR_XDP_BUS,       /* to the worker of the queue */
	MR_XDP_NO_SOCKET, /* for the bus, but no worker serves the queue */
	MR_XDP_NOT_IP,    /* ARP, and protocols other than IP */
	MR_XDP_TAGGED,    /* a VLAN tag: for a VLAN interface of the kernel */
	MR_XDP_MALFORMED, /* ends before its headers do */
	MR_XDP_FRAGMENT,  /* an IP fragment to one of the port's addresses */
	MR_XDP_OTHER,     /* another Ethernet or IP address, protocol or UDP port */
	MR_XDP_VERDICTS_COUNT
};

/* A value of the map mr_xdp_counts, whose key is the receive queue. The last key counts for all
 * queues from MR_XDP_QUEUES_MAX on. */
struct mr_xdp_counts {
	__u64 packets[MR_XDP_VERDICTS_COUNT];
};

struct mr_xdp_ip6 {
	__u64 words[2];
};

/* The only value of the map mr_xdp_settings. */
struct mr_xdp_settings {
	__u8 mac[6];    /* the interface's */
	__u16 udp_port; /* the bus's */
	__u16 ip4_count;
	__u16 ip6_count;
	/* A bit for each address that the kernel does not have. ARP, neighbour solicitations and
	 * all other packets for it go to the workers, too. */
	__u16 own4;
	__u16 own6;
	__u32 ip4[MR_XDP_ADDRESSES_MAX];
	struct mr_xdp_ip6 ip6[MR_XDP_ADDRESSES_MAX];
};

#endif
