/* SPDX-License-Identifier: Apache-2.0 */
/* guard: sources and token buckets of the XDP program. Compiled for the program and, for tests, for
 * user space.
 *
 * A bucket is one number, the time at which it will be full again (the generic cell rate algorithm,
 * ITU-T I.371). Two processors that take at once may both read the old time: then one token is
 * taken for two packets. Packets of one source mostly come on one queue.
 *
 * Threads   Pure functions over their arguments.
 * Hot path  All of it.
 */
#ifndef MILLRACE_PORT_XDP_GUARD_H
#define MILLRACE_PORT_XDP_GUARD_H

#include "dataplane/port/xdp/classify.h"

/* Takes a token from the bucket that is full at *due_ns. Returns 0 if there is none. */
MR_XDP_INLINE int mr_xdp_take(__u64 *due_ns, const struct mr_xdp_rate *rate, __u64 now_ns)
{
	__u64 due = *due_ns;

	if (due < now_ns)
		due = now_ns;
	/* No bucket of this rate is further from full: the rate has changed. */
	if (due - now_ns > rate->burst_ns + rate->interval_ns)
		due = now_ns + rate->burst_ns;
	if (due - now_ns > rate->burst_ns)
		return 0;
	*due_ns = due + rate->interval_ns;
	return 1;
}

/* Reads the source of an untagged packet. Returns 0 if it is neither IPv4 nor IPv6. */
MR_XDP_INLINE int mr_xdp_source(const __u8 *at, const __u8 *end, struct mr_xdp_prefix *out)
{
	const __u8 *ip = at + sizeof(struct ethhdr);
	__u16 type;

	if (ip + sizeof(struct iphdr) > end)
		return 0;
	__builtin_memcpy(&type, at + 12, sizeof(type));
	if (type == MR_XDP_BE16(ETH_P_IP)) {
		out->bits = MR_XDP_FAMILY_BITS + 32;
		out->family = 4;
		__builtin_memcpy(&out->address[0], ip + 12, 4);
		out->address[1] = out->address[2] = out->address[3] = 0;
		return 1;
	}
	if (type != MR_XDP_BE16(ETH_P_IPV6) || ip + sizeof(struct ipv6hdr) > end)
		return 0;
	out->bits = MR_XDP_FAMILY_BITS + 128;
	out->family = 6;
	__builtin_memcpy(out->address, ip + 8, sizeof(out->address));
	return 1;
}

/* Returns the key of a source's bucket. No IPv6 source has 32 leading zero bits, except forged
 * ones: those share the bucket of an IPv4 address, whose packets could as well be forged. */
MR_XDP_INLINE __u64 mr_xdp_source_key(const struct mr_xdp_prefix *source)
{
	if (source->family == 4)
		return (__u64)source->address[0] << 32;
	return (__u64)source->address[1] << 32 | source->address[0];
}

#endif
