/* SPDX-License-Identifier: Apache-2.0 */
/* shared: the maps of the XDP program, as the kernel and user space see them.
 *
 * Owns      Nothing. The table writer writes the settings and the tables of prefixes; the program
 *           reads them, and writes the times of its buckets.
 * Threads   The program counts on each processor apart; a reader adds the processors up.
 * Units     Addresses and UDP ports in network order.
 */
#ifndef MILLRACE_PORT_XDP_SHARED_H
#define MILLRACE_PORT_XDP_SHARED_H

#include <linux/types.h>

#define MR_XDP_QUEUES_MAX    64
#define MR_XDP_ADDRESSES_MAX 8
#define MR_XDP_SETS_BITS     14   /* 16,384 sets of sources that are remembered */
#define MR_XDP_WAYS          4    /* sources in a set */
#define MR_XDP_PREFIXES_MAX  4096 /* in each table of prefixes */

/* Version of the maps. The program passes everything to the kernel while its settings have another
 * one. */
#define MR_XDP_VERSION 2

/* The end of a packet in the program. From DENIED on, packets for the bus are dropped. All others
 * but BUS go to the kernel, unchanged. */
enum mr_xdp_verdict {
	MR_XDP_BUS,            /* to the worker of the queue */
	MR_XDP_NO_SOCKET,      /* for the bus, but no worker serves the queue */
	MR_XDP_NOT_IP,         /* ARP, and protocols other than IP */
	MR_XDP_TAGGED,         /* a VLAN tag: for a VLAN interface of the kernel */
	MR_XDP_MALFORMED,      /* ends before its headers do */
	MR_XDP_FRAGMENT,       /* an IP fragment to one of the port's addresses */
	MR_XDP_OTHER,          /* another Ethernet or IP address, protocol or UDP port */
	MR_XDP_DENIED,         /* from a denied prefix */
	MR_XDP_NOT_ALLOWED,    /* prefixes are allowed, and its source is in none of them */
	MR_XDP_LIMITED,        /* its source sends faster than its limit */
	MR_XDP_LIMITED_NEW,    /* sources that are not remembered come faster than their limit */
	MR_XDP_LIMITED_PREFIX, /* its prefix sends faster than its limit */
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

/* A token bucket: a token each interval_ns, at most burst_ns / interval_ns + 1 of them. */
struct mr_xdp_rate {
	__u64 interval_ns; /* 0: no limit */
	__u64 burst_ns;
};

/* A key of the tables of prefixes. Bits count from the first of the family. */
struct mr_xdp_prefix {
	__u32 bits;
	__u32 family;     /* 4 or 6 */
	__u32 address[4]; /* IPv4: the first; the others are 0 */
};
#define MR_XDP_FAMILY_BITS 32

/* A value of the table mr_xdp_access. The longest prefix counts. */
enum mr_xdp_access {
	MR_XDP_ALLOW = 1,
	MR_XDP_DENY = 2,
};

/* A value of the table mr_xdp_limits. The longest prefix counts. */
struct mr_xdp_limit {
	struct mr_xdp_rate rate;
	__u64 due_ns; /* w: the program; time at which the bucket is full again */
};

/* A value of the map mr_xdp_sources, which is a cache of buckets: a line of sources with the same
 * hash. A source that comes replaces the one whose time is the oldest. */
struct mr_xdp_set {
	__u64 keys[MR_XDP_WAYS];
	__u64 due_ns[MR_XDP_WAYS]; /* without a limit of each source: when it was seen last */
};

/* The limits of a port. Written by user space, as a part of the settings. */
struct mr_xdp_guard {
	__u32 access_count;  /* prefixes in mr_xdp_access */
	__u32 allowed_count; /* those of them that are allowed */
	__u32 limits_count;  /* prefixes in mr_xdp_limits */
	__u32 unused;
	__u64 seeds[2];             /* secret, of the hash of sources; the second one is odd */
	struct mr_xdp_rate source;  /* of each IPv4 address, and each /64 of IPv6 */
	struct mr_xdp_rate unknown; /* of all sources together that are not remembered */
};

/* The only value of the map mr_xdp_settings. */
struct mr_xdp_settings {
	__u32 version;  /* MR_XDP_VERSION */
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
	struct mr_xdp_guard guard;
};

#endif
